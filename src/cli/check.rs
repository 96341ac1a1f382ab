//! `kraftbed check HISTORY…`: are recorded histories linearizable?
#![expect(clippy::disallowed_types, reason = "how long it takes is told")]

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::campaign::check::{Checked, Unreadable, Verdict, check_file, facts, peak_rss_bytes};
use crate::campaign::evidence;
use crate::cli::deciding::Flags;
use crate::cli::signals::Interrupted;
use crate::cli::stdout::{Unwritten, complain, name_of, say};
use crate::history::format::Subject;
use crate::history::objects::Clock;
use crate::outcome::Exit;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files, gzipped or not; `-` is standard input.
    #[arg(required = true, value_name = "HISTORY")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
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
    /// Of these, so many have no answer that could be checked.
    empty: u64,
    operations: u64,
    cpu: Duration,
    /// File, line, column, message.
    unreadable: Vec<(String, Unreadable)>,
    /// Files that a signal came before.
    unread: usize,
    interrupted: Option<Exit>,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    if arguments.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err("- is named twice: standard input can be read once".into());
    }
    let options = arguments.flags.options(u64::MAX);
    let interrupted = Interrupted::catch()?;
    let as_json = arguments.output == "json";
    let (start, bar) = (Instant::now(), progress(arguments.files.len()));
    let (mut total, mut histories) = (Total::default(), Vec::new());
    for (number, file) in arguments.files.iter().enumerate() {
        if interrupted.exit().is_some() {
            total.unread = arguments.files.len() - number;
            break;
        }
        let name = name_of(file);
        bar.set_message(name.clone());
        let hear = |done: usize, parts: usize| {
            if parts > 1 {
                bar.set_message(format!("{name}: {done} of {parts} keys"));
            }
        };
        let checked = check_file(file, &options, Some(interrupted.flag()), &hear);
        bar.inc(1);
        match checked {
            Ok((subject, checked)) => {
                total.count(&checked);
                if as_json {
                    histories.push(history_json(&name, &checked));
                } else {
                    let text = text_of(&name, &checked, clock_of(&subject));
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
    total.interrupted = interrupted.exit();
    let exit = total.exit();
    let took = start.elapsed();
    match as_json {
        true => say(format_args!("{:#}", json!({ "histories": histories, "total": total.json(took) })))?,
        false => total.say(took)?,
    }
    if exit == Exit::NothingSelected {
        complain(
            "kraftbed: nothing was checked: no operation of any history has an answer that a verdict could rest on",
        );
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
        self.empty += u64::from(is_empty(checked));
        self.operations += checked.operations;
        self.cpu += checked.cpu;
    }

    fn histories(&self) -> u64 {
        self.linearizable + self.not_linearizable + self.undecided
    }

    /// The worst of it: a violation is one whatever else went wrong. Where nothing was checked nothing has passed.
    fn exit(&self) -> Exit {
        match (self.not_linearizable, self.unreadable.len(), self.undecided) {
            _ if self.interrupted.is_some() => self.interrupted.expect("invariant: it was just looked at"),
            (1.., _, _) => Exit::Violated,
            (_, 1.., _) => Exit::Usage,
            (_, _, 1..) => Exit::Undecided,
            _ if self.empty == self.linearizable => Exit::NothingSelected,
            _ => Exit::Passed,
        }
    }

    fn json(&self, took: Duration) -> Value {
        let error = |(file, error): &(String, Unreadable)| match error {
            Unreadable::Load(error) => {
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
            "nothing_to_check": self.empty,
            "interrupted": self.interrupted.is_some(),
            "not_read": self.unread,
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
        let empty = match self.empty {
            0 => String::new(),
            count => format!(", {count} with nothing to check"),
        };
        let interrupted = match (self.interrupted, self.unread) {
            (None, _) => String::new(),
            (Some(_), unread) => format!("; interrupted, {unread} not read"),
        };
        say(format_args!(
            "{}: {} linearizable, {} not linearizable, {} undecided{empty}{unreadable}; {} in {:.3} s{interrupted}",
            counted(self.histories(), "history", "histories"),
            self.linearizable - self.empty,
            self.not_linearizable,
            self.undecided,
            counted(self.operations, "operation", "operations"),
            took.as_secs_f64()
        ))
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Whether no verdict could be any other, since nothing was answered.
fn is_empty(checked: &Checked) -> bool {
    checked.answers == 0 && checked.verdict == Verdict::Linearizable
}

/// What the moments of a core are: a log's are always times.
fn clock_of(subject: &Subject) -> Clock {
    match &subject.objects {
        Some(history) if subject.log_model.is_none() => history.clock,
        _ => Clock::Nanoseconds,
    }
}

/// One line for a history, and what conflicts below it.
fn text_of(name: &str, checked: &Checked, clock: Clock) -> String {
    let verdict = match &checked.verdict {
        Verdict::Linearizable if is_empty(checked) => "nothing to check".to_owned(),
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::NotLinearizable { .. } => "NOT linearizable".to_owned(),
        Verdict::Undecided { why } => format!("UNDECIDED: {why}"),
    };
    let (model, operations) = (checked.model(), counted(checked.operations, "operation", "operations"));
    let dialect = checked.dialect.as_ref().map_or(String::new(), |dialect| format!(" {dialect}"));
    let took = checked.took.as_secs_f64() * 1000.0;
    let format = checked.format();
    let mut text = format!("{name}: {verdict} ({model}, {operations}, {took:.1} ms; {format}{dialect})");
    if let Verdict::NotLinearizable { message, core, orders } = &checked.verdict {
        text += &format!("\n  {message}\n{}", evidence::of_core(core, orders, clock));
    }
    text
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

const AFTER_HELP: &str = "\
Reads Jepsen's and Knossos' EDN, lines of a Jepsen log, Porcupine's key-value maps, JSON lines as kraftbed writes them, and
histories in eight columns: tests/histories/README.md shows how each is written, with examples.
A history without any answer, such as one in which every operation timed out, has nothing to check; it does not fail others.
(With --output json its verdict is linearizable, and it counts among these; nothing_to_check says how many of them are such.)
Exit codes: 0 all are linearizable, 1 one is not, 2 one cannot be read, 3 one is undecided, 4 in none of them was anything to
check, 130 interrupted, with the verdicts so far.";

/// How often a progress bar moves.
const TICK: Duration = Duration::from_millis(200);
