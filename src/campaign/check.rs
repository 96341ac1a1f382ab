//! `check`: histories from files, each decided in its parts, on several threads, under a budget.
#![expect(clippy::disallowed_types, reason = "files are read and budgets are in real time")]

use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::campaign::decisions::{Limits, decide_all};
use crate::campaign::reading::{LoadError, Loaded, Watch, load};
use crate::history::engine::decide::Verdict as Decided;
use crate::history::engine::decide::{Decision, Part, Refutation, by_search, core_of, earliest, parts};
use crate::history::engine::{Budget, Exhausted, finished, log, orders, told, words};
use crate::history::format::{Allowance, Dialect, Format, Hints, ParseError, Subject, format_of, import_within};
use crate::history::model::Start;
use crate::history::objects::{Action, Entry, NIL, Name, OPEN, ObjectHistory};
use crate::history::{Ask, Model, Operation, Outcome, Told, value};

/// How to check.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is known of the files.
    pub hints: Hints,
    /// How long one history may take.
    pub time_max: Option<Duration>,
    /// Bytes that one history may take: its text unpacked, what is read from it, and the states that searches keep.
    pub bytes_max: u64,
    /// Operations that the search of one part may try.
    pub steps_max: u64,
    /// Threads.
    pub jobs: usize,
}

/// A history that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How it was written, if it was read so far as to know.
    pub format: Option<Format>,
    /// What it is about.
    pub models: Vec<Model>,
    /// What words meant in it.
    pub dialect: Option<Dialect>,
    /// Operations that were asked for.
    pub operations: u64,
    /// Answers that the verdict rests on. Where there is none, nothing was checked.
    pub answers: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// How long reading and deciding took.
    pub took: Duration,
    /// CPU time of all threads.
    pub cpu: Duration,
    /// The most memory that this process has had until the end of it.
    pub peak_rss_bytes: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none: this conflicts. Where it is worth telling: why no order of it works, a sentence for each that gets far.
    NotLinearizable { message: String, core: Vec<CoreOperation>, orders: Vec<String> },
    /// The budget was exhausted.
    Undecided { why: String },
}

/// An operation of a core.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreOperation {
    /// Which one it is: its place in [`Subject::log`], or where that is empty, in [`ObjectHistory::entries`]. `None` where a file
    /// has operations by key beside our own, which the log cannot hold.
    pub index: Option<usize>,
    /// Who asked.
    pub client: u64,
    /// What.
    pub f: &'static str,
    /// The value, or values.
    pub value: Value,
    /// The same for people; of a long answer, what of it conflicts.
    pub told: String,
    /// When, on the history's clock.
    pub invoked: u64,
    /// When it was answered.
    pub returned: Option<u64>,
}

/// A file that is no history.
#[derive(Debug)]
pub enum Unreadable {
    /// It cannot be read.
    Load(LoadError),
    /// It cannot be understood.
    Parse(ParseError),
}

impl Checked {
    /// What it is about, in a word.
    pub fn model(&self) -> String {
        match self.models[..] {
            [] => "unknown".to_owned(),
            _ => self.models.iter().map(|model| model.name()).collect::<Vec<_>>().join("+"),
        }
    }

    /// How it was written, in a word.
    pub fn format(&self) -> &'static str {
        self.format.map_or("unknown", Format::name)
    }

    fn blank(format: Option<Format>) -> Checked {
        Checked {
            format,
            models: Vec::new(),
            dialect: None,
            operations: 0,
            answers: 0,
            verdict: Verdict::Linearizable,
            took: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_rss_bytes: 0,
        }
    }

    /// What was not read to its end.
    fn unread(format: Option<Format>, why: Exhausted, reached: &str) -> Checked {
        let why = format!("{} exhausted in reading, {reached}", why.name());
        Checked { verdict: Verdict::Undecided { why }, ..Checked::blank(format) }
    }

    fn measured(self, watch: &Watch<'_>, cpu: Duration) -> Checked {
        let verdict = match (self.verdict, watch.is_interrupted()) {
            (Verdict::Undecided { .. }, true) => Verdict::Undecided { why: "interrupted".to_owned() },
            (verdict, _) => verdict,
        };
        let (took, cpu) = (watch.elapsed(), cpu_time().saturating_sub(cpu));
        Checked { verdict, took, cpu, peak_rss_bytes: peak_rss_bytes(), ..self }
    }
}

