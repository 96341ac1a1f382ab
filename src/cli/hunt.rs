//! `kraftbed hunt`: plants every known bug in turn and shows what catches it, and how soon.

use std::error::Error;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use crate::campaign::hunt::{Catch, HuntOptions, hunt};
use crate::campaign::{Library, results};
use crate::cli::sweep::default_jobs;
use crate::outcome::Exit;

/// Arguments of `hunt`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Hunt only these plants.
    plants: Vec<String>,
    /// Seeds of the standard scenario for each plant.
    #[arg(long, default_value_t = 200)]
    standard_seeds: u64,
    /// Worlds at a time; one per processor unless given.
    #[arg(long, short = 'j')]
    jobs: Option<usize>,
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
    let library = Library::new(&arguments.scenarios);
    let mut planted = library.planted()?;
    if !arguments.plants.is_empty() {
        planted.retain(|named| arguments.plants.contains(&named.name));
    }
    let standard = library.find("standard")?.remove(0);
    let jobs = arguments.jobs.unwrap_or_else(default_jobs);
    let options = HuntOptions { planted, standard, standard_seeds: arguments.standard_seeds, jobs };
    let as_json = arguments.output == "json";
    if !as_json {
        println!("{:<34} {:<10} {:<38} {:>6} {:>12}", "plant", "fate", "property", "seeds", "in standard");
    }
    let catches = hunt(&options, &AtomicBool::new(false), &|catch| {
        if !as_json {
            println!("{}", line(catch));
        }
    });
    let unexpected = catches.iter().filter(|catch| !catch.is_as_expected()).count();
    if as_json {
        println!("{:#}", json!({ "plants": catches.iter().map(row).collect::<Vec<_>>(), "unexpected": unexpected }));
    } else {
        println!("{} plants, {unexpected} not as expected", catches.len());
    }
    Ok(match (catches.len(), unexpected) {
        (0, _) => Exit::NothingSelected,
        (_, 0) => Exit::Passed,
        _ => Exit::Missed,
    })
}

fn line(catch: &Catch) -> String {
    let fate = match (catch.is_caught, catch.plant.is_harmless()) {
        (true, false) => "caught",
        (false, true) => "harmless",
        (true, true) => "ACCUSED",
        (false, false) => "ESCAPED",
    };
    let seeds = catch.seeds_to_catch.map_or("-".to_owned(), |seeds| seeds.to_string());
    let (failed, runs) = catch.standard;
    let property = catch.property.as_deref().unwrap_or("-");
    format!("{:<34} {fate:<10} {property:<38} {seeds:>6} {:>12}", catch.plant.name(), format!("{failed}/{runs}"))
}

fn row(catch: &Catch) -> serde_json::Value {
    let (failed, runs) = catch.standard;
    json!({
        "plant": catch.plant.name(),
        "caught": catch.is_caught,
        "property": catch.property,
        "scenario": catch.scenario,
        "seeds_to_catch": catch.seeds_to_catch,
        "rate_in_standard": if runs == 0 { 0.0 } else { failed as f64 / runs as f64 },
        "failed_in_standard": failed,
        "runs_of_standard": runs,
        "as_expected": catch.is_as_expected(),
    })
}
