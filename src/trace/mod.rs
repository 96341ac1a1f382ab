//! The event vocabulary with cause ids, its codec, exports.
//!
//! A trace is recorded only when somebody will look at it: a sweep keeps digests, and runs a failing seed again. It is
//! a list of [`Event`]s, ascending by number; every event but the first ones names the event that made it happen, so
//! that one can walk back from a violation to its beginnings ([`timeline`]).

pub mod codec;
pub mod timeline;
pub mod words;

use crate::history::Operation;
use crate::raft::note::Note;
use crate::scenario::fault::FaultKind;
use crate::time::Instant;

/// The number of an event within its run; causes are smaller than their effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub u64);

/// Where an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On a node, by dense number.
    Node(u32),
    /// In a client, by number.
    Client(u32),
    /// In the world itself: the nemesis, the script.
    World,
}

/// One event of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// What made it happen.
    pub cause: Option<EventId>,
    /// True time.
    pub at: Instant,
    /// Where.
    pub place: Place,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum EventKind {
    /// A frame left for `to`; `what` names the API and its essence: `Fetch#7 5@3`.
    Sent { to: Place, what: String },
    /// A frame arrived; the cause is its `Sent`.
    Received { from: Place, what: String },
    /// A frame was lost with its connection.
    Lost { to: Place, what: String, why: &'static str },
    /// A file operation was carried out.
    Disk { what: String },
    /// The replica took note of something.
    Note(Note),
    /// A timer was due.
    Tick,
    /// A fault was dealt.
    Fault { kind: Option<FaultKind>, what: String },
    /// A node started, for the given time.
    Started { incarnation: u32, what: String },
    /// A node went down.
    Down { what: String },
    /// A client asked, or was told.
    Operation { index: usize, operation: Operation },
    /// Role, epoch and cursors after a step that changed them: `leader@4 end=7 flushed=7 hw=6`.
    State { what: String },
    /// A property did not hold.
    Violated { property: &'static str, message: String },
}
