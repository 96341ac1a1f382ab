//! `kraftbed run SCENARIO [SEED]`: one simulated run; the drawn parameters first, the verdict last.

use std::error::Error;
use std::time::Duration;

use crate::campaign::Library;
use crate::campaign::results;
use crate::campaign::sweep::plan_of;
use crate::cli::show;
use crate::outcome::{Exit, Verdict};
use crate::quirk::{Quirk, Quirks};
use crate::sim::recorder::Trace;
use crate::sim::{RunOptions, run as run_world};
use crate::time::Instant;
use crate::trace::timeline;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A scenario, by path or bare name.
    scenario: String,
    /// The seed, as in `--seed`.
    #[arg(value_parser = show::parse_seed, conflicts_with = "seed")]
    positional_seed: Option<u64>,
    /// The seed: decimal, 0x…, or a git hash. 1 unless the scenario pins one.
    #[arg(long, short = 's', value_parser = show::parse_seed)]
    seed: Option<u64>,
    /// Stop at this virtual time, such as 14.207s.
    #[arg(long, value_parser = parse_time)]
    until: Option<Instant>,
    /// Switch a planted bug on, beside the scenario's own.
    #[arg(long, value_parser = show::parse_plant)]
    plant: Vec<Quirk>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
    /// Where the scenario files are.
    #[arg(long, default_value = "scenarios")]
    scenarios: String,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    results::silence_panics();
    let found = Library::new(&arguments.scenarios).find(&arguments.scenario)?;
    let [named] = &found[..] else {
        return Err(
            format!("\"{}\" is a folder of {} scenarios; `run` takes one", arguments.scenario, found.len()).into()
        );
    };
    let asked = arguments.seed.or(arguments.positional_seed);
    if let (Some(_), Some(pinned)) = (asked, named.scenario.seed()) {
        return Err(format!("{} pins seed {pinned}; leave --seed out", named.path).into());
    }
    let seed = asked.or(named.scenario.seed()).unwrap_or(1);
    let quirks = arguments.plant.iter().copied().fold(Quirks::NONE, Quirks::with);
    let plan = plan_of(named, seed, quirks);
    let as_json = arguments.output == "json";
    if !as_json {
        println!("{plan}");
    }
    let finished = run_world(&plan, RunOptions { trace: Trace::Recorded, until: arguments.until });
    let folder = results::write(&show::results_root(), &plan, &finished)?;
    let replay = show::replay(&named.path, seed, &arguments.plant);
    if as_json {
        println!("{:#}", show::outcome_json(&finished.outcome, &replay));
        return Ok(finished.outcome.exit());
    }
    if arguments.trace {
        for event in &finished.outcome.trace {
            println!("{}", timeline::line(event));
        }
    }
    let outcome = &finished.outcome;
    let summary = format!(
        "{} events, {} operations, {} leader changes, {:.1} virtual seconds, digest {}",
        outcome.events,
        outcome.operations,
        outcome.leader_changes,
        outcome.virtual_time.as_secs_f64(),
        show::digest(outcome.digest),
    );
    match &outcome.verdict {
        Verdict::Passed => println!("PASSED {summary}"),
        Verdict::Undecided(why) => println!("UNDECIDED {why}\n{summary}"),
        Verdict::Violated(_) => println!("{}{summary}", show::failure(&finished, &replay, Some(&folder))),
    }
    Ok(outcome.exit())
}

fn parse_time(text: &str) -> Result<Instant, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text);
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let wrong = || format!("\"{text}\" is no virtual time: expected seconds such as 14.207s");
    if fraction.len() > 9 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let nanos: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    Ok(Instant::ZERO + Duration::from_secs(whole) + Duration::from_nanos(nanos))
}
