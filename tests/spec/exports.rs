//! Histories that are exported, and read back.

use kraftbed::campaign::check::{Options, Verdict, check};
use kraftbed::history::format::{Hints, lines};
use kraftbed::history::{Ask, ClientId, Model, Operation, Outcome, Told, value};
use kraftbed::prng::Prng;
use kraftbed::report::export::Target;
use kraftbed::time::Instant;
use kraftbed::trace::{Event, EventId, EventKind, Place};

fn options(hints: Hints) -> Options {
    Options { hints, time_max: None, bytes_max: 1 << 30, steps_max: 1_000_000, jobs: 1 }
}

/// What is exported to Jepsen's format is read back, and comes to the verdict of our own lines: whatever was asked and answered,
/// even what nothing could have answered.
#[test]
fn an_export_is_judged_as_our_own_lines_are() {
    let (mut legal, mut illegal) = (0, 0);
    for seed in 0..600 {
        let history = random_history(&mut Prng::new(seed, 0));
        let mut text = lines::HEADER.to_owned();
        history.iter().enumerate().for_each(|(index, operation)| lines::write(index, operation, &mut text));
        let exported = Target::Jepsen.export(&trace_of(&history));
        let verdict = |text: &str, model: Option<Model>| {
            let hints = Hints { model, ..Hints::default() };
            let checked = check(text.as_bytes(), &options(hints), &|_, _| ());
            let checked = checked.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
            checked.verdict == Verdict::Linearizable
        };
        let producer = history.iter().all(|operation| operation.ask.key().is_none()).then_some(Model::Producer);
        for model in [None, producer] {
            let (told, own) = (verdict(&exported, model), verdict(&text, model));
            assert_eq!(told, own, "seed {seed}, {model:?}:\n{text}\n{exported}");
            *(if own { &mut legal } else { &mut illegal }) += 1;
        }
    }
    assert!(legal > 200 && illegal > 200, "{legal} legal, {illegal} illegal");
}

/// A few operations of keys, of a log, or of both, mostly answered as they should have been.
fn random_history(prng: &mut Prng) -> Vec<Operation> {
    let count = prng.range(1..9);
    let mut moments: Vec<u64> = (0..2 * count).collect();
    prng.shuffle(&mut moments);
    let mut spans: Vec<(u64, u64)> =
        moments.chunks(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1]))).collect();
    spans.sort();
    let (keys, log) = [(true, false), (false, true), (true, true)][prng.range(0..3) as usize];
    let (mut end, mut held): (u64, [Option<u64>; 2]) = (0, [None; 2]);
    let mut told: Vec<(u64, u64)> = Vec::new();
    let operation = |(place, (invoked, returned)): (usize, (u64, u64))| {
        let client = ClientId(prng.range(0..3) as u32);
        let (key, to) = (
            prng.range(0..2) as u32,
            if prng.chance(1, 4) { place as u64 } else { value::number(client, place as u32) },
        );
        let kind = if keys && (!log || prng.chance(1, 2)) { prng.range(0..3) } else { 3 + prng.range(0..3) };
        let (ask, mut answer) = match kind {
            0 => (Ask::Get { key }, Told::Got { value: held[key as usize] }),
            1 => {
                held[key as usize] = Some(to);
                (Ask::Put { key, value: to }, Told::Put { offset: place as u64 })
            }
            2 => {
                let found = held[key as usize];
                let from = if prng.chance(1, 2) { found } else { Some(99) };
                if from == found {
                    held[key as usize] = Some(to);
                }
                (Ask::Cas { key, from, to }, Told::Compared { offset: place as u64, found })
            }
            3 => {
                let values: Vec<u64> = (0..1 + prng.range(0..2))
                    .map(|more| value::number(client, (place as u64 * 10 + more) as u32))
                    .collect();
                let offset = end;
                told.extend((offset..).zip(values.iter().copied()));
                end += values.len() as u64;
                (Ask::Append { values }, Told::Appended { offset })
            }
            4 => (Ask::Tail, Told::Tail { end }),
            _ => (Ask::Read { from: 0 }, Told::Read { values: told.clone(), next: end }),
        };
        match prng.range(0..24) {
            0 => answer = Told::Unreadable { reason: "a \"reason\"".to_owned() },
            1 if kind < 3 => answer = Told::Got { value: Some(7) },
            2 if kind == 2 => answer = Told::Compared { offset: place as u64, found: Some(5) },
            3 if kind == 3 => answer = Told::Appended { offset: 0 },
            _ => {}
        }
        let outcome = match prng.range(0..12) {
            0 => Outcome::Failed,
            1 => Outcome::Open,
            _ => Outcome::Ok(answer),
        };
        let returned = Some(Instant(returned)).filter(|_| outcome != Outcome::Open);
        Operation { client, ask, invoked: Instant(invoked), returned, outcome }
    };
    // An answer of another kind has no line of its own.
    let fits = |operation: &Operation| {
        !matches!(
            (&operation.ask, &operation.outcome),
            (Ask::Put { .. } | Ask::Cas { .. }, Outcome::Ok(Told::Got { .. }))
        )
    };
    spans.into_iter().enumerate().map(operation).filter(fits).collect()
}

