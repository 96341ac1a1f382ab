//! `kraftbed export RUN --to FORMAT`: a run that was kept, for other tools.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::error::Error;
use std::path::PathBuf;

use crate::campaign::results;
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::report::export::Target;
use crate::trace::codec;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A result: a folder that `run` or `sweep` left, such as sim-results/standard/11.
    run: PathBuf,
    /// perfetto, shiviz, jepsen or porcupine.
    #[arg(long, value_name = "FORMAT", value_parser = parse_target)]
    to: Target,
    /// Where the file goes. [default: into RUN]
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes the file, and says where it is.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let trace = arguments.run.join("trace.kbed");
    let bytes = std::fs::read(&trace)
        .map_err(|error| format!("{}: {error}: expected a file that `run` left", trace.display()))?;
    let events = codec::decode(&bytes).map_err(|error| format!("{}: {error}", trace.display()))?;
    let output = arguments.output.clone().unwrap_or_else(|| arguments.run.join(arguments.to.file()));
    results::put_apart(&output, arguments.to.export(&events).as_bytes(), &[trace])?;
    say(output.display())?;
    Ok(Exit::Passed)
}

fn parse_target(text: &str) -> Result<Target, String> {
    let known: Vec<&str> = Target::ALL.iter().map(|target| target.name()).collect();
    let found = Target::ALL.into_iter().find(|target| target.name() == text);
    found.ok_or_else(|| format!("\"{text}\" is no format: expected one of {}", known.join(", ")))
}
