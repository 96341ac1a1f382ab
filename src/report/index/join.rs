//! The indexes of shards, joined into one: what a single sweep of all their runs would have said.

use std::collections::BTreeMap;
use std::fmt;

use crate::report::index::{Index, Run, Shard, Trouble};

/// Why two indexes cannot be joined. Each variant names both, by where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Unjoinable {
    /// What made them differs: the version, the program, the plants or the limit.
    Maker { what: &'static str, one: (String, String), other: (String, String) },
    /// A scenario of one path says different things.
    Scenario { path: String, one: (String, u64), other: (String, u64) },
    /// They are of sweeps of other seeds, or cut into other shares.
    Sweep { what: &'static str, one: (String, String), other: (String, String) },
    /// Their scenarios are not the same ones in the same order.
    Scenarios { path: String, one: String, other: String },
    /// They are the same share.
    Share { share: String, one: String, other: String },
    /// A run was made by both.
    Overlap { scenario: String, seed: u64, one: String, other: String },
}

impl fmt::Display for Unjoinable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unjoinable::Maker { what, one: (one, first), other: (other, second) }
            | Unjoinable::Sweep { what, one: (one, first), other: (other, second) } => {
                write!(f, "{one} and {other} are no shards of one sweep: {what} is {first} there and {second} here")
            }
            Unjoinable::Scenario { path, one: (one, first), other: (other, second) } => write!(
                f,
                "{one} and {other} are no shards of one sweep: {path} has hash 0x{first:016x} there and \
                 0x{second:016x} here"
            ),
            Unjoinable::Scenarios { path, one, other } => write!(
                f,
                "{one} and {other} are no shards of one sweep: {path} is not at the same place of both lists of scenarios"
            ),
            Unjoinable::Share { share, one, other } => write!(f, "{one} and {other} are the same share, {share}"),
            Unjoinable::Overlap { scenario, seed, one, other } => {
                write!(f, "{one} and {other} overlap: both ran {scenario} with seed {seed}")
            }
        }
    }
}

impl std::error::Error for Unjoinable {}

/// Joins indexes, each with where it came from; folders of failures are named from where the joined one will be, so the
/// caller has turned them before.
pub fn join(parts: Vec<(String, Index)>) -> Result<Index, Unjoinable> {
    let mut parts = parts.into_iter();
    let Some((first, mut whole)) = parts.next() else { return Ok(Index::default()) };
    whole.is_joined = true;
    // Who ran which seed of which scenario, and who which share.
    let mut ran: BTreeMap<(usize, u64), String> =
        whole.runs.iter().map(|run| ((run.scenario, run.seed), first.clone())).collect();
    let mut brought: BTreeMap<(u64, u64), String> =
        whole.shards.iter().map(|shard| (shard.partition, first.clone())).collect();
    for (from, part) in parts {
        same_maker((&first, &whole), (&from, &part))?;
        same_scenarios((&first, &whole), (&from, &part))?;
        same_sweep((&first, &whole), (&from, &part))?;
        // A sweep may run a seed twice by itself, when it is asked to.
        for run in &part.runs {
            if let Some(other) = ran.get(&(run.scenario, run.seed)) {
                let scenario = whole.scenarios[run.scenario].path.clone();
                return Err(Unjoinable::Overlap { scenario, seed: run.seed, one: other.clone(), other: from });
            }
        }
        for shard in &part.shards {
            if let Some(other) = brought.get(&shard.partition) {
                let share = format!("slice:{}/{}", shard.partition.0, shard.partition.1);
                return Err(Unjoinable::Share { share, one: other.clone(), other: from });
            }
        }
        ran.extend(part.runs.iter().map(|run| ((run.scenario, run.seed), from.clone())));
        brought.extend(part.shards.iter().map(|shard| (shard.partition, from.clone())));
        add(&mut whole, part);
    }
    whole.sort();
    Ok(whole)
}

