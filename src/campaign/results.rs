//! What is kept of a run: `sim-results/<scenario>/<seed>/`.
//!
//! ```text
//! verdict.json     the judgement and everything needed to name the run again
//! events.jsonl     every event, one JSON object a line
//! trace.kbed       the same, compact
//! history.jsonl    what clients asked and were told
//! linearizability.json  the verdict on that alone, and the operations that conflict
//! scenario.json    the resolved scenario: every draw explicit; it is itself a scenario
//! summary.txt      what the terminal showed
//! nodes/<id>/      each node's files at the end, in Kafka's layout
//! report.html      of a failure: all of it as one page
//! ```
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::campaign::{check, evidence};
use crate::client::Kind;
use crate::history::Operation;
use crate::history::format::{Format, Hints, lines};
use crate::outcome::Verdict;
use crate::report;
use crate::report::result::Core;
use crate::scenario::plan::Plan;
use crate::sim::Finished;
use crate::time::Instant;
use crate::trace;
use crate::trace::timeline;

/// A result that could not be written.
#[derive(Debug)]
pub struct WriteError {
    path: PathBuf,
    error: std::io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for WriteError {}

/// Writes a recorded run below `root`; the answer is its folder. Unless a line is given that replays it, that is the one
/// which runs the resolved scenario. A run that was to stop somewhere does not take the place of the whole one.
pub fn write(
    root: &Path,
    plan: &Plan,
    finished: &Finished,
    (until, replay): (Option<Instant>, Option<&str>),
) -> Result<PathBuf, WriteError> {
    let name = until.map_or(plan.seed.to_string(), |_| format!("{}-until", plan.seed));
    let folder = root.join(&plan.name).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| WriteError { path: folder.clone(), error })?;
    }
    let outcome = &finished.outcome;
    let replay = replay.map_or_else(|| replay_of(&folder), str::to_owned);
    let verdict = format!("{:#}\n", verdict(plan, finished, &replay));
    put(&folder.join("verdict.json"), verdict.as_bytes())?;
    put(&folder.join("scenario.json"), resolved(plan, finished).to_scenario_text().as_bytes())?;
    put(&folder.join("trace.kbed"), &trace::codec::encode(&outcome.trace))?;
    let events: String = outcome.trace.iter().map(|event| timeline::json_line(event) + "\n").collect();
    put(&folder.join("events.jsonl"), events.as_bytes())?;
    put(&folder.join("history.jsonl"), text_of_run(plan, &finished.history).as_bytes())?;
    let linearizability = linearizability(plan, &finished.history);
    put(&folder.join(LINEARIZABILITY), linearizability.as_bytes())?;
    put(&folder.join("summary.txt"), summary(plan, finished).as_bytes())?;
    for (node, files) in finished.disks.iter().enumerate() {
        for (path, bytes) in files {
            put(&folder.join("nodes").join(node.to_string()).join(path), bytes)?;
        }
    }
    if let Verdict::Violated(_) = outcome.verdict {
        let core = Core::parse(&linearizability);
        let page = report::result::page_of(&verdict, core.as_ref(), &outcome.trace, &replay);
        put(&folder.join(PAGE), page.expect("invariant: what was just written is read").as_bytes())?;
    }
    Ok(folder)
}

/// The line that runs what is in a result's folder.
pub fn replay_of(folder: &Path) -> String {
    format!("kraftbed run {}", folder.join("scenario.json").display())
}

/// The plan in which everything that this run drew is decided.
fn resolved(plan: &Plan, finished: &Finished) -> Plan {
    plan.decided(finished.decisions.clone())
}

/// Writes a history into a file, a line for each operation.
pub fn write_history(file: &Path, history: &[Operation]) -> Result<(), WriteError> {
    put(file, history_text(lines::HEADER, history).as_bytes())
}

fn history_text(header: &str, history: &[Operation]) -> String {
    let mut text = header.to_owned();
    history.iter().enumerate().for_each(|(index, operation)| lines::write(index, operation, &mut text));
    text
}

fn text_of_run(plan: &Plan, history: &[Operation]) -> String {
    let has_producers = plan.workload.iter().any(|work| work.kind == Kind::Producer);
    history_text(if has_producers { lines::HEADER_OF_PRODUCERS } else { lines::HEADER }, history)
}

/// What a run's history alone comes to, as `check` gives it on `history.jsonl`.
pub fn checked(plan: &Plan, history: &[Operation]) -> Result<check::Checked, check::Unreadable> {
    let hints = Hints { format: Some(Format::Lines), ..Hints::default() };
    let options = check::Options { hints, time_max: None, bytes_max: BYTES_MAX, steps_max: STEPS_MAX, jobs: 1 };
    check::check(text_of_run(plan, history).as_bytes(), &options, &|_, _| ())
}

