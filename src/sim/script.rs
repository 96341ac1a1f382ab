//! The script: steps that wait for a condition, name their targets, and act.

use std::time::Duration;

use crate::ids::Offset;
use crate::node::Input;
use crate::scenario::FaultKind;
use crate::scenario::plan::{Action, Condition, LeaderIs, On, Plan, Step, Target};
use crate::sim::HostId;
use crate::sim::decide::{Decider, Stream};
use crate::sim::network::Scene;
use crate::sim::world::{Happening, World};
use crate::time::Instant;
use crate::trace::words;

/// Where the script stands.
#[derive(Debug)]
pub struct Script {
    stream: Stream,
    /// The next step.
    next: usize,
    steps: usize,
    armed: Armed,
    names: Vec<(String, Vec<HostId>)>,
    /// Hosts that only the script may start again.
    down: Vec<HostId>,
    /// The largest high watermark that each node has reached.
    high_watermarks: Vec<Offset>,
    /// The largest log end that any node has reached.
    log_end: Offset,
}

/// What conditions compare with.
#[derive(Clone, Copy, Debug, Default)]
struct Armed {
    at: Instant,
    high_watermark: Offset,
    log_end: Offset,
}

impl Script {
    /// The script of a plan, before its first step.
    pub fn new(plan: &Plan, decider: &Decider) -> Script {
        let nodes = (plan.voters + plan.observers) as usize;
        Script {
            stream: decider.stream("script"),
            next: 0,
            steps: plan.steps.len(),
            armed: Armed::default(),
            names: Vec::new(),
            down: Vec::new(),
            high_watermarks: vec![Offset::ZERO; nodes],
            log_end: Offset::ZERO,
        }
    }

    /// Whether every step has fired.
    pub fn is_done(&self) -> bool {
        self.next >= self.steps
    }

    /// Whether only the script may start this host.
    pub fn keeps_down(&self, host: HostId) -> bool {
        self.down.contains(&host)
    }

    /// Where it stands, in words.
    pub fn status(&self) -> String {
        let largest = self.largest();
        format!(
            "{} of {} steps done, largest high watermark {largest}, log end {}",
            self.next, self.steps, self.log_end
        )
    }

    /// Takes note of how far a node is.
    pub fn reached(&mut self, host: HostId, high_watermark: Option<Offset>, log_end: Offset) {
        let largest = &mut self.high_watermarks[host.index()];
        *largest = (*largest).max(high_watermark.unwrap_or_default());
        self.log_end = self.log_end.max(log_end);
    }

    fn largest(&self) -> Offset {
        self.high_watermarks.iter().copied().max().unwrap_or_default()
    }

    fn arm(&self, at: Instant) -> Armed {
        Armed { at, high_watermark: self.largest(), log_end: self.log_end }
    }
}

