//! Writes the trace, when somebody will look at it.
//!
//! Recording never changes a run: it draws nothing and schedules nothing. Descriptions are made only while recording.

use crate::time::Instant;
use crate::trace::{Event, EventId, EventKind, Place};

/// Whether and what is recorded.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Option<Vec<Event>>,
    /// What the next events are caused by.
    cause: Option<EventId>,
}

impl Recorder {
    /// A recorder that records, or one that does not.
    pub fn new(trace: Trace) -> Recorder {
        Recorder { events: (trace == Trace::Recorded).then(Vec::new), cause: None }
    }

    /// Whether descriptions are wanted.
    pub fn is_on(&self) -> bool {
        self.events.is_some()
    }

    /// What follows is caused by this event.
    pub fn caused_by(&mut self, cause: Option<EventId>) {
        self.cause = cause;
    }

    /// Records an event, and makes it the cause of what follows in the same step when `chain` says so.
    pub fn record(&mut self, at: Instant, place: Place, kind: impl FnOnce() -> EventKind) -> Option<EventId> {
        let events = self.events.as_mut()?;
        let id = EventId(events.len() as u64);
        events.push(Event { id, cause: self.cause, at, place, kind: kind() });
        Some(id)
    }

    /// Records an event that causes what follows.
    pub fn begin(&mut self, at: Instant, place: Place, kind: impl FnOnce() -> EventKind) {
        let id = self.record(at, place, kind);
        self.cause = id.or(self.cause);
    }

    /// Everything recorded.
    pub fn into_events(self) -> Vec<Event> {
        self.events.unwrap_or_default()
    }

    /// What is recorded so far.
    pub fn events(&self) -> &[Event] {
        self.events.as_deref().unwrap_or_default()
    }
}

/// Whether a run is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Digest only.
    #[default]
    Digest,
    /// Every event.
    Recorded,
}