/// The events of these operations, as a run records them.
fn trace_of(history: &[Operation]) -> Vec<Event> {
    let asked = history.iter().enumerate().map(|(index, operation)| {
        let asked = Operation { returned: None, outcome: Outcome::Open, ..operation.clone() };
        (operation.invoked, index, asked)
    });
    let over = history.iter().enumerate();
    let over = over.filter_map(|(index, operation)| Some((operation.returned?, index, operation.clone())));
    let mut all: Vec<(Instant, usize, Operation)> = asked.chain(over).collect();
    all.sort_by_key(|(at, index, _)| (*at, *index));
    let event = |(id, (at, index, operation)): (usize, (Instant, usize, Operation))| Event {
        id: EventId(id as u64),
        cause: None,
        at,
        place: Place::Client(operation.client.0),
        kind: EventKind::Operation { index, operation },
    };
    all.into_iter().enumerate().map(event).collect()
}

/// A log as others write it: its times may lack, and its appends are told from texts that grow.
#[test]
fn events_of_a_log_are_read_and_their_mistakes_named() {
    let verdict = |text: &str| check(text.as_bytes(), &options(Hints::default()), &|_, _| ()).map(|told| told.verdict);
    let wrong = |text: &str| verdict(text).expect_err(text).to_string();
    let append =
        |kind: &str, more: &str| format!("{{:process 0, :type :{kind}, :f :append, :value [\"c0-1\"]{more}}}\n");
    let tail = |end: &str| {
        format!("{{:process 1, :type :invoke, :f :tail}}\n{{:process 1, :type :ok, :f :tail, :value {end}}}\n")
    };
    let one = append("invoke", "") + &append("ok", ", :offset 0");
    assert_eq!(verdict(&(one.clone() + &tail("1"))).expect("a history"), Verdict::Linearizable);
    assert!(matches!(verdict(&(one.clone() + &tail("0"))), Ok(Verdict::NotLinearizable { .. })));
    assert!(matches!(verdict(&(one.clone() + &tail(":unreadable"))), Ok(Verdict::NotLinearizable { .. })));
    assert_eq!(wrong(&(tail("0") + &append("invoke", "") + &append("ok", ""))), "4:1: an operation without :offset");
    assert_eq!(
        wrong(&(tail("0") + &append("invoke", "") + &append("invoke", ""))),
        "4:1: value c0-1 is appended twice: it must be unique, or one offset could not be told from another"
    );
    assert_eq!(wrong(&tail("-1")), "2:1: expected an offset, found -1");
    let poll = "{:process 2, :type :invoke, :f :poll, :value {:from 0}}\n";
    assert_eq!(wrong(&format!("{poll}{poll}")), "2:1: process 2 asks before it was answered what it asked in line 1");
    let answered = |value: &str| wrong(&format!("{poll}{{:process 2, :type :ok, :f :poll, :value {value}, :next 1}}"));
    assert_eq!(answered("[1]"), "2:1: expected [offset value], found 1");
    assert_eq!(answered("[[0 x]]"), "2:1: expected a number, or a value such as \"c3-17\", found x");
    assert_eq!(wrong("{:process 2, :type :invoke, :f :poll, :value 3}"), "1:1: expected {:from OFFSET}, found 3");
    let other = tail("0") + &append("invoke", "") + "{:process 0, :type :ok, :f :append, :value [\"c0-2\"], :offset 0}";
    assert_eq!(wrong(&other), "4:1: expected append [c0-1], as was asked in line 3, or nil; found append [c0-2]");
}
