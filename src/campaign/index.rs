//! The index of a sweep on disk: `sweep.json` for machines, `index.html` for people, in one folder.
#![expect(clippy::disallowed_methods, reason = "results are files")]

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::campaign::results::{WriteError, put};
use crate::campaign::sweep::{Sweep, SweepOptions, plan_of};
use crate::campaign::{Failure, Named, coverage, evidence};
use crate::digest::Digest;
use crate::report::index::{self, Index, Maker, Nondeterminism, Shard, Swept, Totals, html, json};

/// The file for machines.
pub const JSON: &str = "sweep.json";

/// The file for people.
pub const HTML: &str = "index.html";

/// The index of a sweep. `replay` says the line that replays a run.
pub fn of(result: &Sweep, options: &SweepOptions, replay: &dyn Fn(&Named, u64) -> String) -> Index {
    let mut runs = result.made.clone();
    for run in &mut runs {
        if let Some(trouble) = &mut run.trouble {
            trouble.replay = replay(&options.scenarios[run.scenario], run.seed);
        }
    }
    let swept = |named: &Named| Swept {
        path: named.path.clone(),
        name: named.name.clone(),
        hash: named.scenario.hash(),
        is_pinned: named.scenario.seed().is_some(),
        covers_within: named.scenario.covers_within(),
    };
    let (seeds, seed_base, partition) = (options.seeds, options.seed_base, options.partition);
    let shard = Shard { seeds, seed_base, partition, is_partial: result.partial, wall: result.wall };
    let differs = |(scenario, seed, first, second): &(String, u64, u64, u64)| Nondeterminism {
        scenario: scenario.clone(),
        seed: *seed,
        digests: (*first, *second),
    };
    let mut index = Index {
        maker: maker(options),
        scenarios: options.scenarios.iter().map(swept).collect(),
        shards: vec![shard],
        is_joined: false,
        runs,
        failures: result.failures.iter().map(|failure| (failure.signature.clone(), told(failure, options))).collect(),
        totals: Totals { messages: result.messages, operations: result.operations, virtual_time: result.virtual_time },
        faults: result.doses.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect(),
        pairs: result.pairs.clone(),
        exercised: result.exercised.clone(),
        expected: coverage::expected(&options.scenarios, options.seed_base),
        nondeterminism: result.nondeterminism.iter().map(differs).collect(),
    };
    index.sort();
    index
}

fn maker(options: &SweepOptions) -> Maker {
    let program = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
    Maker {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program: Digest::of(&program),
        plants: options.quirks.iter().map(|quirk| quirk.name().to_owned()).collect(),
        events_max: options.events_max,
    }
}

fn told(failure: &Failure, options: &SweepOptions) -> index::Failure {
    let plan = plan_of(&failure.named, failure.seed, options.quirks);
    let causes = failure.finished.as_ref().map(|finished| evidence::of_run(&plan, finished));
    index::Failure { causes: causes.unwrap_or_default(), folder: None }
}

/// Names the folders of failures, by signature, from where the index will be.
pub fn name_folders(index: &mut Index, folders: &BTreeMap<String, PathBuf>, from: &Path) {
    for (signature, failure) in &mut index.failures {
        failure.folder = folders.get(signature).map(|folder| relative(from, folder));
    }
}

/// Writes both files into a folder.
pub fn write(index: &Index, folder: &Path) -> Result<(), WriteError> {
    put(&folder.join(JSON), json::write(index).as_bytes())?;
    put(&folder.join(HTML), html::page(index).as_bytes())
}

/// The index that is in a folder, or in its folder `sweep`.
pub fn find(folder: &Path) -> Result<PathBuf, String> {
    let places = [folder.to_owned(), folder.join(SWEEP)];
    let files = places.iter().map(|place| place.join(JSON));
    let wrong = || format!("{}: found no {JSON}, there or in {SWEEP}/", folder.display());
    files.into_iter().find(|file| file.is_file()).ok_or_else(wrong)
}

/// Reads an index. Failures' folders are named as seen from `seen_from`.
pub fn read(file: &Path, seen_from: &Path) -> Result<Index, String> {
    let place = file.parent().unwrap_or(Path::new("."));
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut index = json::read(&text).map_err(|error| format!("{} {error}", file.display()))?;
    for failure in index.failures.values_mut() {
        failure.folder = failure.folder.take().map(|told| relative(seen_from, &place.join(told)));
    }
    Ok(index)
}

/// A path as seen from a folder: `../light/1` for `sim-results/light/1` from `sim-results/sweep`.
fn relative(from: &Path, path: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).map(|path| plain(&path)).unwrap_or_default();
    let (from, path) = (absolute(from), absolute(path));
    let shared = from.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = from[shared..].iter().map(|_| "..");
    let parts: Vec<&str> = up.chain(path[shared..].iter().map(String::as_str)).collect();
    parts.join("/")
}

/// The parts of a path, `..` taken back.
fn plain(path: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    parts
}

/// Where `sweep` leaves its index, below the results.
pub const SWEEP: &str = "sweep";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_the_index_is() {
        let told = |from: &str, path: &str| relative(Path::new(from), Path::new(path));
        assert_eq!(told("sim-results/sweep", "sim-results/light/1"), "../light/1");
        assert_eq!(told("out", "a/sweep/../light/1"), "../a/light/1");
        assert_eq!(told("a", "a/b"), "b");
    }
}