fn same_maker((first, whole): (&str, &Index), (from, part): (&str, &Index)) -> Result<(), Unjoinable> {
    let (one, other) = (&whole.maker, &part.maker);
    let plants = |plants: &[String]| if plants.is_empty() { "none".to_owned() } else { plants.join(", ") };
    let most = |most: Option<u64>| most.map_or("the default".to_owned(), |most| most.to_string());
    let facts = [
        ("the version of kraftbed", one.version.clone(), other.version.clone()),
        ("the program's digest", format!("0x{:016x}", one.program), format!("0x{:016x}", other.program)),
        ("the plants", plants(&one.plants), plants(&other.plants)),
        ("--events-max", most(one.events_max), most(other.events_max)),
    ];
    match facts.into_iter().find(|(_, one, other)| one != other) {
        None => Ok(()),
        Some((what, one, other)) => {
            Err(Unjoinable::Maker { what, one: (first.to_owned(), one), other: (from.to_owned(), other) })
        }
    }
}

/// Runs are dealt in turn over the scenarios, so their order counts, too.
fn same_scenarios((first, whole): (&str, &Index), (from, part): (&str, &Index)) -> Result<(), Unjoinable> {
    for swept in &part.scenarios {
        let Some(known) = whole.scenarios.iter().find(|known| known.path == swept.path) else { continue };
        if known.hash != swept.hash {
            let (one, other) = ((first.to_owned(), known.hash), (from.to_owned(), swept.hash));
            return Err(Unjoinable::Scenario { path: swept.path.clone(), one, other });
        }
    }
    let paths = |index: &Index| -> Vec<String> { index.scenarios.iter().map(|swept| swept.path.clone()).collect() };
    let (one, other) = (paths(whole), paths(part));
    let place = (0..one.len().max(other.len())).find(|&place| one.get(place) != other.get(place));
    match place.and_then(|place| one.get(place).or(other.get(place))) {
        None => Ok(()),
        Some(path) => Err(Unjoinable::Scenarios { path: path.clone(), one: first.to_owned(), other: from.to_owned() }),
    }
}

/// One sweep has one number of runs, one first seed, and is cut one way.
fn same_sweep((first, whole): (&str, &Index), (from, part): (&str, &Index)) -> Result<(), Unjoinable> {
    let facts = |shard: &Shard| {
        [("--seeds", shard.seeds), ("--seed-base", shard.seed_base), ("the number of shares", shard.partition.1)]
    };
    let Some(known) = whole.shards.first().map(facts) else { return Ok(()) };
    for shard in &part.shards {
        let differs = known.into_iter().zip(facts(shard)).find(|(known, fact)| known != fact);
        if let Some(((what, one), (_, other))) = differs {
            let (one, other) = ((first.to_owned(), one.to_string()), (from.to_owned(), other.to_string()));
            return Err(Unjoinable::Sweep { what, one, other });
        }
    }
    Ok(())
}

fn add(whole: &mut Index, part: Index) {
    add_failures(whole, &part, &part.runs);
    whole.runs.extend(part.runs);
    whole.shards.extend(part.shards);
    // Counts of a file that was tampered with may be anything.
    whole.totals.messages = whole.totals.messages.saturating_add(part.totals.messages);
    whole.totals.operations = whole.totals.operations.saturating_add(part.totals.operations);
    whole.totals.virtual_time = whole.totals.virtual_time.saturating_add(part.totals.virtual_time);
    add_counts(&mut whole.faults, part.faults);
    add_counts(&mut whole.pairs, part.pairs);
    add_counts(&mut whole.exercised, part.exercised);
    whole.expected.extend(part.expected);
    whole.nondeterminism.extend(part.nondeterminism);
}

fn add_counts<K: Ord>(whole: &mut BTreeMap<K, u64>, part: BTreeMap<K, u64>) {
    for (what, count) in part {
        let sum = whole.entry(what).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// What is known of a way to fail is kept from the shard with the smallest seed, which is whose run it tells of.
fn add_failures(whole: &mut Index, part: &Index, runs: &[Run]) {
    let scenarios = &whole.scenarios;
    let smallest = |runs: &[Run], signature: &str| {
        let is_meant = |trouble: &Trouble| trouble.signature.as_deref() == Some(signature);
        let failed = runs.iter().filter(|run| run.trouble.as_deref().is_some_and(is_meant));
        failed.map(|run| (run.seed, scenarios[run.scenario].path.clone())).min()
    };
    for (signature, failure) in &part.failures {
        let is_smaller = match (smallest(&whole.runs, signature), smallest(runs, signature)) {
            (Some(known), Some(new)) => new < known,
            (known, _) => known.is_none(),
        };
        if is_smaller {
            whole.failures.insert(signature.clone(), failure.clone());
        }
    }
}
