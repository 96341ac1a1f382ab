//! The judge: asks every property that cares, and stops at the first violation.

use std::collections::BTreeMap;

use crate::check::acked_writes_survive::AckedWritesSurvive;
use crate::check::calm::{AnswersAreRight, HandoverIsPrompt, LeaderIsStable};
use crate::check::canary::{Canary, CanaryProperty};
use crate::check::committed_is_durable_on_majority::CommittedIsDurableOnMajority;
use crate::check::committed_stays::CommittedStays;
use crate::check::completed_is_durable::CompletedIsDurable;
use crate::check::consumers_see_committed::ConsumersSeeCommitted;
use crate::check::drills::{CutOffFollowerDisturbsNobody, CutOffLeaderStepsDown};
use crate::check::epochs_and_votes_move_forward::EpochsAndVotesMoveForward;
use crate::check::files_are_in_order::FilesAreInOrder;
use crate::check::flushed_is_durable::FlushedIsDurable;
use crate::check::high_watermark_moves_forward::HighWatermarkMovesForward;
use crate::check::kv_linearizable::KvLinearizable;
use crate::check::leader_change_is_true::LeaderChangeIsTrue;
use crate::check::leader_commits_own_epoch::LeaderCommitsOwnEpoch;
use crate::check::leaders_are_elected::LeadersAreElected;
use crate::check::leaders_are_heeded::LeadersAreHeeded;
use crate::check::leadership_announced_once::LeadershipAnnouncedOnce;
use crate::check::liveness::{LeaderEmerges, NoBusyLoop, NodesCatchUp, OperationsFinish};
use crate::check::log_is_contiguous::LogIsContiguous;
use crate::check::log_linearizable::LogLinearizable;
use crate::check::machines_agree::MachinesAgree;
use crate::check::never_panics::NeverPanics;
use crate::check::offset_and_epoch_identify_content::OffsetAndEpochIdentifyContent;
use crate::check::one_leader_per_epoch::OneLeaderPerEpoch;
use crate::check::producers_in_order::ProducersInOrder;
use crate::check::recovery_keeps_durable::RecoveryKeepsDurable;
use crate::check::restarts_keep_roles::RestartsKeepRoles;
use crate::check::roles_are_valid::RolesAreValid;
use crate::check::said_only_durable::SaidOnlyDurable;
use crate::check::tail_reads_linearizable::TailReadsLinearizable;
use crate::check::vote_uniqueness::VoteUniqueness;
use crate::check::{End, Interests, Ledger, Observation, Property, Seen, Violation};

/// What a judge is to judge.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of properties that are not judged. Names that nobody has are the business of whoever validates scenarios.
    pub waive: Vec<String>,
    /// Whether the canary sings.
    pub canary: Canary,
}

/// Feeds observations to properties.
#[derive(Debug)]
pub struct Judge {
    ledger: Ledger,
    properties: Vec<(Interests, Box<dyn Property>)>,
}

impl Judge {
    /// A judge of every property that is not waived.
    pub fn new(options: &Options) -> Judge {
        let is_waived = |property: &dyn Property| options.waive.iter().any(|name| name == property.name());
        Judge::of(every(options.canary).into_iter().filter(|property| !is_waived(property.as_ref())).collect())
    }

    /// A judge of these properties alone.
    pub fn of(properties: Vec<Box<dyn Property>>) -> Judge {
        let properties = properties.into_iter().map(|property| (property.interests(), property)).collect();
        Judge { ledger: Ledger::default(), properties }
    }

    /// Judges something that happened. After a violation the judge must not be asked again.
    pub fn observe(&mut self, observation: &Observation<'_>) -> Option<Violation> {
        let kinds = self.ledger.enter(observation);
        if kinds == Interests::NONE {
            return None;
        }
        let seen = Seen { observation, kinds, ledger: &self.ledger };
        let cares = |&&mut (interests, _): &&mut (Interests, Box<dyn Property>)| interests.overlap(kinds);
        self.properties.iter_mut().filter(cares).find_map(|(_, property)| property.observe(&seen).err())
    }

    /// Judges the end of the run.
    pub fn finish(&mut self, end: &End<'_>) -> Option<Violation> {
        let Judge { ledger, properties } = self;
        properties.iter_mut().find_map(|(_, property)| property.finish(end, ledger).err())
    }

