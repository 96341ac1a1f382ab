//! `kraftbed quorum start|describe`: a local quorum in one command, and what `kafka-metadata-quorum.sh` says of any.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::serve::key_and_value;
use crate::cli::stdout::{complain, say};
use crate::client::quorum_info::Bootstrap;
use crate::ids::Endpoint;
use crate::server::admin;
use crate::server::clock::wall;
use crate::server::members::{Ended, Plan};
use crate::server::quorum::{Event, watch};

/// What the command takes. Kafka's tool has the servers before the verb; people write them behind it, too.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    servers: Servers,
    #[command(subcommand)]
    action: Action,
}

/// Whom to ask.
#[derive(Debug, clap::Args)]
struct Servers {
    /// A comma-separated list of host:port pairs to use for establishing the connection to the Kafka cluster.
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', value_parser = endpoint, conflicts_with = "bootstrap_controller")]
    bootstrap_server: Vec<Endpoint>,
    /// A comma-separated list of host:port pairs to use for establishing the connection to the Kafka controllers.
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', value_parser = endpoint)]
    bootstrap_controller: Vec<Endpoint>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Starts a local quorum of separate processes and watches it until Ctrl-C.
    Start(Start),
    /// Describe the metadata quorum info
    Describe(Describe),
}

#[derive(Debug, clap::Args)]
struct Start {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    nodes: u16,
    /// Port of the first node; the others follow it.
    #[arg(long, default_value_t = 9092)]
    base_port: u16,
    /// Where properties, logs and data are kept; a quorum that was there before goes on. Default: kraftbed-quorum in the
    /// directory for temporary files.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A property for every node; may be given several times.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
struct Describe {
    #[command(flatten)]
    servers: Servers,
    /// A short summary of the quorum status and the other provides detailed information about the status of replication.
    #[arg(long)]
    status: bool,
    /// Detailed information about the status of replication
    #[arg(long)]
    replication: bool,
    /// Human-readable output
    #[arg(long)]
    human_readable: bool,
}

/// Runs the action. Failure is 1, as of Kafka's tool.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.action {
        Action::Start(_) if !arguments.servers.are_none() => {
            Err("--bootstrap-server and --bootstrap-controller are for describe".into())
        }
        Action::Start(start) => start.run(),
        Action::Describe(describe) => describe.run(&arguments.servers),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

impl Servers {
    fn are_none(&self) -> bool {
        self.bootstrap_server.is_empty() && self.bootstrap_controller.is_empty()
    }
}

impl Start {
    fn run(&self) -> Result<(), String> {
        let directory = self.dir.clone().unwrap_or_else(|| std::env::temp_dir().join("kraftbed-quorum"));
        let directory = std::path::absolute(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let overrides = self.overrides.clone();
        let (nodes, base_port, advertised) = (self.nodes, self.base_port, Vec::new());
        let plan = Plan { nodes, base_port, advertised, metrics_base_port: None, directory, overrides };
        let mut has_led = false;
        let watched = watch(&plan, |event| {
            // A quorum goes on whether or not somebody reads what is said of it.
            let _ = say(describe_event(&event));
            if matches!(event, Event::Leads { .. }) && !has_led {
                has_led = true;
                let _ = say(format_args!("bootstrap.servers={}", plan.bootstrap()));
            }
        });
        watched.map_err(|error| error.to_string())
    }
}

fn describe_event(event: &Event) -> String {
    match event {
        Event::Started { node, endpoint, process, properties } => {
            format!("node {node} on {endpoint}, process {process}: {}", properties.display())
        }
        Event::Leads { node, epoch } => format!("node {node} leads in epoch {epoch}"),
        Event::Died(Ended { node, status, last_line }) => format!("node {node} died, {status}: {last_line}"),
        Event::Stopping => "stopping".into(),
        Event::Stopped { node, status } => format!("node {node} stopped, {status}"),
    }
}

impl Describe {
    fn run(&self, before: &Servers) -> Result<(), String> {
        match (self.status, self.replication) {
            (true, true) => {
                return Err(
                    "Only one of --status or --replication should be specified with describe sub-command".into()
                );
            }
            (false, false) => {
                return Err("One of --status or --replication must be specified with describe sub-command".into());
            }
            (true, false) if self.human_readable => {
                return Err("The option --human-readable is only supported along with --replication".into());
            }
            _ => {}
        }
        let named = [before, &self.servers].map(|servers| {
            let controllers = (&servers.bootstrap_controller, Bootstrap::Controllers);
            [(&servers.bootstrap_server, Bootstrap::Servers), controllers]
        });
        let mut named = named.into_iter().flatten().filter(|(servers, _)| !servers.is_empty());
        let Some((servers, bootstrap)) = named.next() else {
            return Err("one of the arguments --bootstrap-server --bootstrap-controller is required".into());
        };
        if named.next().is_some() {
            return Err("--bootstrap-server and --bootstrap-controller are one argument, to be given once".into());
        }
        let described = admin::describe(servers, bootstrap, API_TIMEOUT);
        let (cluster_id, quorum) = described.map_err(|error| error.to_string())?;
        let text = match self.status {
            true => quorum.status(&cluster_id),
            false => quorum.replication(self.human_readable.then(|| wall().0)),
        };
        let text = text.ok_or_else(|| format!("the leader {} is not among the voters", quorum.leader))?;
        say(text).map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let (host, port) = text.trim().rsplit_once(':').ok_or("expected HOST:PORT")?;
    let port = port.parse().map_err(|_| format!("expected a port, found {port}"))?;
    Ok(Endpoint::new(host.trim_start_matches('[').trim_end_matches(']'), port))
}

/// How long a quorum may take to answer. (Kafka: `default.api.timeout.ms`.)
const API_TIMEOUT: Duration = Duration::from_secs(60);
