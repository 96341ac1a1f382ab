//! `kraftbed producer-perf-test`: Kafka's `kafka-producer-perf-test.sh`, its flags, its lines, and more exact figures.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::campaign::results;
use crate::cli::producer_properties::{Sources, absolute, thread_died};
use crate::cli::stdout::complain;
use crate::prng::Prng;
use crate::server::load::histogram::Percentiles;
use crate::server::load::pace::Pace;
use crate::server::load::payload::{Keys, Source, split};
use crate::server::load::perf::{After, Line, Plan, Summary, run as run_test};

/// What the command takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Note that you must provide exactly one of --record-size, --payload-file or --payload-monotonic."
)]
#[command(group = clap::ArgGroup::new("payload").required(true).args(["record_size", "payload_file", "payload_monotonic"]))]
pub struct Arguments {
    /// The server(s) to connect to. This config takes precedence over bootstrap.servers specified via --command-property or
    /// --command-config.
    #[arg(long)]
    bootstrap_server: Option<String>,
    /// Produce records to this topic.
    #[arg(long)]
    topic: String,
    /// Number of records to produce.
    #[arg(long, allow_negative_numbers = true)]
    num_records: i64,
    /// Record size in bytes.
    #[arg(long, allow_negative_numbers = true)]
    record_size: Option<i32>,
    /// File to read the record payloads from. This works only for UTF-8 encoded text files. Payloads will be read from this
    /// file and a payload will be randomly selected when sending records.
    #[arg(long)]
    payload_file: Option<PathBuf>,
    /// Payload is a monotonically increasing integer.
    #[arg(long)]
    payload_monotonic: bool,
    /// Provides the delimiter to be used when --payload-file is provided. Defaults to new line.
    #[arg(long, default_value = "\\n", allow_hyphen_values = true)]
    payload_delimiter: String,
    /// Throttle maximum record throughput to *approximately* THROUGHPUT records/sec. Set this to -1 to disable throttling.
    #[arg(long, allow_negative_numbers = true)]
    throughput: f64,
    /// (DEPRECATED) Kafka producer related configuration properties like client.id. Use --command-property instead.
    #[arg(long, num_args = 1.., value_name = "PROP-NAME=PROP-VALUE")]
    producer_props: Option<Vec<String>>,
    /// Kafka producer related configuration properties like client.id. These configs take precedence over those passed via
    /// --command-config or --producer.config.
    #[arg(long, num_args = 1.., value_name = "PROP-NAME=PROP-VALUE")]
    command_property: Option<Vec<String>>,
    /// (DEPRECATED) Producer config properties file. Use --command-config instead.
    #[arg(long = "producer.config", value_name = "CONFIG-FILE")]
    producer_config: Option<PathBuf>,
    /// Producer config properties file.
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<PathBuf>,
    /// Print out metrics at the end of the test.
    #[arg(long)]
    print_metrics: bool,
    /// The transactional id to use; refused, because there are no transactions here.
    #[arg(long)]
    transactional_id: Option<String>,
    /// The maximum duration of each transaction; refused, because there are no transactions here.
    #[arg(long, allow_negative_numbers = true)]
    transaction_duration_ms: Option<i64>,
    /// The number of records to treat as warmup. These initial records will not be included in steady-state statistics. An
    /// additional summary line will be printed describing the steady-state statistics.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    warmup_records: i64,
    /// Interval in milliseconds at which to print progress info.
    #[arg(long, default_value_t = 5000, allow_negative_numbers = true, value_name = "INTERVAL-MS")]
    reporting_interval: i64,
    /// How many keys there are, with --key-distribution range or random.
    #[arg(long, allow_negative_numbers = true)]
    record_key_range: Option<i32>,
    /// No keys, keys in turn, or random ones.
    #[arg(long, value_enum, ignore_case = true, default_value = "none")]
    key_distribution: KeyDistribution,
    /// The seed of payloads and keys.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    random_seed: i64,
    #[command(flatten)]
    ours: Ours,
}

