//! How fast histories are decided, beside Porcupine in the same run: `cargo bench --bench histories`.
//!
//! Needs Go for the comparison: the newest Porcupine comes from the module proxy, with its test histories, and
//! `tests/bench/porcupine` checks them and one more that is made here, like the hardest of them. Without Go, or where the proxy is
//! out of reach, only what is made here is measured. Checks alone, histories parsed before, orders replayed; CPU time of one
//! thread, ours and theirs; medians of ours. A row is a history up to the first key that is not linearizable, as Porcupine
//! checks it; "every key" goes on to the end, as who wants to know what else is broken does.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads files and a clock")]

#[path = "histories/made.rs"]
mod made;
#[path = "histories/texts.rs"]
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use kraftbed::history::engine::Budget;
use kraftbed::history::engine::decide::{Verdict, core_of, decide, parts};
use kraftbed::history::engine::sweep;
use kraftbed::history::format::{self, Hints};
use kraftbed::history::objects::ObjectHistory;
use rustix::time::{ClockId, clock_gettime};

/// What Porcupine said of each file.
type Said = BTreeMap<String, Check>;

/// One check by Porcupine, and what it took.
struct Check {
    verdict: String,
    seconds: f64,
    /// The same for every key, of histories with more than one: how many it gave up on, and seconds.
    every: Option<(u32, f64)>,
}

fn main() {
    match porcupine() {
        Ok((corpus, theirs)) => beside_porcupine(&corpus, &theirs),
        Err(why) => println!("without Porcupine: {why}\n"),
    }
    made_here();
}

/// Every history of Porcupine's tests, ours and theirs.
fn beside_porcupine(corpus: &Path, theirs: &Said) {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["jepsen", "kv"] {
        let listing = fs::read_dir(corpus.join(folder)).expect("the module has its test histories");
        files.extend(listing.map(|entry| entry.expect("a file").path()));
    }
    files.sort();
    files.push(made_like_theirs());
    let texts: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|file| {
            let name = file.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read(file).expect("a file that can be read"))
        })
        .filter(|(name, _)| theirs.contains_key(name))
        .collect();
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let parsing = median(9, || texts.iter().for_each(|(_, text)| drop(read(text))));
    println!("parsing {} files of {} KB: {:.1} MB/s", texts.len(), bytes / 1000, bytes as f64 / 1e6 / parsing);

    println!("{:<24} {:>13} {:>12} {:>8}", "history", "Porcupine us", "kraftbed us", "factor");
    let (mut ours_all, mut theirs_all, mut slowest) = (0.0, 0.0, 0.0_f64);
    let mut histories = Vec::new();
    for (name, text) in &texts {
        let history = read(text);
        let said = &theirs[name];
        let seconds = median(21, || _ = black_box(is_linearizable(&history)));
        let is_ok = is_linearizable(&history);
        assert!(
            said.verdict == "Unknown" || (said.verdict == "Ok") == is_ok,
            "{name}: Porcupine says {}",
            said.verdict
        );
        if name.starts_with("etcd") {
            ours_all += seconds;
            theirs_all += said.seconds;
            slowest = slowest.max(seconds);
        }
        if said.every.is_some() || said.seconds > 0.01 {
            show(name, said.seconds, seconds, "");
        }
        if let Some((unknown, their_seconds)) = said.every {
            let seconds = median(21, || _ = black_box(count_linearizable(&history)));
            let note = if unknown == 0 { "" } else { &format!("  (Porcupine gave up on {unknown} keys)") };
            show(&format!("{name}, every key"), their_seconds, seconds, note);
        }
        histories.push(history);
    }
    show("all of etcd", theirs_all, ours_all, "");
    println!("slowest of etcd here: {:.0} us", slowest * 1e6);
    let mut sizes = Vec::new();
    let seconds = median(3, || {
        sizes = histories.iter().flat_map(cores).collect();
    });
    sizes.sort();
    let largest = sizes.last().copied().unwrap_or(0);
    println!("{} minimal cores of 2 to {largest} operations in {:.1} ms\n", sizes.len(), seconds * 1e3);
}

