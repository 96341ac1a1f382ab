//! A voter gives its vote of an epoch to one candidate.
//!
//! ∀ node v, epoch e: all votes of v in e, over all its incarnations, go to one candidate. A *vote* is an answer on the
//! wire that grants one (pre-votes are not votes), and a Vote request, by which the sender has voted for itself.
//!
//! Source: Raft §5.2; KIP-595, Vote: "vote for at most one candidate in each epoch"; the ground under TLA+
//! `ElectionSafety`. It fails a step before two leaders exist, which most seeds never reach.

use std::collections::BTreeMap;

use crate::check::{Interests, Property, Seen, Violation, What};
use crate::ids::{Epoch, ReplicaId};
use crate::raft::message::{Request, ResponseBody};

/// See the module.
#[derive(Debug, Default)]
pub struct VoteUniqueness {
    votes: BTreeMap<(usize, Epoch), ReplicaId>,
    cast: u64,
}

impl VoteUniqueness {
    fn cast(&mut self, seen: &Seen<'_>, epoch: Epoch, candidate: ReplicaId) -> Result<(), Violation> {
        self.cast += 1;
        let node = seen.observation.node;
        let first = *self.votes.entry((node, epoch)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        self.fails(seen, format!("epoch {epoch}: node {node} voted for node {first} and for node {candidate}"))
    }
}

impl Property for VoteUniqueness {
    fn name(&self) -> &'static str {
        "vote_uniqueness"
    }

    fn statement(&self) -> &'static str {
        "In an epoch a voter votes for at most one candidate, itself included, restarts or not (Raft 5.2, KIP-595)."
    }

    fn interests(&self) -> Interests {
        Interests::ASKED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Asked { request: Request::Vote(vote) } if !vote.pre_vote => match vote.candidate {
                Some(candidate) => self.cast(seen, vote.epoch, candidate.id),
                None => Ok(()),
            },
            What::Answered { request: Request::Vote(vote), response } if !vote.pre_vote => {
                match (vote.candidate, &response.body) {
                    (Some(candidate), ResponseBody::Vote { granted: true }) => {
                        self.cast(seen, vote.epoch, candidate.id)
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn exercised(&self) -> u64 {
        self.cast
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, answer, vote};

    const GRANTED: ResponseBody = ResponseBody::Vote { granted: true };
    const REFUSED: ResponseBody = ResponseBody::Vote { granted: false };

    #[test]
    fn one_candidate_may_ask_again_and_another_is_refused() {
        let mut stage = Stage::of(VoteUniqueness::default(), 3);
        stage.answer(0, &vote(1, 4, (0, 0)), &answer(4, None, GRANTED)).unwrap();
        stage.answer(0, &vote(1, 4, (0, 0)), &answer(4, None, GRANTED)).unwrap();
        stage.answer(0, &vote(2, 4, (0, 0)), &answer(4, None, REFUSED)).unwrap();
        stage.answer(0, &vote(2, 5, (0, 0)), &answer(5, None, GRANTED)).unwrap();
        assert_eq!(stage.exercised(), 3);
    }

    #[test]
    fn a_restart_does_not_give_a_second_vote() {
        let mut stage = Stage::of(VoteUniqueness::default(), 3);
        stage.answer(0, &vote(1, 4, (0, 0)), &answer(4, None, GRANTED)).unwrap();
        stage.down(0).unwrap();
        let again = stage.answer(0, &vote(2, 4, (0, 0)), &answer(4, None, GRANTED));
        assert_eq!(again.unwrap_err().message, "epoch 4: node 0 voted for node 1 and for node 2");
    }

    #[test]
    fn a_candidate_has_voted_for_itself() {
        let mut stage = Stage::of(VoteUniqueness::default(), 3);
        stage.ask(0, &vote(0, 4, (0, 0))).unwrap();
        assert!(stage.answer(0, &vote(2, 4, (0, 0)), &answer(4, None, GRANTED)).is_err());
    }
}
