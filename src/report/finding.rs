//! What a simulated run came to, as a finding: which operations or events show it, and how far all was well.
//!
//! A property names what it saw in words. Where clients alone can tell that something is wrong, the core of their history says
//! which of their operations conflict; where the words name values, the appends of those values are shown. In any case there are
//! the events that led there, and who led the epochs that the words name.

use std::collections::{BTreeMap, BTreeSet};

use crate::check;
use crate::history;
use crate::history::{Ask, Outcome, value};
use crate::raft::note::Note;
use crate::raft::view::RoleKind;
use crate::report::result::{Core, Summary};
use crate::report::{Ending, Finding, Operation, Prefix};
use crate::trace::words;
use crate::trace::{Event, EventKind, Place};

/// The finding of a run, from what is written of it.
pub fn of_run(summary: &Summary, core: Option<&Core>, events: &[Event], asked: &[history::Operation]) -> Finding {
    let mut finding = Finding {
        verdict: summary.verdict.clone(),
        sentence: sentence(summary, asked.len()),
        rule: summary.property.as_deref().and_then(rule),
        at: summary.at,
        replay: summary.replay.clone(),
        ..Finding::default()
    };
    let Some(message) = &summary.message else { return finding };
    finding.causes = causes(events);
    (finding.conflict, finding.prefix) = match core {
        Some(core) => conflict(message, core, asked),
        None => (named(message, asked), None),
    };
    if let Some(core) = core.filter(|_| !finding.conflict.is_empty()) {
        finding.orders.clone_from(&core.orders);
        // What clients were told is judged at the end, when it is long past.
        if message.contains(&core.message) {
            finding.sentence = format!("{message}.");
            (finding.causes, finding.times) = meanwhile(events, asked, &finding.conflict).into_iter().unzip();
        }
    }
    finding.notes = leaders_named(message, events);
    finding.notes.extend(faults_before(&finding.causes, events));
    if finding.prefix.is_none() && !finding.causes.is_empty() {
        finding.prefix = Some(until(events, asked));
    }
    finding
}

/// What clients asked, as pages show it.
pub fn operations(asked: &[history::Operation]) -> Vec<Operation> {
    let operation = |operation: &history::Operation| Operation {
        client: words::place(Place::Client(operation.client.0)),
        what: words::operation(operation),
        invoked: operation.invoked,
        returned: operation.returned,
        ending: match operation.outcome {
            Outcome::Ok(_) => Ending::Done,
            Outcome::Failed => Ending::Failed,
            Outcome::Open => Ending::Open,
        },
    };
    asked.iter().map(operation).collect()
}

fn sentence(summary: &Summary, operations: usize) -> String {
    let events = summary.events;
    match (&summary.message, summary.at) {
        (Some(message), Some(at)) => format!("At {at}: {message}."),
        (Some(message), None) => format!("{message}."),
        (None, _) if summary.verdict == "passed" => {
            format!("Nothing forbidden was seen in {events} events and {operations} operations.")
        }
        (None, _) => format!("The run ended without a verdict, after {events} events."),
    }
}

fn rule(property: &str) -> Option<(String, String)> {
    let of_scenarios = check::OF_SCENARIOS.iter().copied();
    let (name, statement) = check::all().into_iter().chain(of_scenarios).find(|(name, _)| *name == property)?;
    Some((name.to_owned(), statement.to_owned()))
}

