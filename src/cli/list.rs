//! `kraftbed list scenarios|faults|properties|plants`: what exists, a line each.

use std::error::Error;
use std::path::PathBuf;

use crate::campaign::Library;
use crate::check;
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::quirk::Quirk;
use crate::scenario::FaultKind;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to list.
    #[arg(value_enum)]
    what: What,
    /// Where the scenario files are.
    #[arg(long, alias = "scenarios", value_name = "FOLDER", default_value = "scenarios")]
    library: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Scenario files.
    Scenarios,
    /// Kinds of fault.
    Faults,
    /// Properties that are checked.
    Properties,
    /// Planted bugs.
    Plants,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    match arguments.what {
        What::Scenarios => {
            for named in Library::new(&arguments.library).all()? {
                say(format_args!("{:<70} {}", named.path, named.scenario.about()))?;
            }
        }
        What::Faults => {
            for kind in FaultKind::ALL {
                say(format_args!("{:<20} {}", kind.name(), kind.about()))?;
            }
        }
        What::Properties => {
            for (name, statement) in check::all().iter().chain(&check::OF_SCENARIOS) {
                say(format_args!("{name:<36} {statement}"))?;
            }
        }
        What::Plants => {
            for plant in Quirk::ALL {
                say(format_args!("{:<34} {}", plant.name(), plant.about()))?;
            }
        }
    }
    Ok(Exit::Passed)
}
