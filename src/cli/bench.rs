//! `kraftbed bench`: a real quorum under fixed loads, beside the machine's limits.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::error::Error;
use std::fs;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::campaign::bench::compare::{Threshold, name, worse};
use crate::campaign::bench::limits::Limits;
use crate::campaign::bench::{Checked, Load, Measured, Options, Row, bench, floor};
use crate::campaign::check::Verdict;
use crate::cli::serve::key_and_value;
use crate::cli::show;
use crate::cli::stdout::{Unwritten, complain, say};
use crate::outcome::Exit;
use crate::scenario::text::parse_duration;
use crate::server::clock::wall;
use crate::server::signals::Signals;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Sizes of quorums.
    #[arg(long, value_delimiter = ',', default_value = "3,1", value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: Vec<u16>,
    /// Bytes of a record's value.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1024", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    record_bytes: Vec<u32>,
    /// Records under way at a time, or RECORDS/CLIENTS.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000,16000,64/64,1000/250", value_parser = parse_load)]
    in_flight: Vec<Load>,
    /// How long each load is measured.
    #[arg(long, default_value = "2s", value_parser = parse_time)]
    time: Duration,
    /// How often each load is measured, in turn with the floor; the medians count.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Bytes of a producer's batch (batch.size).
    #[arg(long, default_value_t = 131_072)]
    batch_bytes: u32,
    /// Port of the first node; the others follow it, and metrics 100 above.
    #[arg(long, default_value_t = 29_092, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: u16,
    /// A property for every node; may be given several times.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
    /// An earlier result: what is worse by more than the tolerance is exit code 7.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// How much worse a figure may be than in the earlier result.
    #[arg(long, default_value = "10%", value_parser = parse_percent, requires = "compare")]
    tolerance: f64,
    /// A bound that every row must keep, such as 'p99<30ms' or 'throughput>1MB/s'; may be given several times.
    #[arg(long, value_name = "BOUND", value_parser = Threshold::parse)]
    threshold: Vec<Threshold>,
    /// Write a history of each load, reads included, and check it; exit with 1 if no log could have given these answers. (It
    /// takes some of the client's time.)
    #[arg(long)]
    check: bool,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
}

/// Arguments of one process of the floor.
#[derive(Debug, clap::Args)]
pub struct FloorArguments {
    #[arg(value_parser = ["lead", "follow"])]
    role: String,
    #[arg(long)]
    file: PathBuf,
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long, default_value_t = 1)]
    nodes: u16,
    #[arg(long, default_value_t = 5)]
    frame_bytes: usize,
}

/// Runs one process of the floor.
pub fn run_floor(arguments: &FloorArguments) -> ExitCode {
    let done = match arguments.role.as_str() {
        "lead" => floor::lead(&arguments.file, arguments.nodes, arguments.frame_bytes),
        _ => floor::follow(arguments.port, &arguments.file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("kraftbed bench-floor: {}: {error}", arguments.file.display()));
            ExitCode::FAILURE
        }
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let old = arguments.compare.as_deref().map(read_result).transpose()?;
    let folder = show::results_root().join("bench");
    let directory = std::path::absolute(folder.join(format!("data-{}", std::process::id())))?;
    let options = Options {
        nodes: arguments.nodes.clone(),
        record_bytes: arguments.record_bytes.iter().map(|&bytes| bytes as usize).collect(),
        loads: arguments.in_flight.clone(),
        seconds: arguments.time,
        rounds: arguments.rounds as usize,
        batch_bytes: arguments.batch_bytes as usize,
        base_port: arguments.base_port,
        overrides: arguments.overrides.clone(),
        directory: directory.clone(),
        check: arguments.check,
    };
    let bar = progress();
    // Quorums and floors are processes of their own, which must end with this one.
    let mut signals = Signals::catch()?;
    let mut is_interrupted = false;
    let measured = bench(&options, |what, done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_owned());
        if bar.is_hidden() {
            complain(format_args!("{done}/{total} {what}"));
        }
        is_interrupted |= signals.take() > 0;
        if is_interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let _ = fs::remove_dir_all(&directory);
    let measured = measured?;
    let is_violated = measured.rows.iter().any(Row::is_violated);
    let result = result_json(&measured);
    let file = folder.join(format!("{}.json", wall().0));
    fs::write(&file, format!("{result:#}\n")).map_err(|error| format!("{}: {error}", file.display()))?;

    let mut misses: Vec<String> = Vec::new();
    for threshold in &arguments.threshold {
        let missed = threshold.missed(&result);
        complain(format_args!("{} {}", if missed.is_empty() { "✓" } else { "✗" }, threshold.text));
        misses.extend(missed);
    }
    if let Some(old) = &old {
        misses.extend(worse(&result, old, arguments.tolerance)?);
    }
    match arguments.output.as_str() {
        "json" => say(format_args!("{result:#}"))?,
        _ => print(&result, &file)?,
    }
    misses.iter().for_each(|miss| complain(format_args!("missed: {miss}")));
    Ok(match (is_interrupted, misses.is_empty()) {
        _ if is_violated => Exit::Violated,
        (true, _) => Exit::of_signal(signals.number()),
        (false, true) => Exit::Passed,
        (false, false) => Exit::Missed,
    })
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {elapsed}");
    ProgressBar::new(1).with_style(style.expect("invariant: the template is constant"))
}

