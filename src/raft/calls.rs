//! Outstanding calls: one per peer, with time-outs and back-off. (Kafka: `RequestManager`.)
//!
//! A peer is ready, awaited, or backed off from. An answer counts only for the call that is outstanding (R4); a change
//! of role forgets all calls, so an answer that was meant for another role meets nobody. Time-outs belong to the
//! replica, not to its driver: a call that waited too long is forgotten and its peer is ready again.

use crate::ids::{Offset, ReplicaId};
use crate::raft::CallId;
use crate::time::Instant;

/// Whom a call goes to. A bootstrap server and the replica behind it are different peers, as in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// A replica whose id is known.
    Replica(ReplicaId),
    /// The bootstrap server of that index in the configuration.
    Bootstrap(usize),
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// For a vote, or a pre-vote.
    Vote,
    /// To take note of a leader.
    BeginQuorumEpoch,
    /// To take note of a leader's leaving.
    EndQuorumEpoch,
    /// For records from this offset on.
    Fetch(Offset),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Awaiting { call: CallId, asked: Asked, until: Instant },
    BackingOff { until: Instant },
}

/// All peers that are not simply ready.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next: u64,
    /// Few, so a vector; a peer that is ready has no entry.
    busy: Vec<(Peer, State)>,
    /// Calls that no longer count; kept only while a quirk obeys them.
    superseded: Vec<(CallId, Peer, Asked)>,
}

impl Calls {
    /// Whether a request may be sent to this peer.
    pub fn is_ready(&self, peer: Peer) -> bool {
        self.busy.iter().all(|(busy, _)| *busy != peer)
    }

    /// Whether any answer is awaited.
    pub fn is_any_outstanding(&self) -> bool {
        self.busy.iter().any(|(_, state)| matches!(state, State::Awaiting { .. }))
    }

    /// What the answers that are awaited were asked.
    pub fn outstanding(&self) -> impl Iterator<Item = Asked> {
        self.busy.iter().filter_map(|(_, state)| match state {
            State::Awaiting { asked, .. } => Some(*asked),
            State::BackingOff { .. } => None,
        })
    }

    /// Whether the answer to this call still counts.
    pub fn is_outstanding(&self, wanted: CallId) -> bool {
        self.busy.iter().any(|(_, state)| matches!(state, State::Awaiting { call, .. } if *call == wanted))
    }

    /// Names a new call to a peer that is ready.
    pub fn start(&mut self, peer: Peer, asked: Asked, until: Instant) -> CallId {
        assert!(self.is_ready(peer), "one call per peer");
        self.next += 1;
        let call = CallId(self.next);
        self.busy.push((peer, State::Awaiting { call, asked, until }));
        call
    }

    /// The answer to `call` has come: whom it was from and what had been asked, if it still counts.
    pub fn finish(&mut self, wanted: CallId) -> Option<(Peer, Asked)> {
        let at =
            self.busy.iter().position(|(_, state)| matches!(state, State::Awaiting { call, .. } if *call == wanted))?;
        match self.busy.swap_remove(at) {
            (peer, State::Awaiting { asked, .. }) => Some((peer, asked)),
            (_, State::BackingOff { .. }) => unreachable!("only awaited calls were searched"),
        }
    }

    /// Leaves a peer alone for a while.
    pub fn back_off(&mut self, peer: Peer, until: Instant) {
        self.busy.retain(|(busy, _)| *busy != peer);
        self.busy.push((peer, State::BackingOff { until }));
    }

    /// Forgets every call and every back-off: the role has changed. (Kafka: `RequestManager.resetAll`.)
    pub fn forget_all(&mut self) {
        self.busy.clear();
    }

    /// Ends what is due; the peers are ready again. Tells what was asked of whom and is given up.
    pub fn expire(&mut self, now: Instant) -> Vec<(Peer, Asked)> {
        let mut given_up = Vec::new();
        self.busy.retain(|(peer, state)| match state {
            State::Awaiting { until, asked, .. } if *until <= now => {
                given_up.push((*peer, *asked));
                false
            }
            State::BackingOff { until } => *until > now,
            State::Awaiting { .. } => true,
        });
        given_up
    }

    /// When the next call or back-off ends.
    pub fn deadline(&self) -> Option<Instant> {
        let ends = |(_, state): &(Peer, State)| match state {
            State::Awaiting { until, .. } | State::BackingOff { until } => *until,
        };
        self.busy.iter().map(ends).min()
    }

    /// For the quirk that obeys superseded answers: remembers the calls that are about to be forgotten.
    pub fn remember_superseded(&mut self) {
        let Calls { busy, superseded, .. } = self;
        superseded.extend(busy.iter().filter_map(|(peer, state)| match state {
            State::Awaiting { call, asked, .. } => Some((*call, *peer, *asked)),
            State::BackingOff { .. } => None,
        }));
        superseded.drain(..superseded.len().saturating_sub(SUPERSEDED_MAX));
    }

    /// For the same quirk: what a superseded call had asked.
    pub fn finish_superseded(&mut self, wanted: CallId) -> Option<(Peer, Asked)> {
        let at = self.superseded.iter().position(|(call, ..)| *call == wanted)?;
        let (_, peer, asked) = self.superseded.swap_remove(at);
        Some((peer, asked))
    }
}

const SUPERSEDED_MAX: usize = 16;
