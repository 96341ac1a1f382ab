//! `kraftbed run SCENARIO [SEED]`: one simulated run; the drawn parameters first, the verdict last.
#![expect(clippy::disallowed_types, reason = "commands have a clock")]

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::campaign::Library;
use crate::campaign::sweep::plan_of;
use crate::campaign::{evidence, results};
use crate::cli::environment;
use crate::cli::show;
use crate::cli::stdout::{Unwritten, complain, say};
use crate::outcome::{Exit, Outcome, Verdict};
use crate::quirk::{Quirk, Quirks};
use crate::report::junit::{self, Case, Suite};
use crate::scenario::text::parse_duration;
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
    #[arg(value_name = "SEED", value_parser = show::parse_seed, allow_negative_numbers = true, conflicts_with = "seed")]
    positional_seed: Option<u64>,
    /// The seed: decimal, 0x…, or a git hash. 1 unless the scenario pins one.
    #[arg(long, short = 's', value_parser = show::parse_seed, allow_hyphen_values = true)]
    seed: Option<u64>,
    /// Stop at this virtual time, such as 14.207s or 500ms. The result goes to a folder of its own, SEED-until.
    #[arg(long, value_parser = parse_time, allow_hyphen_values = true)]
    until: Option<Instant>,
    /// Give up after so many events, undecided. [default: 100000000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    events_max: Option<u64>,
    /// The digest that this run had elsewhere; another one is nondeterminism.
    #[arg(long, value_name = "DIGEST", value_parser = show::parse_digest, conflicts_with = "until")]
    expect_digest: Option<u64>,
    /// Switch a planted bug on, beside the scenario's own.
    #[arg(long, value_parser = show::parse_plant)]
    plant: Vec<Quirk>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Write what came of it as JUnit's XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long, value_parser = ["text", "json"], default_value = "text")]
    output: String,
    /// Where the scenario files are.
    #[arg(long, alias = "scenarios", value_name = "FOLDER", default_value = "scenarios")]
    library: PathBuf,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    results::silence_panics();
    let found = Library::new(&arguments.library).find(&arguments.scenario)?;
    let [named] = &found[..] else {
        return Err(
            format!("\"{}\" is a folder of {} scenarios; `run` takes one", arguments.scenario, found.len()).into()
        );
    };
    let asked = arguments.seed.or(arguments.positional_seed);
    if let (Some(_), Some(pinned)) = (asked, named.scenario.seed()) {
        return Err(format!("{} pins seed {pinned}; leave --seed out", named.path).into());
    }
    let chosen = match named.scenario.seed() {
        None => environment::SEED.or_flag(asked, show::parse_seed)?,
        pinned => pinned,
    };
    let seed = chosen.unwrap_or(1);
    let quirks = arguments.plant.iter().copied().fold(Quirks::NONE, Quirks::with);
    let plan = plan_of(named, seed, quirks);
    let as_json = arguments.output == "json";
    if !as_json {
        say(&plan)?;
    }
    let began = std::time::Instant::now();
    let (until, events_max) = (arguments.until, arguments.events_max);
    let finished = run_world(&plan, RunOptions { trace: Trace::Recorded, until, events_max });
    let replay = show::replay(named, seed, &arguments.plant);
    let (took, evidence) = (began.elapsed(), evidence::of_run(&plan, &finished));
    let folder = results::write(&show::results_root(), &plan, &finished, (until, Some(&replay)));
    let suite = Suite {
        name: named.name.clone(),
        properties: junit::properties(&named.path, named.scenario.hash(), env!("CARGO_PKG_VERSION")),
        cases: vec![Case::of(&finished.outcome, took, &replay, &evidence)],
    };
    let junit = arguments.junit.as_ref().map(|file| results::put(file, junit::document(&[suite]).as_bytes()));
    match as_json {
        true => say(format_args!("{:#}", show::outcome_json(&finished.outcome, &replay)))?,
        false => {
            let failure = show::failure(&finished.outcome, &evidence, &replay, folder.as_deref().ok());
            print(arguments, &finished.outcome, &failure, folder.as_deref().ok())?;
        }
    }
    let digest = finished.outcome.digest;
    if let Some(expected) = arguments.expect_digest.filter(|expected| *expected != digest) {
        let (expected, found) = (show::digest(expected), show::digest(digest));
        complain(format_args!("kraftbed: nondeterminism: digest {found} where {expected} is expected"));
        return Ok(Exit::Nondeterminism);
    }
    Ok(show::unless_unwritten(finished.outcome.exit(), folder.err().or(junit.and_then(Result::err))))
}

fn print(arguments: &Arguments, outcome: &Outcome, failure: &str, folder: Option<&Path>) -> Result<(), Unwritten> {
    if arguments.trace {
        for event in &outcome.trace {
            say(timeline::line(event))?;
        }
    }
    let summary = format!(
        "{} events, {} operations, {} leader changes, {:.1} virtual seconds, digest {}",
        outcome.events,
        outcome.operations,
        outcome.leader_changes,
        outcome.virtual_time.as_secs_f64(),
        show::digest(outcome.digest),
    );
    if let (Some(folder), false) = (folder, matches!(outcome.verdict, Verdict::Violated(_))) {
        say(format_args!("files: {} (`kraftbed report` makes a page of them)", folder.display()))?;
    }
    match &outcome.verdict {
        Verdict::Passed if outcome.is_stopped => say(format_args!("PASSED until it was stopped: {summary}")),
        Verdict::Passed => say(format_args!("PASSED {summary}")),
        Verdict::Undecided(why) => say(format_args!("UNDECIDED {why}\n{summary}")),
        Verdict::Violated(_) => say(format_args!("{failure}{summary}")),
    }
}

/// A virtual time: a duration since the start, in seconds where no unit is given.
fn parse_time(text: &str) -> Result<Instant, String> {
    let spelled = match text.ends_with(|last: char| last.is_ascii_digit()) {
        true => format!("{text}s"),
        false => text.to_owned(),
    };
    let wrong = || format!("\"{text}\" is no virtual time: expected a time such as 14.207s or 500ms");
    parse_duration(&spelled).map(|since| Instant::ZERO + since).ok_or_else(wrong)
}
