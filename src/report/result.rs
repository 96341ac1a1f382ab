//! What `run` has written of a run, read again: `verdict.json`, `linearizability.json` and the trace.

use std::fmt;

use serde_json::Value;

use crate::history;
use crate::history::objects::Clock;
use crate::report::{Report, finding, page};
use crate::time::Instant;
use crate::trace::{Event, EventKind};

/// What `verdict.json` says.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The verdict in one word.
    pub verdict: String,
    /// The property that did not hold.
    pub property: Option<String>,
    /// What was seen.
    pub message: Option<String>,
    /// When.
    pub at: Option<Instant>,
    /// How many events were simulated.
    pub events: u64,
    /// The line that makes the run again.
    pub replay: Option<String>,
    /// Scenario and seed.
    pub title: String,
    /// Everything else worth showing, by name.
    pub facts: Vec<(String, String)>,
}

/// What `linearizability.json` says of operations that conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// What conflicts.
    pub message: String,
    /// The operations: which of those of the history each is, and what was asked and told, in words.
    pub operations: Vec<(usize, String)>,
    /// Why no order of them works.
    pub orders: Vec<String>,
}

/// A result that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Where, in what file.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.what, self.found, self.expected)
    }
}

impl std::error::Error for ReadError {}

impl Summary {
    /// Reads the text of a `verdict.json`.
    pub fn parse(text: &str) -> Result<Summary, ReadError> {
        let value: Value = serde_json::from_str(text).map_err(|error| ReadError {
            what: "JSON".into(),
            found: error.to_string(),
            expected: "one object, as `run` writes it",
        })?;
        let word = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let missing = |name: &'static str, expected| ReadError {
            what: format!("\"{name}\""),
            found: value.get(name).map_or("nothing".to_owned(), Value::to_string),
            expected,
        };
        let verdict = word("verdict").ok_or_else(|| missing("verdict", "a word such as \"violated\""))?;
        let scenario = word("scenario").ok_or_else(|| missing("scenario", "the name of a scenario"))?;
        let seed = number("seed").ok_or_else(|| missing("seed", "a number"))?;
        Ok(Summary {
            verdict,
            property: word("property"),
            message: word("message"),
            at: number("at_nanoseconds").map(Instant),
            events: number("events").unwrap_or_default(),
            replay: word("replay"),
            title: format!("{scenario}, seed {seed}"),
            facts: facts(&value),
        })
    }
}

impl Core {
    /// Reads the text of a `linearizability.json`; `None` where nothing conflicts, or nobody can say what.
    pub fn parse(text: &str) -> Option<Core> {
        let value: Value = serde_json::from_str(text).ok()?;
        let operation = |told: &Value| {
            let index = told.get("index").and_then(Value::as_u64)?;
            let words = told.get("told").and_then(Value::as_str).unwrap_or_default();
            Some((usize::try_from(index).ok()?, words.to_owned()))
        };
        let operations: Vec<_> = value.get("core")?.as_array()?.iter().filter_map(operation).collect();
        let message = value.get("message")?.as_str()?.to_owned();
        let orders = value.get("orders").and_then(Value::as_array).into_iter().flatten();
        let orders = orders.filter_map(Value::as_str).map(str::to_owned).collect();
        (!operations.is_empty()).then_some(Core { message, operations, orders })
    }
}

/// The page of a run: of its `verdict.json`, the core in its `linearizability.json`, and its trace. `replay` is how to make it
/// again where the verdict does not say.
pub fn page_of(verdict: &str, core: Option<&Core>, events: &[Event], replay: &str) -> Result<String, ReadError> {
    let mut summary = Summary::parse(verdict)?;
    summary.replay.get_or_insert_with(|| replay.to_owned());
    let asked = asked(events)?;
    let finding = finding::of_run(&summary, core, events, &asked);
    let Summary { title, facts, .. } = summary;
    Ok(page(&Report {
        title,
        finding,
        facts,
        clock: Clock::Nanoseconds,
        events,
        operations: finding::operations(&asked),
    }))
}

