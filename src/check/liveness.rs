//! When faults are over, progress is owed: a leader, equal logs, finished clients, and no busy loop.
//!
//! Judged only of runs that settled: links are timely, everything is up. The bounds come from the driver, which
//! knows the timeouts; a node that is down at the end is not judged, and neither is one that was wiped and waits.
//!
//! - `leader_emerges`: the nodes that are up agree on one leader in one epoch, and it was elected within the bound.
//! - `nodes_catch_up`: their logs end where the leader's ends, durably, and all of it is committed as far as each knows.
//! - `operations_finish`: no client is left waiting.
//! - `no_busy_loop`: no node ticks twice at one instant for nothing, nor steps without measure, nor knocks at a door that
//!   does not open more often than its back-off allows.
//!
//! Source: Raft §5.3 (followers eventually store all entries); TLA+ `EventuallyLeaderElected`, `ValuesEventuallyAcked`;
//! KAFKA-17751 and KAFKA-19605 (poll timers that spin).

use crate::check::{End, Interests, Ledger, Property, Seen, Violation, What};
use crate::ids::Epoch;
use crate::raft::view::{RoleKind, View};
use crate::time::Instant;

/// More steps than this within a second of true time are a loop: the busiest honest node of a scenario takes a tenth.
const STEPS_PER_SECOND_MAX: u64 = 50_000;

/// See the module.
#[derive(Debug, Default)]
pub struct LeaderEmerges {
    elected: Option<(Epoch, Instant)>,
    is_over: bool,
    judged: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct NodesCatchUp {
    judged: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct OperationsFinish {
    judged: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct NoBusyLoop {
    judged: u64,
}

fn leader<'a>(end: &End<'a>) -> Option<View<'a>> {
    let leaders = end.views.iter().flatten().filter(|view| view.role == RoleKind::Leader);
    leaders.max_by_key(|view| view.epoch).copied()
}

/// The nodes that are up, with their numbers.
fn up<'a>(end: &End<'a>) -> impl Iterator<Item = (usize, View<'a>)> {
    end.views.iter().enumerate().filter_map(|(node, view)| Some((node, (*view)?)))
}