/// The rows of the last events that led to the violation, the violation included: the chain of causes first, and where that
/// is shorter, the latest of what else mattered on the places it touches. (On any place, where it touches none but the world.)
fn causes(events: &[Event]) -> Vec<usize> {
    let is_violation = |event: &Event| matches!(event.kind, EventKind::Violated { .. });
    let Some(last) = events.iter().rposition(is_violation) else { return Vec::new() };
    let row_of = |event: &Event| events.binary_search_by_key(&event.cause?, |event| event.id).ok();
    let mut chosen = BTreeSet::from([last]);
    let mut next = row_of(&events[last]);
    // A trace that was tampered with may go in circles.
    while let Some(row) = next.filter(|row| chosen.len() < CAUSES_SHOWN && !chosen.contains(row)) {
        chosen.insert(row);
        next = row_of(&events[row]);
    }
    let places: BTreeSet<Place> = chosen.iter().map(|&row| events[row].place).collect();
    let is_of_world = places.iter().all(|place| *place == Place::World);
    for (row, event) in events[..last].iter().enumerate().rev() {
        if chosen.len() >= CAUSES_SHOWN {
            break;
        }
        if matters(&event.kind) && (is_of_world || is_about(event, &places)) {
            chosen.insert(row);
        }
    }
    chosen.into_iter().collect()
}

/// The rows of what mattered while these operations went on, the last of it; each with how often it happened in a row, so that
/// one fault that comes again and again does not hide all else.
fn meanwhile(events: &[Event], asked: &[history::Operation], conflict: &[(usize, String)]) -> Vec<(usize, usize)> {
    let operations = || conflict.iter().map(|(index, _)| &asked[*index]);
    let from = operations().map(|operation| operation.invoked).min();
    let to = operations().filter_map(|operation| operation.returned).max();
    let is_then = |event: &Event| Some(event.at) >= from && Some(event.at) <= to;
    let rows = events.iter().enumerate().filter(|(_, event)| is_then(event) && matters(&event.kind));
    let mut told: Vec<(usize, usize)> = Vec::new();
    for (row, event) in rows {
        match told.last_mut() {
            Some((first, times)) if events[*first].place == event.place && events[*first].kind == event.kind => {
                *times += 1
            }
            _ => told.push((row, 1)),
        }
    }
    told.split_off(told.len().saturating_sub(CAUSES_SHOWN))
}

/// What changes the state of a node as people see it; not what happens thousands of times.
fn matters(kind: &EventKind) -> bool {
    match kind {
        EventKind::Note(note) => !matches!(note, Note::HighWatermark { .. } | Note::StaleAnswer),
        EventKind::Started { .. } | EventKind::Down { .. } | EventKind::Fault { .. } => true,
        _ => false,
    }
}

/// Whether something happened on one of these places, or was done to it: `n2 loses power`.
fn is_about(event: &Event, places: &BTreeSet<Place>) -> bool {
    match &event.kind {
        EventKind::Fault { what, .. } => {
            places.iter().any(|place| what.split(' ').any(|word| word == words::place(*place)))
        }
        _ => places.contains(&event.place),
    }
}

/// Who came to lead each epoch that the message names.
fn leaders_named(message: &str, events: &[Event]) -> Vec<(String, Option<usize>)> {
    let mut notes = Vec::new();
    for epoch in numbers_after(message, "epoch ") {
        for (row, event) in events.iter().enumerate() {
            let EventKind::Note(Note::Became { role: RoleKind::Leader, epoch: of, .. }) = &event.kind else { continue };
            if of.0 == epoch {
                let place = words::place(event.place);
                notes.push((format!("{place} became leader of epoch {epoch} at {}", event.at), Some(row)));
            }
        }
    }
    let shown = notes.len().min(NOTES_MAX);
    let left = notes.split_off(shown).len();
    notes.extend((left > 0).then(|| (format!("and so {left} times more"), None)));
    notes
}

/// The last fault before the first event of the chain, and how many there were.
fn faults_before(causes: &[usize], events: &[Event]) -> Option<(String, Option<usize>)> {
    let first = *causes.first()?;
    let is_fault = |event: &Event| matches!(event.kind, EventKind::Fault { kind: Some(_), .. });
    let row = events[..first].iter().rposition(is_fault)?;
    let count = events[..first].iter().filter(|event| is_fault(event)).count();
    let (what, at) = (words::event(&events[row]), events[row].at);
    Some((format!("the last of {count} faults before these events: {what}, at {at}"), Some(row)))
}

