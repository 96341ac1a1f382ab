//! `kraftbed sweep SCENARIO… --seeds N`: many seeds over many scenarios, and a verdict.
#![expect(clippy::disallowed_types, reason = "commands have a clock and a terminal")]

use std::error::Error;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::campaign::results::WriteError;
use crate::campaign::sweep::plan_of;
use crate::campaign::{
    Failure, Library, Named, Progress, Sweep, SweepOptions, coverage, evidence, index, results, sweep,
};
use crate::cli::environment;
use crate::cli::show;
use crate::cli::signals::Interrupted;
use crate::cli::stdout::{Unwritten, complain, say};
use crate::outcome::Exit;
use crate::quirk::{Quirk, Quirks};
use crate::report::index::json::SHARES_MAX;
use crate::report::junit;

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Scenarios: files, folders, or bare names. All of the library but the planted ones unless given.
    scenarios: Vec<String>,
    /// Runs in all, dealt in turn over the scenarios. [default: 1000]
    #[arg(long, value_parser = parse_seeds, allow_hyphen_values = true)]
    seeds: Option<u64>,
    /// The first seed: decimal, 0x…, or a git hash. [default: 1]
    #[arg(long, value_parser = show::parse_seed, allow_hyphen_values = true)]
    seed_base: Option<u64>,
    /// Worlds at a time; one per processor unless given.
    #[arg(long, short = 'j', value_parser = show::parse_jobs, allow_hyphen_values = true)]
    jobs: Option<usize>,
    /// Run every n-th run only, beginning with the m-th: slice:m/n.
    #[arg(long, value_parser = parse_partition, default_value = "slice:1/1")]
    partition: (u64, u64),
    /// Begin no run after this long, such as 90s or 5m.
    #[arg(long, value_parser = parse_limit, allow_hyphen_values = true)]
    time_limit: Option<Duration>,
    /// A run that is not over after so many events is undecided. [default: 100000000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    events_max: Option<u64>,
    /// Switch a planted bug on in every run.
    #[arg(long, value_parser = show::parse_plant)]
    plant: Vec<Quirk>,
    /// Run this share of the seeds twice and compare: a ratio from 0 to 1. [default: 0.05; 1 without a ratio]
    #[arg(long, num_args = 0..=1, default_missing_value = "1", value_parser = parse_ratio, value_name = "RATIO")]
    check_determinism: Option<(u64, u64)>,
    /// Which seeds' results to keep: the smallest of each failure, or those of every failure and pass.
    #[arg(long, num_args = 0..=1, value_parser = ["failures", "all"], default_value = "failures", default_missing_value = "all")]
    keep: String,
    /// Where sweep.json and index.html go. [default: sim-results/sweep]
    #[arg(long, value_name = "FOLDER")]
    index: Option<PathBuf>,
    /// Write what came of every run as JUnit's XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
    /// Where the scenario files are.
    #[arg(long, value_name = "FOLDER", default_value = "scenarios")]
    library: PathBuf,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    results::silence_panics();
    let interrupted = Interrupted::catch()?;
    let options = options(arguments)?;
    if options.scenarios.is_empty() || options.seeds == 0 {
        let why = match options.seeds {
            0 => "0 seeds are asked for".to_owned(),
            _ => format!("no scenario is in {}", arguments.scenarios.join(", ")),
        };
        complain(format_args!("kraftbed: nothing to run: {why}"));
        return Ok(Exit::NothingSelected);
    }
    let index_folder = arguments.index.clone().unwrap_or_else(|| show::results_root().join(index::SWEEP));
    if let Some(junit) = &arguments.junit {
        results::apart(junit, &[index::JSON, index::HTML].map(|file| index_folder.join(file)))?;
    }
    let reporter = Reporter::new();
    let mut result = sweep(&options, interrupted.flag(), &|progress| reporter.report(progress));
    reporter.clear();
    let unwritten = result.unwritten.take();
    let (folders, unkept) = keep(&options, &result);
    let unindexed = write_index(arguments, &index_folder, &options, &result, &folders).err();
    let exit = interrupted.exit().unwrap_or_else(|| exit(&result, &options));
    match arguments.output.as_str() {
        "json" => say(format_args!("{:#}", sweep_json(&result, &options, exit)))?,
        _ => print_sweep(&result, &options, &folders, (&hints(arguments, &options), exit))?,
    }
    Ok(show::unless_unwritten(exit, unwritten.or(unkept).or(unindexed)))
}

