//! `kraftbed torture --rounds N [--seed S]`: a real quorum, hurt again and again, and checked after every round.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "results are files")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::campaign::torture::{Fault, Options, Round, Torture, Trouble};
use crate::cli::serve::key_and_value;
use crate::cli::show;
use crate::cli::stdout::{Unwritten, complain, say};
use crate::outcome::Exit;
use crate::scenario::text::parse_duration;
use crate::server::load::ledger::Promise;
use crate::server::signals::Signals;

/// Arguments of `torture`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Rounds in all.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// What is drawn from: faults, victims, moments, loads. Decimal, 0x…, or a git hash.
    #[arg(long, default_value = "1", value_parser = show::parse_seed)]
    seed: u64,
    /// The number of the first round; with `--rounds 1` that round alone.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    first: u64,
    /// Nodes of the quorum.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Port of the first node; the others follow it.
    #[arg(long, default_value_t = 19092, value_parser = clap::value_parser!(u16).range(1..=65000))]
    base_port: u16,
    /// A kind of fault to draw from; may be given several times. All of them unless given.
    #[arg(long = "fault", value_name = "NAME", value_parser = parse_fault)]
    faults: Vec<Fault>,
    /// A property for every node; may be given several times.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
    /// Where the quorum lives; must not exist, or be empty. Default: sim-results/torture/SEED, made anew.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What the median time from a leader's death to the next acknowledgement may be, such as 3s; more is exit code 7.
    #[arg(long, value_parser = parse_time)]
    next_ack_median: Option<Duration>,
    /// What the longest such time may be.
    #[arg(long, value_parser = parse_time)]
    next_ack_max: Option<Duration>,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

/// What all rounds came to.
#[derive(Debug)]
struct Tally<'a> {
    arguments: &'a Arguments,
    rounds: Vec<Round>,
    failed: Option<(Round, Trouble)>,
    took: Duration,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let options = options(arguments)?;
    let directory = options.directory.clone();
    let mut signals = Signals::catch()?;
    let began = Instant::now();
    let mut tally = Tally { arguments, rounds: Vec::new(), failed: None, took: Duration::ZERO };
    let mut torture = Torture::start(options)?;
    let mut interrupted = None;
    for number in (arguments.first..).take(arguments.rounds.try_into().unwrap_or(usize::MAX)) {
        let mut drawn = None;
        match torture.round(number, |round| drawn = Some(round.clone())) {
            Ok(round) => {
                tally.tell(&round)?;
                tally.rounds.push(round);
            }
            Err(trouble) => {
                let Some(round) = drawn else {
                    complain(format_args!("kraftbed: before round {number}: {trouble}"));
                    return Ok(exit_of(&trouble));
                };
                tally.failed = Some((round, trouble));
                break;
            }
        }
        if signals.take() > 0 {
            interrupted = Some(Exit::of_signal(signals.number()));
            break;
        }
    }
    drop(torture);
    tally.took = began.elapsed();
    let exit = interrupted.unwrap_or_else(|| tally.exit());
    fs::write(directory.join("torture.json"), format!("{:#}\n", tally.json(exit)))?;
    if tally.failed.is_none() {
        remove_data(&directory)?;
    }
    match arguments.output.as_str() {
        "json" => say(format_args!("{:#}", tally.json(exit)))?,
        _ => tally.print(&directory, exit)?,
    }
    Ok(exit)
}

fn exit_of(trouble: &Trouble) -> Exit {
    match trouble {
        trouble if trouble.is_violation() => Exit::Violated,
        trouble if trouble.is_environment() => Exit::Usage,
        Trouble::Swollen { .. } => Exit::Missed,
        _ => Exit::NoProgress,
    }
}

fn options(arguments: &Arguments) -> Result<Options, Box<dyn Error>> {
    if let Some((key, _)) = arguments.overrides.iter().find(|(key, _)| OWNED.contains(&key.as_str())) {
        return Err(format!("--override {key}: torture decides it, for every node anew").into());
    }
    let directory = match &arguments.dir {
        Some(given) => {
            if fs::read_dir(given).is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(
                    format!("--dir {}: expected a directory that is empty or does not exist", given.display()).into()
                );
            }
            given.clone()
        }
        None => {
            let own = show::results_root().join("torture").join(arguments.seed.to_string());
            if own.exists() {
                fs::remove_dir_all(&own).map_err(|error| format!("{}: {error}", own.display()))?;
            }
            own
        }
    };
    let directory = std::path::absolute(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let wanted = if arguments.faults.is_empty() { &Fault::ALL[..] } else { &arguments.faults[..] };
    let may = |fault: &Fault| arguments.nodes > 2 || !fault.needs_followers();
    let faults: Vec<Fault> = wanted.iter().copied().filter(may).collect();
    if faults.is_empty() || (faults.len() < arguments.faults.len()) {
        return Err(
            format!("--fault: {} takes three nodes or more, --nodes is {}", wanted[0].name(), arguments.nodes).into()
        );
    }
    Ok(Options {
        rounds: arguments.rounds,
        seed: arguments.seed,
        nodes: arguments.nodes,
        base_port: arguments.base_port,
        faults,
        overrides: arguments.overrides.clone(),
        directory,
    })
}

/// Properties that tell the nodes of a quorum apart, or hold it together.
const OWNED: [&str; 9] = [
    "node.id",
    "broker.id",
    "listeners",
    "advertised.listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "quorum.voters",
    "controller.quorum.voters",
];