/// What Kafka's tool does not have.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Not in Kafka's tool")]
struct Ours {
    /// What to print on stdout: Kafka's lines, or one JSON object or CSV row with percentiles in microseconds.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Exit with 1 if any record failed.
    #[arg(long)]
    strict: bool,
    /// Read everything back and compare it with what was acknowledged; exit with 1 if something is wrong.
    #[arg(long)]
    verify: bool,
    /// Measure how fast everything can be read back.
    #[arg(long)]
    consume: bool,
    /// Write what was asked and told into this file, a JSON line each. Values are numbered instead of random.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// So many producers, each with a connection of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Have at most so many records of each producer under way.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KeyDistribution {
    None,
    Range,
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
    Csv,
}

/// Runs it. 0 also when records failed, unless strict; 1 for wrong arguments.
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Err(reason) = check(arguments) {
        complain(format_args!("kafka-producer-perf-test: error: {reason}"));
        return ExitCode::FAILURE;
    }
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(error) => return thread_died(&*error),
    };
    let output = arguments.ours.output;
    if plan.warmup > 0 && output == Output::Text {
        let warmup = plan.warmup;
        say(&format!(
            "Warmup first {warmup} records. Steady state results will print after the complete test summary."
        ));
    }
    let summary = run_test(&plan, Prng::new(plan.seed, 0), &mut |line| match line {
        Line::Progress(text) if output == Output::Text => say(&text),
        Line::Progress(text) | Line::Trouble(text) => complain(format_args!("{text}")),
    });
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => return thread_died(&error),
    };
    if let (Some(file), Some(history)) = (&arguments.ours.history, &summary.history)
        && let Err(error) = results::write_history(file, history.operations())
    {
        return thread_died(&error);
    }
    print(arguments, &summary);
    let is_wrong = summary.report.as_ref().is_some_and(|report| !report.is_clean());
    match is_wrong || arguments.ours.strict && summary.failed > 0 {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// What no parser can say, in Kafka's words.
fn check(arguments: &Arguments) -> Result<(), &'static str> {
    let has_keys = arguments.key_distribution != KeyDistribution::None;
    let rules = [
        (arguments.num_records <= 0, "--num-records should be greater than zero."),
        (
            arguments.warmup_records.max(0) >= arguments.num_records,
            "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.",
        ),
        (arguments.record_size.is_some_and(|size| size <= 0), "--record-size should be greater than zero."),
        (
            arguments.bootstrap_server.is_none() && !arguments.sources().is_any(),
            "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or \
             --command-config must be specified.",
        ),
        (
            arguments.command_property.is_some() && arguments.producer_props.is_some(),
            "--command-property and --producer-props cannot be specified together.",
        ),
        (
            arguments.command_config.is_some() && arguments.producer_config.is_some(),
            "--command-config and --producer.config cannot be specified together.",
        ),
        (
            arguments.transaction_duration_ms.is_some_and(|duration| duration <= 0),
            "--transaction-duration-ms should be greater than zero.",
        ),
        (arguments.reporting_interval <= 0, "--reporting-interval should be greater than zero."),
        (
            has_keys && arguments.record_key_range.is_none_or(|range| range <= 0),
            "--record-key-range should be greater than zero when --key-distribution is range or random.",
        ),
        (
            arguments.ours.history.is_some() && arguments.payload_file.is_some(),
            "--history needs values that differ: use --record-size or --payload-monotonic.",
        ),
    ];
    rules.into_iter().find(|(is_broken, _)| *is_broken).map_or(Ok(()), |(_, reason)| Err(reason))
}

