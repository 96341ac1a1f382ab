//! Every planted bug of every layer, as runtime data.
//!
//! A quirk makes the code do what a named wrong implementation did: a mistake somebody really made, switched on by name
//! so that the judge can prove it would have noticed. The place that misbehaves asks `quirks.has(Quirk::…)` next to the
//! rule it breaks. The server refuses to start with any of them. Each one has a scenario under `scenarios/planted/`.

use std::fmt;

/// One planted bug, or one harmless variant that must never fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Quirk {
    /// Breaks R1: a completion is taken to vouch for every disk operation issued so far.
    CompletionVouchesForAll,
    /// Breaks R2: a fetch that is retried leaves while the own tail is not flushed, from the flushed offset.
    RetryFetchesUnflushed,
    /// Breaks R3: the high watermark carried by a diverging answer is applied.
    DivergingRaisesHighWatermark,
    /// Breaks R4: an answer to a superseded call is obeyed.
    SupersededAnswerObeyed,
    /// A vote is answered before it is on disk.
    VoteAnsweredBeforeSync,
    /// Breaks R5: a leader speaks before its own leadership is durable.
    LeaderSpeaksBeforeDurable,
    /// Breaks R12: bytes that recovery read are counted as flushed before they are synced.
    RecoveredCountsUnsynced,
    /// BeginQuorumEpoch of the same epoch erases the recorded vote, and a fetch timeout forgets the leader.
    BeginQuorumErasesVote,
    /// A single voter commits what it has appended, before the flush. (Kafka's order in `flushLeaderLog`.)
    SingleVoterCountsAppended,
    /// The high watermark may stop short of a record of the leader's own epoch. (KAFKA-12619, the paper's figure 8.)
    CommitsOlderEpoch,
    /// A restarted leader resumes leading the same epoch. (KAFKA-10527.)
    RestartsAsLeader,
    /// Breaks R10: any fetch that arrives after a read confirms leadership for it.
    AnyFetchConfirms,
    /// Breaks R11: a replica whose synced data is missing votes as if it were whole.
    RecoveringVotes,
    /// Breaks R10: a read of the end of the log is answered at once, and nobody confirms leadership.
    ConfirmsUnasked,
    /// Breaks R10: a new leader answers reads of the end before it has committed a record of its own.
    ConfirmsBeforeOwnCommit,
    /// `acks=all` is answered when the leader has the batch on disk, alone.
    AcksWhenFlushed,
    /// Consumers are given what is in the leader's log, committed or not.
    ReadsUncommitted,
    /// Consumers are told that the high watermark is the end of the log, those included who ask where it ends. (KAFKA-2334.)
    TellsEndAsHighWatermark,
    /// A leader does not know what producers wrote in earlier epochs, and appends their retries again.
    ProducersForgottenAtFailover,
    /// A retry of what is in the log is acknowledged at the end of the log, and not where the original is.
    DuplicateAckedAtEnd,
    /// What a deposed leader has appended is refused with NOT_LEADER_OR_FOLLOWER. (Kafka's own answer.)
    UnknownSaidRefused,
    /// A compare-and-set that found something else sets all the same, on every machine.
    FailedCasSets,
    /// A client answers a get with what a Fetch brings, and does not ask where the log ends.
    GetsSkipTail,
    /// A client judges a compare-and-set by what it had read before, and not by the log up to it.
    CasJudgedEarly,
    /// A consumer that asks for an offset in the midst of a batch keeps what stands before it. (Kafka: brokers send whole
    /// batches, and clients skip.)
    ReadsKeepBatchHeads,
    /// A client that has lost an answer sends its batch again under a new producer id, so that nobody knows it again.
    RetriesAsSomebodyElse,
    /// A leader appends batches whatever their sequence numbers leave out.
    SequenceGapsAccepted,
    /// Fails for one seed in a hundred on purpose, so that a harness that sees nothing is noticed.
    Canary,
    /// Harmless: BeginQuorumEpoch goes to all voters each period, even those that fetch. (Kafka before 4.2.)
    HarmlessHeartbeatsAll,
    /// Harmless: parked fetches wait for data or expiry, not for the high watermark. (Kafka before KIP-1166.)
    HarmlessParksUntilData,
}