/// What a clean run leaves behind is its result, not its logs.
fn remove_data(directory: &Path) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

impl Tally<'_> {
    fn tell(&self, round: &Round) -> Result<(), Unwritten> {
        if self.arguments.output == "text" { say(line(round)) } else { Ok(()) }
    }

    fn exit(&self) -> Exit {
        match &self.failed {
            Some((_, trouble)) => exit_of(trouble),
            None if self.is_slow() => Exit::Missed,
            None => Exit::Passed,
        }
    }

    /// What the load had to wait in rounds of this fault, ascending.
    fn next_acks(&self, fault: Fault) -> Vec<Duration> {
        let mut times: Vec<Duration> =
            self.rounds.iter().filter(|round| round.fault == fault).map(|round| round.next_ack).collect();
        times.sort();
        times
    }

    fn is_slow(&self) -> bool {
        let times = self.next_acks(Fault::KillLeader);
        let exceeds = |time: Option<&Duration>, limit: Option<Duration>| {
            time.is_some_and(|&time| limit.is_some_and(|limit| time > limit))
        };
        exceeds(times.get(times.len() / 2), self.arguments.next_ack_median)
            || exceeds(times.last(), self.arguments.next_ack_max)
    }

    fn print(&self, directory: &Path, exit: Exit) -> Result<(), Unwritten> {
        say("")?;
        for fault in Fault::ALL {
            let times = self.next_acks(fault);
            let Some(most) = times.last() else { continue };
            let median = times[times.len() / 2];
            say(format_args!(
                "{:<16} {:>4} rounds, next ack after {median:.2?}, at most {most:.2?}",
                fault.name(),
                times.len()
            ))?;
        }
        if let Some((round, trouble)) = &self.failed {
            say(format_args!("FAILED {}", line(round)))?;
            say(trouble)?;
            say(format_args!("files: {}", directory.display()))?;
            say(format_args!(
                "again: kraftbed torture --seed {} --first {} --rounds 1",
                self.arguments.seed, round.number
            ))?;
        }
        let acked: u64 = self.rounds.iter().map(|round| round.records[0]).sum();
        say(format_args!(
            "{} rounds: {} clean, {} failed; {acked} records acknowledged, all of them there, in {:.0?}",
            self.rounds.len() + usize::from(self.failed.is_some()),
            self.rounds.len(),
            usize::from(self.failed.is_some()),
            self.took
        ))?;
        say(exit.word().to_uppercase())
    }

    fn json(&self, exit: Exit) -> Value {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let by_fault: BTreeMap<&str, Value> = Fault::ALL
            .into_iter()
            .filter_map(|fault| {
                let times = self.next_acks(fault);
                let most = *times.last()?;
                let median = times[times.len() / 2];
                let value = json!({
                    "rounds": times.len(), "next_ack_median_ms": millis(median), "next_ack_max_ms": millis(most),
                });
                Some((fault.name(), value))
            })
            .collect();
        let failure = self
            .failed
            .as_ref()
            .map(|(round, trouble)| json!({ "round": round_json(round), "why": trouble.to_string() }));
        json!({
            "verdict": exit.word(),
            "seed": self.arguments.seed,
            "nodes": self.arguments.nodes,
            "rounds": self.rounds.len() + usize::from(self.failed.is_some()),
            "passed": self.rounds.len(),
            "failed": usize::from(self.failed.is_some()),
            "wall_seconds": self.took.as_secs_f64(),
            "records_acked": self.rounds.iter().map(|round| round.records[0]).sum::<u64>(),
            "faults": by_fault,
            "each": self.rounds.iter().map(round_json).collect::<Vec<Value>>(),
            "failure": failure,
        })
    }
}

fn line(round: &Round) -> String {
    let [acked, failed, open] = round.records;
    let unsure = if failed + open > 0 { format!(", {failed} refused, {open} unknown") } else { String::new() };
    format!(
        "round {:>3}  {:<16} n{} after {:>4} ms  {} clients, {:>5}/s of {:>4} B, {:<13}  next ack {:>8.2?}  {acked} acked{unsure}, log ends at {}",
        round.number,
        round.fault.name(),
        round.victim,
        round.after.as_millis(),
        round.clients,
        round.rate,
        round.value_bytes,
        promise(round.promise),
        round.next_ack,
        round.end
    )
}

fn round_json(round: &Round) -> Value {
    json!({
        "number": round.number,
        "fault": round.fault.name(),
        "victim": round.victim,
        "after_ms": round.after.as_millis() as u64,
        "promise": promise(round.promise),
        "clients": round.clients,
        "records_per_second": round.rate,
        "value_bytes": round.value_bytes,
        "next_ack_ms": round.next_ack.as_secs_f64() * 1000.0,
        "acked": round.records[0],
        "refused": round.records[1],
        "unknown": round.records[2],
        "end": round.end.0,
    })
}

fn promise(promise: Promise) -> &'static str {
    match promise {
        Promise::ExactlyOnce => "exactly once",
        Promise::AtLeastOnce => "at least once",
    }
}

fn parse_fault(text: &str) -> Result<Fault, String> {
    let names = || Fault::ALL.map(Fault::name).join(", ");
    Fault::parse(text).ok_or_else(|| format!("expected one of {}", names()))
}

fn parse_time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 500ms or 3s".to_owned())
}
