//! What commands share: how seeds are read, how outcomes are printed, and how they become JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::campaign::Named;
use crate::campaign::results;
use crate::campaign::results::WriteError;
use crate::check;
use crate::cli::stdout::complain;
use crate::outcome::{Exit, Outcome, Verdict};
use crate::quirk::Quirk;

/// Reads a seed: decimal, `0x…`, or a git hash, of which the first 64 bits count.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let wrong = || format!("\"{text}\" is no seed: expected 1 to 16 hexadecimal digits after 0x");
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return u64::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal).ok_or_else(wrong);
    }
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return u64::from_str_radix(&text[..16], 16).map_err(|error| error.to_string());
    }
    text.parse().map_err(|_| {
        format!("\"{text}\" is no seed: expected a decimal number below 2^64, 0x and hexadecimal digits, or a git hash of 40")
    })
}

/// A digest as the last line of a run has it.
pub fn parse_digest(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 16);
    let parsed = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    parsed
        .ok_or_else(|| format!("\"{text}\" is no digest: expected one as `run` prints it, such as 0x0123456789abcdef"))
}

/// Reads the name of a planted bug.
pub fn parse_plant(text: &str) -> Result<Quirk, String> {
    Quirk::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
        match crate::scenario::nearest(text, &known) {
            Some(nearest) => format!("no plant is called \"{text}\"; did you mean \"{nearest}\"?"),
            None => format!("no plant is called \"{text}\"; `kraftbed list plants` shows them"),
        }
    })
}

/// Reads a number of jobs.
pub fn parse_jobs(text: &str) -> Result<usize, String> {
    let wrong = || format!("\"{text}\" is no number of jobs: expected 1 to {JOBS_MAX}");
    let jobs: usize = text.parse().map_err(|_| wrong())?;
    match jobs {
        0 => Err("at least one job is needed".to_owned()),
        1..=JOBS_MAX => Ok(jobs),
        _ => Err(wrong()),
    }
}

/// As many as there are processors.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The one line that replays a run. A scenario that pins its seed takes no other.
pub fn replay(named: &Named, seed: u64, plants: &[Quirk]) -> String {
    let seed = match named.scenario.seed() {
        None => format!(" --seed {seed}"),
        Some(_) => String::new(),
    };
    let plants: String = plants.iter().map(|plant| format!(" --plant {plant}")).collect();
    format!("{} run {}{seed}{plants}", quoted(&program()), quoted(&named.path))
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// This program as it was called, so that a printed line can be pasted into the shell it came from.
#[expect(clippy::disallowed_methods, reason = "commands know how they were called")]
pub fn program() -> String {
    std::env::args_os().next().map_or("kraftbed".to_owned(), |program| program.to_string_lossy().into_owned())
}

/// A violation for people: the property, what was seen, what led there, the files, the replay line.
pub fn failure(outcome: &Outcome, evidence: &str, replay: &str, folder: Option<&Path>) -> String {
    let Verdict::Violated(violation) = &outcome.verdict else { return String::new() };
    let property = violation.property;
    let mut text = format!("FAILED {property}: {} (at {})\n", violation.message, violation.at);
    if let Some((_, statement)) = check::all().into_iter().find(|(name, _)| *name == property) {
        text.push_str(&format!("the rule: {statement}\n"));
    }
    if !evidence.is_empty() {
        text.push_str(evidence);
        text.push('\n');
    }
    let doses: Vec<String> = outcome.doses.iter().map(|(kind, count)| format!("{} ×{count}", kind.name())).collect();
    text.push_str(&format!(
        "faults until then: {}\n",
        if doses.is_empty() { "none".to_owned() } else { doses.join(", ") }
    ));
    if let Some(folder) = folder {
        text.push_str(&format!("files: {}\n", folder.display()));
        text.push_str(&format!("page: {}\n", folder.join(results::PAGE).display()));
    }
    text.push_str(&format!("replay: {replay}\n"));
    text
}

/// The outcome of one run as JSON.
pub fn outcome_json(outcome: &Outcome, replay: &str) -> Value {
    let violation = match &outcome.verdict {
        Verdict::Violated(violation) => Some(violation),
        Verdict::Passed | Verdict::Undecided(_) => None,
    };
    let faults: serde_json::Map<String, Value> =
        outcome.doses.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
    json!({
        "verdict": outcome.exit().word(),
        "property": violation.map(|violation| violation.property),
        "message": violation.map(|violation| violation.message.clone()),
        "at_seconds": violation.map(|violation| seconds(Duration::from_nanos(violation.at.0))),
        "signature": outcome.signature(),
        "scenario": outcome.scenario,
        "seed": outcome.seed,
        "digest": digest(outcome.digest),
        "events": outcome.events,
        "messages": outcome.messages,
        "operations": outcome.operations,
        "virtual_seconds": seconds(outcome.virtual_time),
        "leader_changes": outcome.leader_changes,
        "settled_in_seconds": outcome.settled_in.map(seconds),
        "stopped_early": outcome.is_stopped,
        "faults": faults,
        "replay": replay,
    })
}

/// A digest as it is printed everywhere.
pub fn digest(digest: u64) -> String {
    format!("0x{digest:016x}")
}

/// Seconds with microseconds, for JSON.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

/// CPU time of this process, and its largest resident size in bytes; zeros where the system does not tell.
pub fn resources() -> (Duration, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.split_whitespace().next());
    let peak_kib: u64 = peak.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (Duration::from_millis((ticks(11) + ticks(12)) * 10), peak_kib * 1024)
}

/// How a command ends whose results could not all be written: what was found weighs more than that.
pub fn unless_unwritten(exit: Exit, error: Option<WriteError>) -> Exit {
    let Some(error) = error else { return exit };
    complain(format_args!("kraftbed: {error}"));
    if matches!(exit, Exit::Passed | Exit::NothingSelected) { Exit::Usage } else { exit }
}

/// Where results go.
pub fn results_root() -> PathBuf {
    PathBuf::from("sim-results")
}

/// More worlds at a time than any machine has processors for.
const JOBS_MAX: usize = 1024;
