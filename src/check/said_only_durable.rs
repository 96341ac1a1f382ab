//! Nothing is said that a power loss at the same moment could make a lie.
//!
//! For every frame that leaves a node, with `disk` what every legal image of its platter holds:
//! - a Fetch from offset o with last epoch e: the durable log reaches o, and the batch that ends there is of epoch e;
//! - a Vote request: the durable quorum-state has that epoch, with a vote for the sender, and the durable log is what the
//!   request claims (a pre-vote: only that its epoch is durable);
//! - a granted vote: the durable quorum-state holds exactly that vote, or a later epoch; and the candidate's log was at
//!   least as long as what the voter has on disk (Raft's election restriction), the first time it is granted;
//! - whatever names an epoch: that epoch, or a later one, is durable; whatever names its leader: that leader is durable.
//!
//! Source: rules R2, R5 and R12 of [`crate::raft`]. Where Kafka is synchronous, this is what an
//! asynchronous core breaks first.

use crate::check::{DiskView, Interests, Observation, Property, Seen, Violation, What};
use crate::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::message::{FetchRequest, Request, Response, ResponseBody, VoteRequest};

/// See the module.
#[derive(Debug, Default)]
pub struct SaidOnlyDurable {
    judged: u64,
    granted: Vec<Option<(Epoch, ReplicaKey)>>,
}

impl SaidOnlyDurable {
    fn on_asked(&self, disk: &DiskView<'_>, node: usize, request: &Request) -> Result<(), String> {
        let own = ReplicaId(node as u32);
        match request {
            Request::Fetch(fetch) => {
                is_durable(disk, fetch.epoch, None)?;
                fetch_is_durable(disk, fetch)
            }
            Request::Vote(vote) if vote.pre_vote => is_durable(disk, vote.epoch, None),
            Request::Vote(vote) => candidacy_is_durable(disk, own, vote),
            Request::BeginQuorumEpoch(begin) => is_durable(disk, begin.epoch, begin.leader),
            Request::EndQuorumEpoch(end) => is_durable(disk, end.epoch, end.leader),
        }
    }

    fn on_answered(
        &mut self,
        disk: &DiskView<'_>,
        node: usize,
        request: &Request,
        response: &Response,
    ) -> Result<(), String> {
        is_durable(disk, response.epoch, response.leader)?;
        let (Request::Vote(vote), ResponseBody::Vote { granted: true }) = (request, &response.body) else {
            return Ok(());
        };
        let (false, Some(candidate)) = (vote.pre_vote, vote.candidate) else { return Ok(()) };
        let election = disk.quorum.map(|quorum| (quorum.epoch, quorum.vote));
        if election.is_none_or(|(epoch, durable)| {
            epoch < vote.epoch || epoch == vote.epoch && !durable.is_some_and(|durable| durable.admits(candidate))
        }) {
            return Err(format!(
                "grants its vote of epoch {} to node {}, and has {election:?} on disk",
                vote.epoch, candidate.id
            ));
        }
        if self.granted.len() <= node {
            self.granted.resize(node + 1, None);
        }
        // A vote that was given is given again without another look at the log.
        if self.granted[node].replace((vote.epoch, candidate)) == Some((vote.epoch, candidate)) {
            return Ok(());
        }
        let own = (disk.log.last().map(|mark| mark.epoch).unwrap_or_default(), end_of(disk));
        let theirs = (vote.last_epoch.unwrap_or_default(), vote.last_offset.unwrap_or_default());
        if theirs < own {
            let ((own_epoch, own_end), (epoch, end)) = (own, theirs);
            return Err(format!(
                "grants its vote of epoch {} to node {} whose log ends at {end}@{epoch}, its own at {own_end}@{own_epoch}",
                vote.epoch, candidate.id
            ));
        }
        Ok(())
    }
}

fn end_of(disk: &DiskView<'_>) -> Offset {
    disk.log.last().map_or(Offset::ZERO, |mark| mark.end)
}

/// The epoch, and the leader where one is named, are on the platter, or a later epoch is.
fn is_durable(disk: &DiskView<'_>, epoch: Epoch, leader: Option<ReplicaId>) -> Result<(), String> {
    let durable = disk.quorum.map(|quorum| quorum.epoch).unwrap_or_default();
    if durable < epoch {
        return Err(format!("speaks of epoch {epoch}, and has epoch {durable} on disk"));
    }
    let known = disk.quorum.and_then(|quorum| quorum.leader);
    match leader {
        Some(leader) if durable == epoch && known != Some(leader) => {
            Err(format!("names node {leader} as leader of epoch {epoch}, and has {known:?} on disk"))
        }
        _ => Ok(()),
    }
}

fn fetch_is_durable(disk: &DiskView<'_>, fetch: &FetchRequest) -> Result<(), String> {
    let Some(offset) = fetch.offset else { return Ok(()) };
    log_is_durable(disk, offset, fetch.last_epoch).map_err(|has| format!("fetches from {offset}, {has}"))
}