fn plan(arguments: &Arguments) -> Result<Plan, Box<dyn std::error::Error>> {
    let source = source(arguments)?;
    let properties = arguments.sources().read("perf-producer-client")?;
    let has_transactions = arguments.transactional_id.is_some() || arguments.transaction_duration_ms.is_some();
    if has_transactions || properties.find("transactional.id").is_some() {
        return Err("org.apache.kafka.common.errors.UnsupportedVersionException: there are no transactions here".into());
    }
    let keys = arguments.record_key_range.map_or(0, |range| range as u32);
    Ok(Plan {
        settings: properties.settings(&arguments.topic)?,
        clients: arguments.ours.clients,
        records: arguments.num_records as u64,
        warmup: arguments.warmup_records.max(0) as u64,
        pace: Pace::of(arguments.throughput),
        in_flight_records_max: arguments.ours.in_flight,
        time_limit: None,
        source,
        keys: match arguments.key_distribution {
            KeyDistribution::None => Keys::None,
            KeyDistribution::Range => Keys::Range(keys),
            KeyDistribution::Random => Keys::Random(keys),
        },
        seed: arguments.random_seed as u64,
        interval_ms: arguments.reporting_interval as u64,
        after: After {
            verify: arguments.ours.verify,
            consume: arguments.ours.consume,
            history: arguments.ours.history.is_some(),
        },
    })
}

fn source(arguments: &Arguments) -> Result<Source, Box<dyn std::error::Error>> {
    if arguments.ours.history.is_some() {
        return Ok(Source::Named(arguments.record_size.unwrap_or(0) as usize));
    }
    if let Some(size) = arguments.record_size {
        return Ok(Source::Letters(size as usize));
    }
    let Some(file) = &arguments.payload_file else { return Ok(Source::Numbers) };
    say(&format!("Reading payloads from: {}", absolute(file).display()));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if text.is_empty() {
        return Err("java.lang.IllegalArgumentException: File does not exist or empty file provided.".into());
    }
    let delimiter = if arguments.payload_delimiter == "\\n" { "\n" } else { &arguments.payload_delimiter };
    let texts = split(&text, delimiter);
    say(&format!("Number of messages read: {}", texts.len()));
    Ok(Source::Texts(texts))
}

impl Arguments {
    fn sources(&self) -> Sources<'_> {
        Sources {
            bootstrap_server: self.bootstrap_server.as_deref(),
            old_pairs: self.producer_props.as_deref(),
            pairs: self.command_property.as_deref(),
            old_file: self.producer_config.as_deref().map(Path::new),
            file: self.command_config.as_deref().map(Path::new),
        }
    }
}

fn print(arguments: &Arguments, summary: &Summary) {
    match arguments.ours.output {
        Output::Json => return say(&json_of(summary)),
        Output::Csv => return csv_of(summary).iter().for_each(say),
        Output::Text => {}
    }
    if let Some(consumed) = &summary.consumed {
        let seconds = consumed.took.as_secs_f64();
        let (records, megabytes) = (consumed.records as f64, consumed.bytes as f64 / MEGABYTE);
        say(&format!(
            "{} records read, {:.1} records/sec ({:.2} MB/sec), {} fetches.",
            consumed.records,
            records / seconds,
            megabytes / seconds,
            consumed.fetches
        ));
    }
    if let Some(report) = &summary.report {
        say(&format!("{}: {report}", if report.is_clean() { "verified" } else { "VIOLATED" }));
    }
    summary.totals.iter().for_each(say);
    if arguments.print_metrics {
        metrics(summary);
    }
}

/// Some of the figures of Kafka's producer, under its names. (Kafka: `ToolsUtils.printMetrics`.)
fn metrics(summary: &Summary) {
    let counters = &summary.counters;
    let per_request = |figure: u64| figure as f64 / counters.requests.max(1) as f64;
    let rows = [
        ("batch-size-avg", format!("{:.3}", per_request(counters.batch_bytes))),
        ("record-error-total", format!("{:.3}", summary.failed as f64)),
        ("record-send-total", format!("{:.3}", (summary.acked + summary.failed) as f64)),
        ("records-per-request-avg", format!("{:.3}", per_request(summary.acked + summary.failed))),
        ("request-total", format!("{:.3}", counters.requests as f64)),
        ("requests-retried-total", format!("{:.3}", counters.retries as f64)),
    ];
    let names: Vec<String> = rows.iter().map(|(name, _)| format!("producer-metrics:{name}:{{}}")).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    say(&format!("\n{:<width$}   Value", "Metric Name"));
    for (name, (_, value)) in names.iter().zip(&rows) {
        say(&format!("{name:<width$} : {value}"));
    }
}