impl Quirk {
    /// All of them, in the order of declaration.
    pub const ALL: [Quirk; 30] = [
        Quirk::CompletionVouchesForAll,
        Quirk::RetryFetchesUnflushed,
        Quirk::DivergingRaisesHighWatermark,
        Quirk::SupersededAnswerObeyed,
        Quirk::VoteAnsweredBeforeSync,
        Quirk::LeaderSpeaksBeforeDurable,
        Quirk::RecoveredCountsUnsynced,
        Quirk::BeginQuorumErasesVote,
        Quirk::SingleVoterCountsAppended,
        Quirk::CommitsOlderEpoch,
        Quirk::RestartsAsLeader,
        Quirk::AnyFetchConfirms,
        Quirk::RecoveringVotes,
        Quirk::ConfirmsUnasked,
        Quirk::ConfirmsBeforeOwnCommit,
        Quirk::AcksWhenFlushed,
        Quirk::ReadsUncommitted,
        Quirk::TellsEndAsHighWatermark,
        Quirk::ProducersForgottenAtFailover,
        Quirk::DuplicateAckedAtEnd,
        Quirk::UnknownSaidRefused,
        Quirk::FailedCasSets,
        Quirk::GetsSkipTail,
        Quirk::CasJudgedEarly,
        Quirk::ReadsKeepBatchHeads,
        Quirk::RetriesAsSomebodyElse,
        Quirk::SequenceGapsAccepted,
        Quirk::Canary,
        Quirk::HarmlessHeartbeatsAll,
        Quirk::HarmlessParksUntilData,
    ];