/// Writes the index, and JUnit's XML where it is asked for.
fn write_index(
    arguments: &Arguments,
    folder: &Path,
    options: &SweepOptions,
    result: &Sweep,
    folders: &[Option<PathBuf>],
) -> Result<(), WriteError> {
    let plants: Vec<Quirk> = options.quirks.iter().collect();
    let mut index = index::of(result, options, &|named, seed| show::replay(named, seed, &plants));
    let failures = result.failures.iter().zip(folders);
    let folders = failures.filter_map(|(failure, folder)| Some((failure.signature.clone(), folder.clone()?))).collect();
    index::name_folders(&mut index, &folders, folder);
    index::write(&index, folder)?;
    match &arguments.junit {
        None => Ok(()),
        Some(file) => results::put(file, junit::document(&junit::suites(&index)).as_bytes()),
    }
}

fn exit(result: &Sweep, options: &SweepOptions) -> Exit {
    match result.exit() {
        Exit::Passed if !coverage::missing(result, options).is_empty() => Exit::Missed,
        exit => exit,
    }
}

fn options(arguments: &Arguments) -> Result<SweepOptions, Box<dyn Error>> {
    let library = Library::new(&arguments.library);
    let mut scenarios = Vec::new();
    for wanted in &arguments.scenarios {
        scenarios.extend(library.find(wanted)?);
    }
    if arguments.scenarios.is_empty() {
        scenarios = library.sound()?;
    }
    let seeds = environment::SEEDS.or_flag(arguments.seeds, parse_seeds)?;
    let seed_base = environment::SEED.or_flag(arguments.seed_base, show::parse_seed)?;
    let jobs = environment::JOBS.or_flag(arguments.jobs, show::parse_jobs)?;
    let check_determinism = environment::CHECK_DETERMINISM.or_flag(arguments.check_determinism, parse_ratio)?;
    Ok(SweepOptions {
        scenarios,
        seeds: seeds.unwrap_or(1000),
        seed_base: seed_base.unwrap_or(1),
        jobs: jobs.unwrap_or_else(show::default_jobs),
        partition: arguments.partition,
        time_limit: environment::TIME_LIMIT.or_flag(arguments.time_limit, parse_limit)?,
        events_max: arguments.events_max,
        quirks: arguments.plant.iter().copied().fold(Quirks::NONE, Quirks::with),
        check_determinism: check_determinism.unwrap_or((5, 100)),
        keep_all_below: (arguments.keep == "all").then(show::results_root),
    })
}

/// Writes the folders of failures. Where one cannot be written, the others are not tried.
fn keep(options: &SweepOptions, result: &Sweep) -> (Vec<Option<PathBuf>>, Option<WriteError>) {
    let mut folders = Vec::new();
    let mut unwritten = None;
    for failure in &result.failures {
        let folder = failure.finished.as_ref().filter(|_| unwritten.is_none()).map(|finished| {
            let plan = plan_of(&failure.named, failure.seed, options.quirks);
            results::write(&show::results_root(), &plan, finished, (None, Some(&replay(failure, options))))
        });
        match folder {
            None => folders.push(None),
            Some(Ok(folder)) => folders.push(Some(folder)),
            Some(Err(error)) => {
                folders.push(None);
                unwritten = Some(error);
            }
        }
    }
    (folders, unwritten)
}

