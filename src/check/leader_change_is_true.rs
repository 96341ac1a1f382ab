//! The record that begins an epoch tells the truth about its election.
//!
//! For the first control batch of an epoch e that reaches any machine, a LEADER_CHANGE: it names the node that leads e, all
//! voters, and those who granted: a majority of the voters, the leader among them, and of everybody else that it did say so,
//! on the wire, in e. Who reads the log later (a tool, a snapshot, an auditor) has no other witness.
//!
//! Source: KIP-595, "LeaderChangeMessage".

use std::collections::BTreeMap;

use crate::check::{Interests, Ledger, Property, Seen, Violation, What};
use crate::ids::{Epoch, ReplicaId};
use crate::raft::view::RoleKind;
use crate::record::{ControlRecord, RecordBatch};

/// See the module.
#[derive(Debug, Default)]
pub struct LeaderChangeIsTrue {
    voters: Vec<ReplicaId>,
    leaders: BTreeMap<Epoch, ReplicaId>,
    /// The largest epoch whose record was judged: they come in order.
    judged: Option<Epoch>,
    records: u64,
}

impl LeaderChangeIsTrue {
    fn judge(&self, ledger: &Ledger, epoch: Epoch, batch: &RecordBatch) -> Result<(), String> {
        let records = ControlRecord::parse_batch(batch).map_err(|error| format!("cannot be read: {error}"))?;
        let [ControlRecord::LeaderChange { leader, voters, granting }] = &records[..] else {
            return Err(format!("is {records:?}"));
        };
        let led_by = self.leaders.get(&epoch).copied();
        if led_by != Some(*leader) {
            return Err(format!("names node {leader} as leader, and {led_by:?} leads"));
        }
        let mut named = voters.clone();
        named.sort();
        if named != self.voters {
            return Err(format!("names {named:?} as voters, and they are {:?}", self.voters));
        }
        let is_majority = granting.len() > self.voters.len() / 2 && granting.contains(leader);
        if !is_majority {
            return Err(format!("names {granting:?} as those who elected node {leader}: no majority"));
        }
        let said = |voter: ReplicaId| ledger.granted(epoch, voter.0 as usize).is_some_and(|key| key.id == *leader);
        match granting.iter().find(|&&voter| voter != *leader && !said(voter)) {
            Some(voter) => Err(format!("names node {voter} among those who elected node {leader}, and it did not")),
            None => Ok(()),
        }
    }
}

impl Property for LeaderChangeIsTrue {
    fn name(&self) -> &'static str {
        "leader_change_is_true"
    }

    fn statement(&self) -> &'static str {
        "The first record of an epoch names its leader, the voters, and those who granted their vote (KIP-595)."
    }

    fn interests(&self) -> Interests {
        Interests::STARTED | Interests::ELECTION | Interests::APPLIED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        match seen.observation.what {
            What::Started { view, .. } if self.voters.is_empty() => {
                self.voters = view.voters.iter().map(|voter| voter.key.id).collect();
            }
            What::Applied { batches, .. } => {
                for batch in batches.iter().filter(|batch| batch.is_control()) {
                    let epoch = batch.leader_epoch();
                    if self.judged < Some(epoch) {
                        self.judged = Some(epoch);
                        self.records += 1;
                        let judged = self.judge(seen.ledger, epoch, batch);
                        judged.or_else(|lie| self.fails(seen, format!("the first record of epoch {epoch} {lie}")))?;
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        let state = seen.ledger.node(node).and_then(|mirror| mirror.state);
        if let Some(state) = state.filter(|state| state.role == RoleKind::Leader) {
            self.leaders.insert(state.epoch, state.key.id);
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, vote};
    use crate::ids::Offset;
    use crate::raft::message::ResponseBody;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    /// Node 0 is elected by node 1 in epoch 2, and this is what its first record says.
    fn elected(leader: u32, voters: &[u32], granting: &[u32]) -> Result<(), Violation> {
        let mut stage = Stage::of(LeaderChangeIsTrue::default(), 3);
        stage.start(0).unwrap();
        stage.answer(1, &vote(0, 2, (0, 0)), &answer(2, None, ResponseBody::Vote { granted: true })).unwrap();
        stage.leads(0, 2).unwrap();
        let ids = |ids: &[u32]| ids.iter().copied().map(ReplicaId).collect();
        let record =
            ControlRecord::LeaderChange { leader: ReplicaId(leader), voters: ids(voters), granting: ids(granting) };
        let batch = BatchBuilder::control(Offset(0), Epoch(2), Timestamp(0), &[record]);
        stage.see(1, What::Applied { batches: &[batch], end: Offset(1), machine: 0 })
    }

    #[test]
    fn what_the_record_says_is_what_happened() {
        elected(0, &[0, 1, 2], &[0, 1]).unwrap();
    }

    #[test]
    fn a_record_that_lies() {
        let message = |told: Result<(), Violation>| told.unwrap_err().message;
        assert!(message(elected(1, &[0, 1, 2], &[0, 1])).contains("names node 1 as leader"));
        assert!(message(elected(0, &[0, 1], &[0, 1])).contains("as voters"));
        assert!(message(elected(0, &[0, 1, 2], &[0])).ends_with("no majority"));
        assert!(
            message(elected(0, &[0, 1, 2], &[0, 2]))
                .ends_with("names node 2 among those who elected node 0, and it did not")
        );
    }
}
