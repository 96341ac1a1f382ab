//! What a run came to: verdict, signature, exit code.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{KV_LINEARIZABLE, Violation, is_liveness};
use crate::history::engine::words;
use crate::scenario::FaultKind;
use crate::trace::Event;

/// How a run was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing forbidden was seen.
    Passed,
    /// A property did not hold (exit 1; liveness exits 5).
    Violated(Violation),
    /// The run was not over when its budget of events was spent, or what clients were told of a key took more than a search may
    /// (exit 3).
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
    /// The run's digest: of every event in order, so that equal digests mean equal runs.
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
    /// Whether it was stopped before its end, and so judged up to there only.
    pub is_stopped: bool,
    /// The recorded events, when the run was traced.
    pub trace: Vec<Event>,
}

impl Outcome {
    /// How a command that made this run alone ends.
    pub fn exit(&self) -> Exit {
        match &self.verdict {
            Verdict::Passed => Exit::Passed,
            Verdict::Violated(violation) if is_liveness(violation.property) => Exit::NoProgress,
            Verdict::Violated(_) => Exit::Violated,
            Verdict::Undecided(_) => Exit::Undecided,
        }
    }

    /// What this failure has in common with others of its kind; `None` for a run that was not failed.
    pub fn signature(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Violated(violation) => Some(signature(violation)),
            Verdict::Passed | Verdict::Undecided(_) => None,
        }
    }
}

/// The property and the message with every number replaced by `N`, lists of numbers by one; of what clients were told of a key,
/// the kind of conflict alone. Faults are left out on purpose: a swarm switches on what has nothing to do with a failure, and one
/// bug would fall apart into many groups.
pub fn signature(violation: &Violation) -> String {
    signature_of(violation.property, &violation.message)
}

/// The same, of a violation that was written down.
pub fn signature_of(property: &str, message: &str) -> String {
    if let Some(kind) = words::kind(message).filter(|_| property == KV_LINEARIZABLE) {
        return format!("{property}: {kind}");
    }
    let mut text = format!("{property}: ");
    let mut number = String::new();
    for c in message.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_alphanumeric() {
            number.push(c);
            continue;
        }
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            || number.len() >= HEX_DIGITS_MIN && number.chars().all(|c| c.is_ascii_hexdigit());
        // Values are called after the client that they are of.
        let client = number.strip_prefix('c').unwrap_or_default();
        let is_client = !client.is_empty() && client.chars().all(|c| c.is_ascii_digit());
        text.push_str(match (is_number, is_client) {
            (true, _) => "N",
            (false, true) => "cN",
            (false, false) => &number,
        });
        number.clear();
        if c != '\0' {
            text.push(c);
        }
    }
    while text.contains("N, N") {
        text = text.replace("N, N", "N");
    }
    text
}

/// A word of hexadecimal digits at least this long is a checksum or a digest.
const HEX_DIGITS_MIN: usize = 8;

/// How a command ends: the one table of exit codes. (The codes of `serve` and of Kafka's tools are Kafka's.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: nothing forbidden was seen.
    Passed,
    /// 1: safety violated.
    Violated,
    /// 2: usage, scenario or configuration error.
    Usage,
    /// 3: a budget ran out, and no violation was found until then.
    Undecided,
    /// 4: nothing was selected to run.
    NothingSelected,
    /// 5: no progress after faults were over.
    NoProgress,
    /// 6: the same seed gave another digest: twice in one sweep, or here and where `run --expect-digest` has it from.
    Nondeterminism,
    /// 7: a threshold or coverage was missed.
    Missed,
    /// 101: the testbed itself panicked.
    Panicked,
    /// 130: interrupted (SIGINT); what was found is kept, and marked partial.
    Interrupted,
    /// 143: terminated (SIGTERM); the same.
    Terminated,
}

impl Exit {
    /// All of them, ascending by code.
    pub const ALL: [Exit; 11] = [
        Exit::Passed,
        Exit::Violated,
        Exit::Usage,
        Exit::Undecided,
        Exit::NothingSelected,
        Exit::NoProgress,
        Exit::Nondeterminism,
        Exit::Missed,
        Exit::Panicked,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Passed => 0,
            Exit::Violated => 1,
            Exit::Usage => 2,
            Exit::Undecided => 3,
            Exit::NothingSelected => 4,
            Exit::NoProgress => 5,
            Exit::Nondeterminism => 6,
            Exit::Missed => 7,
            Exit::Panicked => 101,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// The word in JSON and in the last line of a command.
    pub fn word(self) -> &'static str {
        match self {
            Exit::Passed => "passed",
            Exit::Violated => "violated",
            Exit::Usage => "usage",
            Exit::Undecided => "undecided",
            Exit::NothingSelected => "nothing_selected",
            Exit::NoProgress => "no_progress",
            Exit::Nondeterminism => "nondeterminism",
            Exit::Missed => "missed",
            Exit::Panicked => "panicked",
            Exit::Interrupted => "interrupted",
            Exit::Terminated => "terminated",
        }
    }

    /// How a command ends that was stopped by this signal number.
    pub fn of_signal(signal: i32) -> Exit {
        const SIGTERM: i32 = 15;
        if signal == SIGTERM { Exit::Terminated } else { Exit::Interrupted }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn violation(property: &'static str, message: &str) -> Violation {
        Violation { property, message: message.into(), at: Instant::ZERO, node: None }
    }

    #[test]
    fn signatures_forget_numbers_and_keep_words() {
        let told = violation("one_leader_per_epoch", "epoch 7: two leaders, nodes 1 and 3, by nodes 1 and 2");
        assert_eq!(signature(&told), "one_leader_per_epoch: epoch N: two leaders, nodes N and N, by nodes N and N");
        let told = violation("acked_writes_survive", "value c0-138 is at offset 555 and again at 559");
        assert_eq!(signature(&told), "acked_writes_survive: value cN-N is at offset N and again at N");
        let stale = "key 4: read of c2-19 by client 5 at 10.4s, after read of c2-11 was told to client 0 at 9.1s and nothing wrote c2-19 since";
        let told = violation("kv_linearizable", stale);
        assert_eq!(signature(&told), "kv_linearizable: answers that no order explains");
        let told = violation("machines_agree", "at offset 12 has digest 00ab34cd00ab34cd, voters [0, 1, 2] of 2s");
        assert_eq!(signature(&told), "machines_agree: at offset N has digest N, voters [N] of N");
    }

    #[test]
    fn exit_codes_and_words_are_distinct_and_ascend() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        let words: std::collections::BTreeSet<_> = Exit::ALL.iter().map(|exit| exit.word()).collect();
        assert_eq!(words.len(), Exit::ALL.len());
        assert_eq!(Exit::of_signal(2).code(), 130);
        assert_eq!(Exit::of_signal(15).code(), 143);
    }
}
