//! `kraftbed check HISTORY…`: are recorded histories linearizable?
#![expect(clippy::disallowed_types, reason = "how long it takes is told")]

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::campaign::check::{
    Checked, CoreOperation, Options, Unreadable, Verdict, check, facts, load, peak_rss_bytes,
};
use crate::cli::show;
use crate::cli::stdout::{Unwritten, complain, say};
use crate::history::Model;
use crate::history::format::{FailedCas, Format, Hints, NilRead};
use crate::outcome::Exit;
use crate::scenario::text::parse_duration;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files, gzipped or not; `-` is standard input.
    #[arg(required = true, value_name = "HISTORY")]
    files: Vec<PathBuf>,
    /// What they are about, where that is not clear.
    #[arg(long, value_parser = parse_model, value_name = MODELS)]
    model: Option<Model>,
    /// How they are written, where that is not clear.
    #[arg(long, value_parser = parse_format, value_name = FORMATS)]
    format: Option<Format>,
    /// What a register holds at first. [default: nil]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    initial: Option<String>,
    /// What a failed compare-and-set says: that it did not happen, or that it found another value.
    #[arg(long, value_parser = parse_failed_cas, value_name = "did-not-happen|refused")]
    failed_cas: Option<FailedCas>,
    /// What a read of nil says: nothing, or that nothing was there.
    #[arg(long, value_parser = parse_nil_read, value_name = "silent|observes")]
    nil_read: Option<NilRead>,
    /// How long each history may take, such as 500ms or 30s.
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    timeout: Option<Duration>,
    /// Bytes that the search through each history may keep, such as 512MB or 4GiB.
    #[arg(long, value_parser = parse_bytes, value_name = "BYTES", default_value = "4GiB")]
    memory: u64,
    /// Operations that the search through each key may try.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Threads. [default: one for each processor]
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

/// What came of all files.
#[derive(Default)]
struct Total {
    linearizable: u64,
    not_linearizable: u64,
    undecided: u64,
    operations: u64,
    cpu: Duration,
    /// File, line, column, message.
    unreadable: Vec<(String, Unreadable)>,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let options = Options {
        hints: Hints {
            format: arguments.format,
            model: arguments.model,
            failed_cas: arguments.failed_cas,
            nil_read: arguments.nil_read,
            initial: arguments.initial.clone(),
        },
        time_max: arguments.timeout,
        bytes_max: arguments.memory,
        steps_max: arguments.steps.unwrap_or(u64::MAX),
        jobs: arguments.jobs.map_or_else(show::default_jobs, usize::from),
    };
    let as_json = arguments.output == "json";
    let (start, bar) = (Instant::now(), progress(arguments.files.len()));
    let (mut total, mut histories) = (Total::default(), Vec::new());
    for file in &arguments.files {
        let name = file.display().to_string();
        bar.set_message(name.clone());
        let hear = |done: usize, parts: usize| {
            if parts > 1 {
                bar.set_message(format!("{name}: {done} of {parts} keys"));
            }
        };
        let checked = load(file).and_then(|bytes| check(&bytes, &options, &hear));
        bar.inc(1);
        match checked {
            Ok(checked) => {
                total.count(&checked);
                if as_json {
                    histories.push(history_json(&name, &checked));
                } else {
                    let text = text_of(&name, &checked);
                    bar.suspend(|| say(text))?;
                }
            }
            Err(error) => {
                bar.suspend(|| complain(format_args!("kraftbed: {name}:{error}")));
                total.unreadable.push((name, error));
            }
        }
    }
    bar.finish_and_clear();
    let exit = total.exit();
    let took = start.elapsed();
    match as_json {
        true => say(format_args!("{:#}", json!({ "histories": histories, "total": total.json(took) })))?,
        false => total.say(took)?,
    }
    Ok(exit)
}

impl Total {
    fn count(&mut self, checked: &Checked) {
        match checked.verdict {
            Verdict::Linearizable => self.linearizable += 1,
            Verdict::NotLinearizable { .. } => self.not_linearizable += 1,
            Verdict::Undecided { .. } => self.undecided += 1,
        }
        self.operations += checked.operations;
        self.cpu += checked.cpu;
    }

    fn histories(&self) -> u64 {
        self.linearizable + self.not_linearizable + self.undecided
    }

    /// The worst of it: a violation is one whatever else went wrong.
    fn exit(&self) -> Exit {
        match (self.not_linearizable, self.unreadable.len(), self.undecided) {
            (1.., _, _) => Exit::Violated,
            (_, 1.., _) => Exit::Usage,
            (_, _, 1..) => Exit::Undecided,
            _ => Exit::Passed,
        }
    }