/// The operations of a trace, each as it was when last heard of; and whether events and operations are in order.
fn asked(events: &[Event]) -> Result<Vec<history::Operation>, ReadError> {
    let mut asked: Vec<history::Operation> = Vec::new();
    for pair in events.windows(2) {
        if pair[0].id >= pair[1].id || pair[0].at > pair[1].at {
            return Err(ReadError {
                what: format!("event {} of the trace", pair[1].id.0),
                found: format!("it after event {}, at {} after {}", pair[0].id.0, pair[1].at, pair[0].at),
                expected: "events in ascending order of number and time",
            });
        }
    }
    for event in events {
        let EventKind::Operation { index, operation } = &event.kind else { continue };
        match *index {
            known if known < asked.len() => asked[known] = operation.clone(),
            next if next == asked.len() => asked.push(operation.clone()),
            _ => {
                return Err(ReadError {
                    what: format!("event {} of the trace", event.id.0),
                    found: format!("operation {index} after {} others", asked.len()),
                    expected: "operations numbered from 0 in the order in which they are asked",
                });
            }
        }
    }
    Ok(asked)
}

fn facts(value: &Value) -> Vec<(String, String)> {
    const NAMES: [(&str, &str); 9] = [
        ("scenario", "scenario"),
        ("seed", "seed"),
        ("plants", "planted"),
        ("digest", "digest"),
        ("messages", "messages"),
        ("operations", "operations"),
        ("leader_changes", "leader changes"),
        ("faults", "faults"),
        ("signature", "signature"),
    ];
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Value::Object(counts) => {
            counts.iter().map(|(name, count)| format!("{name} ×{count}")).collect::<Vec<_>>().join(", ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let fact = |(key, name): &(&str, &str)| Some(((*name).to_owned(), shown(value.get(key)?)));
    NAMES.iter().filter_map(fact).filter(|(_, value)| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Ask, ClientId, Outcome};
    use crate::trace::{EventId, Place, codec};

    const VERDICT: &str = r#"{"verdict": "violated", "scenario": "calm", "seed": 18446744073709551615, "plants": ["a", "b"],
        "at_nanoseconds": 5, "message": "m", "property": "p", "faults": {"kill": 2}, "digest": null}"#;

    fn event(id: u64, at: u64, kind: EventKind) -> Event {
        Event { id: EventId(id), cause: None, at: Instant(at), place: Place::Client(0), kind }
    }

    fn operation(index: usize) -> EventKind {
        let operation = history::Operation {
            client: ClientId(0),
            ask: Ask::Tail,
            invoked: Instant(1),
            returned: None,
            outcome: Outcome::Open,
        };
        EventKind::Operation { index, operation }
    }

    #[test]
    fn a_verdict_is_read() {
        let summary = Summary::parse(VERDICT).expect("a verdict");
        assert_eq!(summary.title, "calm, seed 18446744073709551615");
        let facts: Vec<&str> = summary.facts.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(facts, ["calm", "18446744073709551615", "a, b", "kill ×2"]);
    }

    #[test]
    fn what_is_no_verdict_is_told() {
        for (text, expected) in [
            ("", "JSON: found EOF"),
            ("[]", "\"verdict\": found nothing, expected a word"),
            (r#"{"verdict": "passed", "scenario": 7, "seed": 1}"#, "\"scenario\": found 7, expected the name"),
            (r#"{"verdict": "passed", "scenario": "x", "seed": -1}"#, "\"seed\": found -1, expected a number"),
        ] {
            let told = Summary::parse(text).expect_err(text).to_string();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn events_out_of_order_are_told() {
        for (events, expected) in [
            (vec![event(1, 0, EventKind::Tick), event(1, 0, EventKind::Tick)], "event 1 of the trace: found it after"),
            (vec![event(1, 5, EventKind::Tick), event(2, 4, EventKind::Tick)], "event 2 of the trace: found it after"),
            (vec![event(3, 5, operation(1))], "event 3 of the trace: found operation 1 after 0 others"),
        ] {
            let told = page_of(VERDICT, None, &events, "").expect_err("out of order").to_string();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    /// A page is made of whatever the decoder lets pass, or refused with words.
    #[test]
    fn damaged_traces_are_no_panic() {
        let sent = EventKind::Sent { to: Place::Node(1), what: "Fetch@4 98..99 hw=98".into() };
        let state = EventKind::State { what: "leader@4 end=98".into() };
        let events = [event(1, 5, operation(0)), event(2, 6, sent), event(3, 7, state), event(4, 8, operation(0))];
        let bytes = codec::encode(&events);
        let mut made = 0;
        for at in 0..bytes.len() {
            for flip in [1, 2, 0x40, 0x80] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let page = codec::decode(&bytes).ok().map(|events| page_of(VERDICT, None, &events, ""));
                made += u32::from(page.is_some_and(|page| page.is_ok()));
            }
        }
        assert!(made > 20, "most texts and places may be others: {made}");
    }
}