/// The scenarios that are made for the bugs of this sweep, as far as they are not part of it.
fn hints(arguments: &Arguments, options: &SweepOptions) -> Vec<String> {
    let planted = Library::new(&arguments.library).planted().unwrap_or_default();
    let made_for = |plant: &Quirk| {
        let is_for = |named: &&Named| named.scenario.quirks().iter().any(|quirk| quirk == *plant);
        planted.iter().find(is_for).map(|named| (named.path.clone(), *plant))
    };
    let is_new = |(path, _): &(String, Quirk)| options.scenarios.iter().all(|named| named.path != *path);
    let found = arguments.plant.iter().filter_map(made_for).filter(is_new);
    found.map(|(path, plant)| format!("nothing failed; {path} is made for {plant}")).collect()
}

fn print_sweep(
    result: &Sweep,
    options: &SweepOptions,
    folders: &[Option<PathBuf>],
    (hints, exit): (&[String], Exit),
) -> Result<(), Unwritten> {
    for (failure, folder) in result.failures.iter().zip(folders) {
        say(failure_text(failure, result.runs, folder.as_deref(), options))?;
    }
    if let Some((scenario, seed, first, second)) = &result.nondeterminism {
        say(format_args!(
            "NONDETERMINISM {scenario} seed {seed}: digests {} and {}",
            show::digest(*first),
            show::digest(*second)
        ))?;
    }
    if let Some((seed, path, why)) = &result.first_undecided {
        say(format_args!("UNDECIDED {path} seed {seed}: {why}; of {} such runs the smallest seed", result.undecided))?;
    }
    for what in coverage::missing(result, options) {
        say(format_args!("never exercised: {what}"))?;
    }
    let (cpu, _) = show::resources();
    let per_cpu = |count: u64| count as f64 / cpu.as_secs_f64().max(1e-9);
    say(format_args!(
        "{} runs: {} passed, {} failed{}, {} undecided{}",
        result.runs,
        result.passed,
        result.failed,
        match result.failures.len() {
            0 => String::new(),
            1 => " in one way".to_owned(),
            ways => format!(" in {ways} ways"),
        },
        result.undecided,
        if result.partial { ", cut short" } else { "" },
    ))?;
    say(format_args!(
        "{} events, {} messages, {} operations, {:.1} virtual hours in {:.1} s; {:.0} events and {:.1} seeds per CPU-second",
        result.events,
        result.messages,
        result.operations,
        result.virtual_time.as_secs_f64() / 3600.0,
        result.wall.as_secs_f64(),
        per_cpu(result.events),
        per_cpu(result.runs),
    ))?;
    let doses: Vec<String> = result.doses.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    say(format_args!("faults: {}", if doses.is_empty() { "none".to_owned() } else { doses.join(", ") }))?;
    if let Some([p50, p99, most]) = settle_times(result) {
        say(format_args!("from the end of faults to quiet: p50 {p50:.2} s, p99 {p99:.2} s, most {most:.2} s"))?;
    }
    say(format_args!("digest {}", show::digest(result.digest)))?;
    for hint in hints.iter().filter(|_| result.failed == 0) {
        say(hint)?;
    }
    say(exit.word().to_uppercase())
}

fn failure_text(failure: &Failure, runs: u64, folder: Option<&Path>, options: &SweepOptions) -> String {
    let replay = replay(failure, options);
    let told = match &failure.finished {
        Some(finished) => {
            let plan = plan_of(&failure.named, failure.seed, options.quirks);
            show::failure(&finished.outcome, &evidence::of_run(&plan, finished), &replay, folder)
        }
        None => format!("FAILED {}\nreplay: {replay}\n", failure.signature),
    };
    let scenarios = match failure.runs_of.len() {
        1 => format!("of {}", failure.named.name),
        several => format!("in {several} scenarios"),
    };
    let (count, seed) = (failure.count, failure.seed);
    format!("{told}{count} of {runs} runs fail this way, {scenarios}; seed {seed} is the smallest\n")
}

fn replay(failure: &Failure, options: &SweepOptions) -> String {
    let plants: Vec<Quirk> = options.quirks.iter().collect();
    show::replay(&failure.named, failure.seed, &plants)
}

