//! After the faults: links become timely, everything that is down comes back, clients finish, and progress is owed.

use std::time::Duration;

use crate::check;
use crate::check::{Violation, What};
use crate::client::Paper;
use crate::node::Input;
use crate::raft::RoleKind;
use crate::scenario::plan::Plan;
use crate::sim::HostId;
use crate::sim::host::{Host, State};
use crate::sim::network::Scene;
use crate::sim::world::{Happening, World};
use crate::time::Instant;

/// Where a run stands between its faults and its end.
#[derive(Debug)]
pub struct Settle {
    began: Option<Instant>,
    /// Since when everything has been quiet.
    quiet_since: Option<Instant>,
    /// Since when it has been calm, and until when it is to stay so.
    calm: Option<(Instant, Instant)>,
    /// How long quiet must last to be believed.
    quiet_for: Duration,
    ended: Option<Instant>,
    /// One election, at worst.
    round: Duration,
    /// How long it is to stay calm; zero where the settings themselves leave no peace.
    calm_for: Duration,
}

impl Settle {
    /// Before the faults.
    pub fn new(plan: &Plan) -> Settle {
        let round = plan.settings.election_timeout * 2 + plan.settings.fetch_timeout;
        let settings = &plan.settings;
        // A follower whose fetch is parked longer than it, or its leader, has patience for is restless by configuration.
        let is_restful =
            (settings.fetch_max_wait + prompt(plan)) < settings.fetch_timeout.min(settings.request_timeout);
        let calm_for = if is_restful && !plan.datagram { settings.fetch_timeout * 2 } else { Duration::ZERO };
        // What faults left behind, such as a connection that died without a word, is found within a time-out.
        let longest = settings.request_timeout.max(settings.fetch_timeout) * 5 / 4;
        let quiet_for = if calm_for.is_zero() { QUIET_FOR } else { QUIET_FOR + longest };
        Settle { began: None, quiet_since: None, calm: None, quiet_for, ended: None, round, calm_for }
    }

    /// Whether faults are over.
    pub fn has_begun(&self) -> bool {
        self.began.is_some()
    }

    /// Whether the run is over.
    pub fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// How long it took until everything was quiet.
    pub fn took(&self) -> Option<Duration> {
        let end = self.calm.map(|(since, _)| since).or(self.ended)?;
        Some(end.since(self.began?))
    }

    /// For the judge.
    pub fn for_judge(&self) -> Option<check::Settle> {
        Some(check::Settle { began: self.began?, leader_within: self.round * LEADER_WITHIN_ROUNDS })
    }
}

