//! The index of a sweep: every run in a line, and what they have in common.
//!
//! ```text
//!  campaign::sweep ─▶ Index ─▶ json ─▶ sweep.json ─┐ several, of shards
//!                      │  ▲                         ▼
//!                      │  └────────────────────── join
//!                      └────▶ html ─▶ index.html, crate::report::junit
//! ```
//!
//! An index is what is left of a sweep when its process is gone, so whatever can be counted from its runs is counted from
//! them: the digest, the ways to fail, how many passed. What is joined from shards is therefore what one sweep would have said,
//! and a file that was changed by hand contradicts itself.

mod heat;
pub mod html;
pub mod index;
pub mod join;
pub mod json;
mod table;

pub use index::{count_pairs, digest_of};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::outcome::Exit;

/// A sweep, or several joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Who ran it: what two shards must have in common, besides the scenarios.
    pub maker: Maker,
    /// The scenarios.
    pub scenarios: Vec<Swept>,
    /// The shards, a sweep by itself being one.
    pub shards: Vec<Shard>,
    /// Whether shards were joined: then this is said of all shares, and not of those alone that are here.
    pub is_joined: bool,
    /// The runs, by scenario and seed.
    pub runs: Vec<Run>,
    /// What is known of each way to fail besides the number of its runs, by signature.
    pub failures: BTreeMap<String, Failure>,
    /// Sums over all runs.
    pub totals: Totals,
    /// Doses given, by the name of their kind.
    pub faults: BTreeMap<String, u64>,
    /// In how many runs two kinds of fault were given, the names of a pair ascending; a kind with itself is how many runs
    /// it was given in.
    pub pairs: BTreeMap<(String, String), u64>,
    /// What was exercised, how often: `property:NAME`, `note:NAME`, `left:ROLE`, `fault:KIND`.
    pub exercised: BTreeMap<String, u64>,
    /// What of that the scenarios should reach, once each has had its runs.
    pub expected: BTreeSet<String>,
    /// Seeds that came out differently the second time.
    pub nondeterminism: Vec<Nondeterminism>,
}

/// Who ran a sweep, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// The version of kraftbed.
    pub version: String,
    /// The digest of the program's file: two builds of one commit may differ, and what was changed since is in no commit.
    pub program: u64,
    /// Planted bugs that were switched on in every run.
    pub plants: Vec<String>,
    /// After how many events a run is undecided, where that was said.
    pub events_max: Option<u64>,
}

/// A scenario that was swept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Its path as it was found.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Its hash.
    pub hash: u64,
    /// Whether it says its seed itself, and so takes none.
    pub is_pinned: bool,
    /// After how many runs it should have reached everything.
    pub covers_within: u64,
}

/// One sweep, which may be a share of a larger one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Runs in all, of all shares.
    pub seeds: u64,
    /// The first seed.
    pub seed_base: u64,
    /// Every n-th run, beginning with the m-th.
    pub partition: (u64, u64),
    /// Whether a limit or a signal ended it early.
    pub is_partial: bool,
    /// Real time that it took.
    pub wall: Duration,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its scenario, by number in [`Index::scenarios`].
    pub scenario: usize,
    /// Its seed.
    pub seed: u64,
    /// What it came to.
    pub exit: Exit,
    /// Its digest.
    pub digest: u64,
    /// Simulated events.
    pub events: u64,
    /// Real time.
    pub wall_ms: u64,
    /// What was wrong, if it did not pass.
    pub trouble: Option<Box<Trouble>>,
}

/// What was wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The property that did not hold; `None` if nobody could decide.
    pub property: Option<String>,
    /// In a sentence.
    pub message: String,
    /// What it has in common with others of its kind.
    pub signature: Option<String>,
    /// The line that makes it happen again.
    pub replay: String,
}

/// What the recorded run of the smallest seed tells of a way to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What led there, as text with tables.
    pub causes: String,
    /// Its folder, from where the index is.
    pub folder: Option<String>,
}

/// Sums over all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames delivered.
    pub messages: u64,
    /// Client operations that ended.
    pub operations: u64,
    /// Virtual time.
    pub virtual_time: Duration,
}

/// A seed that came out differently the second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nondeterminism {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Both digests.
    pub digests: (u64, u64),
}

/// One way to fail: the runs with one signature.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// The run of the smallest seed; of several, the first by its scenario's path.
    pub smallest: &'a Run,
    /// What was wrong with it.
    pub trouble: &'a Trouble,
    /// How many runs failed this way.
    pub count: u64,
    /// How many of them there were of each scenario, by name.
    pub runs_of: BTreeMap<&'a str, u64>,
}
