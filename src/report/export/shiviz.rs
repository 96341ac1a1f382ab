//! A log for ShiViz: two lines an event, what happened and a vector clock, as its default parser takes them.
//!
//! ```text
//! becomes leader of epoch 4, leader n2
//! n2 {"n2":17,"n1":9}
//! ```
//!
//! A host's clock counts its own events; an event whose cause was elsewhere knows what that knew. ShiViz looks through the
//! whole text for every event, so it gets the last [`EVENTS_MAX`] before the violation (or the end), without timers that
//! were due and without cursors that moved; where that cuts something off, the first event says so. Clocks begin there,
//! because ShiViz insists that everybody's first is 1.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::trace::{Event, EventId, EventKind, Place, words};

/// A vector clock.
type Clock = BTreeMap<Place, u64>;

/// The log of a trace.
pub fn export(events: &[Event]) -> String {
    let is_violation = |event: &Event| matches!(event.kind, EventKind::Violated { .. });
    let end = events.iter().rposition(is_violation).map_or(events.len(), |last| last + 1);
    let shown: Vec<&Event> =
        events[..end].iter().filter(|event| !matches!(event.kind, EventKind::Tick | EventKind::State { .. })).collect();
    let cut = shown.len().saturating_sub(EVENTS_MAX);
    let mut log = Log::default();
    if cut > 0 {
        let what = format!("{cut} earlier events are left out: ShiViz takes long for many");
        log.add(Place::World, None, &what);
    }
    // What is not shown passes its cause on.
    let mut causes: BTreeMap<EventId, Option<EventId>> = BTreeMap::new();
    for event in &events[..end] {
        if matches!(event.kind, EventKind::Tick | EventKind::State { .. }) {
            let cause = event.cause.map(|cause| causes.get(&cause).copied().unwrap_or(Some(cause)));
            causes.insert(event.id, cause.flatten());
        }
    }
    for event in &shown[cut..] {
        let cause = event.cause.and_then(|cause| causes.get(&cause).copied().unwrap_or(Some(cause)));
        let known = log.add(event.place, cause, &format!("{} {}", event.at, words::event(event)));
        log.known.insert(event.id, known);
    }
    log.text
}

#[derive(Default)]
struct Log {
    text: String,
    /// What each place knows.
    clocks: BTreeMap<Place, Clock>,
    /// What was known at an event.
    known: BTreeMap<EventId, Clock>,
}

impl Log {
    fn add(&mut self, place: Place, cause: Option<EventId>, what: &str) -> Clock {
        let clock = self.clocks.entry(place).or_default();
        for (other, count) in cause.and_then(|cause| self.known.get(&cause)).into_iter().flatten() {
            let known = clock.entry(*other).or_default();
            *known = (*known).max(*count);
        }
        *clock.entry(place).or_default() += 1;
        let counts: Vec<String> =
            clock.iter().map(|(place, count)| format!("\"{}\":{count}", words::place(*place))).collect();
        let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let host = words::place(place);
        writeln!(self.text, "{what}\n{host} {{{}}}", counts.join(","))
            .expect("invariant: writing to a string succeeds");
        clock.clone()
    }
}

/// Events of a log, at most.
pub const EVENTS_MAX: usize = 2_000;
