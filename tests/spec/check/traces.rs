//! Traces: the timeline of a failure, JSON lines, and bytes that come back or are refused.

use kraftbed::history::{Ask, ClientId, Operation, Outcome, Told};
use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::prng::Prng;
use kraftbed::raft::{Note, RoleKind};
use kraftbed::scenario::FaultKind;
use kraftbed::time::Instant;
use kraftbed::trace::{Event, EventId, EventKind, Place, codec, timeline};

const N0: Place = Place::Node(0);
const N1: Place = Place::Node(1);

fn event(id: u64, cause: u64, place: Place, kind: EventKind) -> Event {
    let at = Instant(14_000_000_000 + id * 1_250_000);
    Event { id: EventId(id), cause: (cause > 0).then_some(EventId(cause)), at, place, kind }
}

fn sent(to: Place, what: &str) -> EventKind {
    EventKind::Sent { to, what: what.into() }
}

fn received(from: Place, what: &str) -> EventKind {
    EventKind::Received { from, what: what.into() }
}

/// Node 1 fetches what it has not synced, the leader believes it.
fn failure() -> Vec<Event> {
    let message = "node 0 commits offset 5 of epoch 3, durable on 1 of 3 voters [0]".to_owned();
    vec![
        event(1, 0, Place::World, EventKind::Fault { kind: Some(FaultKind::Kill), what: "node 2".into() }),
        event(2, 0, N1, EventKind::Tick),
        event(3, 2, N1, sent(N0, "Fetch#7 6@3")),
        event(4, 0, Place::Client(0), sent(N0, "Produce#1")),
        event(5, 3, N0, received(N1, "Fetch#7 6@3")),
        event(6, 5, N0, EventKind::Note(Note::HighWatermark { to: Offset(6) })),
        event(7, 5, N0, sent(N1, "Fetch#7 answer: none, high watermark 6")),
        event(8, 6, N0, EventKind::Violated { property: "committed_is_durable_on_majority", message }),
        event(9, 7, N1, received(N0, "Fetch#7 answer: none, high watermark 6")),
    ]
}

/// One event of every kind.
fn everything() -> Vec<Event> {
    let operation = |ask, outcome| {
        let operation =
            Operation { client: ClientId(2), ask, invoked: Instant(3), returned: Some(Instant(9)), outcome };
        EventKind::Operation { index: 4, operation }
    };
    let candidate = ReplicaKey { id: ReplicaId(1), directory: Some(DirectoryId([7; 16])) };
    let notes = [
        Note::Became { role: RoleKind::Resigned, epoch: Epoch(4), leader: Some(ReplicaId(2)) },
        Note::Leads { epoch: Epoch(4), start: Offset(7) },
        Note::Voted { epoch: Epoch(4), candidate },
        Note::VoteRefused { epoch: Epoch(4), candidate: ReplicaId(2), pre_vote: true },
        Note::Diverged { keep: Offset(3) },
        Note::CheckQuorumFailed { epoch: Epoch(4) },
        Note::StaleAnswer,
        Note::Contradiction { what: "another leader" },
        Note::Recovering { above: Epoch(9) },
        Note::Recovered,
        Note::Unreadable { from: Offset(7) },
    ];
    let mut events = failure();
    let mut add = |kind| events.push(event(events.len() as u64 + 1, 1, N1, kind));
    notes.into_iter().for_each(|note| add(EventKind::Note(note)));
    add(EventKind::Lost { to: N0, what: "Vote#1".into(), why: "reset" });
    add(EventKind::Disk { what: "sync log".into() });
    add(EventKind::Started { incarnation: 2, what: "log ends at 7".into() });
    add(EventKind::Down { what: "power lost".into() });
    add(EventKind::State { what: "leader@4 end=7".into() });
    add(EventKind::Fault { kind: None, what: "heal".into() });
    add(operation(Ask::Append { values: vec![1, 2] }, Outcome::Ok(Told::Appended { offset: 6 })));
    add(operation(Ask::Tail, Outcome::Ok(Told::Tail { end: 8 })));
    add(operation(Ask::Read { from: 6 }, Outcome::Ok(Told::Read { values: vec![(6, 1), (7, 2)], next: 8 })));
    add(operation(Ask::Read { from: 6 }, Outcome::Ok(Told::Unreadable { reason: "torn".into() })));
    add(operation(Ask::Get { key: 3 }, Outcome::Ok(Told::Got { value: None })));
    add(operation(Ask::Get { key: 3 }, Outcome::Ok(Told::Got { value: Some(u64::MAX) })));
    add(operation(Ask::Put { key: 3, value: 1 << 40 }, Outcome::Ok(Told::Put { offset: 8 })));
    let (found, from) = (Some(5), None);
    add(operation(Ask::Cas { key: 3, from, to: 7 }, Outcome::Ok(Told::Compared { offset: 9, found })));
    add(operation(Ask::Cas { key: 3, from: found, to: 7 }, Outcome::Ok(Told::Compared { offset: 9, found: None })));
    add(operation(Ask::Tail, Outcome::Failed));
    add(operation(Ask::Tail, Outcome::Open));
    events
}

#[test]
fn a_timeline_shows_what_led_to_a_violation() {
    let text = timeline::last_causes(&failure(), 8);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let expected = "\
time          n0                                                   n1
14.0025s                                                           tick
14.00375s                                                          → n0  Fetch#7 6@3
14.00625s     ← n1  Fetch#7 6@3
14.0075s      note: high watermark 6
14.00875s     → n1  Fetch#7 answer: none, high watermark 6
14.01s        VIOLATED committed_is_durable_on_majority: node 0 commits offset 5 of epoch 3, durable on 1 of 3 voters
              [0]
";
    assert_eq!(text, expected);
}

#[test]
fn a_trace_without_a_violation_ends_with_its_last_event() {
    let events: Vec<Event> = failure().into_iter().take(3).collect();
    assert!(timeline::last_causes(&events, 8).ends_with("→ n0  Fetch#7 6@3\n"));
    assert_eq!(timeline::last_causes(&[], 8), "");
}

#[test]
fn events_as_lines() {
    let events = failure();
    assert_eq!(timeline::line(&events[5]), "14.0075s      n0     note: high watermark 6");
    assert_eq!(
        timeline::json_line(&events[4]),
        r#"{"at_ns":14006250000,"cause":3,"from":"n1","id":5,"kind":"received","place":"n0","what":"← n1  Fetch#7 6@3"}"#
    );
}

#[test]
fn a_trace_comes_back_from_its_bytes() {
    let events = everything();
    let bytes = codec::encode(&events);
    assert_eq!(codec::decode(&bytes).expect("a trace"), events);
    assert!(bytes.len() < events.len() * 48, "{} bytes for {} events", bytes.len(), events.len());
}

#[test]
fn damaged_traces_are_refused_or_read_but_never_trusted() {
    let bytes = codec::encode(&everything());
    for length in 0..bytes.len() {
        assert!(codec::decode(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
    }
    let mut prng = Prng::new(1, 0);
    for _ in 0..5_000 {
        let mut damaged = bytes.clone();
        for _ in 0..=prng.below(3) {
            let at = prng.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << prng.below(8);
        }
        if let Ok(events) = codec::decode(&damaged) {
            timeline::last_causes(&events, 8);
        }
    }
}