    /// What could not be decided within its budget: the property, and why.
    pub fn undecided(&self) -> Option<String> {
        let undecided = |property: &dyn Property| Some(format!("{}: {}", property.name(), property.undecided()?));
        self.properties.iter().find_map(|(_, property)| undecided(property.as_ref()))
    }

    /// How often each property was put to the test.
    pub fn exercised(&self) -> BTreeMap<&'static str, u64> {
        self.properties.iter().map(|(_, property)| (property.name(), property.exercised())).collect()
    }

    /// What properties remember beyond the ledger, in entries.
    pub fn entries(&self) -> usize {
        self.properties.iter().map(|(_, property)| property.entries()).sum()
    }

    /// What the judge knows of the run.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// Every property with its statement, in the order in which they are asked.
pub fn all() -> Vec<(&'static str, &'static str)> {
    every(Canary::Silent).iter().map(|property| (property.name(), property.statement())).collect()
}

/// Whether a property is about progress (exit code 5) and not about safety (exit code 1).
pub fn is_liveness(property: &str) -> bool {
    matches!(
        property,
        "leader_emerges"
            | "leader_is_stable"
            | "cut_off_follower_disturbs_nobody"
            | "cut_off_leader_steps_down"
            | "handover_is_prompt"
            | "nodes_catch_up"
            | "operations_finish"
            | "no_busy_loop"
            | crate::check::UNTIL
    )
}

/// Causes before consequences: of two properties that see the same step go wrong, the first is the one reported.
fn every(canary: Canary) -> Vec<Box<dyn Property>> {
    vec![
        Box::new(NeverPanics::default()),
        Box::new(OneLeaderPerEpoch::default()),
        Box::new(VoteUniqueness::default()),
        Box::new(LeadersAreElected::default()),
        Box::new(EpochsAndVotesMoveForward::default()),
        Box::new(RolesAreValid::default()),
        Box::new(LogIsContiguous::default()),
        Box::new(OffsetAndEpochIdentifyContent::default()),
        Box::new(CommittedStays::default()),
        Box::new(CommittedIsDurableOnMajority::default()),
        Box::new(LeaderCommitsOwnEpoch::default()),
        Box::new(HighWatermarkMovesForward::default()),
        Box::new(SaidOnlyDurable::default()),
        Box::new(FlushedIsDurable::default()),
        Box::new(CompletedIsDurable::default()),
        Box::new(FilesAreInOrder::default()),
        Box::new(RecoveryKeepsDurable::default()),
        Box::new(RestartsKeepRoles::default()),
        Box::new(LeadersAreHeeded::default()),
        Box::new(LeadershipAnnouncedOnce::default()),
        Box::new(LeaderChangeIsTrue::default()),
        Box::new(MachinesAgree::default()),
        Box::new(ConsumersSeeCommitted::default()),
        Box::new(AckedWritesSurvive::default()),
        Box::new(TailReadsLinearizable::default()),
        Box::new(LogLinearizable::default()),
        Box::new(ProducersInOrder::default()),
        Box::new(KvLinearizable::default()),
        Box::new(LeaderEmerges::default()),
        Box::new(LeaderIsStable::default()),
        Box::new(CutOffFollowerDisturbsNobody::default()),
        Box::new(CutOffLeaderStepsDown::default()),
        Box::new(HandoverIsPrompt::default()),
        Box::new(AnswersAreRight::default()),
        Box::new(NodesCatchUp::default()),
        Box::new(OperationsFinish::default()),
        Box::new(NoBusyLoop::default()),
        Box::new(CanaryProperty::new(canary)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_a_name_and_a_statement_of_its_own() {
        let all = all();
        let names: std::collections::BTreeSet<_> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all.len());
        for (name, statement) in all {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name} is not snake case");
            assert!(statement.ends_with('.') && statement.contains('('), "{name} states no source: {statement}");
        }
    }

    #[test]
    fn waived_properties_are_not_judged() {
        let judge = Judge::new(&Options { waive: vec!["committed_stays".into()], ..Options::default() });
        assert!(!judge.exercised().contains_key("committed_stays"));
        assert!(judge.exercised().contains_key("one_leader_per_epoch"));
    }
}
