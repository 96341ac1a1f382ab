//! What a run came to: verdict, signature, summary.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::Violation;
use crate::scenario::FaultKind;
use crate::trace::Event;

/// How a run was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing forbidden was seen.
    Passed,
    /// A property did not hold (exit 1; liveness exits 5).
    Violated(Violation),
    /// The checker's budget ran out (exit 3).
    Undecided(String),
}

/// Everything that is kept of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The judgement.
    pub verdict: Verdict,
    /// The run's digest (DESIGN 6.6).
    pub digest: u64,
    /// Simulated events.
    pub events: u64,
    /// Frames delivered.
    pub messages: u64,
    /// Client operations that ended.
    pub operations: u64,
    /// Virtual time, settle included.
    pub virtual_time: Duration,
    /// Doses given, by kind.
    pub doses: BTreeMap<FaultKind, u64>,
    /// What was exercised: `property:NAME`, `note:NAME`, `left:ROLE`, `fault:KIND` → how often.
    pub exercised: BTreeMap<String, u64>,
    /// Changes of leadership after the first election.
    pub leader_changes: u64,
    /// Recovery time after faults stopped: the time to a leader, and to the last client operation.
    pub settled_in: Option<Duration>,
    /// The recorded events, when the run was traced.
    pub trace: Vec<Event>,
}
