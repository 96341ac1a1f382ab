//! The examination of a quiet cluster: the examiner as one more host, and its findings for the judge.

use crate::check::{Examined, What};
use crate::client::{Examiner, Finding, Input, Paper, Truth};
use crate::sim::HostId;
use crate::sim::host::listener;
use crate::sim::network::{Arrival, Parcel};
use crate::sim::world::World;

impl World<'_> {
    /// Gives the examiner a paper. It knows what the judge knows: who leads, and what is committed.
    pub(crate) fn begin_examination(&mut self, paper: Paper) {
        let Some(leader) = self.leader() else { return };
        let Some(view) = self.hosts[leader.index()].view() else { return };
        let Some(config) = self.hosts[leader.index()].node().map(|node| node.config()) else { return };
        let truth = Truth {
            nodes: (0..self.hosts.len() as u32).map(|id| listener(HostId(id)).endpoint).collect(),
            voters: self.plan.voters as usize,
            leader: leader.index(),
            epoch: view.epoch.as_i32(),
            end: self.court.judge().ledger().committed_end(),
            topic: config.topic.to_string(),
            topic_id: config.topic_id,
            cluster: config.cluster_id.to_string(),
        };
        let mut outputs = Vec::new();
        let examiner = self.examiner.get_or_insert_with(|| Examiner::new(truth.clone()));
        if !examiner.is_done() {
            // The judge misses an answer.
            return;
        }
        examiner.begin(self.now, truth, paper, &mut outputs);
        let host = self.examiner_host();
        outputs.into_iter().for_each(|output| self.client_output(host, output));
    }

    /// Something arrived for the examiner.
    pub(crate) fn deliver_to_examiner(&mut self, arrival: Arrival) {
        let connection = arrival.connection;
        let input = match arrival.parcel {
            Parcel::Syn => return,
            Parcel::Accepted => Input::Opened { connection },
            Parcel::Frame { bytes, .. } => Input::Frame { connection, frame: bytes },
            Parcel::Closed => Input::Closed { connection },
        };
        let Some(examiner) = &mut self.examiner else { return };
        let mut outputs = Vec::new();
        let finding = examiner.step(self.now, input, &mut outputs);
        let is_done = examiner.is_done();
        let host = self.examiner_host();
        outputs.into_iter().for_each(|output| self.client_output(host, output));
        if let Some(finding) = finding {
            self.found(finding);
        }
        if is_done {
            let prompt = self.drills.answer_within(self.plan);
            self.court.see(&self.hosts, self.now, None, What::Examined { finding: None, prompt });
        }
    }

    fn found(&mut self, finding: Finding) {
        let Finding { question, node, took, lie, read } = finding;
        let examined = Examined { question, node, took, lie };
        let what = What::Examined { finding: Some(&examined), prompt: self.drills.answer_within(self.plan) };
        self.court.see(&self.hosts, self.now, None, what);
        if let Some((from, batches, high_watermark)) = read {
            let what = What::Consumed { from, batches: &batches, high_watermark };
            self.court.see(&self.hosts, self.now, None, what);
        }
    }

    /// The host behind the last client.
    fn examiner_host(&self) -> HostId {
        HostId((self.hosts.len() + self.clients.len()) as u32)
    }
}