    fn json(&self, took: Duration) -> Value {
        let error = |(file, error): &(String, Unreadable)| match error {
            Unreadable::Io(error) => {
                json!({ "file": file, "line": null, "column": null, "message": error.to_string() })
            }
            Unreadable::Parse(error) => json!({
                "file": file, "line": error.line, "column": error.column, "message": error.wrong.to_string()
            }),
        };
        json!({
            "histories": self.histories(),
            "linearizable": self.linearizable,
            "not_linearizable": self.not_linearizable,
            "undecided": self.undecided,
            "unreadable": self.unreadable.iter().map(error).collect::<Vec<Value>>(),
            "operations": self.operations,
            "seconds": took.as_secs_f64(),
            "cpu_seconds": self.cpu.as_secs_f64(),
            "peak_rss_bytes": peak_rss_bytes(),
        })
    }

    fn say(&self, took: Duration) -> Result<(), Unwritten> {
        let unreadable = match self.unreadable.len() {
            0 => String::new(),
            count => format!(", {count} unreadable"),
        };
        say(format_args!(
            "{} histories: {} linearizable, {} not linearizable, {} undecided{unreadable}; {} operations in {:.3} s",
            self.histories(),
            self.linearizable,
            self.not_linearizable,
            self.undecided,
            self.operations,
            took.as_secs_f64()
        ))
    }
}

/// One line for a history, and what conflicts below it.
fn text_of(name: &str, checked: &Checked) -> String {
    let verdict = match &checked.verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::NotLinearizable { .. } => "NOT linearizable".to_owned(),
        Verdict::Undecided { why } => format!("UNDECIDED: {why}"),
    };
    let (model, operations) = (checked.model(), checked.operations);
    let dialect = checked.dialect.as_ref().map_or(String::new(), |dialect| format!(" {dialect}"));
    let took = checked.took.as_secs_f64() * 1000.0;
    let format = checked.format.name();
    let mut text = format!("{name}: {verdict} ({model}, {operations} operations, {took:.1} ms; {format}{dialect})");
    if let Verdict::NotLinearizable { message, core } = &checked.verdict {
        text += &format!("\n  {message}\n{}", table(core));
    }
    text
}

/// The operations of a core, a line each.
fn table(core: &[CoreOperation]) -> String {
    let mut rows = vec![["client", "f", "value", "invoked", "returned"].map(str::to_owned)];
    rows.extend(core.iter().take(ROWS_MAX).map(|told| {
        let returned = told.returned.map_or("never".to_owned(), |at| at.to_string());
        [told.client.to_string(), told.f.to_owned(), short(&told.value), told.invoked.to_string(), returned]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if core.len() > ROWS_MAX {
        lines.push(format!("  and {} more, all of them with --output json", core.len() - ROWS_MAX));
    }
    lines.join("\n")
}

/// A value, not longer than a terminal is wide.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn history_json(name: &str, checked: &Checked) -> Value {
    let mut told = facts(checked);
    told["file"] = json!(name);
    told["seconds"] = json!(checked.took.as_secs_f64());
    told["cpu_seconds"] = json!(checked.cpu.as_secs_f64());
    told["peak_rss_bytes"] = json!(checked.peak_rss_bytes);
    told
}

fn progress(files: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {elapsed}");
    let bar = ProgressBar::new(files as u64).with_style(style.expect("invariant: the template is constant"));
    bar.enable_steady_tick(TICK);
    bar
}

fn parse_model(text: &str) -> Result<Model, String> {
    Model::parse(text).ok_or_else(|| format!("expected one of {MODELS}, found {text}"))
}

fn parse_format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| format!("expected one of {FORMATS}, found {text}"))
}

fn parse_failed_cas(text: &str) -> Result<FailedCas, String> {
    match text {
        "did-not-happen" => Ok(FailedCas::DidNotHappen),
        "refused" => Ok(FailedCas::Refused),
        _ => Err(format!("expected did-not-happen or refused, found {text}")),
    }
}

fn parse_nil_read(text: &str) -> Result<NilRead, String> {
    match text {
        "silent" => Ok(NilRead::Silent),
        "observes" => Ok(NilRead::Observes),
        _ => Err(format!("expected silent or observes, found {text}")),
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let spelled = if text.ends_with(|last: char| last.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let wrong = || format!("expected a duration such as 500ms or 30s, found {text}");
    parse_duration(&spelled).filter(|time| !time.is_zero()).ok_or_else(wrong)
}

/// A number of bytes: `1048576`, `512MB`, `4GiB`, `2G`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => 0,
    };
    let bytes = text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| format!("expected bytes such as 1048576, 512MB or 4GiB, found {text}"))
}

const MODELS: &str = "register|cas-register|kv|log|queue|set|mutex|producer";

const FORMATS: &str = "edn|porcupine-kv|etcd-log|columns|jsonl";

const AFTER_HELP: &str = "\
Reads Jepsen's and Knossos' EDN, lines of a Jepsen log, Porcupine's key-value maps, and JSON lines as kraftbed writes them.
Exit codes: 0 all are linearizable, 1 one is not, 2 one cannot be read, 3 one is undecided.";

/// Operations in a table.
const ROWS_MAX: usize = 24;

/// Characters of a value in a table.
const VALUE_MAX: usize = 60;

/// How often a progress bar moves.
const TICK: Duration = Duration::from_millis(200);
