//! What prospectives and candidates share: the tally of an election and asking for votes. (Kafka: `EpochElection`.)

use crate::ids::ReplicaId;
use crate::raft::calls::Asked;
use crate::raft::context::Context;
use crate::raft::message::VoteRequest;
use crate::raft::{Request, VoterSet};

/// Who has said what. The voters are those of the moment the election began.
#[derive(Debug)]
pub(in crate::raft) struct Tally {
    votes: Vec<(ReplicaId, Option<Ballot>)>,
}

/// A voter's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::raft) enum Ballot {
    Granted,
    Rejected,
}

/// Whether votes bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::raft) enum Poll {
    /// KIP-996: "would you?", in the current epoch; nobody records the answer.
    PreVote,
    /// A vote, in an epoch of its own.
    Vote,
}

impl Tally {
    /// An election among these voters, in which `own` has voted for itself.
    pub fn new(voters: &VoterSet, own: ReplicaId) -> Tally {
        let votes = voters.iter().map(|voter| (voter.key.id, (voter.key.id == own).then_some(Ballot::Granted)));
        Tally { votes: votes.collect() }
    }

    /// Records a voter's word; the words of others do not count.
    pub fn record(&mut self, from: ReplicaId, ballot: Ballot) {
        if let Some((_, vote)) = self.votes.iter_mut().find(|(id, _)| *id == from) {
            *vote = Some(ballot);
        }
    }

    pub fn is_won(&self) -> bool {
        self.count(Some(Ballot::Granted)) >= self.majority()
    }

    /// Whether a majority is out of reach.
    pub fn is_lost(&self) -> bool {
        self.count(Some(Ballot::Granted)) + self.count(None) < self.majority()
    }

    pub fn granting(&self) -> Vec<ReplicaId> {
        self.votes.iter().filter(|(_, vote)| *vote == Some(Ballot::Granted)).map(|&(id, _)| id).collect()
    }

    fn count(&self, wanted: Option<Ballot>) -> usize {
        self.votes.iter().filter(|(_, vote)| *vote == wanted).count()
    }

    fn majority(&self) -> usize {
        self.votes.len() / 2 + 1
    }
}

/// Asks every voter that has not answered and can be reached.
pub(in crate::raft) fn ask_for_votes(ctx: &mut Context, tally: &Tally, poll: Poll) {
    if tally.is_lost() {
        return;
    }
    for &(id, vote) in &tally.votes {
        if vote.is_some() {
            continue;
        }
        let request = VoteRequest {
            epoch: ctx.election.epoch,
            candidate: Some(ctx.key),
            voter: ctx.voters().find(id).map(|voter| voter.key),
            last_epoch: Some(ctx.log.last_epoch()),
            // The end in memory is safe to claim: the own vote was handed to the disk behind all of it (R1), and the
            // request waits for that (R5). A candidate that crashes and comes back shorter has asked nobody yet.
            last_offset: Some(ctx.log.end()),
            pre_vote: poll == Poll::PreVote,
        };
        ctx.send_to_voter(id, Asked::Vote, Request::Vote(request));
    }
}
