//! `kraftbed serve FILE.properties`: one real node on real ports, as Kafka's `test-raft-server-start.sh` starts one.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::server::load::myself::Plan;
use crate::server::run::serve;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's properties: node.id, listeners, controller.quorum.voters, log.dirs, …
    #[arg(value_name = "FILE.properties")]
    file: PathBuf,
    /// Replaces a property of the file; may be given several times.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
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

/// Serves until SIGTERM or SIGINT, which is success; what stops it otherwise is its last line.
pub fn run(arguments: &Arguments) -> ExitCode {
    match serve(&arguments.file, &arguments.overrides, self_load(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn self_load(arguments: &Arguments) -> Option<Plan> {
    let (throughput, record_bytes) = (arguments.throughput, arguments.record_size as usize);
    arguments.self_load.then_some(Plan { throughput, record_bytes })
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().into(), value.trim().into()))
}