fn candidacy_is_durable(disk: &DiskView<'_>, own: ReplicaId, vote: &VoteRequest) -> Result<(), String> {
    is_durable(disk, vote.epoch, None)?;
    let voted = disk.quorum.and_then(|quorum| quorum.vote).map(|key| key.id);
    if disk.quorum.is_some_and(|quorum| quorum.epoch == vote.epoch) && voted != Some(own) && !leads(disk, own) {
        return Err(format!("asks for votes in epoch {}, and has a vote for {voted:?} on disk", vote.epoch));
    }
    let Some(offset) = vote.last_offset else { return Ok(()) };
    log_is_durable(disk, offset, vote.last_epoch)
        .map_err(|has| format!("is a candidate with a log up to {offset}, {has}"))
}

fn leads(disk: &DiskView<'_>, own: ReplicaId) -> bool {
    disk.quorum.is_some_and(|quorum| quorum.leader == Some(own))
}

fn log_is_durable(disk: &DiskView<'_>, end: Offset, last_epoch: Option<Epoch>) -> Result<(), String> {
    let durable_end = disk.durable_end();
    if end > durable_end {
        return Err(format!("and its durable log ends at {durable_end}"));
    }
    let (Some(mark), Some(epoch)) = (disk.durable_before(end), last_epoch) else { return Ok(()) };
    if mark.epoch != epoch {
        return Err(format!("as of epoch {epoch}, and has epoch {} there", mark.epoch));
    }
    Ok(())
}

impl Property for SaidOnlyDurable {
    fn name(&self) -> &'static str {
        "said_only_durable"
    }

    fn statement(&self) -> &'static str {
        "No frame claims an epoch, a vote, a leadership or a log that the sender's platter would not keep (R2, R5 and R12)."
    }

    fn interests(&self) -> Interests {
        Interests::ASKED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Observation { node, disks, what, .. } = *seen.observation;
        let Some(disk) = disks.get(node) else { return Ok(()) };
        self.judged += 1;
        let judged = match what {
            What::Asked { request } => self.on_asked(disk, node, request),
            What::Answered { request, response } => self.on_answered(disk, node, request, response),
            _ => Ok(()),
        };
        judged.or_else(|lie| self.fails(seen, format!("node {node} {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::fixture::{Stage, answer, begin, mark, vote};
    use crate::raft::message::SaidHighWatermark;

    fn stage() -> Stage {
        Stage::of(SaidOnlyDurable::default(), 3)
    }

    fn fetch(epoch: u32, offset: u64, last_epoch: u32) -> Request {
        Request::Fetch(FetchRequest {
            replica: None,
            epoch: Epoch(epoch),
            offset: Some(Offset(offset)),
            last_epoch: Some(Epoch(last_epoch)),
            high_watermark: SaidHighWatermark::Known(None),
            max_wait: Duration::ZERO,
            max_bytes: 1,
        })
    }

    const GRANTED: ResponseBody = ResponseBody::Vote { granted: true };

    #[test]
    fn a_fetch_claims_what_is_durable() {
        let mut stage = stage();
        stage.node(1).persist(2, Some(0), None).write(&[mark(0, 3, 1)]).sync().write(&[mark(3, 4, 2)]);
        stage.ask(1, &fetch(2, 3, 1)).unwrap();
        assert!(stage.ask(1, &fetch(2, 4, 2)).unwrap_err().message.contains("its durable log ends at 3"));
    }

    #[test]
    fn a_fetch_names_the_epoch_of_its_last_record() {
        let mut stage = stage();
        stage.node(1).persist(2, Some(0), None).write(&[mark(0, 3, 1)]).sync();
        assert!(stage.ask(1, &fetch(2, 3, 2)).is_err());
    }

    #[test]
    fn a_vote_is_durable_before_it_is_granted() {
        let mut stage = stage();
        stage.node(1).persist(4, None, None);
        let asked = vote(2, 4, (0, 0));
        assert!(stage.answer(1, &asked, &answer(4, None, GRANTED)).is_err());
        let mut stage = self::stage();
        stage.node(1).persist(4, None, Some(2));
        stage.answer(1, &asked, &answer(4, None, GRANTED)).unwrap();
    }

    #[test]
    fn a_vote_goes_to_a_log_that_is_long_enough() {
        let mut stage = stage();
        stage.node(1).persist(4, None, Some(2)).write(&[mark(0, 3, 3)]).sync();
        let refused = stage.answer(1, &vote(2, 4, (9, 2)), &answer(4, None, GRANTED)).unwrap_err();
        assert!(refused.message.ends_with("whose log ends at 9@2, its own at 3@3"), "{refused}");
    }

    #[test]
    fn a_leader_speaks_when_its_leadership_is_durable() {
        let mut stage = stage();
        stage.node(0).persist(4, None, Some(0));
        assert!(stage.ask(0, &begin(0, 4)).is_err());
        let mut stage = self::stage();
        stage.node(0).persist(4, Some(0), None);
        stage.ask(0, &begin(0, 4)).unwrap();
    }

    #[test]
    fn an_answer_of_an_epoch_that_is_only_in_memory() {
        let mut stage = stage();
        stage.node(1).persist(4, None, None);
        let told = answer(5, None, ResponseBody::BeginQuorumEpoch);
        assert!(stage.answer(1, &begin(0, 5), &told).unwrap_err().message.contains("speaks of epoch 5"));
    }
}