fn linearizability(plan: &Plan, history: &[Operation]) -> String {
    let mut facts = match checked(plan, history) {
        Ok(checked) => check::facts(&checked),
        // A client may have been told what no history can hold; the run's own verdict says so.
        Err(error) => json!({ "verdict": "undecided", "message": format!("history.jsonl{error}"), "core": [] }),
    };
    facts["version"] = json!(1);
    format!("{facts:#}\n")
}

/// A panic of a node is a verdict, not a message on the terminal.
pub fn silence_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_in_node =
            panic.location().is_some_and(|at| NODE_FOLDERS.iter().any(|folder| at.file().contains(folder)));
        if !is_in_node {
            shown(panic);
        }
    }));
}

/// Writes a file, and the folders above it.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let fail = |error| WriteError { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::write(path, bytes).map_err(fail)
}

/// Writes a file that must not be one of these, which were read or written before.
pub fn put_apart(path: &Path, bytes: &[u8], others: &[PathBuf]) -> Result<(), WriteError> {
    apart(path, others)?;
    put(path, bytes)
}

/// Whether a file is none of these, by whatever names and links.
pub fn apart(path: &Path, others: &[PathBuf]) -> Result<(), WriteError> {
    match others.iter().find(|other| is_same(path, other)) {
        None => Ok(()),
        Some(other) => {
            let why = format!("it is {}, which is read or written by the same command", other.display());
            Err(WriteError { path: path.to_owned(), error: std::io::Error::other(why) })
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    match (file(one), file(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => place(one) == place(other),
        _ => false,
    }
}

/// Where a file will be that is not there: its folder by its real name, as far as there is one.
fn place(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.canonicalize(), absolute.parent(), absolute.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(folder), Some(name)) => place(folder).join(name),
        // It ends with two dots.
        (Err(_), Some(folder), None) => place(folder).parent().map_or(absolute.clone(), Path::to_owned),
        _ => absolute,
    }
}

fn verdict(plan: &Plan, finished: &Finished, replay: &str) -> serde_json::Value {
    let outcome = &finished.outcome;
    let violation = match &outcome.verdict {
        Verdict::Violated(violation) => Some(violation),
        Verdict::Passed | Verdict::Undecided(_) => None,
    };
    json!({
        "version": 1,
        "scenario": plan.name,
        "scenario_hash": format!("0x{:016x}", plan.hash),
        "seed": plan.seed,
        "kraftbed": env!("CARGO_PKG_VERSION"),
        "verdict": outcome.exit().word(),
        "property": violation.map(|violation| violation.property),
        "message": violation.map(|violation| &violation.message),
        "at_nanoseconds": violation.map(|violation| violation.at.0),
        "node": violation.and_then(|violation| violation.node),
        "signature": outcome.signature(),
        "digest": format!("0x{:016x}", outcome.digest),
        "replay": replay,
        "events": outcome.events,
        "messages": outcome.messages,
        "operations": outcome.operations,
        "virtual_nanoseconds": outcome.virtual_time.as_nanos() as u64,
        "leader_changes": outcome.leader_changes,
        "plants": plan.quirks.iter().map(|quirk| quirk.name()).collect::<Vec<_>>(),
        "faults": outcome.doses.iter().map(|(kind, count)| (kind.name(), *count)).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn summary(plan: &Plan, finished: &Finished) -> String {
    let outcome = &finished.outcome;
    let verdict = match &outcome.verdict {
        Verdict::Passed => "PASSED".to_owned(),
        Verdict::Undecided(why) => format!("UNDECIDED {why}"),
        Verdict::Violated(violation) => format!("FAILED {violation}\n\n{}", evidence::of_run(plan, finished)),
    };
    format!("{plan}\n{verdict}\n")
}

/// The page of a result, in its folder.
pub const PAGE: &str = "report.html";

/// The verdict on a result's history alone, in its folder.
pub const LINEARIZABILITY: &str = "linearizability.json";

/// Panics in these folders are a node's.
const NODE_FOLDERS: [&str; 8] =
    ["src/raft", "src/log", "src/node", "src/record", "src/protocol", "src/machine", "src/client", "src/ids"];

/// Operations that the search through the keys of a run may try.
const STEPS_MAX: u64 = 50_000_000;

/// Bytes that it may keep.
const BYTES_MAX: u64 = 1 << 30;
