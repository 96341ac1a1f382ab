//! What can be said of an index by counting its runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::outcome::Exit;
use crate::report::index::{Index, Run, Way};

impl Index {
    /// The wrapping sum over all runs: whatever the number of jobs, whoever ran which share.
    pub fn digest(&self) -> u64 {
        let digests = self.runs.iter().map(|run| digest_of(self.scenarios[run.scenario].hash, run.seed, run.digest));
        digests.fold(0, u64::wrapping_add)
    }

    /// How many runs came to this.
    pub fn count(&self, exit: Exit) -> u64 {
        self.runs.iter().filter(|run| run.exit == exit).count() as u64
    }

    /// Whether runs are lacking: a shard was cut short, or there is a share that nobody brought.
    pub fn is_partial(&self) -> bool {
        self.shards.iter().any(|shard| shard.is_partial) || !self.missing_shares().is_empty()
    }

    /// How many shares the sweep has that was joined; one, where nothing was joined: nobody promised the rest of a share.
    pub fn shares(&self) -> u64 {
        self.shards.first().filter(|_| self.is_joined).map_or(1, |shard| shard.partition.1)
    }

    /// The shares that nobody brought, in words: `slice:2/3`.
    pub fn missing_shares(&self) -> Vec<String> {
        if !self.is_joined {
            return Vec::new();
        }
        let (here, of): (BTreeSet<u64>, u64) =
            (self.shards.iter().map(|shard| shard.partition.0).collect(), self.shares());
        (1..=of).filter(|share| !here.contains(share)).map(|share| format!("slice:{share}/{of}")).collect()
    }

    /// The same in a line; nothing where none is missing.
    pub fn missing_words(&self) -> Option<String> {
        let missing = self.missing_shares();
        let named = missing.iter().take(SHARES_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = missing.len().saturating_sub(SHARES_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!missing.is_empty()).then(|| format!("{named}{more}: {} of {} shares", missing.len(), self.shares()))
    }

    /// What should have been exercised and was not; nothing while too few runs were made to say so.
    pub fn never_exercised(&self) -> Vec<&str> {
        let mut runs_of = vec![0; self.scenarios.len()];
        self.runs.iter().for_each(|run| runs_of[run.scenario] += 1);
        let is_due = self.scenarios.iter().zip(runs_of).all(|(swept, runs)| runs >= swept.covers_within);
        if !is_due || self.is_partial() || !self.maker.plants.is_empty() {
            return Vec::new();
        }
        let was_reached = |what: &str| self.exercised.get(what).is_some_and(|&count| count > 0);
        self.expected.iter().map(String::as_str).filter(|what| !was_reached(what)).collect()
    }

    /// The ways to fail, the most frequent first.
    pub fn ways(&self) -> Vec<Way<'_>> {
        let mut ways: BTreeMap<&str, Way<'_>> = BTreeMap::new();
        for run in &self.runs {
            let Some(trouble) = run.trouble.as_deref() else { continue };
            let Some(signature) = trouble.signature.as_deref() else { continue };
            let way = ways.entry(signature).or_insert_with(|| Way {
                smallest: run,
                trouble,
                count: 0,
                runs_of: BTreeMap::new(),
            });
            way.count += 1;
            *way.runs_of.entry(&self.scenarios[run.scenario].name).or_default() += 1;
            let place = |run: &Run| (run.seed, self.scenarios[run.scenario].path.clone());
            if place(run) < place(way.smallest) {
                (way.smallest, way.trouble) = (run, trouble);
            }
        }
        let mut ways: Vec<Way<'_>> = ways.into_values().collect();
        ways.sort_by_key(|way| std::cmp::Reverse(way.count));
        ways
    }

    /// How a command ends that made these runs.
    pub fn exit(&self) -> Exit {
        match () {
            () if !self.nondeterminism.is_empty() => Exit::Nondeterminism,
            () if self.count(Exit::Violated) > 0 => Exit::Violated,
            () if self.count(Exit::NoProgress) > 0 => Exit::NoProgress,
            () if self.runs.is_empty() => Exit::NothingSelected,
            () if self.count(Exit::Undecided) > 0 => Exit::Undecided,
            () if !self.missing_shares().is_empty() || !self.never_exercised().is_empty() => Exit::Missed,
            () => Exit::Passed,
        }
    }

    /// Puts runs and shards into their order, which does not depend on who ended first.
    pub fn sort(&mut self) {
        self.runs.sort_by_key(|run| (run.scenario, run.seed));
        self.shards.sort();
        self.nondeterminism.sort_by(|a, b| (&a.scenario, a.seed).cmp(&(&b.scenario, b.seed)));
    }
}

/// What one run adds to the digest of a sweep.
pub fn digest_of(scenario_hash: u64, seed: u64, run: u64) -> u64 {
    let mut digest = Digest::new();
    [scenario_hash, seed, run].into_iter().for_each(|word| digest.word(word));
    digest.value()
}

/// Counts a run's kinds of fault, and every two of them that it was given together.
pub fn count_pairs(pairs: &mut BTreeMap<(String, String), u64>, kinds: &BTreeSet<&str>) {
    for (number, first) in kinds.iter().enumerate() {
        for second in kinds.iter().skip(number) {
            *pairs.entry((first.to_string(), second.to_string())).or_default() += 1;
        }
    }
}

/// Of the shares that are missing, so many are named in a line.
const SHARES_NAMED: usize = 8;
