//! `kraftbed serve FILE.properties`: one real node on real ports, as Kafka's `test-raft-server-start.sh` starts one.

use std::path::PathBuf;
use std::process::ExitCode;

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
}

/// Serves until SIGTERM or SIGINT, which is success; what stops it otherwise is its last line.
pub fn run(arguments: &Arguments) -> ExitCode {
    match serve(&arguments.file, &arguments.overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Splits what `--override` is given.
pub fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().into(), value.trim().into()))
}
