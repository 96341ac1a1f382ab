//! `kraftbed report RESULT|HISTORY`: a run that was kept, or a recorded history, as one page.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::campaign::check::{CoreOperation, Options, Verdict, load, reached, read_and_check};
use crate::campaign::results;
use crate::cli::show;
use crate::cli::stdout::say;
use crate::history::format::Hints;
use crate::outcome::Exit;
use crate::report::recorded::{Judged, Mark};
use crate::report::{recorded, result};
use crate::trace::codec;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A folder that `run` or `sweep` left, such as sim-results/standard/11; or a history, as `check` reads it.
    #[arg(value_name = "RESULT|HISTORY")]
    result: PathBuf,
    /// Where the page goes. [default: RESULT/report.html, or HISTORY.html]
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes the page.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let result = &arguments.result;
    let (page, place) = match (result.is_dir(), result.exists()) {
        (true, _) => (of_run(result)?, result.join(results::PAGE)),
        (_, true) => (of_history(result)?, with_html(result)),
        _ => {
            let expected = "expected a folder that `run` left, or a history";
            return Err(format!("{}: found nothing, {expected}", result.display()).into());
        }
    };
    let output = arguments.output.clone().unwrap_or(place);
    std::fs::write(&output, page).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    say(output.display())?;
    Ok(Exit::Passed)
}

fn of_run(folder: &Path) -> Result<String, String> {
    let verdict_file = folder.join("verdict.json");
    let verdict = String::from_utf8(read(&verdict_file)?)
        .map_err(|error| wrong(&verdict_file, format!("{error}: expected JSON in UTF-8")))?;
    let trace_file = folder.join("trace.kbed");
    let events = codec::decode(&read(&trace_file)?).map_err(|error| wrong(&trace_file, error))?;
    result::page_of(&verdict, &events, &results::replay_of(folder)).map_err(|error| wrong(&verdict_file, error))
}

/// Decides a history as `check` does where nothing more is said of it, and shows it.
fn of_history(file: &Path) -> Result<String, String> {
    let options = Options {
        hints: Hints::default(),
        time_max: None,
        bytes_max: BYTES_MAX,
        steps_max: STEPS_MAX,
        jobs: show::default_jobs(),
    };
    let (subject, checked) = load(file)
        .and_then(|bytes| read_and_check(&bytes, &options, &|_, _| ()))
        .map_err(|error| format!("{}:{error}", file.display()))?;
    let (verdict, message, core) = match &checked.verdict {
        Verdict::Linearizable => ("passed", None, &[][..]),
        Verdict::NotLinearizable { message, core } => ("violated", Some(message.clone()), &core[..]),
        Verdict::Undecided { why } => ("undecided", Some(why.clone()), &[][..]),
    };
    let reached = (!core.is_empty()).then(|| reached(&subject, core, &options)).flatten();
    let mut facts =
        vec![("model".to_owned(), checked.model()), ("format".to_owned(), checked.format.name().to_owned())];
    facts.extend(checked.dialect.as_ref().map(|dialect| ("read as".to_owned(), dialect.to_string())));
    Ok(recorded::page_of(Judged {
        name: file.display().to_string(),
        subject: &subject,
        verdict,
        message,
        core: core.iter().map(mark).collect(),
        prefix: reached.map(|(sentence, order)| (sentence, order.iter().map(mark).collect())),
        facts,
        replay: format!("kraftbed check {}", file.display()),
    }))
}

fn mark(operation: &CoreOperation) -> Mark {
    (operation.client, operation.invoked, operation.returned)
}

fn with_html(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".html");
    name.into()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| wrong(path, format!("{error}: expected a file that `run` left")))
}

fn wrong(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// What `check` allows a search by default.
const BYTES_MAX: u64 = 4 << 30;

/// A page is waited for: the search of a history that is not decided by then is left to `check`.
const STEPS_MAX: u64 = 100_000_000;