/// The operations that cannot all be true, and how many answers were given before the last of them.
fn conflict(message: &str, core: &Core, asked: &[history::Operation]) -> (Vec<(usize, String)>, Option<Prefix>) {
    // Of a long read the page tells how long, and the core what conflicts.
    let why = |of: &history::Operation, told: &str| match of.ask {
        Ask::Read { .. } => told.to_owned(),
        _ => String::new(),
    };
    let found = |(index, told): &(usize, String)| Some((*index, why(asked.get(*index)?, told)));
    let mut conflict: Vec<(usize, String)> = core.operations.iter().filter_map(found).collect();
    let Some((_, why)) = conflict.last_mut() else { return (named(message, asked), None) };
    if !message.contains(&core.message) {
        *why = core.message.clone();
    }
    let last = conflict.iter().filter_map(|&(index, _)| asked[index].returned).max();
    let before = asked.iter().filter(|operation| operation.returned.is_some() && operation.returned < last);
    let sentence = format!("{} answers were given before the last of these.", before.count());
    (conflict, Some(Prefix { sentence, order: Vec::new() }))
}

/// The appends of the values that the message names.
fn named(message: &str, asked: &[history::Operation]) -> Vec<(usize, String)> {
    let spoken: Vec<&str> = message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    let mut appends: BTreeMap<usize, String> = BTreeMap::new();
    for (index, operation) in asked.iter().enumerate() {
        let Ask::Append { values } = &operation.ask else { continue };
        let found = values.iter().map(|value| value::name(*value)).find(|name| spoken.contains(&name.as_str()));
        appends.extend(found.map(|name| (index, format!("appends {name}"))));
    }
    appends.into_iter().collect()
}

fn until(events: &[Event], asked: &[history::Operation]) -> Prefix {
    let told = asked.iter().filter(|operation| operation.returned.is_some()).count();
    let allowed = events.len() - 1;
    Prefix {
        sentence: format!("Nothing forbidden was seen in the {allowed} events and {told} answers before."),
        order: Vec::new(),
    }
}

fn numbers_after(text: &str, before: &str) -> Vec<u32> {
    let digits = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let mut numbers: Vec<u32> = text.split(before).skip(1).filter_map(digits).collect();
    numbers.sort();
    numbers.dedup();
    numbers
}

/// How many events of the chain that led to a violation come first on the page.
const CAUSES_SHOWN: usize = 10;

