//! How fast histories are decided, beside Porcupine in the same run: `cargo bench --bench histories`.
//!
//! Needs Go for the comparison: the newest Porcupine comes from the module proxy, with its test histories, and
//! `tests/bench/porcupine` checks them on one thread. Without Go, or where the proxy is out of reach, only what is made here
//! is measured. Checks alone, histories parsed before, orders replayed; the time of one thread, of Porcupine its CPU time; medians.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark reads files and a clock")]

#[path = "histories/made.rs"]
mod made;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use kraftbed::history::engine::Budget;
use kraftbed::history::engine::decide::{Verdict, core_of, decide, parts};
use kraftbed::history::engine::sweep;
use kraftbed::history::format::{self, Hints};
use kraftbed::history::objects::ObjectHistory;

/// What Porcupine said of each file: verdict, and seconds of CPU time.
type Said = BTreeMap<String, (String, f64)>;

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

    println!("{:<16} {:>12} {:>12} {:>8}", "history", "Porcupine us", "kraftbed us", "factor");
    let (mut ours_all, mut theirs_all, mut slowest) = (0.0, 0.0, 0.0_f64);
    let mut histories = Vec::new();
    for (name, text) in &texts {
        let history = read(text);
        let (verdict, their_seconds) = &theirs[name];
        let seconds = median(21, || _ = black_box(is_linearizable(&history)));
        let is_ok = is_linearizable(&history);
        assert!(verdict == "Unknown" || (verdict == "Ok") == is_ok, "{name}: Porcupine says {verdict}");
        let is_etcd = name.starts_with("etcd");
        if is_etcd {
            ours_all += seconds;
            theirs_all += their_seconds;
            slowest = slowest.max(seconds);
        }
        if !is_etcd || *their_seconds > 0.01 {
            show(name, *their_seconds, seconds);
        }
        histories.push(history);
    }
    show("all of etcd", theirs_all, ours_all);
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

fn show(name: &str, theirs: f64, ours: f64) {
    println!("{name:<16} {:>12.0} {:>12.1} {:>8.0}", theirs * 1e6, ours * 1e6, theirs / ours);
}

fn read(text: &[u8]) -> ObjectHistory {
    let imported = format::import(text, &Hints::default()).expect("a history that can be read");
    *imported.subject.objects.expect("Porcupine's histories are about registers and texts")
}

fn is_linearizable(history: &ObjectHistory) -> bool {
    // As Porcupine does: one part that is not linearizable is enough.
    parts(history).iter().all(|part| decide(history, part, &Budget::BOUNDLESS).verdict == Verdict::Linearizable)
}

fn cores(history: &ObjectHistory) -> Vec<usize> {
    let refutations =
        parts(history).into_iter().filter_map(|part| match decide(history, &part, &Budget::BOUNDLESS).verdict {
            Verdict::NotLinearizable(refutation) => Some(refutation),
            _ => None,
        });
    refutations.map(|refutation| core_of(history, &refutation, &Budget::BOUNDLESS).required().count()).collect()
}

/// Seconds of the median of `rounds`.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[rounds / 2]
}

/// Fetches and builds Porcupine, lets it check its own test histories, and says where those are and what it said: verdict and
/// seconds of CPU time by file.
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
    let output = Command::new(place.join("check")).arg(&corpus).output().map_err(|error| error.to_string())?;
    let mut said = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [file, verdict, nanos] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("Porcupine said {line}"));
        };
        let nanos: f64 = nanos.parse().map_err(|_| format!("Porcupine said {line}"))?;
        said.insert(file.to_owned(), (verdict.to_owned(), nanos / 1e9));
    }
    Ok((corpus, said))
}

const MODULE: &str = "github.com/anishathalye/porcupine";
