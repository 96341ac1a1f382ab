//! One connection: correlation, negotiation, what is outstanding.
//!
//! Kafka clients expect the answers of a connection in the order of their requests, and do not read correlation ids to
//! find out. An [`Inbound`] therefore keeps one slot per request: work on a later request goes on while an earlier one
//! is parked, only its answer waits. An [`Outbound`] carries one call at a time and begins with ApiVersions, from which
//! the version of each RPC follows.
//!
//! **Invariants**
//! - Slots leave in the order they were opened, each at most once.
//! - The front slot of an inbound connection is always unanswered: what was answered has left.

use std::collections::VecDeque;

use kafka_protocol::messages::ApiVersionsResponse;

use crate::protocol::Frame;
use crate::protocol::versions::Api;

/// A connection that somebody opened to us.
#[derive(Debug)]
pub struct Inbound {
    /// Index of the listener that accepted it.
    pub listener: usize,
    /// Whether the driver was told to stop reading.
    pub is_held: bool,
    /// Number of the front slot.
    first: Slot,
    slots: VecDeque<Answered>,
}

/// The number of a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u64);

/// What a slot holds.
#[derive(Debug)]
enum Answered {
    NotYet,
    With(Frame),
    /// `acks=0`: the client expects nothing.
    Silently,
}

impl Inbound {
    /// A fresh connection.
    pub fn new(listener: usize) -> Inbound {
        Inbound { listener, is_held: false, first: Slot(0), slots: VecDeque::new() }
    }

    /// A request arrived: its place in the order of answers.
    pub fn open_slot(&mut self) -> Slot {
        self.slots.push_back(Answered::NotYet);
        Slot(self.first.0 + self.slots.len() as u64 - 1)
    }

    /// The answer of a slot is known; `None` when the client expects none.
    pub fn answer(&mut self, slot: Slot, frame: Option<Frame>) {
        let index = slot.0.checked_sub(self.first.0).expect("invariant: a slot is answered once") as usize;
        let answered = &mut self.slots[index];
        assert!(matches!(answered, Answered::NotYet), "a slot is answered twice");
        *answered = frame.map_or(Answered::Silently, Answered::With);
    }

    /// Takes the next frame whose turn it is, passing over silent slots.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.slots.front()? {
                Answered::NotYet => return None,
                Answered::With(_) | Answered::Silently => self.first.0 += 1,
            }
            if let Some(Answered::With(frame)) = self.slots.pop_front() {
                return Some(frame);
            }
        }
    }

    /// Requests that are not answered yet, or whose answers wait for their turn.
    pub fn in_flight(&self) -> usize {
        self.slots.len()
    }
}

/// How far a connection that we opened has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Outbound {
    /// Not up yet.
    Connecting,
    /// ApiVersions was asked with this version and correlation id.
    Negotiating { version: i16, correlation: i32 },
    /// Requests may be sent.
    Ready(Common),
}

/// The highest common version of each RPC between replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Common {
    vote: Option<i16>,
    begin_quorum_epoch: Option<i16>,
    end_quorum_epoch: Option<i16>,
    fetch: Option<i16>,
}

impl Common {
    /// What we and the sender of this answer both speak.
    pub fn of(theirs: &ApiVersionsResponse) -> Common {
        let common = |api: Api, served_from: i16| {
            let offer = api.offer();
            let range = theirs.api_keys.iter().find(|range| range.api_key == api.key())?;
            let highest = offer.max.min(range.max_version);
            (highest >= served_from.max(range.min_version)).then_some(highest)
        };
        Common {
            vote: common(Api::Vote, 0),
            begin_quorum_epoch: common(Api::BeginQuorumEpoch, 0),
            end_quorum_epoch: common(Api::EndQuorumEpoch, 0),
            fetch: common(Api::Fetch, REPLICA_FETCH_VERSION_MIN),
        }
    }

    /// The version to use, if there is one.
    pub fn version(&self, api: Api) -> Option<i16> {
        match api {
            Api::Vote => self.vote,
            Api::BeginQuorumEpoch => self.begin_quorum_epoch,
            Api::EndQuorumEpoch => self.end_quorum_epoch,
            Api::Fetch => self.fetch,
            _ => None,
        }
    }
}

/// Replicas name the topic by its id, which Fetch has from 13 on; below, a KRaft leader answers INVALID_REQUEST.
pub const REPLICA_FETCH_VERSION_MIN: i16 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    use bytes::Bytes;

    fn frame(text: &'static str) -> Frame {
        Frame::of(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut connection = Inbound::new(0);
        let slots = [connection.open_slot(), connection.open_slot(), connection.open_slot()];
        connection.answer(slots[2], Some(frame("third")));
        assert_eq!(connection.next_frame(), None, "the first is still parked");
        connection.answer(slots[0], Some(frame("first")));
        assert_eq!(connection.next_frame(), Some(frame("first")));
        assert_eq!(connection.next_frame(), None, "the second is still parked");
        connection.answer(slots[1], None);
        assert_eq!(connection.next_frame(), Some(frame("third")), "acks=0 has no answer and blocks nothing");
        assert_eq!(connection.in_flight(), 0);
    }

    #[test]
    #[should_panic(expected = "answered once")]
    fn a_slot_that_left_is_not_answered_again() {
        let mut connection = Inbound::new(0);
        let slot = connection.open_slot();
        connection.answer(slot, None);
        connection.next_frame();
        connection.answer(slot, None);
    }
}