/// How many sentences about leaders.
const NOTES_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{ClientId, Told};
    use crate::ids::{Epoch, ReplicaId};
    use crate::time::Instant;
    use crate::trace::EventId;

    fn append(values: &[u64], invoked: u64, returned: u64, offset: u64) -> history::Operation {
        history::Operation {
            client: ClientId(0),
            ask: Ask::Append { values: values.to_vec() },
            invoked: Instant(invoked),
            returned: Some(Instant(returned)),
            outcome: Outcome::Ok(Told::Appended { offset }),
        }
    }

    fn violated(message: &str) -> Summary {
        Summary {
            verdict: "violated".into(),
            property: Some("acked_writes_survive".into()),
            message: Some(message.into()),
            at: Some(Instant(9)),
            ..Summary::default()
        }
    }

    #[test]
    fn operations_that_conflict_are_those_of_the_core() {
        let asked = [append(&[1], 0, 1, 5), append(&[2], 2, 3, 6), append(&[3], 4, 5, 2)];
        let core = Core {
            message: "lost".into(),
            operations: vec![(1, "".into()), (2, "".into())],
            orders: vec!["at first".into()],
        };
        let finding = of_run(&violated("anything"), Some(&core), &[], &asked);
        assert_eq!(finding.conflict, [(1, String::new()), (2, "lost".to_owned())]);
        assert_eq!(finding.orders, ["at first"]);
        assert!(finding.prefix.expect("a prefix").sentence.starts_with("2 answers"));
        assert_eq!(finding.rule.expect("a rule").0, "acked_writes_survive");
    }

    /// A producer has several operations under way, asked and answered at the same times.
    #[test]
    fn operations_at_equal_times_are_told_apart() {
        let read = history::Operation {
            ask: Ask::Read { from: 1 },
            outcome: Outcome::Ok(Told::Read { values: vec![(1, 2)], next: 2 }),
            ..append(&[], 1, 4, 0)
        };
        let asked = [append(&[1], 1, 4, 2), append(&[2], 1, 4, 1), read];
        let core = |indexes: &[usize]| {
            let operations = indexes.iter().map(|&index| (index, format!("told {index}"))).collect();
            Core { message: "anything".into(), operations, orders: Vec::new() }
        };
        let shown = |indexes| of_run(&violated("anything"), Some(&core(indexes)), &[], &asked).conflict;
        assert_eq!(shown(&[0, 1]), [(0, String::new()), (1, String::new())]);
        assert_eq!(shown(&[1, 2]), [(1, String::new()), (2, "told 2".to_owned())]);
        assert_eq!(shown(&[3, 1]), [(1, String::new())], "the core may be of another run");
    }

    #[test]
    fn what_clients_were_told_is_shown_with_what_happened_meanwhile() {
        let asked = [append(&[1], 0, 1, 5), append(&[2], 2, 4, 4)];
        let core = Core { message: "lost".into(), operations: vec![(1, "".into())], orders: Vec::new() };
        let event = |id, kind| Event { id: EventId(id), cause: None, at: Instant(id), place: Place::World, kind };
        let fault = || EventKind::Fault { kind: None, what: "n1 is back".into() };
        let violation = EventKind::Violated { property: "log_linearizable", message: "lost".into() };
        let events = [event(1, fault()), event(3, fault()), event(4, fault()), event(9, violation)];
        let finding = of_run(&violated("lost"), Some(&core), &events, &asked);
        assert_eq!((finding.causes, finding.sentence.as_str()), (vec![1], "lost."));
        assert_eq!(finding.times, [2], "what happens again and again is one line");
        let finding = of_run(&violated("another"), Some(&core), &events, &asked);
        assert_eq!((finding.causes, finding.sentence.as_str()), (vec![0, 1, 2, 3], "At 0.000000009s: another."));
    }

    #[test]
    fn values_that_are_named_lead_to_their_appends() {
        let asked = [append(&[1], 0, 1, 5), append(&[2, 3], 2, 3, 6)];
        let finding = of_run(&violated("value c0-3 was acknowledged at offset 7 and is at 9"), None, &[], &asked);
        assert_eq!(finding.conflict, [(1, "appends c0-3".to_owned())]);
    }

    #[test]
    fn the_chain_and_the_leaders_of_named_epochs_are_shown() {
        let leads = |epoch| {
            EventKind::Note(Note::Became { role: RoleKind::Leader, epoch: Epoch(epoch), leader: Some(ReplicaId(2)) })
        };
        let kinds = [
            (None, leads(3)),
            (None, leads(4)),
            (None, EventKind::Tick),
            (Some(EventId(2)), EventKind::Violated { property: "leaders_are_elected", message: String::new() }),
        ];
        let event =
            |(id, (cause, kind))| Event { id: EventId(id), cause, at: Instant(id), place: Place::Node(2), kind };
        let events: Vec<Event> = (0..).zip(kinds).map(event).collect();
        let finding = of_run(&violated("node 2 leads epoch 4 again, after epoch 4"), None, &events, &[]);
        assert_eq!(finding.causes, [0, 1, 2, 3]);
        assert_eq!(finding.notes.len(), 1, "{:?}", finding.notes);
        assert_eq!(finding.notes[0].1, Some(1));
        assert!(finding.prefix.expect("a prefix").sentence.contains("the 3 events"));
    }

    #[test]
    fn a_run_that_passed_has_no_chain() {
        let summary = Summary { verdict: "passed".into(), events: 7, ..Summary::default() };
        let finding = of_run(&summary, None, &[], &[]);
        assert_eq!(finding.sentence, "Nothing forbidden was seen in 7 events and 0 operations.");
        assert!(finding.causes.is_empty() && finding.prefix.is_none());
    }
}