fn settle_times(result: &Sweep) -> Option<[f64; 3]> {
    let mut times = result.settle_times.clone();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
    (!times.is_empty()).then(|| [at(50), at(99), at(100)])
}

fn sweep_json(result: &Sweep, options: &SweepOptions, exit: Exit) -> serde_json::Value {
    let (cpu, peak) = show::resources();
    let failures: Vec<serde_json::Value> = result
        .failures
        .iter()
        .map(|failure| {
            json!({
                "scenario": failure.named.name,
                "seed": failure.seed,
                "property": failure.property,
                "signature": failure.signature,
                "count": failure.count,
                "runs_of": failure.runs_of,
                "replay": replay(failure, options),
            })
        })
        .collect();
    json!({
        "verdict": exit.word(),
        "runs": result.runs,
        "passed": result.passed,
        "failed": result.failed,
        "undecided": result.undecided,
        "first_undecided": result.first_undecided.as_ref().map(|(seed, scenario, why)| {
            json!({ "scenario": scenario, "seed": seed, "why": why })
        }),
        "partial": result.partial,
        "events": result.events,
        "messages": result.messages,
        "operations": result.operations,
        "virtual_seconds": show::seconds(result.virtual_time),
        "cpu_seconds": show::seconds(cpu),
        "wall_seconds": show::seconds(result.wall),
        "peak_rss_bytes": peak,
        "events_per_cpu_second": result.events as f64 / cpu.as_secs_f64().max(1e-9),
        "seeds_per_cpu_second": result.runs as f64 / cpu.as_secs_f64().max(1e-9),
        "digest": show::digest(result.digest),
        "exercised": result.exercised,
        "never_exercised": coverage::missing(result, options),
        "failures": failures,
    })
}

/// Progress: a bar on a terminal, a line now and then elsewhere.
struct Reporter {
    bar: Option<ProgressBar>,
    began: Instant,
    printed: AtomicU64,
}

impl Reporter {
    fn new() -> Reporter {
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} seeds  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0).with_style(style));
        Reporter { bar, began: Instant::now(), printed: AtomicU64::new(0) }
    }

    fn report(&self, progress: &Progress) {
        let elapsed = self.began.elapsed().as_secs_f64().max(1e-3);
        let seeds = progress.done as f64 / elapsed;
        let hours = progress.virtual_time.as_secs_f64() / 3600.0 / elapsed;
        let message = format!("{seeds:.0} seeds/s  {hours:.1} virtual hours/s  {} failed", progress.failed);
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            return bar.set_message(message);
        }
        let slot = (elapsed / SECONDS_BETWEEN_LINES) as u64;
        if self.printed.fetch_max(slot, Ordering::Relaxed) < slot {
            complain(format_args!("{}/{} seeds  {message}", progress.done, progress.total));
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn parse_partition(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("\"{text}\" is no partition: expected slice:m/n with 1 ≤ m ≤ n ≤ {SHARES_MAX}");
    let (m, n) = text.strip_prefix("slice:").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let (m, n): (u64, u64) = (m.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
    if m < 1 || m > n || n > SHARES_MAX { Err(wrong()) } else { Ok((m, n)) }
}

fn parse_seeds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number of seeds: expected 0 to {}", u64::MAX))
}

fn parse_limit(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no time limit: expected a number and ms, s, m or h");
    crate::scenario::text::parse_duration(text).ok_or_else(wrong)
}

/// A ratio from 0 to 1 as numerator and denominator.
fn parse_ratio(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("\"{text}\" is no ratio: expected a number from 0 to 1, such as 0.05");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let millionths: u64 = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
    match whole {
        0 => Ok((millionths, MILLION)),
        1 if millionths == 0 => Ok((MILLION, MILLION)),
        _ => Err(wrong()),
    }
}

const MILLION: u64 = 1_000_000;

/// Without a terminal, a line of progress this often.
const SECONDS_BETWEEN_LINES: f64 = 5.0;