impl World<'_> {
    /// Fires every step that is due.
    pub(crate) fn script_acts(&mut self) {
        if self.settle.has_begun() {
            return;
        }
        while let Some(step) = self.plan.steps.get(self.script.next) {
            if !self.is_due(step) {
                self.queue.push(self.now + SCRIPT_POLL, Happening::Script);
                return;
            }
            for (name, target) in &step.bind {
                let taken: Vec<HostId> = self.script.names.iter().flat_map(|(_, hosts)| hosts.clone()).collect();
                let hosts = self.resolve(target, &taken);
                self.script.names.push((name.clone(), hosts));
            }
            for action in &step.actions {
                self.act(action);
            }
            self.script.next += 1;
            self.script.armed = self.script.arm(self.now);
        }
    }

    /// Whether `until` holds; `None` when the plan has none. It is armed when the last step has fired.
    pub(crate) fn until_holds(&self) -> Option<bool> {
        let until = self.plan.until.as_ref()?;
        Some(self.script.is_done() && self.holds(until, self.script.armed))
    }

    /// What the script waits for in vain, in words: a step that was due long ago.
    pub(crate) fn script_is_stuck(&self) -> Option<String> {
        let trigger = &self.plan.steps.get(self.script.next)?.trigger;
        let could_fire = (self.script.armed.at + trigger.after.unwrap_or_default())
            .max(Instant::ZERO + trigger.at.unwrap_or_default().max(self.plan.duration));
        let is_late = self.now.since(Instant::ZERO) >= could_fire.since(Instant::ZERO) + STEP_PATIENCE;
        is_late.then(|| {
            format!("step {} did not fire within {STEP_PATIENCE:?}: {}", self.script.next + 1, self.script.status())
        })
    }

    fn is_due(&self, step: &Step) -> bool {
        let armed = self.script.armed;
        let trigger = &step.trigger;
        trigger.after.is_none_or(|after| self.now.since(armed.at) >= after)
            && trigger.at.is_none_or(|at| self.now.since(Instant::ZERO) >= at)
            && trigger.when.as_ref().is_none_or(|condition| self.holds(condition, armed))
    }

    fn holds(&self, condition: &Condition, armed: Armed) -> bool {
        let over = |least: Offset| self.high_watermark_is(&condition.on, |high_watermark| high_watermark > least);
        let at_least = |least: Offset| self.high_watermark_is(&condition.on, |high_watermark| high_watermark >= least);
        condition.high_watermark_over.is_none_or(|least| over(Offset(least)))
            && condition.high_watermark_gains.is_none_or(|gain| at_least(armed.high_watermark + gain))
            && condition.high_watermark_times.is_none_or(|times| at_least(Offset(armed.log_end.0 * times)))
            && condition.high_watermark_ahead_of.as_ref().is_none_or(|target| {
                let hosts = self.resolve_exactly(target);
                let ahead_of = hosts.iter().map(|host| self.high_watermark_of(*host)).max().unwrap_or_default();
                over(ahead_of)
            })
            && condition.leader.as_ref().is_none_or(|leader| self.leader_is(leader))
            && condition.elapsed.is_none_or(|elapsed| self.now.since(armed.at) >= elapsed)
    }

    fn high_watermark_is(&self, on: &On, holds: impl Fn(Offset) -> bool) -> bool {
        let all: Vec<HostId> = self.hosts.iter().map(|host| host.id).collect();
        match on {
            On::Any => holds(self.script.largest()),
            On::All => all
                .iter()
                .filter(|host| self.hosts[host.index()].is_started())
                .all(|&host| holds(self.high_watermark_of(host))),
            On::Majority => {
                let voters = all.iter().filter(|host| host.0 < self.plan.voters);
                voters.filter(|&&host| holds(self.high_watermark_of(host))).count() > self.plan.voters as usize / 2
            }
            On::Target(target) => {
                self.resolve_exactly(target).into_iter().all(|host| holds(self.high_watermark_of(host)))
            }
        }
    }

    /// What the node knows while it runs; what it has reached when it is down.
    fn high_watermark_of(&self, host: HostId) -> Offset {
        match self.hosts[host.index()].view() {
            Some(view) => view.high_watermark.unwrap_or_default(),
            None => self.script.high_watermarks[host.index()],
        }
    }

    fn leader_is(&self, leader: &LeaderIs) -> bool {
        match leader {
            LeaderIs::Agreed => {
                let Some(agreed) = self.leader() else { return false };
                let mut views = self.hosts.iter().filter_map(|host| host.view());
                let epoch = self.hosts[agreed.index()].view().map(|view| view.epoch);
                views.all(|view| view.leader.map(|id| id.0) == Some(agreed.0) && Some(view.epoch) == epoch)
            }
            LeaderIs::One(target) => {
                let hosts = self.resolve_exactly(target);
                self.leader().is_some_and(|leader| hosts.contains(&leader))
            }
            LeaderIs::Not(target) => {
                let hosts = self.resolve_exactly(target);
                self.leader().is_some_and(|leader| !hosts.contains(&leader))
            }
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::OneOf(actions) => {
                let drawn = self.script.stream.index(actions.len());
                self.act(&actions[drawn]);
            }
            Action::Heal => {
                self.fault(None, || "all links mended".to_owned());
                let scene =
                    &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
                self.network.mend_all(scene);
            }
            Action::Partition(groups) => self.act_partition(groups),
            Action::Cut(pairs) => self.act_cut(FaultKind::Cut, pairs),
            Action::CutOneWay(pairs) => self.act_cut(FaultKind::CutOneWay, pairs),
            Action::Isolate(target) => {
                for host in self.resolve(target, &[]) {
                    let others: Vec<HostId> =
                        self.hosts.iter().map(|other| other.id).filter(|&other| other != host).collect();
                    self.cut_between(FaultKind::Isolate, &[host], &others);
                }
            }
            Action::Crash(target)
            | Action::Kill(target)
            | Action::Restart(target)
            | Action::Wipe(target)
            | Action::Rot(target)
            | Action::Resign(target) => {
                for host in self.resolve(target, &[]) {
                    self.act_on(action, host);
                }
            }
            Action::Shutdown { target, within } => {
                for host in self.resolve(target, &[]) {
                    self.doses.give(FaultKind::Shutdown);
                    self.script.down.push(host);
                    self.fault(Some(FaultKind::Shutdown), || format!("n{} is asked to stop", host.0));
                    self.shut_down(host, *within);
                }
            }
            Action::Pause { target, lasting } => {
                for host in self.resolve(target, &[]) {
                    self.act_pause(host, *lasting);
                }
            }
        }
    }

    fn act_on(&mut self, action: &Action, host: HostId) {
        let is_started = self.hosts[host.index()].is_started();
        match action {
            Action::Crash(_) if is_started => {
                self.doses.give(FaultKind::Power);
                self.script.down.push(host);
                self.fault(Some(FaultKind::Power), || format!("n{} loses power", host.0));
                self.power_off(host);
            }
            Action::Kill(_) if is_started => {
                self.doses.give(FaultKind::Kill);
                self.script.down.push(host);
                self.fault(Some(FaultKind::Kill), || format!("n{} killed", host.0));
                self.kill(host);
            }
            Action::Restart(_) => {
                self.script.down.retain(|&down| down != host);
                self.go_on(host);
                let is_waiting_for_rejoin = self.nemesis.wiped.is_some_and(|(wiped, _)| wiped == host);
                if !is_started && !is_waiting_for_rejoin {
                    self.fault(None, || format!("n{} started", host.0));
                    self.start(host);
                }
            }
            Action::Wipe(_) if !self.may_wipe(host) => {
                self.fault(None, || format!("n{} keeps its disk: no more durable faults are allowed", host.0));
            }
            Action::Wipe(_) => {
                self.doses.give(FaultKind::Wipe);
                self.fault(Some(FaultKind::Wipe), || format!("n{} loses its disk", host.0));
                self.wipe(host);
            }
            Action::Rot(_) => self.act_rot(host),
            Action::Resign(_) if self.leader() == Some(host) => {
                self.doses.give(FaultKind::Resign);
                self.fault(Some(FaultKind::Resign), || format!("n{} is asked to resign", host.0));
                self.node_step(host, Input::Resign);
            }
            _ => {}
        }
    }

    fn act_rot(&mut self, host: HostId) {
        if self.rot(host) {
            self.script.down.push(host);
        }
    }

    fn act_pause(&mut self, host: HostId, lasting: Option<Duration>) {
        if self.hosts[host.index()].node().is_none() {
            return;
        }
        self.doses.give(FaultKind::Pause);
        self.fault(Some(FaultKind::Pause), || format!("n{} stands still", host.0));
        self.pause(host);
        if let Some(lasting) = lasting {
            let incarnation = self.hosts[host.index()].incarnation;
            self.queue.push(self.now + lasting, Happening::Continue { host, incarnation });
        }
    }

    fn act_partition(&mut self, groups: &[Target]) {
        let mut named: Vec<HostId> = Vec::new();
        let mut resolved: Vec<Vec<HostId>> = Vec::new();
        for group in groups {
            let hosts: Vec<HostId> =
                self.resolve(group, &named).into_iter().filter(|host| !named.contains(host)).collect();
            named.extend(&hosts);
            resolved.push(hosts);
        }
        for (index, group) in resolved.iter().enumerate() {
            for other in &resolved[index + 1..] {
                self.cut_between(FaultKind::Cut, group, other);
            }
        }
    }

    fn act_cut(&mut self, kind: FaultKind, pairs: &[(Target, Target)]) {
        for (from, to) in pairs {
            let (from, to) = (self.resolve(from, &[]), self.resolve(to, &[]));
            match kind {
                FaultKind::CutOneWay => {
                    self.doses.give(kind);
                    let (these, those) = (self.named(&from), self.named(&to));
                    self.fault(Some(kind), || format!("cut one way: {these} to {those}"));
                    from.iter().for_each(|&from| to.iter().for_each(|&to| self.network.cut(from, to)));
                }
                _ => self.cut_between(kind, &from, &to),
            }
        }
    }

    /// Hosts as a trace calls them.
    fn named(&self, hosts: &[HostId]) -> String {
        let names: Vec<String> = hosts.iter().map(|&host| words::place(self.place(host))).collect();
        names.join(" ")
    }

    fn cut_between(&mut self, kind: FaultKind, some: &[HostId], others: &[HostId]) {
        self.doses.give(kind);
        let (these, those) = (self.named(some), self.named(others));
        self.fault(Some(kind), || format!("cut between {these} and {those}"));
        for &one in some {
            for &other in others {
                self.network.cut(one, other);
                self.network.cut(other, one);
            }
        }
    }

    /// The nodes a target means now; `named` are those that `rest` leaves out and `any` does not draw.
    fn resolve(&mut self, target: &Target, named: &[HostId]) -> Vec<HostId> {
        match target {
            Target::Any(from) => {
                let mut hosts = self.resolve(from, named);
                hosts.retain(|host| !named.contains(host));
                match hosts.is_empty() {
                    true => hosts,
                    false => vec![hosts[self.script.stream.index(hosts.len())]],
                }
            }
            Target::Rest => self.hosts.iter().map(|host| host.id).filter(|host| !named.contains(host)).collect(),
            Target::List(targets) => {
                let mut hosts: Vec<HostId> = Vec::new();
                for target in targets {
                    let taken: Vec<HostId> = named.iter().chain(&hosts).copied().collect();
                    let more: Vec<HostId> = self.resolve(target, &taken);
                    hosts.extend(more.into_iter().filter(|host| !taken.contains(host) || !named.contains(host)));
                }
                hosts.dedup();
                hosts
            }
            exact => self.resolve_exactly(exact),
        }
    }

    /// The nodes a target means now, where nothing is drawn.
    fn resolve_exactly(&self, target: &Target) -> Vec<HostId> {
        let voters = 0..self.plan.voters;
        let nodes = 0..self.hosts.len() as u32;
        match target {
            Target::Leader => self.leader().into_iter().collect(),
            Target::Voters => voters.map(HostId).collect(),
            Target::Followers => {
                let leader = self.leader();
                voters.map(HostId).filter(|&host| Some(host) != leader).collect()
            }
            Target::Observers => (self.plan.voters..nodes.end).map(HostId).collect(),
            Target::All | Target::Rest => nodes.map(HostId).collect(),
            Target::Majority => (0..self.plan.voters / 2 + 1).map(HostId).collect(),
            Target::Id(id) => nodes.contains(id).then_some(HostId(*id)).into_iter().collect(),
            Target::Name(name) => self
                .script
                .names
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, hosts)| hosts.clone())
                .unwrap_or_default(),
            Target::List(targets) => targets.iter().flat_map(|target| self.resolve_exactly(target)).collect(),
            Target::Any(from) => self.resolve_exactly(from),
        }
    }
}

/// How long a step waits for its condition once its time has come and the time of faults is over.
const STEP_PATIENCE: Duration = Duration::from_secs(600);

/// How often a condition is looked at.
const SCRIPT_POLL: Duration = Duration::from_millis(2);
