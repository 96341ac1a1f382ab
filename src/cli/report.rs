//! `kraftbed report RESULT|HISTORY`: a run that was kept, or a recorded history, as one page.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::campaign::check::{CoreOperation, Verdict, check_file, reached};
use crate::campaign::{index, results};
use crate::cli::deciding::Flags;
use crate::cli::show;
use crate::cli::signals::Interrupted;
use crate::cli::stdout::say;
use crate::outcome::Exit;
use crate::report::recorded::Judged;
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
    #[command(flatten, next_help_heading = "Of a history, as `check` takes them")]
    flags: Flags,
}

/// Makes the page.
pub fn run(arguments: &Arguments) -> Result<Exit, Box<dyn Error>> {
    let result = &arguments.result;
    if result.as_os_str() == "-" && arguments.output.is_none() {
        return Err("standard input has no name that the page could have: -o says where it goes".into());
    }
    if result.as_os_str() != "-" && !result.exists() {
        let expected = "expected a folder that `run` left, or a history";
        return Err(format!("{}: found nothing, {expected}", result.display()).into());
    }
    let interrupted = Interrupted::catch()?;
    let (page, place, read) = match result.is_dir() {
        true => (of_run(result)?, result.join(results::PAGE), FILES_READ.map(|file| result.join(file)).to_vec()),
        false => (of_history(result, &arguments.flags, &interrupted)?, with_html(result), vec![result.clone()]),
    };
    let output = arguments.output.clone().unwrap_or(place);
    results::put_apart(&output, page.as_bytes(), &read)?;
    say(output.display())?;
    Ok(interrupted.exit().unwrap_or(Exit::Passed))
}

fn of_run(folder: &Path) -> Result<String, String> {
    let [verdict_file, trace_file] = FILES_READ.map(|file| folder.join(file));
    if !verdict_file.exists() {
        return Err(wrong(folder, what_it_is(folder)));
    }
    let verdict = String::from_utf8(read(&verdict_file)?)
        .map_err(|error| wrong(&verdict_file, format!("{error}: expected JSON in UTF-8")))?;
    let events = codec::decode(&read(&trace_file)?).map_err(|error| wrong(&trace_file, error))?;
    // Without one, the page shows what the verdict names.
    let core = std::fs::read_to_string(folder.join(results::LINEARIZABILITY)).ok();
    let core = core.and_then(|text| result::Core::parse(&text));
    result::page_of(&verdict, core.as_ref(), &events, &results::replay_of(folder))
        .map_err(|error| wrong(&verdict_file, error))
}

/// What a folder is that is no result.
fn what_it_is(folder: &Path) -> String {
    let mut inner: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|of| of.path()).collect();
    inner.sort();
    match inner.iter().find(|inner| inner.join(FILES_READ[0]).exists()) {
        _ if folder.join(index::JSON).exists() => format!("is the index of a sweep: its page is its {}", index::HTML),
        Some(result) => format!("holds results, and a page shows one: name it, such as {}", result.display()),
        None => format!("found no {}, expected a folder that `run` left, or a history", FILES_READ[0]),
    }
}

/// Decides a history as `check` does, and shows it.
fn of_history(file: &Path, flags: &Flags, interrupted: &Interrupted) -> Result<String, String> {
    let options = flags.options(STEPS_MAX);
    let (subject, checked) = check_file(file, &options, Some(interrupted.flag()), &|_, _| ())
        .map_err(|error| format!("{}:{error}", file.display()))?;
    let (verdict, message, core, orders) = match &checked.verdict {
        Verdict::Linearizable if checked.answers == 0 => ("nothing_to_check", None, &[][..], &[][..]),
        Verdict::Linearizable => ("passed", None, &[][..], &[][..]),
        Verdict::NotLinearizable { message, core, orders } => {
            ("violated", Some(message.clone()), &core[..], &orders[..])
        }
        Verdict::Undecided { why } => ("undecided", Some(why.clone()), &[][..], &[][..]),
    };
    let reached = (!core.is_empty()).then(|| reached(&subject, core, &options)).flatten();
    let mut facts = vec![("model".to_owned(), checked.model()), ("format".to_owned(), checked.format().to_owned())];
    facts.extend(checked.dialect.as_ref().map(|dialect| ("read as".to_owned(), dialect.to_string())));
    Ok(recorded::page_of(Judged {
        name: file.display().to_string(),
        subject: &subject,
        verdict,
        message,
        core: places(core),
        orders: orders.to_vec(),
        prefix: reached.map(|(sentence, order)| (sentence, places(&order))),
        facts,
        replay: format!(
            "{} check {}{}",
            show::quoted(&show::program()),
            show::quoted(&file.display().to_string()),
            flags.words()
        ),
    }))
}

/// Which operations of the page these are.
fn places(operations: &[CoreOperation]) -> Vec<usize> {
    operations.iter().filter_map(|operation| operation.index).collect()
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

/// What a page is made of.
const FILES_READ: [&str; 2] = ["verdict.json", "trace.kbed"];

/// A page is waited for: the search of a history that is not decided by then is left to `check`.
const STEPS_MAX: u64 = 100_000_000;
