//! `kraftbed report RESULT`: a run that was kept, as one page.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::campaign::results;
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::report::result;
use crate::trace::codec;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A result: a folder that `run` or `sweep` left, such as sim-results/standard/11.
    result: PathBuf,
    /// Where the page goes. [default: RESULT/report.html]
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes the page.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let folder = &arguments.result;
    if !folder.is_dir() {
        let found = if folder.exists() { "a file" } else { "nothing" };
        return Err(format!("{}: found {found}, expected a folder that `run` left", folder.display()).into());
    }
    let verdict_file = folder.join("verdict.json");
    let verdict = String::from_utf8(read(&verdict_file)?)
        .map_err(|error| wrong(&verdict_file, format!("{error}: expected JSON in UTF-8")))?;
    let trace_file = folder.join("trace.kbed");
    let events = codec::decode(&read(&trace_file)?).map_err(|error| wrong(&trace_file, error))?;
    let page =
        result::page_of(&verdict, &events, &results::replay_of(folder)).map_err(|error| wrong(&verdict_file, error))?;
    let output = arguments.output.clone().unwrap_or_else(|| folder.join(results::PAGE));
    std::fs::write(&output, page).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    say(output.display())?;
    Ok(Exit::Passed)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| wrong(path, format!("{error}: expected a file that `run` left")))
}

fn wrong(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