impl Property for LeaderEmerges {
    fn name(&self) -> &'static str {
        "leader_emerges"
    }

    fn statement(&self) -> &'static str {
        "When faults are over, all nodes agree on a leader within a bounded number of election rounds (TLA+ EventuallyLeaderElected)."
    }

    fn interests(&self) -> Interests {
        Interests::ELECTION | Interests::CALM
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        // Who leads after the calm was asked for by the judge.
        self.is_over |= matches!(seen.observation.what, What::Calm);
        if self.is_over {
            return Ok(());
        }
        let state = seen.ledger.node(seen.observation.node).and_then(|mirror| mirror.state);
        let Some(state) = state.filter(|state| state.role == RoleKind::Leader) else { return Ok(()) };
        if self.elected.is_none_or(|(epoch, _)| epoch < state.epoch) {
            self.elected = Some((state.epoch, seen.observation.at));
        }
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let Some(settle) = end.settle else { return Ok(()) };
        self.judged += 1;
        let Some(leader) = leader(end) else {
            return self.fails_in_the_end(
                end,
                None,
                format!("no node leads, {:?} after faults were over", end.at.since(settle.began)),
            );
        };
        let believes = |view: &View<'_>| (view.epoch, view.leader) == (leader.epoch, Some(leader.key.id));
        if let Some((node, view)) = up(end).find(|(_, view)| !believes(view)) {
            let (id, epoch, role) = (leader.key.id, leader.epoch, view.role.name());
            let message = format!(
                "node {id} leads epoch {epoch}, node {node} is {role} in epoch {} and follows {:?}",
                view.epoch, view.leader
            );
            return self.fails_in_the_end(end, Some(node), message);
        }
        let took = self.elected.map(|(_, at)| at.since(settle.began)).unwrap_or_default();
        if took > settle.leader_within {
            let message = format!(
                "the last leader was elected {took:?} after faults were over, {:?} is owed",
                settle.leader_within
            );
            return self.fails_in_the_end(end, None, message);
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

impl Property for NodesCatchUp {
    fn name(&self) -> &'static str {
        "nodes_catch_up"
    }

    fn statement(&self) -> &'static str {
        "When faults are over, every node that is up ends with the leader's log, durable and known to be committed (Raft §5.3)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let (Some(_), Some(leader)) = (end.settle, leader(end)) else { return Ok(()) };
        let owed = leader.log_end;
        for (node, view) in up(end) {
            self.judged += 1;
            let durable = end.disks.get(node).map_or(view.flushed, |disk| disk.durable_end());
            if view.log_end == owed && durable == owed && view.high_watermark == Some(owed) {
                continue;
            }
            let high_watermark = view.high_watermark.map_or("unknown".into(), |to| to.to_string());
            let message = format!(
                "the leader's log ends at {owed}, node {node} ends at {}, durable {durable}, high watermark {high_watermark}",
                view.log_end
            );
            return self.fails_in_the_end(end, Some(node), message);
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

impl Property for OperationsFinish {
    fn name(&self) -> &'static str {
        "operations_finish"
    }

    fn statement(&self) -> &'static str {
        "When faults are over, every client finishes what it was asked to do (TLA+ ValuesEventuallyAcked)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let Some(settle) = end.settle else { return Ok(()) };
        self.judged += 1;
        if end.unfinished == 0 {
            return Ok(());
        }
        let (unfinished, after) = (end.unfinished, end.at.since(settle.began));
        self.fails_in_the_end(end, None, format!("{unfinished} operations are not over {after:?} after faults were"))
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

impl Property for NoBusyLoop {
    fn name(&self) -> &'static str {
        "no_busy_loop"
    }

    fn statement(&self) -> &'static str {
        "No node ticks twice at one instant without effect, takes steps without measure, or asks for connections without pause (KAFKA-17751, KAFKA-19605)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        for (node, effort) in end.efforts.iter().enumerate() {
            self.judged += 1;
            if effort.idle_ticks > 0 {
                let message = format!("node {node} ticked {} times at one instant, for nothing", effort.idle_ticks);
                return self.fails_in_the_end(end, Some(node), message);
            }
            let (connects, most) = (effort.connects_in_busiest_second, effort.connects_max);
            if connects > most && most > 0 {
                let message =
                    format!("node {node} asked for {connects} connections within a second, {most} are its patience");
                return self.fails_in_the_end(end, Some(node), message);
            }
            if effort.steps_in_busiest_second > STEPS_PER_SECOND_MAX {
                let message = format!("node {node} took {} steps within a second", effort.steps_in_busiest_second);
                return self.fails_in_the_end(end, Some(node), message);
            }
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::fixture::{Stage, mark};
    use crate::check::{Effort, Settle};

    fn settled() -> End<'static> {
        End { settle: Some(Settle { began: Instant::ZERO, leader_within: Duration::from_secs(1) }), ..End::default() }
    }

    fn with_leader(property: impl Property + 'static) -> Stage {
        let mut stage = Stage::of(property, 3);
        for node in 0..3 {
            stage.node(node).write(&[mark(0, 3, 2)]).sync().high_watermark(3);
        }
        stage.leads(0, 2).unwrap();
        stage.follows(1, 0, 2).unwrap();
        stage.follows(2, 0, 2).unwrap();
        stage
    }

    #[test]
    fn an_agreed_leader() {
        with_leader(LeaderEmerges::default()).finish(settled()).unwrap();
        let mut stage = with_leader(LeaderEmerges::default());
        stage.is(2, RoleKind::Prospective, 2).unwrap();
        assert!(stage.finish(settled()).unwrap_err().message.contains("node 2 is prospective"));
        let mut stage = with_leader(LeaderEmerges::default());
        stage.is(0, RoleKind::Resigned, 2).unwrap();
        assert!(stage.finish(settled()).unwrap_err().message.starts_with("no node leads"));
    }

    #[test]
    fn a_leader_that_came_late() {
        let late = Settle { began: Instant::ZERO, leader_within: Duration::from_nanos(1) };
        let mut stage = with_leader(LeaderEmerges::default());
        assert!(stage.finish(End { settle: Some(late), ..End::default() }).is_err());
        stage.finish(End::default()).unwrap();
    }

    #[test]
    fn a_node_that_stays_behind() {
        with_leader(NodesCatchUp::default()).finish(settled()).unwrap();
        let mut stage = with_leader(NodesCatchUp::default());
        stage.node(2).high_watermark(0);
        assert!(stage.finish(settled()).unwrap_err().message.ends_with("high watermark 0"));
    }

    #[test]
    fn clients_that_wait() {
        let mut stage = Stage::of(OperationsFinish::default(), 3);
        stage.finish(settled()).unwrap();
        assert!(stage.finish(End { unfinished: 2, ..settled() }).is_err());
    }

    #[test]
    fn nodes_that_spin() {
        let mut stage = Stage::of(NoBusyLoop::default(), 3);
        let lazy =
            Effort { steps_in_busiest_second: 900, connects_in_busiest_second: 9, connects_max: 9, idle_ticks: 0 };
        stage.finish(End { efforts: &[lazy], ..settled() }).unwrap();
        let knocking = Effort { connects_in_busiest_second: 10, ..lazy };
        assert!(stage.finish(End { efforts: &[knocking], ..settled() }).is_err());
        assert!(stage.finish(End { efforts: &[Effort { idle_ticks: 1, ..Effort::default() }], ..settled() }).is_err());
    }
}
