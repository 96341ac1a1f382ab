//! What a quiet cluster owes when one node is cut off from all others, and mended again.
//!
//! Faults of a storm come many at a time, and much is excused by what else is going on. A drill is one fault in a cluster
//! that is otherwise at peace, so what follows from it is known:
//! - `cut_off_follower_disturbs_nobody`: one follower less is no reason for anything. The leader stays, because a majority
//!   still fetches; nobody else changes its role. The follower itself loses patience and asks for votes, however often, and
//!   moves no epoch, neither its own nor, once it is back, that of the others.
//! - `cut_off_leader_steps_down`: a leader whom no majority fetches from resigns within one and a half fetch timeouts, and
//!   the others have another soon.
//!
//! What a leader that is cut off tells clients in the meantime is judged by `answers_are_right`: it has nothing to
//! acknowledge and nothing to confirm.
//!
//! Source: KIP-996 (pre-vote); KIP-595, "Leader Progress Timeout", and KAFKA-15489 (check-quorum).

use std::time::Duration;

use crate::check::{Drill, Interests, Property, Seen, State, Violation, What};
use crate::ids::Epoch;
use crate::raft::view::RoleKind;
use crate::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub struct CutOffFollowerDisturbsNobody {
    /// Who is cut off, or was.
    away: Option<usize>,
    /// Whether it has noticed.
    has_noticed: bool,
    drills: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct CutOffLeaderStepsDown {
    cut: Option<Cut>,
    drills: u64,
}

/// A leader that is cut off.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Instant,
    node: usize,
    epoch: Epoch,
    resigns_within: Duration,
    elected_within: Duration,
    resigned: bool,
    elected: bool,
}

impl Property for CutOffFollowerDisturbsNobody {
    fn name(&self) -> &'static str {
        "cut_off_follower_disturbs_nobody"
    }

    fn statement(&self) -> &'static str {
        "While one follower is cut off from a quiet cluster, and when it comes back, it asks for votes, nobody else changes role, and no epoch changes (KIP-996)."
    }

    fn interests(&self) -> Interests {
        Interests::DRILLED | Interests::ELECTION | Interests::DOWN
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Drilled(Drill::FollowerCut { node }) => {
                self.away = Some(node);
                self.drills += 1;
                return Ok(());
            }
            What::Drilled(_) => {
                let Some(away) = self.away.filter(|_| !self.has_noticed) else { return Ok(()) };
                return self.fails(seen, format!("node {away} was cut off for long and never asked for votes"));
            }
            _ => {}
        }
        let (Some(away), node) = (self.away, seen.observation.node) else { return Ok(()) };
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        let epoch = |state: Option<State>| state.map(|state| state.epoch);
        if node == away && mirror.state.is_some() && epoch(mirror.state) == epoch(mirror.before) {
            self.has_noticed |= mirror.state.is_some_and(|state| state.role == RoleKind::Prospective);
            return Ok(());
        }
        let became = words(mirror.state);
        self.fails(seen, format!("node {away} alone is or was cut off, and node {node} is {became}"))
    }

    fn exercised(&self) -> u64 {
        self.drills
    }
}

impl Property for CutOffLeaderStepsDown {
    fn name(&self) -> &'static str {
        "cut_off_leader_steps_down"
    }

    fn statement(&self) -> &'static str {
        "A leader that is cut off from a quiet cluster resigns within one and a half fetch timeouts, and the others elect another (KIP-595)."
    }

    fn interests(&self) -> Interests {
        Interests::DRILLED | Interests::ELECTION
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Drilled(Drill::LeaderCut { node, epoch, resigns_within, elected_within }) => {
                let at = seen.observation.at;
                let (resigned, elected) = (false, false);
                self.cut = Some(Cut { at, node, epoch, resigns_within, elected_within, resigned, elected });
                self.drills += 1;
                return Ok(());
            }
            What::Drilled(_) => {
                let Some(cut) = self.cut.take() else { return Ok(()) };
                let lie = cut.owes(seen.observation.at);
                return lie.map_or(Ok(()), |lie| self.fails(seen, lie));
            }
            _ => {}
        }
        let state = seen.ledger.node(seen.observation.node).and_then(|mirror| mirror.state);
        if let (Some(cut), Some(state)) = (&mut self.cut, state) {
            // What comes in time is enough; what does not is reported when the drill ends.
            let took = seen.observation.at.since(cut.at);
            let leads = state.role == RoleKind::Leader;
            cut.resigned |= seen.observation.node == cut.node && !leads && took <= cut.resigns_within;
            cut.elected |= leads && state.epoch > cut.epoch && took <= cut.elected_within;
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.drills
    }
}

