//! Drills: one thing asked of a quiet cluster, or done to it, whose consequences are therefore known.
//!
//! Every run that became calm ends with one of them, drawn from its seed:
//! - the leader is asked to *resign*, or to *stop*: its successor is to take over at once;
//! - one follower is *cut off* from all other nodes for two fetch timeouts: nobody is to notice but itself;
//! - the leader is *cut off* from all other nodes: it is to resign, and the others are to elect another.
//!
//! Clients reach everybody all the time. The examiner asks meanwhile what must go on, and what must not. Afterwards links
//! are mended, who has stopped starts again, and quiet is owed once more.

use std::time::Duration;

use crate::check::{Drill, Handover, What};
use crate::client::Paper;
use crate::ids::Epoch;
use crate::node::Input;
use crate::raft::RoleKind;
use crate::scenario::plan::Plan;
use crate::sim::HostId;
use crate::sim::decide::{Decider, Stream};
use crate::sim::settle::prompt;
use crate::sim::world::World;
use crate::time::Instant;

/// What was drawn, and how far it is.
#[derive(Debug)]
pub struct Drills {
    stream: Stream,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was asked for.
    Before,
    /// A node is cut off, until then at the latest.
    Cut { node: HostId, until: Instant, led: Option<Epoch> },
    /// Quiet is to come back.
    Over { since: Instant },
}

/// What may be drawn, the harmless first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Resign,
    Stop,
    CutFollower,
    CutLeader,
}

impl Drills {
    /// None yet.
    pub fn new(decider: &Decider) -> Drills {
        Drills { stream: decider.stream("drills"), stage: Stage::Before }
    }

    /// Whether something was asked for: what happens from here on is not the cluster's own doing.
    pub fn have_begun(&self) -> bool {
        self.stage != Stage::Before
    }

    /// Since when nothing is asked for any more.
    pub fn over_since(&self) -> Option<Instant> {
        match self.stage {
            Stage::Over { since } => Some(since),
            Stage::Before | Stage::Cut { .. } => None,
        }
    }

    /// What an answer may take. A leader that is cut off says no when it knows, and that is when it resigns.
    pub fn answer_within(&self, plan: &Plan) -> Duration {
        match self.stage {
            Stage::Cut { led: Some(_), .. } => resigns_within(plan) + prompt(plan),
            _ => prompt(plan),
        }
    }
}