    /// The name used in scenarios and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Quirk::CompletionVouchesForAll => "completion_vouches_for_all",
            Quirk::RetryFetchesUnflushed => "retry_fetches_unflushed",
            Quirk::DivergingRaisesHighWatermark => "diverging_raises_high_watermark",
            Quirk::SupersededAnswerObeyed => "superseded_answer_obeyed",
            Quirk::VoteAnsweredBeforeSync => "vote_answered_before_sync",
            Quirk::LeaderSpeaksBeforeDurable => "leader_speaks_before_durable",
            Quirk::RecoveredCountsUnsynced => "recovered_counts_unsynced",
            Quirk::BeginQuorumErasesVote => "begin_quorum_erases_vote",
            Quirk::SingleVoterCountsAppended => "single_voter_counts_appended",
            Quirk::CommitsOlderEpoch => "commits_older_epoch",
            Quirk::RestartsAsLeader => "restarts_as_leader",
            Quirk::AnyFetchConfirms => "any_fetch_confirms",
            Quirk::RecoveringVotes => "recovering_votes",
            Quirk::ConfirmsUnasked => "confirms_unasked",
            Quirk::ConfirmsBeforeOwnCommit => "confirms_before_own_commit",
            Quirk::AcksWhenFlushed => "acks_when_flushed",
            Quirk::ReadsUncommitted => "reads_uncommitted",
            Quirk::TellsEndAsHighWatermark => "tells_end_as_high_watermark",
            Quirk::ProducersForgottenAtFailover => "producers_forgotten_at_failover",
            Quirk::DuplicateAckedAtEnd => "duplicate_acked_at_end",
            Quirk::UnknownSaidRefused => "unknown_said_refused",
            Quirk::FailedCasSets => "failed_cas_sets",
            Quirk::GetsSkipTail => "gets_skip_tail",
            Quirk::CasJudgedEarly => "cas_judged_early",
            Quirk::ReadsKeepBatchHeads => "reads_keep_batch_heads",
            Quirk::RetriesAsSomebodyElse => "retries_as_somebody_else",
            Quirk::SequenceGapsAccepted => "sequence_gaps_accepted",
            Quirk::Canary => "canary",
            Quirk::HarmlessHeartbeatsAll => "harmless_heartbeats_all",
            Quirk::HarmlessParksUntilData => "harmless_parks_until_data",
        }
    }

    /// One line for `kraftbed list plants`.
    pub fn about(self) -> &'static str {
        match self {
            Quirk::CompletionVouchesForAll => "a disk completion vouches for operations that are still under way (R1)",
            Quirk::RetryFetchesUnflushed => "a retried fetch leaves while the tail is unflushed (R2)",
            Quirk::DivergingRaisesHighWatermark => "a diverging answer raises the high watermark (R3)",
            Quirk::SupersededAnswerObeyed => "an answer to a superseded call is obeyed (R4)",
            Quirk::VoteAnsweredBeforeSync => "a vote is answered before it is on disk",
            Quirk::LeaderSpeaksBeforeDurable => "a leader speaks before its leadership is durable (R5)",
            Quirk::RecoveredCountsUnsynced => "recovered bytes count as flushed before they are synced (R12)",
            Quirk::BeginQuorumErasesVote => {
                "BeginQuorumEpoch of the same epoch erases the vote, a fetch timeout forgets the leader"
            }
            Quirk::SingleVoterCountsAppended => "a single voter commits before its flush",
            Quirk::CommitsOlderEpoch => "records of older epochs commit without one of the leader's own (KAFKA-12619)",
            Quirk::RestartsAsLeader => "a restarted leader resumes the same epoch (KAFKA-10527)",
            Quirk::AnyFetchConfirms => "any later fetch confirms leadership for a linearizable read (R10)",
            Quirk::RecoveringVotes => "a replica whose synced data is missing votes as if it were whole (R11)",
            Quirk::ConfirmsUnasked => "a read of the log's end is answered without confirming leadership (R10)",
            Quirk::ConfirmsBeforeOwnCommit => {
                "a new leader answers reads of the log's end before its first commit (R10)"
            }
            Quirk::AcksWhenFlushed => "`acks=all` is answered when the leader alone has the batch on disk",
            Quirk::ReadsUncommitted => "consumers are given what is appended, committed or not",
            Quirk::TellsEndAsHighWatermark => "consumers are told the end of the log for the high watermark",
            Quirk::ProducersForgottenAtFailover => "a new leader does not know what producers wrote in earlier epochs",
            Quirk::DuplicateAckedAtEnd => {
                "a retry is acknowledged at the end of the log, and not where its original is"
            }
            Quirk::UnknownSaidRefused => {
                "a batch whose fate a deposed leader does not know is refused with NOT_LEADER_OR_FOLLOWER, as by Kafka"
            }
            Quirk::FailedCasSets => "a compare-and-set that found something else sets all the same",
            Quirk::GetsSkipTail => "a client answers a get with what a Fetch brings, without asking where the log ends",
            Quirk::CasJudgedEarly => "a client judges a compare-and-set by what it knew, and not by the log up to it",
            Quirk::ReadsKeepBatchHeads => "a consumer is given what stands in a batch before the offset it asked for",
            Quirk::RetriesAsSomebodyElse => "a client sends a batch in doubt again under a new producer id",
            Quirk::SequenceGapsAccepted => "a leader appends batches that have overtaken others of their producer",
            Quirk::Canary => "fails for one seed in a hundred, to prove that failures are seen",
            Quirk::HarmlessHeartbeatsAll => "harmless: heartbeats go to all voters; must never fail",
            Quirk::HarmlessParksUntilData => "harmless: parked fetches ignore the high watermark; must never fail",
        }
    }

    /// Whether this variant must never fail.
    pub fn is_harmless(self) -> bool {
        matches!(self, Quirk::HarmlessHeartbeatsAll | Quirk::HarmlessParksUntilData)
    }

    /// The quirk of that name.
    pub fn parse(name: &str) -> Option<Quirk> {
        Quirk::ALL.into_iter().find(|quirk| quirk.name() == name)
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The quirks that are switched on; almost always none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks(u64);

impl Quirks {
    /// No quirk: the code as it should be.
    pub const NONE: Quirks = Quirks(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, quirk: Quirk) -> Quirks {
        Quirks(self.0 | 1 << quirk as u8)
    }

    /// Whether the quirk is on.
    #[inline]
    pub fn has(self, quirk: Quirk) -> bool {
        self.0 & (1 << quirk as u8) != 0
    }

    /// Whether all are off.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are on.
    pub fn iter(self) -> impl Iterator<Item = Quirk> {
        Quirk::ALL.into_iter().filter(move |&quirk| self.has(quirk))
    }
}
