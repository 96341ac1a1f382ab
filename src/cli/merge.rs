//! `kraftbed merge DIR…`: the indexes of shards joined into one.

use std::error::Error;
use std::path::PathBuf;

use crate::campaign::{index, results};
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::report::index::join::join;
use crate::report::junit;

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Folders with the sweep.json of a shard, in them or in their folder `sweep`.
    #[arg(required = true, value_name = "DIR")]
    shards: Vec<PathBuf>,
    /// Where the joined sweep.json and index.html go.
    #[arg(long, short = 'o', value_name = "FOLDER", default_value = "sim-results/sweep")]
    output: PathBuf,
    /// Write what came of every run as JUnit's XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Joins them; the end is that of one sweep of all their runs.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let mut parts = Vec::new();
    let mut files = Vec::new();
    for shard in &arguments.shards {
        let file = index::find(shard)?;
        parts.push((shard.display().to_string(), index::read(&file, &arguments.output)?));
        files.push(file);
    }
    let joined = join(parts)?;
    let written = [index::JSON, index::HTML].map(|file| arguments.output.join(file));
    written.iter().try_for_each(|file| results::apart(file, &files))?;
    if let Some(junit) = &arguments.junit {
        results::apart(junit, &[&files[..], &written].concat())?;
    }
    index::write(&joined, &arguments.output)?;
    if let Some(file) = &arguments.junit {
        results::put(file, junit::document(&junit::suites(&joined)).as_bytes())?;
    }
    for way in joined.ways() {
        let property = way.trouble.property.as_deref().unwrap_or_default();
        say(format_args!("FAILED {property}: {}\nreplay: {}", way.trouble.message, way.trouble.replay))?;
    }
    for what in joined.never_exercised() {
        say(format_args!("never exercised: {what}"))?;
    }
    if let Some(missing) = joined.missing_words() {
        say(format_args!("missing: {missing}"))?;
    }
    let exit = joined.exit();
    let failed = joined.count(Exit::Violated) + joined.count(Exit::NoProgress);
    let (runs, passed, undecided) = (joined.runs.len(), joined.count(Exit::Passed), joined.count(Exit::Undecided));
    let cut = if joined.is_partial() { ", cut short" } else { "" };
    let (shards, shares) = (joined.shards.len(), joined.shares());
    say(format_args!(
        "{runs} runs of {shards} of {shares} shares: {passed} passed, {failed} failed, {undecided} undecided{cut}"
    ))?;
    say(format_args!("index: {}", arguments.output.join(index::HTML).display()))?;
    say(format_args!("digest 0x{:016x}", joined.digest()))?;
    say(exit.word().to_uppercase())?;
    Ok(exit)
}

const AFTER_HELP: &str = "\
Exit codes: those of one sweep of all the runs; and 7 where all of them passed, and a share is missing.";