impl World<'_> {
    /// Draws a drill and begins it. A lone voter has nobody to be cut off from, nor to hand over to.
    pub(crate) fn begin_drill(&mut self, leader: HostId) {
        self.drills.stage = Stage::Over { since: self.now };
        let Some(epoch) = self.hosts[leader.index()].view().map(|view| view.epoch) else { return };
        let kinds: &[Kind] = match self.plan.voters {
            1 => return,
            2 => &[Kind::Resign, Kind::Stop],
            _ => &[Kind::Resign, Kind::Stop, Kind::CutFollower, Kind::CutLeader],
        };
        match kinds[self.drills.stream.index(kinds.len())] {
            Kind::Resign => self.hand_over(leader, epoch, None),
            Kind::Stop => self.hand_over(leader, epoch, Some(self.plan.settings.fetch_timeout * 2)),
            Kind::CutFollower => self.cut_off_follower(leader),
            Kind::CutLeader => self.cut_off_leader(leader, epoch),
        }
    }

    /// The leader is asked to go; where it is to stop as well, within that time.
    fn hand_over(&mut self, leader: HostId, epoch: Epoch, stop_within: Option<Duration>) {
        let settings = &self.plan.settings;
        let handover = Handover {
            epoch,
            stops: stop_within.map(|_| leader.index()),
            prompt: prompt(self.plan) * 2,
            // As in Kafka's `strictExponentialElectionBackoffMs`: the second waits so long, each after it twice as long.
            alone_for: by_any_clock(
                settings.election_backoff_max / 2u32.pow(self.plan.voters - 2),
                Clocks::Fast,
                self.plan,
            ),
            elected_within: elected_within(self.plan),
        };
        self.court.see(&self.hosts, self.now, None, What::HandedOver(handover));
        match stop_within {
            Some(within) => self.shut_down(leader, within),
            None => self.node_step(leader, Input::Resign),
        }
    }

    fn cut_off_follower(&mut self, leader: HostId) {
        let others: Vec<HostId> = (0..self.plan.voters).map(HostId).filter(|&voter| voter != leader).collect();
        let node = others[self.drills.stream.index(others.len())];
        self.cut_off(node, self.plan.settings.fetch_timeout * 2, None);
        self.court.see(&self.hosts, self.now, None, What::Drilled(Drill::FollowerCut { node: node.index() }));
        self.begin_examination(Paper::FollowerCut(node.index()));
    }

    fn cut_off_leader(&mut self, leader: HostId, epoch: Epoch) {
        let (resigns_within, elected_within) = (resigns_within(self.plan), elected_within(self.plan));
        let drill = Drill::LeaderCut { node: leader.index(), epoch, resigns_within, elected_within };
        self.cut_off(leader, resigns_within.max(elected_within) + prompt(self.plan), Some(epoch));
        self.court.see(&self.hosts, self.now, None, What::Drilled(drill));
        self.begin_examination(Paper::LeaderCut);
    }

    fn cut_off(&mut self, node: HostId, at_most: Duration, led: Option<Epoch>) {
        self.fault(None, || format!("n{} is cut off from a quiet cluster", node.0));
        for (from, to) in self.links_of(node) {
            self.network.cut(from, to);
        }
        self.drills.stage = Stage::Cut { node, until: self.now + at_most, led };
    }

    /// Whether a node is cut off. It comes back when its time is over, a leader once it has resigned and another leads.
    pub(crate) fn drill_lasts(&mut self) -> bool {
        let Stage::Cut { node, until, led } = self.drills.stage else { return false };
        let has_another = led.is_some_and(|before| {
            let leads = |view: &crate::raft::View<'_>| view.role == RoleKind::Leader;
            let is_succeeded = |view: &crate::raft::View<'_>| leads(view) && view.epoch > before;
            self.hosts.iter().filter_map(|host| host.view()).any(|view| is_succeeded(&view))
                && !self.hosts[node.index()].view().is_some_and(|view| leads(&view))
        });
        let has_answers = self.examiner.as_ref().is_none_or(|examiner| examiner.is_done());
        if self.now < until && !(has_another && has_answers) {
            return true;
        }
        for (from, to) in self.links_of(node) {
            self.mend(from, to);
        }
        self.fault(None, || format!("n{} is back", node.0));
        self.court.see(&self.hosts, self.now, None, What::Drilled(Drill::Healed));
        self.drills.stage = Stage::Over { since: self.now };
        false
    }

    /// Both directions of every link between a node and another.
    fn links_of(&self, node: HostId) -> Vec<(HostId, HostId)> {
        let others = self.hosts.iter().map(|host| host.id).filter(|&other| other != node);
        others.flat_map(|other| [(node, other), (other, node)]).collect()
    }
}

/// Check-quorum gives a leader one and a half fetch timeouts after the last fetch. (Kafka:
/// `LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR`.)
fn resigns_within(plan: &Plan) -> Duration {
    by_any_clock(plan.settings.fetch_timeout * 3 / 2, Clocks::Slow, plan) + prompt(plan)
}

/// One follower loses patience, and the election may have to be repeated a few times.
fn elected_within(plan: &Plan) -> Duration {
    let rounds = plan.settings.election_timeout * 2 * ELECTIONS;
    by_any_clock(plan.settings.fetch_timeout + rounds, Clocks::Slow, plan) + prompt(plan)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    Fast,
    Slow,
}

/// The least that a duration of a node's clock takes in true time, or the most.
fn by_any_clock(duration: Duration, clocks: Clocks, plan: &Plan) -> Duration {
    let drift = duration * plan.settings.drift_ppm / 1_000_000;
    match clocks {
        Clocks::Fast => duration.saturating_sub(drift),
        // A clock that loses a part of a second needs a little more than that part to make up for it.
        Clocks::Slow => duration + drift * 3 / 2,
    }
}

/// Elections that two followers may need to agree.
const ELECTIONS: u32 = 4;
