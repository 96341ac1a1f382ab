//! Every key of the language, object by object, in the order in which a resolved scenario writes them.
//!
//! This is the one place where keys are listed: the reader refuses all others, and a test compares `scenarios/schema.json`
//! with it.

use crate::client::workload::{Kind, Reads};
use crate::scenario::fault::{Family, FaultKind};
use crate::scenario::settings::SETTINGS;

/// The scenario itself. `about` must come first: it is how a reader of the file, and a tool, knows what this is.
pub const SCENARIO: &[&str] = &[
    "about",
    "version",
    "seed",
    "voters",
    "observers",
    "settings",
    "workload",
    "faults",
    "datagram",
    "shuffle_ties",
    "steps",
    "duration",
    "until",
    "plant",
    "beyond_budget",
    "waive",
    "expect",
    "covers_within",
    "decisions",
    "otherwise",
];

/// One entry of `workload`.
pub const WORK: &[&str] = &["clients", "kind", "operations", "rate", "value_bytes", "reads"];

/// The keys of `faults` that are not kinds of fault.
pub const SWARM: &[&str] = &["swarm", "odds"];

/// One entry of `steps`.
pub const STEP: &[&str] = &["at", "after", "when", "let", "do"];

/// `when`, and with `at_most` also `until`.
pub const CONDITION: &[&str] = &[
    "high_watermark_over",
    "high_watermark_gains",
    "high_watermark_times",
    "high_watermark_ahead_of",
    "leader",
    "elapsed",
    "on",
    "at_most",
];

/// What a `do` can name. `heal` stands alone as a string.
pub const ACTIONS: &[&str] = &[
    "crash",
    "kill",
    "shutdown",
    "pause",
    "restart",
    "wipe",
    "rot",
    "resign",
    "isolate",
    "partition",
    "cut",
    "cut_one_way",
    "heal",
    "one_of",
];

/// Words that name nodes, and may therefore not be bound by `let`.
pub const TARGETS: &[&str] = &["leader", "voters", "followers", "observers", "all", "rest", "majority"];

/// `expect`.
pub const EXPECT: &[&str] = &["leader_changes", "violates", "within_seeds"];

/// An entry of `decisions`.
pub const DECISION: &[&str] = &["stream", "n", "is", "are"];

/// Streams of draws; an `N` stands for a number.
pub const STREAMS: &[&str] = &[
    "answers",
    "audit",
    "clock N",
    "compression N",
    "disk N",
    "drills",
    "fault N",
    "link N>N",
    "nemesis",
    "restart N",
    "script",
    "ties",
];

/// Words for the choices 1 and 0.
pub const CHOICES: &[(&str, u64)] =
    &[("drop", 1), ("reset", 1), ("stall", 1), ("fail", 1), ("yes", 1), ("deliver", 0), ("no", 0)];

/// What clients read between writes, by the words for it.
pub const READS: &[(&str, Reads)] = &[("none", Reads::None), ("committed", Reads::Committed), ("tail", Reads::Tail)];

/// Whether this is the name of a stream.
pub fn is_stream(name: &str) -> bool {
    STREAMS.contains(&stream_shape(name).as_str())
}

/// A name with `N` for each of its numbers.
pub fn stream_shape(name: &str) -> String {
    let mut shape = String::new();
    for letter in name.chars() {
        let letter = if letter.is_ascii_digit() { 'N' } else { letter };
        if letter != 'N' || !shape.ends_with('N') {
            shape.push(letter);
        }
    }
    shape
}

/// The keys of `settings`.
pub fn settings() -> Vec<&'static str> {
    SETTINGS.iter().map(|setting| setting.name).collect()
}

/// The keys of `faults`.
pub fn faults() -> Vec<&'static str> {
    SWARM.iter().copied().chain(FaultKind::ALL.map(FaultKind::name)).collect()
}

/// The words of `swarm`.
pub fn families() -> Vec<&'static str> {
    Family::ALL.map(Family::name).to_vec()
}

/// What clients do, by the words for it.
pub fn work_kinds() -> Vec<(&'static str, Kind)> {
    Kind::ALL.map(|kind| (kind.name(), kind)).to_vec()
}

/// The words of a table.
pub fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

/// The word for a value of a table.
pub fn word_for<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    let row = table.iter().find(|(_, candidate)| candidate == value);
    row.expect("invariant: every value of the language has a word").0
}
