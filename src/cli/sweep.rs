//! `kraftbed sweep SCENARIO… --seeds N`: many seeds over many scenarios, and a verdict.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "commands have a clock and a terminal")]

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::campaign::sweep::plan_of;
use crate::campaign::{Failure, Library, Progress, Sweep, SweepOptions, coverage, results, sweep};
use crate::cli::show;
use crate::outcome::Exit;
use crate::quirk::{Quirk, Quirks};

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Scenarios: files, folders, or bare names. All of the library but the planted ones unless given.
    scenarios: Vec<String>,
    /// Runs in all, dealt in turn over the scenarios.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed: decimal, 0x…, or a git hash.
    #[arg(long, default_value = "1", value_parser = show::parse_seed)]
    seed_base: u64,
    /// Worlds at a time; one per processor unless given.
    #[arg(long, short = 'j', value_parser = parse_jobs)]
    jobs: Option<usize>,
    /// Run every n-th run only, beginning with the m-th: slice:m/n.
    #[arg(long, value_parser = parse_partition, default_value = "slice:1/1")]
    partition: (u64, u64),
    /// Begin no run after this long, such as 90s or 5m.
    #[arg(long, value_parser = parse_limit)]
    time_limit: Option<Duration>,
    /// Switch a planted bug on in every run.
    #[arg(long, value_parser = show::parse_plant)]
    plant: Vec<Quirk>,
    /// Run this share of the seeds twice and compare: a ratio from 0 to 1.
    #[arg(long, num_args = 0..=1, default_value = "0.05", default_missing_value = "1", value_parser = parse_ratio)]
    check_determinism: (u64, u64),
    /// Which seeds' results to keep: the smallest of each failure, or those of every failure and pass.
    #[arg(long, value_parser = ["failures", "all"], default_value = "failures")]
    keep: String,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
    /// Where the scenario files are.
    #[arg(long = "library", default_value = "scenarios")]
    library: String,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    results::silence_panics();
    let interrupted = catch_signals()?;
    let options = options(arguments)?;
    if options.scenarios.is_empty() || options.seeds == 0 {
        eprintln!("kraftbed: nothing to run");
        return Ok(Exit::NothingSelected);
    }
    let reporter = Reporter::new(options.seeds);
    let result = sweep(&options, &interrupted.flag, &|progress| reporter.report(progress));
    reporter.clear();
    if let Some(error) = result.unwritten {
        return Err(error.into());
    }
    let folders = keep(&options, &result)?;
    let exit = match interrupted.signal.load(Ordering::Relaxed) {
        0 => result.exit(),
        signal => Exit::of_signal(signal),
    };
    let exit =
        if exit == Exit::Passed && !coverage::missing(&result, &options).is_empty() { Exit::Missed } else { exit };
    match arguments.output.as_str() {
        "json" => println!("{:#}", sweep_json(&result, &options, exit)),
        _ => print_sweep(&result, &options, &folders, exit),
    }
    Ok(exit)
}

/// One world per processor.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn options(arguments: &Arguments) -> Result<SweepOptions, Box<dyn Error>> {
    let library = Library::new(&arguments.library);
    let mut scenarios = Vec::new();
    let everything = vec![arguments.library.clone()];
    let wanted = if arguments.scenarios.is_empty() { &everything } else { &arguments.scenarios };
    for wanted in wanted {
        scenarios.extend(library.find(wanted)?);
    }
    Ok(SweepOptions {
        scenarios,
        seeds: arguments.seeds,
        seed_base: arguments.seed_base,
        jobs: arguments.jobs.unwrap_or_else(default_jobs),
        partition: arguments.partition,
        time_limit: arguments.time_limit,
        quirks: arguments.plant.iter().copied().fold(Quirks::NONE, Quirks::with),
        check_determinism: arguments.check_determinism,
        keep_all_below: (arguments.keep == "all").then(show::results_root),
    })
}

/// Writes the folders of failures.
fn keep(options: &SweepOptions, result: &Sweep) -> Result<Vec<Option<PathBuf>>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for failure in &result.failures {
        let named = options.scenarios.iter().find(|named| named.path == failure.path);
        let folder = match (named, &failure.finished) {
            (Some(named), Some(finished)) => {
                let plan = plan_of(named, failure.seed, options.quirks);
                Some(results::write(&show::results_root(), &plan, finished)?)
            }
            _ => None,
        };
        folders.push(folder);
    }
    Ok(folders)
}