impl fmt::Display for Unreadable {
    /// What comes after the name of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Load(error) => write!(f, " {error}"),
            Unreadable::Parse(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

/// What a machine is told of a history, whoever asks: verdict, message, and the operations that conflict.
pub fn facts(checked: &Checked) -> Value {
    let (verdict, message, core, orders) = match &checked.verdict {
        Verdict::Linearizable => ("linearizable", None, &[][..], &[][..]),
        Verdict::NotLinearizable { message, core, orders } => {
            ("not_linearizable", Some(message), &core[..], &orders[..])
        }
        Verdict::Undecided { why } => ("undecided", Some(why), &[][..], &[][..]),
    };
    let operation = |told: &CoreOperation| {
        let CoreOperation { index, client, f, value, told, invoked, returned } = told;
        json!({
            "index": index, "client": client, "f": f, "value": value, "told": told, "invoked": invoked, "returned": returned
        })
    };
    json!({
        "format": checked.format(),
        "model": checked.model(),
        "dialect": checked.dialect.as_ref().map(ToString::to_string),
        "operations": checked.operations,
        "answers": checked.answers,
        "verdict": verdict,
        "message": message,
        "core": core.iter().map(operation).collect::<Vec<Value>>(),
        "orders": orders,
    })
}

/// Checks one history. `hear` is told how many of its parts are decided, of how many.
pub fn check(bytes: &[u8], options: &Options, hear: &(dyn Fn(usize, usize) + Sync)) -> Result<Checked, Unreadable> {
    let (watch, cpu) = (Watch::new(options.time_max, None), cpu_time());
    let (_, checked) = read_and_decide(bytes, options, &watch, hear).map_err(Unreadable::Parse)?;
    Ok(checked.measured(&watch, cpu))
}

/// Reads a file and checks what is in it, until a signal comes; also what was read.
pub fn check_file(
    file: &Path,
    options: &Options,
    interrupted: Option<&AtomicBool>,
    hear: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Subject, Checked), Unreadable> {
    let (watch, cpu) = (Watch::new(options.time_max, interrupted), cpu_time());
    let (subject, checked) = match load(file, options.bytes_max, &watch).map_err(Unreadable::Load)? {
        Loaded::Whole(bytes) => read_and_decide(bytes, options, &watch, hear).map_err(Unreadable::Parse)?,
        Loaded::Part { bytes, why } => {
            let reached = format!("after {} bytes", bytes.len());
            (Subject::default(), Checked::unread(options.hints.format.or_else(|| format_of(&bytes)), why, &reached))
        }
    };
    Ok((subject, checked.measured(&watch, cpu)))
}

fn read_and_decide(
    bytes: impl AsRef<[u8]>,
    options: &Options,
    watch: &Watch<'_>,
    hear: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Subject, Checked), ParseError> {
    let is_over = || watch.is_over();
    let imported = match import_within(bytes.as_ref(), &options.hints, &Allowance::new(options.bytes_max, &is_over)) {
        Ok(imported) => imported,
        Err(error) => {
            let why = error.exhausted().ok_or(error.clone())?;
            let reached = format!("at line {}", error.line);
            let format = options.hints.format.or_else(|| format_of(bytes.as_ref()));
            return Ok((Subject::default(), Checked::unread(format, why, &reached)));
        }
    };
    // The text is not needed any more; searches may be in want of its memory.
    drop(bytes);
    let left = Options { bytes_max: options.bytes_max.saturating_sub(imported.kept_bytes), ..options.clone() };
    let checked = Checked {
        models: imported.models(),
        dialect: imported.dialect.clone(),
        operations: imported.operations,
        answers: imported.answers(),
        verdict: verdict(&imported.subject, &left, watch, hear),
        ..Checked::blank(Some(imported.format))
    };
    Ok((imported.subject, checked))
}

/// How far an order goes in the part that is refuted: in words, and its last operations. Not known where a search does not
/// get to the end of its budget.
pub fn reached(subject: &Subject, core: &[CoreOperation], options: &Options) -> Option<(String, Vec<CoreOperation>)> {
    let Some(history) = subject.objects.as_ref().filter(|_| subject.log.is_empty()) else {
        let end = core.last()?.returned?;
        let is_before = |operation: &&Operation| operation.returned.is_some_and(|at| at.0 < end);
        let before = subject.log.iter().filter(is_before).count();
        let is_in_order = subject.log_model == Some(Model::Log) && log::check(&until(&subject.log, end)).is_ok();
        return is_in_order
            .then(|| (format!("The {before} answers before the last of these can be one log's."), vec![]));
    };
    let first = history.entries.get(core.first()?.index?)?;
    let part = parts(history).into_iter().find(|part| part.entries.contains(first))?;
    let budget = Budget { steps_max: CORE_STEPS, bytes_max: options.bytes_max, is_over: &|| false };
    let Decided::NotLinearizable(Refutation { blocked: Some(blocked), prefix, .. }) =
        by_search(history, &part.entries, Start::Holds(history.initial), &budget).verdict
    else {
        return None;
    };
    let (count, all, last) = (prefix.len(), part.entries.len(), words::describe(history, &blocked));
    let sentence = format!("The longest order has {count} of {all} operations and does not get past {last}.");
    let shown = &prefix[count.saturating_sub(PREFIX_SHOWN)..];
    Some((sentence, shown.iter().map(|entry| of_object(history, entry)).collect()))
}

/// What is known of a log before that moment.
fn until(history: &[Operation], end: u64) -> Vec<Operation> {
    let known = |operation: &Operation| {
        let is_append = matches!(operation.ask, Ask::Append { .. });
        let open = || Operation { outcome: Outcome::Open, returned: None, ..operation.clone() };
        match operation.returned.is_some_and(|at| at.0 < end) {
            true => Some(operation.clone()),
            false => is_append.then(open),
        }
    };
    history.iter().filter_map(known).collect()
}

/// A log is decided at once, so it is first. A violation of the one is one, whatever the other.
fn verdict(subject: &Subject, options: &Options, watch: &Watch<'_>, hear: &(dyn Fn(usize, usize) + Sync)) -> Verdict {
    let of_log =
        subject.log_model.map_or(Verdict::Linearizable, |model| log_within(&subject.log, model, options, watch));
    let Some(history) = subject.objects.as_ref().filter(|_| !matches!(of_log, Verdict::NotLinearizable { .. })) else {
        return of_log;
    };
    match objects(history, options, watch, hear) {
        Verdict::NotLinearizable { message, mut core, orders } if !subject.log.is_empty() => {
            let places = places_in_log(&subject.log, history);
            core.iter_mut().for_each(|of| of.index = of.index.and_then(|index| places.get(index).copied()));
            Verdict::NotLinearizable { message, core, orders }
        }
        Verdict::Linearizable => of_log,
        verdict => verdict,
    }
}

/// The verdict on a log, if there is room and time for it: nothing of it can be had for less.
fn log_within(history: &[Operation], model: Model, options: &Options, watch: &Watch<'_>) -> Verdict {
    let values = |operation: &Operation| match (&operation.ask, &operation.outcome) {
        (Ask::Append { values }, _) => values.len(),
        (_, Outcome::Ok(Told::Read { values, .. })) => values.len(),
        _ => 0,
    };
    let bytes = history.len() * BYTES_PER_OPERATION + history.iter().map(values).sum::<usize>() * BYTES_PER_VALUE;
    let why = match () {
        () if watch.is_over() => Exhausted::Time,
        () if bytes as u64 > options.bytes_max => Exhausted::Memory,
        () => return log(history, model),
    };
    Verdict::Undecided { why: format!("{} exhausted on {} operations", why.name(), history.len()) }
}

/// Where the log has each operation of the history by key, which was read from the same lines: in the order of their calls, at
/// equal times in that of the lines, without what was left out. Nothing where other lines are in the history as well.
fn places_in_log(log: &[Operation], history: &ObjectHistory) -> Vec<usize> {
    let of = |are_failed_compared: bool| {
        let is_kept = |operation: &Operation| match operation.outcome {
            Outcome::Ok(_) => true,
            // A compare-and-set that failed may count as one that was refused.
            Outcome::Failed => are_failed_compared && matches!(operation.ask, Ask::Cas { .. }),
            Outcome::Open => !matches!(operation.ask, Ask::Get { .. }),
        };
        let of_keys = |&place: &usize| log[place].ask.key().is_some() && is_kept(&log[place]);
        let mut places: Vec<usize> = (0..log.len()).filter(of_keys).collect();
        places.sort_by_key(|&place| log[place].invoked);
        places
    };
    [of(false), of(true)].into_iter().find(|places| places.len() == history.entries.len()).unwrap_or_default()
}

/// The verdict on operations of one log.
pub fn log(history: &[Operation], model: Model) -> Verdict {
    match finished::check(history, model) {
        Ok(()) => Verdict::Linearizable,
        Err(violation) => {
            let core: Vec<&Operation> = violation.operations.iter().map(|&index| &history[index]).collect();
            let told = told::of_log(&core);
            let core =
                violation.operations.iter().zip(told).map(|(&index, told)| of_log(history, index, told)).collect();
            Verdict::NotLinearizable { message: violation.message, core, orders: Vec::new() }
        }
    }
}

fn objects(
    history: &ObjectHistory,
    options: &Options,
    watch: &Watch<'_>,
    hear: &(dyn Fn(usize, usize) + Sync),
) -> Verdict {
    let parts = parts(history);
    let is_over = || watch.is_over();
    let threads = if history.entries.len() < ALONE_MAX { 1 } else { options.jobs };
    let (steps_max, bytes_max) = (options.steps_max, options.bytes_max);
    let limits = Limits { steps_max, bytes_max, threads, is_over: &is_over, hear };
    let decisions = decide_all(history, &parts, &limits);
    if let Some(Decision { verdict: Decided::NotLinearizable(refutation), .. }) = decisions.last() {
        return refute(history, &parts, (decisions.len() - 1, refutation), options);
    }
    let undecided = decisions.iter().zip(&parts).filter_map(|(decision, part)| match decision.verdict {
        Decided::Undecided(why) => Some((part, why.name())),
        _ => None,
    });
    let undecided: Vec<(&Part, &str)> = undecided.collect();
    match undecided.first() {
        None => Verdict::Linearizable,
        Some((part, why)) => {
            let key = match part.key.0 {
                NIL => String::new(),
                key => format!(" of key {}", history.keys.text(key)),
            };
            let others = match undecided.len() - 1 {
                0 => String::new(),
                others => format!(", and of {others} other keys"),
            };
            let count = part.entries.len();
            Verdict::Undecided { why: format!("{why} exhausted on {count} operations{key}{others}") }
        }
    }
}

/// Looks for the answer that first cannot be explained, and shrinks what refutes it, under a budget of its own: the verdict stands.
fn refute(history: &ObjectHistory, parts: &[Part], known: (usize, &Refutation), options: &Options) -> Verdict {
    let start = Instant::now();
    let time_max = options.time_max.unwrap_or(CORE_WITHIN).min(CORE_WITHIN);
    let is_over = || start.elapsed() >= time_max;
    let budget = Budget { steps_max: CORE_STEPS, bytes_max: options.bytes_max, is_over: &is_over };
    let (first, refutation) = earliest(history, parts, known, &budget);
    let core = core_of(history, &refutation, &budget);
    let mut message = words::sentence(history, &parts[first].entries, &core);
    if !core.is_minimal {
        message += "; fewer of them may do: the budget ended before all were tried";
    }
    let ends = orders::dead_ends(history, &core);
    let mut orders: Vec<String> = ends.iter().take(ORDERS_SHOWN).map(|end| words::dead_end(history, end)).collect();
    if ends.len() > ORDERS_SHOWN {
        orders.push(format!("and {} orders more", ends.len() - ORDERS_SHOWN));
    }
    let core = core.required().map(|entry| of_object(history, entry)).collect();
    Verdict::NotLinearizable { message, core, orders }
}

/// An operation on an object, as results show it.
fn of_object(history: &ObjectHistory, entry: &Entry) -> CoreOperation {
    let is_text = history.model == Model::Kv && history.entries.iter().any(|entry| entry.action == Action::Append);
    let name = |name: Name| match history.values.text(name) {
        text if is_text && name != NIL => Value::from(text),
        text => plain(text),
    };
    let is_kv = history.model == Model::Kv;
    let (f, value) = match entry.action {
        Action::Read if is_kv => ("get", name(entry.a)),
        Action::Read => ("read", name(entry.a)),
        Action::Write if is_kv => ("put", name(entry.a)),
        Action::Write => ("write", name(entry.a)),
        Action::Cas => ("cas", json!([name(entry.a), name(entry.b)])),
        Action::Refused => ("refused cas", name(entry.a)),
        Action::Append => ("append", name(entry.a)),
        Action::Insert if history.model == Model::Set => ("add", name(entry.a)),
        Action::Insert => ("enqueue", name(entry.a)),
        Action::Remove => ("dequeue", name(entry.a)),
        Action::Take | Action::Empty => ("dequeue", Value::Null),
        Action::Discard => ("remove", name(entry.a)),
        Action::Contains => ("contains", json!([name(entry.a), true])),
        Action::Lacks => ("contains", json!([name(entry.a), false])),
        Action::Elements => ("read", history.lists[entry.a as usize].iter().map(|&element| name(element)).collect()),
        Action::Acquire => ("acquire", Value::Null),
        Action::Release => ("release", Value::Null),
    };
    let value = match entry.key {
        NIL => value,
        key => json!([plain(history.keys.text(key)), value]),
    };
    let stamp = |position: u32| history.stamps.get(position as usize).copied().unwrap_or(u64::from(position));
    let returned = (entry.ret != OPEN).then(|| stamp(entry.ret));
    let told = value.to_string();
    let index = history.entries.binary_search_by_key(&entry.call, |entry| entry.call).ok();
    CoreOperation { index, client: u64::from(entry.process), f, value, told, invoked: stamp(entry.call), returned }
}

/// An operation on a log, as results show it.
fn of_log(history: &[Operation], index: usize, told: String) -> CoreOperation {
    let Operation { client, ask, invoked, returned, outcome } = &history[index];
    let (f, asked) = match ask {
        Ask::Append { values } => ("append", values.iter().map(|&value| Value::from(value::name(value))).collect()),
        Ask::Tail => ("tail", Value::Null),
        Ask::Read { from } => ("read", json!(from)),
        Ask::Get { key } => ("get", json!(key)),
        Ask::Put { key, value } => ("put", json!([key, value::word(*value)])),
        Ask::Cas { key, from, to } => ("cas", json!([key, [from.map(value::word), Some(value::word(*to))]])),
    };
    let value = match outcome {
        Outcome::Ok(Told::Appended { offset }) => json!({ "values": asked, "offset": offset }),
        Outcome::Ok(Told::Tail { end }) => json!({ "end": end }),
        Outcome::Ok(Told::Read { values, next }) => {
            let values = values.iter().map(|&(offset, value)| json!([offset, value::name(value)]));
            json!({ "from": asked, "values": values.collect::<Vec<_>>(), "next": next })
        }
        Outcome::Ok(Told::Unreadable { reason }) => json!({ "asked": asked, "unreadable": reason }),
        Outcome::Ok(Told::Got { value }) => json!({ "key": asked, "value": value.map(value::word) }),
        Outcome::Ok(Told::Put { offset }) => json!({ "asked": asked, "offset": offset }),
        Outcome::Ok(Told::Compared { offset, found }) => {
            json!({ "asked": asked, "offset": offset, "found": found.map(value::word) })
        }
        Outcome::Failed => json!({ "asked": asked, "failed": true }),
        Outcome::Open => json!({ "asked": asked, "open": true }),
    };
    let (client, invoked, returned) = (u64::from(client.0), invoked.0, returned.map(|at| at.0));
    CoreOperation { index: Some(index), client, f, value, told, invoked, returned }
}

/// A value as JSON would have it.
fn plain(text: &str) -> Value {
    match text {
        "nil" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).into(),
        },
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that this process has had. (proc(5): `VmHWM` of `/proc/self/status`, in units of 1024 bytes.)
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

/// Operations that are not worth a thread.
const ALONE_MAX: usize = 5_000;

/// What each search may try on the way to a core.
const CORE_STEPS: u64 = 1_000_000;

/// So many orders of a core are told, the ones that get furthest.
const ORDERS_SHOWN: usize = 8;

/// So many operations of the longest order are shown, its last.
const PREFIX_SHOWN: usize = 3;

/// How long shrinking may take.
const CORE_WITHIN: Duration = Duration::from_secs(10);

/// What the deciders of logs keep of an operation, by measurement.
const BYTES_PER_OPERATION: usize = 128;

/// And of each value that it appended or read.
const BYTES_PER_VALUE: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn core(model: Model, lines: &[&str]) -> (Vec<Operation>, Vec<CoreOperation>) {
        let hints = Hints { model: Some(model), ..Hints::default() };
        let options = Options { hints, time_max: None, bytes_max: 1 << 20, steps_max: 1_000, jobs: 1 };
        let (text, watch) = (lines.join("\n"), Watch::new(None, None));
        let (subject, checked) = read_and_decide(text.as_bytes(), &options, &watch, &|_, _| ()).expect("a history");
        match checked.verdict {
            Verdict::NotLinearizable { core, .. } => (subject.log, core),
            other => panic!("{other:?}"),
        }
    }

    fn indexes(core: &[CoreOperation]) -> Vec<Option<usize>> {
        core.iter().map(|of| of.index).collect()
    }

    #[test]
    fn operations_at_equal_times_have_their_own_numbers() {
        let lines = [
            r#"{"client":1,"invoked":10,"returned":40,"f":"append","values":[7],"outcome":"open"}"#,
            r#"{"client":1,"invoked":10,"returned":40,"f":"append","values":["c1-0"],"outcome":"ok","offset":2}"#,
            r#"{"client":1,"invoked":10,"returned":40,"f":"append","values":["c1-1"],"outcome":"ok","offset":1}"#,
        ];
        assert_eq!(indexes(&core(Model::Producer, &lines).1), [Some(1), Some(2)]);
    }

    /// What was left out of the history by key is in the log all the same.
    #[test]
    fn operations_by_key_have_their_places_in_the_log() {
        let lines = [
            r#"{"client":1,"invoked":5,"f":"get","key":0,"outcome":"open"}"#,
            r#"{"client":1,"invoked":5,"returned":9,"f":"cas","key":0,"from":1,"to":2,"outcome":"failed"}"#,
            r#"{"client":1,"invoked":5,"returned":9,"f":"put","key":0,"value":1,"outcome":"ok","offset":1}"#,
            r#"{"client":2,"invoked":10,"returned":12,"f":"put","key":0,"value":2,"outcome":"ok","offset":2}"#,
            r#"{"client":2,"invoked":20,"returned":22,"f":"get","key":0,"value":1,"outcome":"ok"}"#,
        ];
        let (log, core) = core(Model::Kv, &lines);
        assert_eq!((log.len(), indexes(&core)), (5, vec![Some(3), Some(4)]));
    }
}
