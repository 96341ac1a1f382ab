//! `kraftbed hunt`: plants every known bug in turn and shows what catches it, and how soon.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::campaign::hunt::{Catch, HuntOptions, hunt};
use crate::campaign::{Library, results};
use crate::cli::environment;
use crate::cli::show;
use crate::cli::signals::Interrupted;
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::quirk::Quirk;

/// Arguments of `hunt`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Hunt only these plants.
    #[arg(value_parser = show::parse_plant)]
    plants: Vec<Quirk>,
    /// Seeds of the standard scenario for each plant.
    #[arg(long, default_value_t = 200)]
    standard_seeds: u64,
    /// Worlds at a time; one per processor unless given.
    #[arg(long, short = 'j', value_parser = show::parse_jobs, allow_hyphen_values = true)]
    jobs: Option<usize>,
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
    let interrupted = Interrupted::catch()?;
    let library = Library::new(&arguments.library);
    let mut planted = library.planted()?;
    if !arguments.plants.is_empty() {
        planted.retain(|named| named.scenario.quirks().iter().any(|plant| arguments.plants.contains(&plant)));
    }
    let standard = library.find("standard")?.remove(0);
    let jobs = environment::JOBS.or_flag(arguments.jobs, show::parse_jobs)?.unwrap_or_else(show::default_jobs);
    let options = HuntOptions { planted, standard, standard_seeds: arguments.standard_seeds, jobs };
    let as_json = arguments.output == "json";
    if !as_json {
        say(format_args!("{:<34} {:<10} {:<38} {:>6} {:>12}", "plant", "fate", "property", "seeds", "in standard"))?;
    }
    let mut catches = Vec::new();
    for catch in hunt(&options, interrupted.flag()) {
        if !as_json {
            say(line(&catch))?;
        }
        catches.push(catch);
    }
    let unexpected = catches.iter().filter(|catch| !catch.is_as_expected()).count();
    let also = catches.iter().filter(|catch| catch.standard.0 > 0).count();
    let cut_short = interrupted.exit();
    let told = match as_json {
        true => format!(
            "{:#}",
            json!({
                "plants": catches.iter().map(row).collect::<Vec<_>>(),
                "unexpected": unexpected,
                "partial": cut_short.is_some(),
            })
        ),
        false => format!(
            "{} plants, {unexpected} not as expected, {also} also caught in standard{}",
            catches.len(),
            if cut_short.is_some() { "; cut short" } else { "" }
        ),
    };
    say(told)?;
    let exit = match (catches.len(), unexpected) {
        (0, _) => Exit::NothingSelected,
        (_, 0) => Exit::Passed,
        _ => Exit::Missed,
    };
    Ok(cut_short.unwrap_or(exit))
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
    // A plant may have a second scenario, with a name of its own.
    let name = Path::new(&catch.scenario).file_stem().map_or(catch.plant.name().into(), OsStr::to_string_lossy);
    format!("{name:<34} {fate:<10} {property:<38} {seeds:>6} {:>12}", format!("{failed}/{runs}"))
}

fn row(catch: &Catch) -> serde_json::Value {
    let (failed, runs) = catch.standard;
    json!({
        "plant": catch.plant.name(),
        "caught": catch.is_caught,
        "property": catch.property,
        "scenario": catch.scenario,
        "seeds_to_catch": catch.seeds_to_catch,
        "rate_in_standard": (runs > 0).then(|| failed as f64 / runs as f64),
        "failed_in_standard": failed,
        "runs_of_standard": runs,
        "as_expected": catch.is_as_expected(),
    })
}