fn made_here() {
    println!("{:<52} {:>10} {:>12}", "made here", "operations", "ms");
    for (what, shape) in made::REGISTERS {
        let history = made::registers(*shape);
        let verdict = if is_linearizable(&history) { "legal" } else { "illegal" };
        let seconds = median(3, || _ = black_box(is_linearizable(&history)));
        println!("{:<52} {:>10} {:>12.1}", format!("{what}: {verdict}"), shape.operations, seconds * 1e3);
    }
    for operations in [1_000_000, 10_000_000] {
        for is_stale in [false, true] {
            let history = made::log(operations, 100, is_stale);
            let verdict = if sweep::is_legal(&history) == Some(true) { "legal" } else { "illegal" };
            let seconds = median(3, || _ = black_box(sweep::is_legal(&history)));
            let what = format!("log with offsets, 100 clients: {verdict}");
            println!("{what:<52} {operations:>10} {:>12.1}", seconds * 1e3);
        }
    }
}

fn show(name: &str, theirs: f64, ours: f64, note: &str) {
    println!("{name:<24} {:>13.0} {:>12.1} {:>8.0}{note}", theirs * 1e6, ours * 1e6, theirs / ours);
}

fn read(text: &[u8]) -> ObjectHistory {
    let imported = format::import(text, &Hints::default()).expect("a history that can be read");
    *imported.subject.objects.expect("Porcupine's histories are about registers and texts")
}

fn is_linearizable(history: &ObjectHistory) -> bool {
    // As Porcupine does: one part that is not linearizable is enough.
    parts(history).iter().all(|part| decide(history, part, &Budget::BOUNDLESS).verdict == Verdict::Linearizable)
}

/// How many parts are, each decided whatever the others are.
fn count_linearizable(history: &ObjectHistory) -> usize {
    let parts = parts(history);
    parts.iter().filter(|part| decide(history, part, &Budget::BOUNDLESS).verdict == Verdict::Linearizable).count()
}

fn cores(history: &ObjectHistory) -> Vec<usize> {
    let refutations =
        parts(history).into_iter().filter_map(|part| match decide(history, &part, &Budget::BOUNDLESS).verdict {
            Verdict::NotLinearizable(refutation) => Some(refutation),
            _ => None,
        });
    refutations.map(|refutation| core_of(history, &refutation, &Budget::BOUNDLESS).required().count()).collect()
}

/// Seconds of CPU time that this thread took for the median of `rounds`.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let started = cpu_seconds();
            work();
            cpu_seconds() - started
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[rounds / 2]
}

fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Writes a history like the hardest of Porcupine's tests, and says where.
fn made_like_theirs() -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/porcupine/like-c50.txt");
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for what is made");
    fs::write(&file, texts::like_c50()).expect("room for a history");
    file
}

/// When Porcupine gives up on a history or a key. It may take a gigabyte more for every ten seconds.
const PATIENCE_SECONDS: &str = "10";

/// Fetches and builds Porcupine, lets it check its own test histories and ours, and says where those are and what it said.
fn porcupine() -> Result<(PathBuf, Said), String> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/porcupine");
    fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    for file in ["main.go", "go.mod"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/porcupine").join(file);
        fs::copy(source, place.join(file)).map_err(|error| error.to_string())?;
    }
    let go = |arguments: &[&str]| {
        let output = Command::new("go").args(arguments).current_dir(&place).output();
        let output = output.map_err(|error| format!("go: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    go(&["get", &format!("{MODULE}@latest")])?;
    println!("{}", go(&["list", "-m", MODULE])?);
    go(&["build", "-o", "check", "."])?;
    let corpus = Path::new(&go(&["list", "-m", "-f", "{{.Dir}}", MODULE])?).join("test_data");
    let output = Command::new(place.join("check")).arg(&corpus).arg(PATIENCE_SECONDS).arg(made_like_theirs()).output();
    let output = output.map_err(|error| error.to_string())?;
    let mut said = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let check = said_of(line).ok_or_else(|| format!("Porcupine said {line}"))?;
        said.insert(check.0, check.1);
    }
    Ok((corpus, said))
}

/// A line of `tests/bench/porcupine`.
fn said_of(line: &str) -> Option<(String, Check)> {
    let seconds = |nanos: &str| nanos.parse::<f64>().ok().map(|nanos| nanos / 1e9);
    match line.split(' ').collect::<Vec<_>>()[..] {
        [file, verdict, nanos] => {
            Some((file.into(), Check { verdict: verdict.into(), seconds: seconds(nanos)?, every: None }))
        }
        [file, verdict, nanos, unknown, nanos_every] => {
            let every = Some((unknown.parse().ok()?, seconds(nanos_every)?));
            Some((file.into(), Check { verdict: verdict.into(), seconds: seconds(nanos)?, every }))
        }
        _ => None,
    }
}

const MODULE: &str = "github.com/anishathalye/porcupine";
