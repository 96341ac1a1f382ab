//! `kraftbed list scenarios|faults|properties|plants`: what exists, a line each.

use std::error::Error;

use crate::campaign::Library;
use crate::check;
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
    #[arg(long, default_value = "scenarios")]
    scenarios: String,
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
            for named in Library::new(&arguments.scenarios).all()? {
                println!("{:<70} {}", named.path, named.scenario.about());
            }
        }
        What::Faults => FaultKind::ALL.iter().for_each(|kind| println!("{:<20} {}", kind.name(), kind.about())),
        What::Properties => {
            let all = check::all();
            all.iter().chain(&check::OF_SCENARIOS).for_each(|(name, statement)| println!("{name:<36} {statement}"));
        }
        What::Plants => Quirk::ALL.iter().for_each(|plant| println!("{:<34} {}", plant.name(), plant.about())),
    }
    Ok(Exit::Passed)
}