impl World<'_> {
    /// Schedules the end of the faults.
    pub(crate) fn begin_phases(&mut self) {
        self.queue.push(self.now + PHASE_POLL, Happening::Phase);
    }

    /// Looks whether the phase is over.
    pub(crate) fn phase_acts(&mut self) {
        match self.settle.began {
            Some(began) => self.look_for_quiet(began),
            None => {
                if self.faults_are_over() {
                    self.begin_settle();
                }
            }
        }
        if !self.settle.is_over() {
            self.queue.push(self.now + PHASE_POLL, Happening::Phase);
        }
    }

    /// Faults are over when the script is done and `until` has come true, or else when their time is over.
    fn faults_are_over(&mut self) -> bool {
        let elapsed = self.now.since(Instant::ZERO);
        if let Some(is_true) = self.until_holds() {
            if is_true {
                return true;
            }
            let at_most = self.plan.until.as_ref().and_then(|until| until.at_most).unwrap_or(self.plan.duration);
            if elapsed >= at_most {
                let message = format!(
                    "what the scenario waits for did not come true within {at_most:?}: {}",
                    self.script.status()
                );
                return !self.violate(Violation { property: check::UNTIL, message, at: self.now, node: None });
            }
            return false;
        }
        if let Some(stuck) = self.script_is_stuck() {
            return !self.violate(Violation { property: check::UNTIL, message: stuck, at: self.now, node: None });
        }
        elapsed >= self.plan.duration && self.script.is_done()
    }

    /// What the scenario says about changes of leadership is about the time of its faults.
    fn judge_leader_changes(&mut self) {
        let Some((least, most)) = self.plan.expect.leader_changes else { return };
        let changes = self.leader_changes();
        if !(least..=most).contains(&changes) {
            let owed = match most {
                u64::MAX => format!("at least {least}"),
                most if least == most => format!("exactly {least}"),
                most => format!("{least} to {most}"),
            };
            let message = format!("{changes} changes of leadership after the first election, {owed} are expected");
            self.violate(Violation { property: check::LEADER_CHANGES, message, at: self.now, node: None });
        }
    }

    fn begin_settle(&mut self) {
        self.fault(None, || "faults are over".to_owned());
        self.judge_leader_changes();
        self.settle.began = Some(self.now);
        self.nemesis.stop();
        self.network.calm(timely(self.plan));
        let scene = &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
        self.network.mend_all(scene);
        for id in 0..self.hosts.len() as u32 {
            let host = HostId(id);
            self.go_on(host);
            let is_waiting_for_rejoin = self.nemesis.wiped.is_some_and(|(wiped, _)| wiped == host);
            if !self.hosts[host.index()].is_started() && !is_waiting_for_rejoin {
                self.start(host);
            }
        }
        self.finish_clients();
    }

    fn look_for_quiet(&mut self, began: Instant) {
        if self.drill_lasts() {
            return;
        }
        self.relieve_recovering();
        let quiet = self.is_quiet();
        // What a drill leaves behind is known.
        let quiet_for = if self.drills.have_begun() { QUIET_FOR } else { self.settle.quiet_for };
        match (quiet, self.settle.quiet_since) {
            (true, None) => self.settle.quiet_since = Some(self.now),
            (true, Some(since)) if self.now.since(since) >= quiet_for => self.keep_calm(),
            (true, Some(_)) => {}
            (false, _) => self.settle.quiet_since = None,
        }
        // Whoever is not quiet by now never will be: the judge says what is missing.
        let patience = match self.drills.over_since().or(self.settle.calm.map(|(_, until)| until)) {
            Some(over) => over.since(began) + self.settle.round * 4,
            None => self.settle.round * QUIET_WITHIN_ROUNDS + self.clients.patience(),
        };
        if self.now.since(began) >= patience {
            self.settle.ended = Some(self.now);
        }
    }

    /// Who recovers waits for a leader of a later epoch than any it may have taken part in (R11). It has waited long enough
    /// once it has all that this leader has: the leader is asked to make room for such a one.
    fn relieve_recovering(&mut self) {
        let Some(leader) = self.leader() else { return };
        let Some(view) = self.hosts[leader.index()].view() else { return };
        let has_all = |host: &Host| {
            host.view().is_some_and(|other| {
                other.is_recovering && other.epoch == view.epoch && other.high_watermark == Some(view.log_end)
            })
        };
        if view.high_watermark == Some(view.log_end) && self.hosts.iter().any(has_all) {
            self.node_step(leader, Input::Resign);
        }
    }

    /// Quiet is believed. The examiner asks its questions, and then nothing happens for longer than any timer runs: who
    /// still moves, moves for nothing.
    fn keep_calm(&mut self) {
        match self.settle.calm {
            None => {
                let lasts = self.settle.calm_for;
                self.settle.calm = Some((self.now, self.now + lasts));
                self.show_files();
                if !lasts.is_zero() {
                    self.court.see(&self.hosts, self.now, None, What::Calm);
                    self.begin_examination(Paper::Calm);
                }
            }
            // Who is asked much is given time to answer: the judge counts it.
            Some((_, until)) if until <= self.now && self.is_examined_until(until) => {}
            Some((since, until)) if until <= self.now => {
                match self.leader().filter(|_| since < until && !self.drills.have_begun()) {
                    Some(leader) => {
                        self.settle.quiet_since = None;
                        self.begin_drill(leader);
                    }
                    None => {
                        self.show_files();
                        self.settle.ended = Some(self.now);
                    }
                }
            }
            Some(_) => {}
        }
    }

    /// Whether answers are still awaited, and may be: twice as long as the calm was to last.
    fn is_examined_until(&self, until: Instant) -> bool {
        let is_asked = self.examiner.as_ref().is_some_and(|examiner| !examiner.is_done());
        is_asked && self.now < until + self.settle.calm_for
    }

    /// Everybody follows one leader, has all it has, and no client waits.
    fn is_quiet(&self) -> bool {
        if !self.clients.are_done() || self.nemesis.wiped.is_some() {
            return false;
        }
        let Some(leader) = self.leader().and_then(|leader| self.hosts[leader.index()].view()) else { return false };
        self.hosts.iter().all(|host| match &host.state {
            State::Up(node) => {
                let view = node.replica().view();
                let follows = view.epoch == leader.epoch && view.leader == Some(leader.key.id);
                let is_at_peace = matches!(view.role, RoleKind::Leader | RoleKind::Follower);
                follows
                    && is_at_peace
                    && view.log_end == leader.log_end
                    && view.high_watermark == Some(leader.log_end)
                    && view.flushed == leader.log_end
                    && !view.is_recovering
            }
            _ => false,
        })
    }
}

/// What an answer may take in a quiet cluster: a few round trips and a few syncs.
pub fn prompt(plan: &Plan) -> Duration {
    (timely(plan).1 * 12 + plan.settings.sync.1 * 12).max(PROMPT_AT_LEAST)
}

/// The latency of links that are timely.
fn timely(plan: &Plan) -> (Duration, Duration) {
    let timely = plan.settings.election_timeout / 20;
    let (least, most) = plan.settings.latency;
    (least.min(timely), most.min(timely))
}

/// What answers may take where links and syncs take nothing: writes and reads of files still do.
const PROMPT_AT_LEAST: Duration = Duration::from_millis(1);

/// How often phases are looked at.
const PHASE_POLL: Duration = Duration::from_millis(20);

/// How long quiet must last at least to be believed.
const QUIET_FOR: Duration = Duration::from_millis(200);

/// A leader is owed within so many election rounds.
const LEADER_WITHIN_ROUNDS: u32 = 10;

/// Quiet is owed within so many election rounds, and what clients need.
const QUIET_WITHIN_ROUNDS: u32 = 40;
