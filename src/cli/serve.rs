//! `kraftbed serve`: one real node on real ports, started as Kafka's `test-raft-server-start.sh` of 2020 (a file and
//! overrides) or as today's `test-kraft-server-start.sh` (`--config`).

use std::path::PathBuf;
use std::process::ExitCode;

use crate::ids::DirectoryId;
use crate::server::console::Level;
use crate::server::load::myself::Plan;
use crate::server::run::{Options, serve};

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's properties: node.id, listeners, controller.quorum.voters, log.dirs, …
    #[arg(value_name = "FILE.properties", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as today's Kafka says it.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Id of the data directory: an empty one is given it, any other must have it. Without, a random one is made.
    #[arg(long, value_name = "ID", value_parser = directory_id)]
    replica_directory_id: Option<DirectoryId>,
    /// Replaces a property of the file; may be given several times.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
    /// Which lines of the log go to stderr: debug, info, warn or error.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: Level,
    /// Serves /metrics (Prometheus) and /healthz there.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// While this node leads, it loads itself, and prints throughput and latency every five seconds.
    #[arg(long)]
    self_load: bool,
    /// Records a second of that load.
    #[arg(long, default_value_t = 5000, requires = "self_load", value_parser = clap::value_parser!(u32).range(1..))]
    throughput: u32,
    /// Bytes of one of its records.
    #[arg(long, default_value_t = 256, requires = "self_load", value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(..=4 << 20))]
    record_size: u32,
}

/// Serves until SIGTERM or SIGINT, which is success; what stops it otherwise is its last line and Kafka's exit code, 1.
pub fn run(arguments: &Arguments) -> ExitCode {
    let file = arguments.file.as_ref().or(arguments.config.as_ref()).expect("invariant: clap requires one of the two");
    let options = Options {
        file: file.clone(),
        overrides: arguments.overrides.clone(),
        directory_id: arguments.replica_directory_id,
        log_level: arguments.log_level,
        metrics: arguments.metrics.clone(),
        self_load: self_load(arguments),
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn self_load(arguments: &Arguments) -> Option<Plan> {
    let (throughput, record_bytes) = (arguments.throughput, arguments.record_size as usize);
    arguments.self_load.then_some(Plan { throughput, record_bytes })
}

fn directory_id(text: &str) -> Result<DirectoryId, String> {
    DirectoryId::parse(text).ok_or_else(|| "expected a UUID in 22 characters of base64".into())
}

/// Splits what `--override` is given.
pub fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().into(), value.trim().into()))
}
