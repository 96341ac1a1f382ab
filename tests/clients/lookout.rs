//! What the nodes of a quorum say of it, and what lies on their disks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kraftbed::campaign::torture::disks;
use kraftbed::client::quorum_info::QuorumInfo;
use kraftbed::ids::{Endpoint, Offset};
use kraftbed::record::RecordBatch;
use kraftbed::server::admin;
use libtest_mimic::Failed;

use crate::load::Load;
use crate::quorum::Quorum;

/// A quorum, and where those of its nodes that answer can be asked.
pub struct Lookout<'a> {
    pub quorum: &'a Quorum,
    pub endpoints: BTreeMap<usize, Endpoint>,
}

impl Lookout<'_> {
    /// Who leads, and in which epoch, by the newest word of those who answer.
    pub fn leader(&self) -> (usize, u32) {
        self.quorum.wait_for("a leader", || {
            let told = self.endpoints.values().filter_map(|endpoint| admin::leader(endpoint).ok());
            let (epoch, leader) = told.filter_map(|(leader, epoch)| Some((epoch, leader?))).max()?;
            Some((usize::try_from(leader).ok()?, u32::try_from(epoch).ok()?))
        })
    }

    /// The leader's view of the quorum.
    pub fn describe(&self) -> QuorumInfo {
        self.quorum.wait_for("a leader that describes the quorum", || {
            let (leader, _) = self.leader();
            admin::quorum(self.endpoints.get(&leader)?).ok().filter(|info| info.high_watermark >= 0)
        })
    }

    /// Waits until every node has what the log holds at this moment.
    pub fn await_caught_up(&self) {
        let end = self.describe().high_watermark;
        self.quorum.wait_for("nodes that have caught up", || {
            self.describe().voters.iter().all(|voter| voter.end >= end).then_some(())
        });
    }

    /// How long it took since then until something was acknowledged by a leader of a later epoch.
    pub fn next_ack(&self, load: &mut Load, epoch: u32, since: Instant) -> Result<Duration, Failed> {
        let (leader, led) = self.quorum.await_leader(epoch);
        let start = format!("start of epoch {led} at offset ");
        let said = self.quorum.said(leader, "stderr");
        let start = said.split(&start).nth(1).and_then(|rest| rest.split(':').next()?.parse::<u64>().ok());
        let start = start.ok_or_else(|| format!("node {leader} does not say where epoch {led} begins"))?;
        Ok(load.await_ack(start + 1)?.saturating_duration_since(since))
    }

    /// The log, once nobody writes any more and everything is committed and on every disk: the same bytes on all.
    pub fn log(&self) -> Result<Vec<RecordBatch>, Failed> {
        let end = self.quorum.wait_for("nodes that know that the whole log is committed", || {
            let info = self.describe();
            let is_whole = info.voters.iter().all(|voter| voter.end == info.high_watermark);
            is_whole.then_some(info.high_watermark)
        });
        let end = Offset(u64::try_from(end)?);
        let mut logs = Vec::new();
        for &id in self.endpoints.keys() {
            logs.push((id, disks::batches(&self.quorum.log_directory(id), Offset::ZERO, end)?));
        }
        let (first, log) = logs.swap_remove(0);
        for (id, other) in &logs {
            if let Some(what) = disks::difference(&log, other, end) {
                return Err(format!("the disks of nodes {first} and {id} differ: {what}").into());
            }
        }
        Ok(log)
    }
}
