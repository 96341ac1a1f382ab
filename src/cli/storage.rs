//! `kraftbed storage format|info|random-uuid`: Kafka's `kafka-storage.sh`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::stdout::{complain, say};
use crate::server::storage::{self, Formatted};

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Format the Kafka log directories on this node.
    Format(Format),
    /// Get information about the Kafka log directories on this node.
    Info(Config),
    /// Print a random UUID.
    RandomUuid,
}

#[derive(Debug, clap::Args)]
struct Config {
    /// The Kafka configuration file to use.
    #[arg(long, short = 'c')]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Format {
    #[command(flatten)]
    config: Config,
    /// The cluster ID to use.
    #[arg(long, short = 't')]
    cluster_id: String,
    /// When this option is passed, the format command will skip over already formatted directories rather than failing.
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The release version to use for the initial feature settings. There are none here: it is accepted and not used.
    #[arg(long, short = 'r', value_name = "RELEASE_VERSION")]
    release_version: Option<String>,
}

/// Runs the action. A problem is 1, as of Kafka's tool.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.action {
        Action::Format(format) => {
            let formatted = if format.ignore_formatted { Formatted::Ignore } else { Formatted::Refuse };
            storage::format(&format.config.config, &format.cluster_id, formatted).map(|line| (line + "\n", true))
        }
        Action::Info(config) => storage::info(&config.config).map(|info| (info.to_string(), info.problems.is_empty())),
        Action::RandomUuid => storage::random_uuid().map(|uuid| (uuid + "\n", true)),
    };
    match done {
        Ok((text, is_well)) => {
            let is_told = say(text.strip_suffix('\n').unwrap_or(&text))
                .inspect_err(|error| complain(format_args!("{error}")))
                .is_ok();
            if is_well && is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}
