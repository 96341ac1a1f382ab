//! One run from its beginning to its end, or to where the caller wants no more of it.

use crate::history::Operation;
use crate::outcome::{Outcome, Verdict};
use crate::scenario::plan::{Decisions, Plan};
use crate::sim::recorder::Trace;
use crate::sim::world::World;
use crate::time::Instant;

/// What a caller wants of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Whether to record events.
    pub trace: Trace,
    /// Stop at this virtual time.
    pub until: Option<Instant>,
    /// Stop after this many events, undecided; a hundred million unless given.
    pub events_max: Option<u64>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// What it came to.
    pub outcome: Outcome,
    /// What clients asked and were told.
    pub history: Vec<Operation>,
    /// Every node's files as a process would find them: path below `log.dirs`, and bytes.
    pub disks: Vec<Vec<(String, Vec<u8>)>>,
    /// What every draw decided, when the run was recorded.
    pub decisions: Decisions,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan, options: RunOptions) -> Finished {
    run_while(plan, options, || true)
}

/// Runs a plan to its end, or until somebody has had enough, who is asked now and then.
pub fn run_while(plan: &Plan, options: RunOptions, is_wanted: impl Fn() -> bool) -> Finished {
    let mut world = World::new(plan, options.trace);
    world.begin();
    let most = options.events_max.unwrap_or(EVENTS_MAX);
    let is_asked = |events: u64| events.is_multiple_of(EVENTS_BETWEEN_QUESTIONS);
    while world.events < most && (!is_asked(world.events) || is_wanted()) && world.step(options.until) {}
    let is_spent = world.events >= most;
    let mut finished = world.finish();
    if is_spent && finished.outcome.is_stopped {
        finished.outcome.verdict = Verdict::Undecided(format!("after {most} events it is not over"));
    }
    finished
}

/// A run that takes more events is taken for one that never ends: a thousand times what the longest scenario needs.
const EVENTS_MAX: u64 = 100_000_000;

/// A few milliseconds' worth.
const EVENTS_BETWEEN_QUESTIONS: u64 = 4096;
