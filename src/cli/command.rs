//! The command line: which commands there are, and what each one calls.

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::bench;
use crate::cli::check;
use crate::cli::dump_log;
use crate::cli::export;
use crate::cli::hunt;
use crate::cli::list;
use crate::cli::merge;
use crate::cli::names;
use crate::cli::producer_perf_test;
use crate::cli::quorum;
use crate::cli::report;
use crate::cli::run;
use crate::cli::serve;
use crate::cli::stdout::complain;
use crate::cli::storage;
use crate::cli::sweep;
use crate::cli::torture;
use crate::cli::verifiable_producer;
use crate::outcome::Exit;

/// Kafka Raft as a deterministic simulation testbed.
#[derive(Debug, Parser)]
#[command(name = "kraftbed", version, about, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One simulated run from (scenario, seed).
    Run(run::Arguments),
    /// Many seeds over many scenarios.
    Sweep(sweep::Arguments),
    /// The results of shards joined into one.
    Merge(merge::Arguments),
    /// A run that was kept, for other tools.
    Export(export::Arguments),
    /// Plants every known bug in turn and shows what catches it, and how soon.
    Hunt(hunt::Arguments),
    /// A run that was kept, or a recorded history, as one page.
    Report(report::Arguments),
    /// Are recorded histories linearizable?
    Check(check::Arguments),
    /// What exists, a line each.
    List(list::Arguments),
    /// One real node on real ports.
    Serve(serve::Arguments),
    /// Measures how fast records are taken: Kafka's kafka-producer-perf-test.sh.
    #[command(long_about = producer_perf_test::LONG_ABOUT)]
    ProducerPerfTest(Box<producer_perf_test::Arguments>),
    /// Produces increasing integers, and says what became of each: Kafka's kafka-verifiable-producer.sh.
    #[command(long_about = verifiable_producer::LONG_ABOUT)]
    VerifiableProducer(verifiable_producer::Arguments),
    /// What is in segments and indexes, as kafka-dump-log.sh prints it.
    DumpLog(dump_log::Arguments),
    /// Formats a data directory and says what is in it, as kafka-storage.sh does.
    Storage(storage::Arguments),
    /// A local quorum in one command; what kafka-metadata-quorum.sh says of any.
    Quorum(quorum::Arguments),
    /// A real quorum under load, killed, stopped, wiped, cut and pestered by strangers; checked after every round.
    Torture(torture::Arguments),
    /// Measures a real quorum beside the machine's limits.
    Bench(bench::Arguments),
    /// One process of what `bench` measures beside a quorum.
    #[command(hide = true)]
    BenchFloor(bench::FloorArguments),
}

/// Parses the command line, runs the command, and says how the process is to end.
#[expect(clippy::disallowed_methods, reason = "the command line is read here")]
pub fn main() -> ExitCode {
    let line = names::translate(std::env::args_os().collect());
    if line.asks_for_help() {
        return line.help(Arguments::command());
    }
    match Arguments::try_parse_from(&line.words) {
        Ok(arguments) => run(arguments.command),
        Err(error) => line.refuse(&error),
    }
}

fn run(command: Command) -> ExitCode {
    match command {
        Command::Run(arguments) => ended(run::run(&arguments)),
        Command::Sweep(arguments) => ended(sweep::run(&arguments)),
        Command::Merge(arguments) => ended(merge::run(&arguments)),
        Command::Export(arguments) => ended(export::run(&arguments)),
        Command::Hunt(arguments) => ended(hunt::run(&arguments)),
        Command::Report(arguments) => ended(report::run(&arguments)),
        Command::Check(arguments) => ended(check::run(&arguments)),
        Command::List(arguments) => ended(list::run(&arguments)),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::ProducerPerfTest(arguments) => producer_perf_test::run(&arguments),
        Command::VerifiableProducer(arguments) => verifiable_producer::run(&arguments),
        Command::DumpLog(arguments) => dump_log::run(&arguments),
        Command::Storage(arguments) => storage::run(&arguments),
        Command::Quorum(arguments) => quorum::run(&arguments),
        Command::Torture(arguments) => ended(torture::run(&arguments)),
        Command::Bench(arguments) => ended(bench::run(&arguments)),
        Command::BenchFloor(arguments) => bench::run_floor(&arguments),
    }
}

/// A command of our own ends with one of our codes.
fn ended(exit: Result<Exit, Box<dyn Error>>) -> ExitCode {
    let usage = |error| {
        complain(format_args!("kraftbed: {error}"));
        Exit::Usage
    };
    exit.unwrap_or_else(usage).into()
}

const AFTER_HELP: &str = "\
Exit codes: 0 allowed, 1 safety violated, 2 usage or scenario error, 3 undecided, 4 nothing selected, 5 no progress,
6 nondeterminism, 7 threshold or coverage missed, 101 panic of the testbed, 130/143 interrupted.";
