//! A scenario drawn with a seed: everything explicit.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::workload::Kind;
pub use crate::client::workload::Reads;
use crate::quirk::Quirks;
use crate::scenario::{FaultKind, keys};

/// What a driver is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The scenario's name: its file name without `.json`.
    pub name: String,
    /// Why it exists, one sentence.
    pub about: String,
    /// Hash of the scenario's text.
    pub hash: u64,
    /// The seed.
    pub seed: u64,
    /// Number of voters; their ids are 0 to voters−1.
    pub voters: u32,
    /// Number of observers; their ids follow.
    pub observers: u32,
    /// Timeouts and sizes.
    pub settings: Settings,
    /// What clients do.
    pub workload: Vec<Work>,
    /// The kinds of fault that are on, and how strong: 1 weak, 2 medium, 3 strong. Drawn for a swarm, listed otherwise.
    pub faults: BTreeMap<FaultKind, u8>,
    /// The script.
    pub steps: Vec<Step>,
    /// How long faults run when the steps end sooner, and when `until` must have come true.
    pub duration: Duration,
    /// What must come true before settle.
    pub until: Option<Condition>,
    /// Properties that are not judged.
    pub waive: Vec<String>,
    /// What must come of it.
    pub expect: Expect,
    /// Planted bugs.
    pub quirks: Quirks,
    /// Whether durable faults may exceed the budget within which no committed record may be lost.
    pub beyond_budget: bool,
    /// Whether replica links lose, duplicate and reorder frames one by one.
    pub datagram: bool,
    /// Whether events at one instant are shuffled.
    pub shuffle_ties: bool,
    /// Draws that are decided.
    pub decisions: Decisions,
    /// Whether draws that are not decided come from the seed or are neutral (no fault).
    pub otherwise: Otherwise,
    /// After how many seeds of this scenario a sweep demands that everything it should reach was reached.
    pub covers_within: u64,
}

impl Plan {
    /// The plan in which everything that was drawn during a run is decided, and everything else is neutral.
    pub fn decided(&self, decisions: Decisions) -> Plan {
        Plan { decisions, otherwise: Otherwise::Neutral, ..self.clone() }
    }

    /// How many draws are decided.
    pub fn decisions_count(&self) -> usize {
        self.decisions.values().map(BTreeMap::len).sum()
    }
}

/// Draws that are decided: by stream and number, the choice.
pub type Decisions = BTreeMap<String, BTreeMap<u64, Choice>>;

/// What a draw decides: a number of whatever the draw is about (nanoseconds, an index, a bit mask; 0 and 1 for no and yes).
pub type Choice = u64;

/// Where undecided draws come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// From the seed.
    #[default]
    Seed,
    /// The harmless choice.
    Neutral,
}

/// What a draw is to be, from the JSON of a choice: a number of whatever the draw is about, a word for yes or
/// no, or `{"keep": [0, 4]}` for those of 64 changed sectors that survive. `None` for anything else.
pub fn parse_choice(json: &str) -> Option<Choice> {
    if let Some(list) = json.strip_prefix("{\"keep\":").and_then(|rest| rest.trim().strip_suffix('}')) {
        let kept = list.trim().strip_prefix('[')?.strip_suffix(']')?;
        let bits = kept.split(',').map(str::trim).filter(|bit| !bit.is_empty());
        return bits
            .map(|bit| bit.parse().ok().filter(|bit: &u32| *bit < 64))
            .try_fold(0, |mask, bit| Some(mask | 1 << bit?));
    }
    match json {
        "true" => Some(1),
        "false" => Some(0),
        number if number.starts_with(|first: char| first.is_ascii_digit()) => number.parse().ok(),
        word => {
            let word = word.strip_prefix('"')?.strip_suffix('"')?;
            keys::CHOICES.iter().find(|(known, _)| *known == word).map(|(_, choice)| *choice)
        }
    }
}

/// Timeouts and sizes of every node and of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `election_timeout`.
    pub election_timeout: Duration,
    /// `fetch_timeout`.
    pub fetch_timeout: Duration,
    /// `election_backoff_max`.
    pub election_backoff_max: Duration,
    /// `request_timeout`.
    pub request_timeout: Duration,
    /// `retry_backoff`.
    pub retry_backoff: Duration,
    /// `fetch_max_wait`.
    pub fetch_max_wait: Duration,
    /// `fetch_bytes_max`.
    pub fetch_bytes_max: usize,
    /// `log_tail_bytes`.
    pub log_tail_bytes: usize,
    /// `segment_bytes`.
    pub segment_bytes: u64,
    /// `preallocate_bytes`.
    pub preallocate_bytes: u64,
    /// `recovery_point_bytes`.
    pub recovery_point_bytes: usize,
    /// One-way network latency: least and most.
    pub latency: (Duration, Duration),
    /// Duration of a sync: least and most.
    pub sync: (Duration, Duration),
    /// Largest drift of a clock, parts per million.
    pub drift_ppm: u32,
}

