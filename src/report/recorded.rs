//! A history that was recorded elsewhere, as a page: what was decided, and everything it was decided of.

use crate::history::engine::words;
use crate::history::format::Subject;
use crate::history::objects::{Clock, Dropped, NIL, OPEN, ObjectHistory};
use crate::report::{Ending, Finding, Operation, Prefix, Report, finding, page};
use crate::time::Instant;

/// What was decided of a history, by whoever decided it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The file.
    pub name: String,
    /// What is in it.
    pub subject: &'a Subject,
    /// `passed`, `violated`, `undecided` or `nothing_to_check`.
    pub verdict: &'static str,
    /// What conflicts, or why it is not decided.
    pub message: Option<String>,
    /// The operations that conflict, by their places in the subject.
    pub core: Vec<usize>,
    /// Why no order of them works.
    pub orders: Vec<String>,
    /// How far an order goes: in words, and its last operations.
    pub prefix: Option<(String, Vec<usize>)>,
    /// What else there is to know, as pairs of name and value.
    pub facts: Vec<(String, String)>,
    /// The line that decides it again.
    pub replay: String,
}

/// The page.
pub fn page_of(judged: Judged<'_>) -> String {
    let Subject { objects, log, .. } = judged.subject;
    // Our own runs write what was done by key into the log as well.
    let (operations, clock) = match objects {
        Some(history) if log.is_empty() => (of_objects(history), history.clock),
        _ => (finding::operations(log), Clock::Nanoseconds),
    };
    let finding = Finding {
        verdict: judged.verdict.to_owned(),
        sentence: sentence(&judged, operations.len()),
        at: judged.core.iter().filter_map(|&index| operations[index].returned).max(),
        conflict: judged.core.into_iter().map(|index| (index, String::new())).collect(),
        orders: judged.orders,
        prefix: judged.prefix.map(|(sentence, order)| Prefix { sentence, order }),
        notes: objects.iter().filter(|_| log.is_empty()).filter_map(|history| left_out(history)).collect(),
        replay: Some(judged.replay),
        ..Finding::default()
    };
    page(&Report { title: judged.name, finding, facts: judged.facts, clock, events: &[], operations })
}

fn sentence(judged: &Judged<'_>, operations: usize) -> String {
    match (&judged.message, judged.verdict) {
        (Some(message), "undecided") => format!("It is not decided: {message}."),
        (Some(message), _) => {
            let mut letters = message.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            format!("{}{}.", first.collect::<String>(), letters.as_str())
        }
        (None, "nothing_to_check") => "No operation has an answer that could be checked.".to_owned(),
        (None, _) => format!("One order explains all {operations} operations."),
    }
}

/// What the importer dropped is not on the page, and the page says so.
fn left_out(history: &ObjectHistory) -> Option<(String, Option<usize>)> {
    let Dropped { failed, silent } = history.dropped;
    let sentence = format!(
        "{} operations more are not shown, since they cannot matter: {failed} did not happen, {silent} were reads without an answer.",
        failed + silent
    );
    (failed + silent > 0).then_some((sentence, None))
}

fn of_objects(history: &ObjectHistory) -> Vec<Operation> {
    let stamp = |position: u32| Instant(history.stamps.get(position as usize).copied().unwrap_or(position.into()));
    let operations = history.entries.iter().map(|entry| {
        let deed = words::deed(history, entry);
        let is_open = entry.ret == OPEN;
        Operation {
            client: client_name(entry.process.into()),
            what: match entry.key {
                NIL => deed,
                key => format!("{}: {deed}", history.keys.text(key)),
            },
            invoked: stamp(entry.call),
            returned: (!is_open).then(|| stamp(entry.ret)),
            ending: if is_open { Ending::Open } else { Ending::Done },
        }
    });
    operations.collect()
}

fn client_name(client: u64) -> String {
    format!("c{client}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::format::{Hints, import};

    const STALE: &[u8] = br#"{:process 0, :type :invoke, :f :write, :value 1}
        {:process 0, :type :ok, :f :write, :value 1}
        {:process 1, :type :invoke, :f :write, :value 2}
        {:process 1, :type :ok, :f :write, :value 2}
        {:process 2, :type :invoke, :f :read, :value nil}
        {:process 2, :type :ok, :f :read, :value 1}"#;

    fn data(verdict: &'static str, message: Option<&str>, core: Vec<usize>) -> serde_json::Value {
        let imported = import(STALE, &Hints::default()).expect("a history");
        let judged = Judged {
            name: "stale.edn".into(),
            subject: &imported.subject,
            verdict,
            message: message.map(str::to_owned),
            core,
            orders: vec!["it holds 2".into()],
            prefix: Some(("So far.".into(), vec![0])),
            facts: Vec::new(),
            replay: "kraftbed check stale.edn".into(),
        };
        let page = page_of(judged);
        let (_, rest) = page.split_once("id=\"data\">").expect("data");
        serde_json::from_str(rest.split("</script>").next().expect("an end")).expect("JSON")
    }

    #[test]
    fn a_core_is_found_among_the_operations() {
        let data = data("violated", Some("read of 1 by client 2, too late"), vec![1, 2]);
        assert_eq!(data["clock"], "lines");
        assert_eq!(data["finding"]["sentence"], "Read of 1 by client 2, too late.");
        assert_eq!(data["finding"]["conflict"], serde_json::json!([[1, ""], [2, ""]]));
        assert_eq!(data["finding"]["orders"], serde_json::json!(["it holds 2"]));
        assert_eq!(data["finding"]["prefix"]["order"], serde_json::json!([0]));
        assert_eq!(data["places"], serde_json::json!(["world", "c0", "c1", "c2"]));
        assert_eq!(data["at"], serde_json::json!([1, 1, 1, 1, 1, 1]), "lines are moments");
    }

    #[test]
    fn what_is_no_violation_is_told() {
        assert_eq!(data("passed", None, vec![])["finding"]["sentence"], "One order explains all 3 operations.");
        let told = data("nothing_to_check", None, vec![]);
        assert_eq!(told["finding"]["sentence"], "No operation has an answer that could be checked.");
        let told = data("undecided", Some("time exhausted on 3 operations"), vec![]);
        assert_eq!(told["finding"]["sentence"], "It is not decided: time exhausted on 3 operations.");
    }
}