fn read_result(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("--compare {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("--compare {}: {error}", path.display()))
}

fn result_json(measured: &Measured) -> Value {
    let Limits { fdatasync_p50_us, fdatasync_per_second, loopback_round_trip_p50_us, sequential_write_mb_per_second } =
        measured.limits;
    json!({
        "version": 1,
        "partial": measured.is_partial,
        "limits": {
            "fdatasync_p50_us": fdatasync_p50_us,
            "fdatasync_per_second": fdatasync_per_second,
            "loopback_round_trip_p50_us": loopback_round_trip_p50_us,
            "sequential_write_mb_per_second": sequential_write_mb_per_second,
        },
        "rows": measured.rows.iter().map(row_json).collect::<Vec<Value>>(),
        "floor": measured.floor.iter().map(row_json).collect::<Vec<Value>>(),
    })
}

fn row_json(row: &Row) -> Value {
    json!({
        "nodes": row.nodes,
        "record_bytes": row.record_bytes,
        "in_flight": row.load.in_flight,
        "clients": row.load.clients,
        "records": row.records,
        "seconds": row.seconds,
        "records_per_second": row.records_per_second(),
        "mb_per_second": row.mb_per_second(),
        "p50_us": row.latencies.p50_us,
        "p95_us": row.latencies.p95_us,
        "p99_us": row.latencies.p99_us,
        "p999_us": row.latencies.p999_us,
        "max_us": row.latencies.max_us,
        "records_per_request": row.records_per_request(),
        "syncs": row.syncs,
        "cpu_seconds": row.cpu_seconds,
        "check": row.checked.as_ref().map(check_json),
    })
}

fn check_json(Checked { operations, seconds, verdict }: &Checked) -> Value {
    let (word, message) = match verdict {
        Verdict::Linearizable => ("linearizable", None),
        Verdict::NotLinearizable { message, .. } => ("not_linearizable", Some(message)),
        Verdict::Undecided { why } => ("undecided", Some(why)),
    };
    json!({ "operations": operations, "seconds": seconds, "verdict": word, "message": message })
}

fn print(result: &Value, file: &Path) -> Result<(), Unwritten> {
    let limits = &result["limits"];
    say(format_args!(
        "limits: fdatasync p50 {} us, {:.0}/s; loopback round trip p50 {} us; sequential write {:.0} MB/s",
        limits["fdatasync_p50_us"],
        limits["fdatasync_per_second"].as_f64().unwrap_or(0.0),
        limits["loopback_round_trip_p50_us"],
        limits["sequential_write_mb_per_second"].as_f64().unwrap_or(0.0)
    ))?;
    say(format_args!(
        "{:<42} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>7} {:>6}  {:>10} {:>8} {:>6} {:>6}",
        "load",
        "records/s",
        "MB/s",
        "p50 us",
        "p95 us",
        "p99 us",
        "p99.9 us",
        "max us",
        "rec/req",
        "syncs/s",
        "cpu",
        "floor/s",
        "its p50",
        "rate",
        "p50"
    ))?;
    let none = Vec::new();
    let rows = result["rows"].as_array().unwrap_or(&none).iter();
    for (row, floor) in rows.zip(result["floor"].as_array().unwrap_or(&none)) {
        let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or(0.0);
        let seconds = number(row, "seconds");
        say(format_args!(
            "{:<42} {:>10.0} {:>8.2} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8.1} {:>7.0} {:>6.2}  {:>10.0} {:>8} {:>6.2} {:>6.2}",
            name(row),
            number(row, "records_per_second"),
            number(row, "mb_per_second"),
            number(row, "p50_us"),
            number(row, "p95_us"),
            number(row, "p99_us"),
            number(row, "p999_us"),
            number(row, "max_us"),
            number(row, "records_per_request"),
            number(row, "syncs") / seconds,
            number(row, "cpu_seconds") / seconds,
            number(floor, "records_per_second"),
            number(floor, "p50_us"),
            number(row, "records_per_second") / number(floor, "records_per_second"),
            number(row, "p50_us") / number(floor, "p50_us").max(1.0)
        ))?;
    }
    for row in result["rows"].as_array().unwrap_or(&none).iter().filter(|row| row["check"].is_object()) {
        let check = &row["check"];
        let (verdict, message) = (check["verdict"].as_str().unwrap_or(""), check["message"].as_str());
        let message = message.map_or(String::new(), |message| format!(": {message}"));
        let seconds = check["seconds"].as_f64().unwrap_or(0.0);
        let operations = &check["operations"];
        say(format_args!("{}: {verdict}, {operations} operations checked in {seconds:.3} s{message}", name(row)))?;
    }
    say(format_args!("cpu is in cores, all processes together; the last two columns are shares of the floor"))?;
    say(format_args!("result: {}", file.display()))
}

fn parse_load(text: &str) -> Result<Load, String> {
    let wrong = || format!("expected RECORDS or RECORDS/CLIENTS, found {text}");
    let (records, clients) = text.split_once('/').unwrap_or((text, "1"));
    let load =
        Load { in_flight: records.parse().map_err(|_| wrong())?, clients: clients.parse().map_err(|_| wrong())? };
    let is_sound = load.clients > 0 && load.clients <= 10_000 && load.in_flight >= u64::from(load.clients);
    if is_sound { Ok(load) } else { Err(format!("expected at least one record for each client, found {text}")) }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let share = number.filter(|number| (0.0..=1000.0).contains(number)).map(|number| number / 100.0);
    share.ok_or_else(|| format!("expected a percentage such as 10%, found {text}"))
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration such as 500ms or 2s, found {text}");
    parse_duration(text).filter(|time| !time.is_zero()).ok_or_else(wrong)
}