fn json_of(summary: &Summary) -> String {
    let seconds = summary.took.as_secs_f64();
    let mut object = json!({
        "records": summary.acked,
        "failed": summary.failed,
        "bytes": summary.bytes,
        "seconds": seconds,
        "records_per_second": summary.acked as f64 / seconds,
        "mb_per_second": summary.bytes as f64 / seconds / MEGABYTE,
        "latency": percentiles(&summary.latencies),
        "corrected": summary.corrected.as_ref().map(percentiles),
        "requests": summary.counters.requests,
        "retries": summary.counters.retries,
        "disconnects": summary.counters.disconnects,
        "records_per_request": summary.acked as f64 / summary.counters.requests.max(1) as f64,
    });
    if let Some(report) = &summary.report {
        object["verify"] = json!({
            "clean": report.is_clean(),
            "acked": report.acked,
            "found": report.found,
            "missing": report.missing,
            "duplicated": report.duplicated,
            "misplaced": report.misplaced,
            "reordered": report.reordered,
            "forged": report.forged,
            "surfaced": report.surfaced,
            "foreign": report.foreign,
            "first_wrong": report.first_wrong,
        });
    }
    if let Some(consumed) = &summary.consumed {
        let seconds = consumed.took.as_secs_f64();
        object["consume"] = json!({
            "records": consumed.records,
            "bytes": consumed.bytes,
            "seconds": seconds,
            "records_per_second": consumed.records as f64 / seconds,
            "mb_per_second": consumed.bytes as f64 / seconds / MEGABYTE,
            "fetches": consumed.fetches,
        });
    }
    object.to_string()
}

fn percentiles(of: &Percentiles) -> Value {
    json!({
        "mean_us": of.mean_us, "p50_us": of.p50_us, "p75_us": of.p75_us, "p95_us": of.p95_us, "p99_us": of.p99_us,
        "p999_us": of.p999_us, "p9999_us": of.p9999_us, "max_us": of.max_us,
    })
}

fn csv_of(summary: &Summary) -> [String; 2] {
    let seconds = summary.took.as_secs_f64();
    let (latency, corrected) = (&summary.latencies, &summary.corrected);
    let corrected =
        |figure: fn(&Percentiles) -> u64| corrected.as_ref().map_or(String::new(), |of| figure(of).to_string());
    let columns: [(&str, String); 17] = [
        ("records", summary.acked.to_string()),
        ("failed", summary.failed.to_string()),
        ("bytes", summary.bytes.to_string()),
        ("seconds", format!("{seconds:.3}")),
        ("records_per_second", format!("{:.1}", summary.acked as f64 / seconds)),
        ("mb_per_second", format!("{:.2}", summary.bytes as f64 / seconds / MEGABYTE)),
        ("mean_us", format!("{:.1}", latency.mean_us)),
        ("p50_us", latency.p50_us.to_string()),
        ("p95_us", latency.p95_us.to_string()),
        ("p99_us", latency.p99_us.to_string()),
        ("p999_us", latency.p999_us.to_string()),
        ("max_us", latency.max_us.to_string()),
        ("corrected_p50_us", corrected(|of| of.p50_us)),
        ("corrected_p99_us", corrected(|of| of.p99_us)),
        ("corrected_p999_us", corrected(|of| of.p999_us)),
        ("corrected_max_us", corrected(|of| of.max_us)),
        ("requests", summary.counters.requests.to_string()),
    ];
    [columns.each_ref().map(|(name, _)| *name).join(","), columns.map(|(_, value)| value).join(",")]
}

/// A line on stdout. A reader that has gone away is no reason to stop.
fn say(line: &(impl Display + ?Sized)) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The tool in Kafka's words.
pub const LONG_ABOUT: &str = "This tool is used to verify the producer performance.";

/// Kafka's tools say MB and mean 2²⁰ bytes.
const MEGABYTE: f64 = 1024.0 * 1024.0;