impl Cut {
    /// What was due by now and did not happen.
    fn owes(&self, now: Instant) -> Option<String> {
        let Cut { node, epoch, resigns_within, elected_within, .. } = self;
        let lasted = now.since(self.at);
        if !self.resigned && lasted > *resigns_within {
            return Some(format!(
                "node {node} was cut off while it led epoch {epoch}, and led it for more than {resigns_within:?}"
            ));
        }
        let late = !self.elected && lasted > *elected_within;
        late.then(|| {
            format!("node {node}, leader of epoch {epoch}, was cut off, and no other led within {elected_within:?}")
        })
    }
}

fn words(state: Option<State>) -> String {
    state.map_or("down".to_owned(), |state| format!("{} in epoch {}", state.role.name(), state.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Observation;
    use crate::check::fixture::Stage;

    fn led(property: impl Property + 'static) -> Stage {
        let mut stage = Stage::of(property, 3);
        stage.leads(0, 2).unwrap();
        stage.follows(1, 0, 2).unwrap();
        stage.follows(2, 0, 2).unwrap();
        stage
    }

    fn drill(stage: &mut Stage, drill: Drill) -> Result<(), Violation> {
        stage.see(Observation::NO_NODE, What::Drilled(drill))
    }

    #[test]
    fn a_follower_that_is_cut_off_may_ask_and_move_nothing() {
        let away = || {
            let mut stage = led(CutOffFollowerDisturbsNobody::default());
            drill(&mut stage, Drill::FollowerCut { node: 2 }).unwrap();
            stage.is(2, RoleKind::Prospective, 2).unwrap();
            stage
        };
        assert!(away().is(0, RoleKind::Resigned, 2).unwrap_err().message.ends_with("node 0 is resigned in epoch 2"));
        assert!(away().is(2, RoleKind::Candidate, 3).is_err());
        let mut stage = away();
        drill(&mut stage, Drill::Healed).unwrap();
        stage.follows(2, 0, 2).unwrap();
        assert!(stage.is(1, RoleKind::Unattached, 3).is_err());
        let mut stage = led(CutOffFollowerDisturbsNobody::default());
        drill(&mut stage, Drill::FollowerCut { node: 2 }).unwrap();
        assert!(drill(&mut stage, Drill::Healed).unwrap_err().message.contains("never asked for votes"));
    }

    #[test]
    fn a_leader_that_is_cut_off_resigns_and_another_is_elected() {
        let millis = Duration::from_millis;
        // A stage's clock moves by one millisecond with every observation.
        let cut = |within: u64| {
            let mut stage = led(CutOffLeaderStepsDown::default());
            let (resigns_within, elected_within) = (millis(within), millis(within));
            drill(&mut stage, Drill::LeaderCut { node: 0, epoch: Epoch(2), resigns_within, elected_within }).unwrap();
            stage
        };
        let mut stage = cut(2);
        stage.is(0, RoleKind::Resigned, 2).unwrap();
        stage.leads(1, 3).unwrap();
        drill(&mut stage, Drill::Healed).unwrap();
        let mut stage = cut(2);
        stage.leads(1, 3).unwrap();
        stage.follows(2, 1, 3).unwrap();
        let message = drill(&mut stage, Drill::Healed).unwrap_err().message;
        assert!(message.contains("led it for more than 2ms"), "{message}");
        let mut stage = cut(1);
        stage.is(0, RoleKind::Resigned, 2).unwrap();
        assert!(drill(&mut stage, Drill::Healed).unwrap_err().message.contains("no other led within 1ms"));
        // Who is mended early owes nothing yet.
        drill(&mut cut(9), Drill::Healed).unwrap();
    }
}