fn print_sweep(result: &Sweep, options: &SweepOptions, folders: &[Option<PathBuf>], exit: Exit) {
    for (failure, folder) in result.failures.iter().zip(folders) {
        print_failure(failure, result.runs, folder.as_ref(), options);
    }
    if let Some((scenario, seed, first, second)) = &result.nondeterminism {
        println!(
            "NONDETERMINISM {scenario} seed {seed}: digests {} and {}",
            show::digest(*first),
            show::digest(*second)
        );
    }
    for what in coverage::missing(result, options) {
        println!("never exercised: {what}");
    }
    let (cpu, _) = show::resources();
    let per_cpu = |count: u64| count as f64 / cpu.as_secs_f64().max(1e-9);
    println!(
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
    );
    println!(
        "{} events, {} messages, {} operations, {:.1} virtual hours in {:.1} s; {:.0} events and {:.1} seeds per CPU-second",
        result.events,
        result.messages,
        result.operations,
        result.virtual_time.as_secs_f64() / 3600.0,
        result.wall.as_secs_f64(),
        per_cpu(result.events),
        per_cpu(result.runs),
    );
    let doses: Vec<String> = result.doses.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    println!("faults: {}", if doses.is_empty() { "none".to_owned() } else { doses.join(", ") });
    if let Some([p50, p99, most]) = settle_times(result) {
        println!("from the end of faults to quiet: p50 {p50:.2} s, p99 {p99:.2} s, most {most:.2} s");
    }
    println!("digest {}", show::digest(result.digest));
    println!("{}", exit.word().to_uppercase());
}

fn print_failure(failure: &Failure, runs: u64, folder: Option<&PathBuf>, options: &SweepOptions) {
    let plants: Vec<Quirk> = options.quirks.iter().collect();
    let replay = show::replay(&failure.path, failure.seed, &plants);
    match &failure.finished {
        Some(finished) => print!("{}", show::failure(finished, &replay, folder.map(PathBuf::as_path))),
        None => println!("FAILED {}\nreplay: {replay}", failure.signature),
    }
    let scenarios = match failure.runs_of.len() {
        1 => format!("of {}", failure.scenario),
        several => format!("in {several} scenarios"),
    };
    println!("{} of {runs} runs fail this way, {scenarios}; seed {} is the smallest\n", failure.count, failure.seed);
}

fn settle_times(result: &Sweep) -> Option<[f64; 3]> {
    let mut times = result.settle_times.clone();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
    (!times.is_empty()).then(|| [at(50), at(99), at(100)])
}

fn sweep_json(result: &Sweep, options: &SweepOptions, exit: Exit) -> serde_json::Value {
    let (cpu, peak) = show::resources();
    let plants: Vec<Quirk> = options.quirks.iter().collect();
    let failures: Vec<serde_json::Value> = result
        .failures
        .iter()
        .map(|failure| {
            json!({
                "scenario": failure.scenario,
                "seed": failure.seed,
                "property": failure.property,
                "signature": failure.signature,
                "count": failure.count,
                "runs_of": failure.runs_of,
                "replay": show::replay(&failure.path, failure.seed, &plants),
            })
        })
        .collect();
    json!({
        "verdict": exit.word(),
        "runs": result.runs,
        "passed": result.passed,
        "failed": result.failed,
        "undecided": result.undecided,
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
    fn new(total: u64) -> Reporter {
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} seeds  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(total).with_style(style));
        Reporter { bar, began: Instant::now(), printed: AtomicU64::new(0) }
    }

    fn report(&self, progress: &Progress) {
        let elapsed = self.began.elapsed().as_secs_f64().max(1e-3);
        let seeds = progress.done as f64 / elapsed;
        let hours = progress.virtual_time.as_secs_f64() / 3600.0 / elapsed;
        let message = format!("{seeds:.0} seeds/s  {hours:.1} virtual hours/s  {} failed", progress.failed);
        if let Some(bar) = &self.bar {
            bar.set_position(progress.done);
            return bar.set_message(message);
        }
        let slot = (elapsed / SECONDS_BETWEEN_LINES) as u64;
        if self.printed.fetch_max(slot, Ordering::Relaxed) < slot {
            eprintln!("{}/{} seeds  {message}", progress.done, progress.total);
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a signal left behind.
struct Interrupted {
    flag: std::sync::Arc<AtomicBool>,
    signal: std::sync::Arc<AtomicI32>,
}

/// SIGINT and SIGTERM end a sweep early; a second one ends the process at once.
fn catch_signals() -> Result<Interrupted, std::io::Error> {
    let interrupted = Interrupted { flag: Default::default(), signal: Default::default() };
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    let (flag, number) = (interrupted.flag.clone(), interrupted.signal.clone());
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(128 + signal);
            }
            number.store(signal, Ordering::Relaxed);
            eprintln!("kraftbed: interrupted; what was found so far follows");
        }
    });
    Ok(interrupted)
}

fn parse_partition(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("\"{text}\" is no partition: expected slice:m/n with 1 ≤ m ≤ n");
    let (m, n) = text.strip_prefix("slice:").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let (m, n): (u64, u64) = (m.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
    if m < 1 || m > n { Err(wrong()) } else { Ok((m, n)) }
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    let jobs: usize = text.parse().map_err(|_| format!("\"{text}\" is no number of jobs"))?;
    if jobs == 0 { Err("at least one job is needed".to_owned()) } else { Ok(jobs) }
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
    let ratio = whole * 1_000_000 + millionths;
    if ratio > 1_000_000 { Err(wrong()) } else { Ok((ratio, 1_000_000)) }
}

/// Without a terminal, a line of progress this often.
const SECONDS_BETWEEN_LINES: f64 = 5.0;