/// One group of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// How many clients.
    pub clients: u32,
    /// What they do.
    pub kind: Kind,
    /// Work to be finished (what faults prevented is finished in settle), all clients of the group together.
    pub operations: Option<u64>,
    /// Pace: this many operations per duration, all clients of the group together.
    pub rate: Option<(u64, Duration)>,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// What is read between the writes.
    pub reads: Reads,
}

/// One step: wait for the trigger, then do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When; conditions are armed when the step before has fired.
    pub trigger: Trigger,
    /// Names fixed for later steps, bound in this order before the actions. Nodes are distinct within one list: a later
    /// `any` draws none that an earlier name holds.
    pub bind: Vec<(String, Target)>,
    /// What to do, in order.
    pub actions: Vec<Action>,
}

/// When a step fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Not before this long after the step before fired.
    pub after: Option<Duration>,
    /// Not before this instant of the run.
    pub at: Option<Duration>,
    /// Not before this holds.
    pub when: Option<Condition>,
}

/// Something that becomes true. All parts that are there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The high watermark is larger than this.
    pub high_watermark_over: Option<u64>,
    /// It is larger by this than the largest when the condition was armed.
    pub high_watermark_gains: Option<u64>,
    /// It is this many times the largest log end when armed.
    pub high_watermark_times: Option<u64>,
    /// It is larger than any high watermark of the target.
    pub high_watermark_ahead_of: Option<Target>,
    /// Who must lead.
    pub leader: Option<LeaderIs>,
    /// This long since armed.
    pub elapsed: Option<Duration>,
    /// Of which nodes the high watermark is meant.
    pub on: On,
    /// `until` only: the latest time for it to come true.
    pub at_most: Option<Duration>,
}

/// Of which nodes a condition on high watermarks speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// One is enough.
    #[default]
    Any,
    /// Every node that is up.
    All,
    /// A majority of the voters.
    Majority,
    /// These.
    Target(Target),
}

/// A condition on the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderIs {
    /// All nodes that are up name the same one.
    Agreed,
    /// One of these leads the highest epoch.
    One(Target),
    /// None of these does.
    Not(Target),
}

/// Nodes, named in a way that is resolved when the step fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The leader of the highest epoch.
    Leader,
    /// All voters.
    Voters,
    /// All voters but the leader.
    Followers,
    /// All observers.
    Observers,
    /// Every node.
    All,
    /// Those not named so far in this action.
    Rest,
    /// The lowest ids that make a majority of the voters.
    Majority,
    /// A node by id.
    Id(u32),
    /// A name bound by `let`.
    Name(String),
    /// Several.
    List(Vec<Target>),
    /// One of these, drawn.
    Any(Box<Target>),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Action {
    /// Power loss.
    Crash(Target),
    /// The process dies, its cache survives.
    Kill(Target),
    /// A graceful stop within this time.
    Shutdown { target: Target, within: Duration },
    /// The process stands still until `restart` or for this long.
    Pause { target: Target, lasting: Option<Duration> },
    /// Start what is down, continue what is paused.
    Restart(Target),
    /// Kill, and replace the disk by an empty one.
    Wipe(Target),
    /// Power loss, and synced bytes below the recovery point are damaged or gone.
    Rot(Target),
    /// Ask the leader among these to resign.
    Resign(Target),
    /// Cut one node off.
    Isolate(Target),
    /// Cut the links between groups; nodes not named keep theirs.
    Partition(Vec<Target>),
    /// Cut these pairs in both directions.
    Cut(Vec<(Target, Target)>),
    /// Cut these pairs in the direction given.
    CutOneWay(Vec<(Target, Target)>),
    /// Mend all links.
    Heal,
    /// One of these, drawn.
    OneOf(Vec<Action>),
}

/// What must come of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Changes of leadership after the first election: least and most.
    pub leader_changes: Option<(u64, u64)>,
    /// The property that must be violated (planted scenarios).
    pub violates: Option<String>,
    /// Within how many seeds.
    pub within_seeds: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_numbers_words_and_kept_sectors() {
        assert_eq!(parse_choice("1500000"), Some(1_500_000));
        assert_eq!((parse_choice("\"drop\""), parse_choice("\"deliver\"")), (Some(1), Some(0)));
        assert_eq!(parse_choice("{\"keep\": [0, 4]}"), Some(0b10001));
        assert_eq!(parse_choice("{\"keep\": []}"), Some(0));
        assert_eq!(
            (parse_choice("{\"keep\": [64]}"), parse_choice("\"maybe\""), parse_choice("-1")),
            (None, None, None)
        );
    }
}
