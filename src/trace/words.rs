//! Events in words: one short line for people.

use crate::history::{Ask, Operation, Outcome, Told, value};
use crate::raft::note::Note;
use crate::trace::{Event, EventKind, Place};

/// The name of a place: `n1`, `c0`, `world`.
pub fn place(place: Place) -> String {
    match place {
        Place::Node(node) => format!("n{node}"),
        Place::Client(client) => format!("c{client}"),
        Place::World => "world".into(),
    }
}

/// What happened, without when and where.
pub fn event(event: &Event) -> String {
    match &event.kind {
        EventKind::Sent { to, what } => format!("→ {}  {what}", place(*to)),
        EventKind::Received { from, what } => format!("← {}  {what}", place(*from)),
        EventKind::Lost { to, what, why } => format!("✕ {}  {what}: {why}", place(*to)),
        EventKind::Disk { what } => format!("disk {what}"),
        EventKind::Note(noted) => format!("note: {}", note(noted)),
        EventKind::Tick => "tick".into(),
        EventKind::Fault { kind: Some(kind), what } => format!("fault {}: {what}", kind.name()),
        EventKind::Fault { kind: None, what } => format!("script: {what}"),
        EventKind::Started { incarnation: 0, what } => format!("starts: {what}"),
        EventKind::Started { incarnation, what } => format!("starts again (restart {incarnation}): {what}"),
        EventKind::Down { what } => format!("down: {what}"),
        EventKind::Operation { index, operation: of } => format!("operation {index}: {}", operation(of)),
        EventKind::State { what } => what.clone(),
        EventKind::Violated { property, message } => format!("VIOLATED {property}: {message}"),
    }
}

/// A note of a replica.
pub fn note(note: &Note) -> String {
    match note {
        Note::Became { role, epoch, leader: None } => format!("becomes {} of epoch {epoch}", role.name()),
        Note::Became { role, epoch, leader: Some(leader) } => {
            format!("becomes {} of epoch {epoch}, leader n{leader}", role.name())
        }
        Note::Leads { epoch, start } => format!("leads epoch {epoch} from offset {start}"),
        Note::Voted { epoch, candidate } => format!("votes for n{} in epoch {epoch}", candidate.id),
        Note::VoteRefused { epoch, candidate, pre_vote: false } => {
            format!("refuses n{candidate} its vote of epoch {epoch}")
        }
        Note::VoteRefused { epoch, candidate, pre_vote: true } => {
            format!("refuses n{candidate} its pre-vote of epoch {epoch}")
        }
        Note::Diverged { keep } => format!("log diverges from leader, keeping {keep}"),
        Note::HighWatermark { to } => format!("high watermark {to}"),
        Note::CheckQuorumFailed { epoch } => format!("a majority stopped fetching in epoch {epoch}"),
        Note::StaleAnswer => "drops an answer to a superseded call".into(),
        Note::Contradiction { what } => format!("drops a contradiction: {what}"),
        Note::Recovering { above } => format!("recovers, votes only above epoch {above}"),
        Note::Recovered => "has recovered".into(),
        Note::Unreadable { from } => format!("cannot read committed batches from {from} on"),
    }
}

/// A client's operation: what was asked, and the answer where there is one.
pub fn operation(operation: &Operation) -> String {
    let asked = match &operation.ask {
        Ask::Append { values } => {
            let names: Vec<String> = values.iter().map(|value| value::name(*value)).collect();
            format!("append {}", names.join(" "))
        }
        Ask::Tail => "tail".into(),
        Ask::Read { from } => format!("read {from}"),
        Ask::Get { key } => format!("get key {key}"),
        Ask::Put { key, value } => format!("put {} under key {key}", value::word(*value)),
        Ask::Cas { key, from, to } => format!("compare-and-set key {key} from {} to {}", held(*from), value::word(*to)),
    };
    match &operation.outcome {
        Outcome::Open if operation.returned.is_none() => asked,
        Outcome::Open => format!("{asked} ⇒ open"),
        Outcome::Failed => format!("{asked} ⇒ failed"),
        Outcome::Ok(Told::Appended { offset }) => format!("{asked} ⇒ at {offset}"),
        Outcome::Ok(Told::Tail { end }) => format!("{asked} ⇒ {end}"),
        Outcome::Ok(Told::Read { values, next }) => format!("{asked} ⇒ {} values, next {next}", values.len()),
        Outcome::Ok(Told::Unreadable { reason }) => format!("{asked} ⇒ unreadable: {reason}"),
        Outcome::Ok(Told::Got { value }) => format!("{asked} ⇒ {}", held(*value)),
        Outcome::Ok(Told::Put { offset }) => format!("{asked} ⇒ at {offset}"),
        Outcome::Ok(Told::Compared { offset, found }) => match &operation.ask {
            Ask::Cas { from, .. } if from == found => format!("{asked} ⇒ set at {offset}"),
            _ => format!("{asked} ⇒ refused at {offset}, found {}", held(*found)),
        },
    }
}

fn held(value: Option<u64>) -> String {
    value.map_or("nil".into(), value::word)
}
