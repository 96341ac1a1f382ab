//! The swarm: which faults are on this time, how strong, when, and on whom.
//!
//! A plan says which kinds are on and how strong (drawn per seed, because a run in which everything happens a little
//! hides what happens when one thing happens a lot). Some kinds are ambient: links and disks draw them themselves. The
//! rest are dealt here, one every so often, each with its end. Durable faults stay within their budget: never so much that
//! committed records must be lost.
//!
//! Which kind a turn deals (or none) and how long the next is away are draws of `nemesis`, two a turn; how turn `k` goes
//! about it are draws of `fault k`, and when a node comes back draws of `restart` and its number. So a fault that a
//! scenario takes out moves no other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::Damage;
use crate::ids::Epoch;
use crate::node::Input;
use crate::raft::RoleKind;
use crate::scenario::FaultKind;
use crate::scenario::plan::Plan;
use crate::sim::HostId;
use crate::sim::decide::{Decider, Stream, pick};
use crate::sim::host::{Fall, Moment};
use crate::sim::image::unsynced_sectors;
use crate::sim::network::Scene;
use crate::sim::world::{Happening, World};

/// The fault dealer of one world.
#[derive(Debug)]
pub struct Nemesis {
    stream: Stream,
    /// Turns so far.
    turns: u64,
    /// Kinds that are dealt here, each as often as it is strong.
    deck: Vec<FaultKind>,
    /// Mean time between two faults.
    period: Duration,
    /// How faults that are under way will end, by the number of the fault.
    reliefs: BTreeMap<u32, Relief>,
    dealt: u32,
    /// The voter that waits for a new disk to be safe, and the largest epoch it ever persisted.
    pub(crate) wiped: Option<(HostId, Epoch)>,
    is_over: bool,
}

/// How a fault ends.
#[derive(Clone, Debug)]
enum Relief {
    /// These links are mended.
    Mend(Vec<(HostId, HostId)>),
    /// The power of a host fails, soon after something else happened to it.
    Power(HostId),
    /// A host falls in the midst of a sync, if it is still the same process.
    Fall { host: HostId, incarnation: u32, kind: FaultKind },
    /// See whether the wiped voter may come back.
    Rejoin,
}

impl Nemesis {
    /// The nemesis of a plan.
    pub fn new(plan: &Plan, decider: &Decider) -> Nemesis {
        let mut stream = decider.stream("nemesis");
        let dealt = plan.faults.iter().filter(|(kind, _)| is_dealt(plan, **kind));
        let deck: Vec<FaultKind> = dealt.flat_map(|(&kind, &strength)| vec![kind; usize::from(strength)]).collect();
        let timeout = plan.settings.fetch_timeout.as_nanos() as u64;
        let period = Duration::from_nanos(stream.pause(timeout / 2, timeout * 4));
        Nemesis { stream, turns: 0, deck, period, reliefs: BTreeMap::new(), dealt: 0, wiped: None, is_over: false }
    }

    /// How many faults are under way.
    pub fn under_way(&self) -> usize {
        self.reliefs.len()
    }

    /// No more faults.
    pub fn stop(&mut self) {
        self.is_over = true;
    }
}

impl World<'_> {
    /// Deals what is there from the beginning, and schedules the first fault.
    pub(crate) fn begin_nemesis(&mut self) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].clock.drifts() {
                self.doses.give(FaultKind::Drift);
            }
            if self.plan.faults.contains_key(&FaultKind::Offset) {
                let offset = self.nemesis.stream.around_zero(OFFSET_MS_MOST);
                self.move_wall_clock(FaultKind::Offset, host, offset);
            }
        }
        if !self.nemesis.deck.is_empty() {
            self.queue.push(self.now + self.nemesis.period, Happening::Nemesis);
        }
    }

    /// Deals one fault and schedules the next.
    pub(crate) fn nemesis_acts(&mut self) {
        if self.nemesis.is_over {
            return;
        }
        let nemesis = &mut self.nemesis;
        let turn = nemesis.turns;
        nemesis.turns += 1;
        nemesis.stream.turn_to(|| "nemesis".to_owned());
        let drawn = nemesis.stream.some_index(nemesis.deck.len());
        nemesis.stream.turn_to(|| format!("fault {turn}"));
        if let Some(index) = drawn {
            self.deal(self.nemesis.deck[index]);
        }
        let nemesis = &mut self.nemesis;
        nemesis.stream.turn_to(|| "nemesis".to_owned());
        let wait = Duration::from_nanos(nemesis.stream.pause(1_000_000, 2 * nemesis.period.as_nanos() as u64));
        nemesis.stream.turn_to(|| format!("fault {turn}"));
        self.queue.push(self.now + wait, Happening::Nemesis);
    }

    /// A fault ends.
    pub(crate) fn nemesis_relieves(&mut self, number: u32) {
        match self.nemesis.reliefs.remove(&number) {
            // When faults are over, everything is mended already; what is cut then is not ours to mend.
            Some(Relief::Mend(links)) if !self.nemesis.is_over => {
                self.fault(None, || format!("{} links mended: {}", links.len(), list(&links)));
                for (from, to) in links {
                    self.mend(from, to);
                }
            }
            Some(Relief::Power(host)) if self.hosts[host.index()].is_started() && !self.nemesis.is_over => {
                self.deal_power(&[host]);
            }
            Some(Relief::Fall { host, incarnation, kind })
                if self.hosts[host.index()].incarnation == incarnation && !self.nemesis.is_over =>
            {
                match kind {
                    FaultKind::Power => self.deal_power(&[host]),
                    _ => self.kill_for_a_while(host),
                }
            }
            Some(Relief::Rejoin) => self.rejoin_wiped(),
            Some(Relief::Mend(_) | Relief::Power(_) | Relief::Fall { .. }) | None => {}
        }
    }

    fn deal(&mut self, kind: FaultKind) {
        match kind {
            FaultKind::Cut => self.deal_cut(kind),
            FaultKind::CutOneWay => self.deal_cut(kind),
            FaultKind::Isolate => self.deal_isolation(),
            FaultKind::Reset => self.deal_reset(),
            FaultKind::Kill => self.deal_fall(kind),
            FaultKind::Torn | FaultKind::LostSectors => self.deal_tear(),
            FaultKind::Power => {
                let all: Vec<HostId> = self.hosts.iter().map(|host| host.id).collect();
                match self.nemesis.stream.chance(1, 6) {
                    true => self.deal_power(&all),
                    false => self.deal_fall(kind),
                }
            }
            FaultKind::KillInRecovery => self.deal_kill_in_recovery(),
            FaultKind::Pause => self.deal_pause(),
            FaultKind::Wipe => self.deal_wipe(),
            FaultKind::Rot => self.deal_rot(),
            FaultKind::Shutdown => self.deal_shutdown(),
            FaultKind::Resign => self.deal_resign(),
            FaultKind::Jump => self.deal_jump(),
            ambient => unreachable!("{ambient:?} is not dealt"),
        }
    }

    /// A running node; the leader every other time.
    fn victim(&mut self) -> Option<HostId> {
        let leader = self.leader();
        if self.nemesis.stream.chance(1, 2) && leader.is_some() {
            return leader;
        }
        let running: Vec<HostId> = self.hosts.iter().filter(|host| host.is_started()).map(|host| host.id).collect();
        let minority = (self.plan.voters as usize).div_ceil(2).saturating_sub(1);
        let down = self.hosts.len() - running.len();
        if running.is_empty() || (down > minority && !self.nemesis.stream.chance(1, 5)) {
            return None;
        }
        Some(running[self.nemesis.stream.index(running.len())])
    }

    fn deal_cut(&mut self, kind: FaultKind) {
        let hosts = self.hosts.len() + self.clients.len();
        let sides = self.draw_sides(kind, hosts);
        let mut links = Vec::new();
        for from in 0..hosts {
            for to in 0..hosts {
                let crosses = match kind {
                    FaultKind::CutOneWay => sides[from] && !sides[to],
                    _ => sides[from] != sides[to],
                };
                let is_client_pair = from.max(to) >= self.hosts.len() && kind == FaultKind::CutOneWay;
                if crosses && !is_client_pair {
                    links.push((HostId(from as u32), HostId(to as u32)));
                }
            }
        }
        self.cut_for_a_while(kind, links);
    }

    /// Who stands on which side of a cut. One way, it is often one node against all others: a leader that is deaf goes on
    /// believing that it leads, one that is mute is replaced while everybody's fetches still reach it.
    fn draw_sides(&mut self, kind: FaultKind, hosts: usize) -> Vec<bool> {
        let is_lone = kind == FaultKind::CutOneWay && self.nemesis.stream.chance(1, 2);
        let lone = if is_lone { self.victim() } else { None };
        let Some(lone) = lone else {
            return (0..hosts).map(|_| self.nemesis.stream.chance(1, 2)).collect();
        };
        let is_mute = self.nemesis.stream.chance(1, 3);
        (0..hosts).map(|host| (host == lone.index()) == is_mute).collect()
    }

    fn deal_isolation(&mut self) {
        let Some(victim) = self.victim() else { return };
        let others = (0..self.hosts.len() as u32).map(HostId).filter(|&other| other != victim);
        let links = others.flat_map(|other| [(victim, other), (other, victim)]).collect();
        self.cut_for_a_while(FaultKind::Isolate, links);
    }

    fn cut_for_a_while(&mut self, kind: FaultKind, links: Vec<(HostId, HostId)>) {
        if links.is_empty() {
            return;
        }
        self.doses.give(kind);
        self.fault(Some(kind), || format!("{} links cut: {}", links.len(), list(&links)));
        for &(from, to) in &links {
            self.network.cut(from, to);
        }
        // Mostly about as long as a leader keeps its patience; now and then long enough to see who never loses it.
        let halves = if self.nemesis.stream.chance(1, 4) { 16 } else { 3 };
        let lasts = self.a_while(halves);
        self.relieve_after(lasts, Relief::Mend(links));
    }

    pub(crate) fn mend(&mut self, from: HostId, to: HostId) {
        let scene = &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
        self.network.mend(scene, from, to);
    }

    fn deal_reset(&mut self) {
        let stream = &mut self.nemesis.stream;
        let scene = &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses };
        if self.network.reset_one(scene, |standing| stream.index(standing)) {
            self.doses.give(FaultKind::Reset);
            self.fault(Some(FaultKind::Reset), || "a connection is reset".to_owned());
        }
    }

    /// A node is killed or loses its power: now, or in the midst of its next sync. What recovery gets wrong lies in what
    /// was written and not yet synced, and that is seldom much.
    fn deal_fall(&mut self, kind: FaultKind) {
        let Some(host) = self.victim() else { return };
        let state = &mut self.hosts[host.index()];
        if state.node().is_some() && !state.is_paused && self.nemesis.stream.chance(1, 2) {
            state.falls_in_sync = Some(Fall { kind, moment: Moment::AnySync });
            return;
        }
        match kind {
            FaultKind::Power => self.deal_power(&[host]),
            _ => self.kill_for_a_while(host),
        }
    }

    /// A node loses its power while a sync has several sectors to save. Where the power fails at any moment, a batch is
    /// hardly ever torn: most of the time all is synced, and what is not lies in one sector.
    fn deal_tear(&mut self) {
        let Some(host) = self.victim() else { return };
        // Two are one batch; for more, batches must have gathered behind a slow sync.
        let sectors = self.nemesis.stream.between(2, SECTORS_TORN_MOST) as usize;
        let state = &mut self.hosts[host.index()];
        if state.node().is_some() {
            state.falls_in_sync = Some(Fall { kind: FaultKind::Power, moment: Moment::Tearing { sectors } });
        }
    }

    /// A sync has begun and takes so long: the moment that a fault may have waited for.
    pub(crate) fn sync_begins(&mut self, host: HostId, takes: Duration) {
        let state = &mut self.hosts[host.index()];
        let is_moment = |fall: &mut Fall| match fall.moment {
            Moment::AnySync => true,
            Moment::Tearing { sectors } => unsynced_sectors(&state.disk) >= sectors,
        };
        let Some(Fall { kind, .. }) = state.falls_in_sync.take_if(is_moment) else { return };
        let incarnation = state.incarnation;
        let within = Duration::from_nanos(self.nemesis.stream.between(0, takes.as_nanos() as u64));
        self.relieve_after(within, Relief::Fall { host, incarnation, kind });
    }

    fn kill_for_a_while(&mut self, victim: HostId) {
        self.doses.give(FaultKind::Kill);
        self.fault(Some(FaultKind::Kill), || format!("n{} killed", victim.0));
        self.kill(victim);
        self.restart_later(victim);
        if self.plan.faults.contains_key(&FaultKind::Power) && self.nemesis.stream.chance(1, 2) {
            let soon = self.a_while(1);
            self.relieve_after(soon, Relief::Power(victim));
        }
    }

    fn deal_power(&mut self, hosts: &[HostId]) {
        for &host in hosts {
            if self.hosts[host.index()].is_started() {
                self.doses.give(FaultKind::Power);
                self.fault(Some(FaultKind::Power), || format!("n{} loses power", host.0));
                self.power_off(host);
                self.restart_later(host);
            }
        }
    }

    fn deal_kill_in_recovery(&mut self) {
        let Some(victim) = self.victim() else { return };
        let after = self.nemesis.stream.between(0, 6);
        self.fault(Some(FaultKind::KillInRecovery), || format!("n{} killed, and again while it recovers", victim.0));
        self.kill(victim);
        self.hosts[victim.index()].dies_in_boot_after = Some(after);
        self.restart_later(victim);
    }

    fn deal_pause(&mut self) {
        let Some(victim) = self.victim() else { return };
        if self.hosts[victim.index()].is_paused || self.hosts[victim.index()].node().is_none() {
            return;
        }
        self.doses.give(FaultKind::Pause);
        let lasts = self.a_while(3);
        self.fault(Some(FaultKind::Pause), || format!("n{} stands still for {lasts:?}", victim.0));
        self.pause(victim);
        let incarnation = self.hosts[victim.index()].incarnation;
        self.queue.push(self.now + lasts, Happening::Continue { host: victim, incarnation });
    }

    /// A voter's disk is lost, within the budget: three voters or more, one at a time, none recovering.
    fn deal_wipe(&mut self) {
        let all_up = self.hosts.iter().all(|host| host.node().is_some() && host.marks.damage == Damage::None);
        if !self.may_wipe(HostId(0)) || !all_up {
            return;
        }
        let victim = HostId(self.nemesis.stream.index(self.plan.voters as usize) as u32);
        self.doses.give(FaultKind::Wipe);
        self.fault(Some(FaultKind::Wipe), || format!("n{} loses its disk", victim.0));
        self.wipe(victim);
    }

    /// A voter loses its power and synced bytes with it, within the budget.
    fn deal_rot(&mut self) {
        let Some(victim) = self.victim() else { return };
        if self.rot(victim) {
            self.restart_later(victim);
        }
    }

    /// Whether the budget has room for the loss of this disk: three voters or more, none of them wiped or recovering.
    pub(crate) fn may_wipe(&self, victim: HostId) -> bool {
        let voters = self.plan.voters as usize;
        let is_harmed = self.hosts[..voters].iter().any(|host| host.marks.damage != Damage::None);
        let has_room = voters >= 3 && self.nemesis.wiped.is_none() && !is_harmed;
        has_room || victim.index() >= voters || self.plan.beyond_budget
    }

    /// Kills a node and replaces its disk. A voter comes back when that is safe.
    pub(crate) fn wipe(&mut self, victim: HostId) {
        let epoch = self.hosts[victim.index()].view().map_or(Epoch::ZERO, |view| view.epoch);
        let on_disk = self.hosts[victim.index()].marks.view().log.last().map_or(Epoch::ZERO, |mark| mark.epoch);
        if self.hosts[victim.index()].is_started() {
            self.kill(victim);
        }
        self.wipe_disk(victim);
        if victim.0 < self.plan.voters && !self.plan.beyond_budget {
            self.nemesis.wiped = Some((victim, epoch.max(on_disk)));
            self.relieve_after(REJOIN_POLL, Relief::Rejoin);
        }
    }

    /// The wiped voter comes back once a leader of a later epoch has its first record on all other voters' platters.
    fn rejoin_wiped(&mut self) {
        let Some((victim, epoch)) = self.nemesis.wiped else { return };
        if self.is_safe_to_rejoin(victim, epoch) {
            self.nemesis.wiped = None;
            return self.start(victim);
        }
        if let Some(leader) = self.leader()
            && self.hosts[leader.index()].view().is_some_and(|view| view.epoch <= epoch)
        {
            self.node_step(leader, Input::Resign);
        }
        self.relieve_after(REJOIN_POLL, Relief::Rejoin);
    }

    fn is_safe_to_rejoin(&self, victim: HostId, epoch: Epoch) -> bool {
        let Some(leader) = self.leader().and_then(|leader| self.hosts[leader.index()].view()) else { return false };
        let leads_later = leader.role == RoleKind::Leader && leader.epoch > epoch;
        let mut others = self.hosts.iter().filter(|host| host.id != victim && host.id.0 < self.plan.voters);
        leads_later
            && others.all(|host| {
                let disk = host.marks.view();
                disk.log.iter().take(disk.durable).any(|mark| mark.epoch == leader.epoch)
            })
    }

    fn deal_shutdown(&mut self) {
        let Some(victim) = self.victim() else { return };
        if self.hosts[victim.index()].node().is_none() || self.hosts[victim.index()].is_paused {
            return;
        }
        self.doses.give(FaultKind::Shutdown);
        self.fault(Some(FaultKind::Shutdown), || format!("n{} is asked to stop", victim.0));
        self.shut_down(victim, Duration::from_millis(500));
    }

    /// Asks a node to stop; it comes back later if the nemesis asked.
    pub(crate) fn shut_down(&mut self, host: HostId, within: Duration) {
        let deadline = self.hosts[host.index()].clock.read(self.now).monotonic + within;
        self.node_step(host, Input::Shutdown { deadline });
    }

    /// A node has stopped of its own accord.
    pub(crate) fn stopped_gracefully(&mut self, host: HostId) {
        if !self.script.keeps_down(host) {
            self.restart_later(host);
        }
    }

    fn deal_resign(&mut self) {
        let Some(leader) = self.leader().filter(|leader| !self.hosts[leader.index()].is_paused) else { return };
        self.doses.give(FaultKind::Resign);
        self.fault(Some(FaultKind::Resign), || format!("n{} is asked to resign", leader.0));
        self.node_step(leader, Input::Resign);
    }

    fn deal_jump(&mut self) {
        let host = self.nemesis.stream.index(self.hosts.len());
        let by = self.nemesis.stream.around_zero(JUMP_MS_MOST);
        self.move_wall_clock(FaultKind::Jump, host, by);
    }

    fn move_wall_clock(&mut self, kind: FaultKind, host: usize, by: i64) {
        if by != 0 {
            self.doses.give(kind);
            self.fault(Some(kind), || format!("the wall clock of n{host} moves by {by} ms"));
            self.hosts[host].clock.jump(by);
        }
    }

    /// Schedules the start of a host that is down.
    pub(crate) fn restart_later(&mut self, host: HostId) {
        if self.nemesis.wiped.is_some_and(|(wiped, _)| wiped == host) {
            return;
        }
        let soon = 50_000_000;
        let late = self.plan.settings.fetch_timeout.as_nanos() as u64;
        let stream = &mut self.nemesis.stream;
        stream.turn_to(|| format!("restart {}", host.0));
        let after = stream.decide(A_MOMENT, |prng| match prng.chance(1, 2) {
            true => pick(prng, A_MOMENT, soon),
            false => pick(prng, A_MOMENT, late),
        });
        let after = Duration::from_nanos(after.clamp(A_MOMENT, late.max(soon)));
        let turn = self.nemesis.turns;
        self.nemesis.stream.turn_to(|| format!("fault {}", turn.saturating_sub(1)));
        let incarnation = self.hosts[host.index()].incarnation;
        self.queue.push(self.now + after, Happening::Restart { host, incarnation });
    }

    pub(crate) fn restart(&mut self, host: HostId, incarnation: u32) {
        let state = &self.hosts[host.index()];
        if state.incarnation == incarnation && !state.is_started() {
            self.start(host);
        }
    }

    pub(crate) fn continue_if(&mut self, host: HostId, incarnation: u32) {
        if self.hosts[host.index()].incarnation == incarnation {
            self.go_on(host);
        }
    }

    /// Up to so many halves of a fetch timeout.
    fn a_while(&mut self, halves: u32) -> Duration {
        let most = self.plan.settings.fetch_timeout * halves / 2;
        Duration::from_nanos(self.nemesis.stream.between(A_MOMENT, most.as_nanos() as u64))
    }

    fn relieve_after(&mut self, wait: Duration, relief: Relief) {
        let number = self.nemesis.dealt;
        self.nemesis.dealt += 1;
        self.nemesis.reliefs.insert(number, relief);
        self.queue.push(self.now + wait, Happening::Relief { number });
    }
}

/// Whether a kind of fault has turns of its own. What tears batches is a power loss at a certain moment; who writes a
/// script says himself when the power fails, unless it may fail at any time.
fn is_dealt(plan: &Plan, kind: FaultKind) -> bool {
    use FaultKind as F;
    match kind {
        F::Torn | F::LostSectors => plan.steps.is_empty() || plan.faults.contains_key(&F::Power),
        F::Cut | F::CutOneWay | F::Isolate | F::Reset => true,
        F::Kill | F::Power | F::KillInRecovery | F::Pause | F::Wipe | F::Rot | F::Shutdown | F::Resign | F::Jump => {
            true
        }
        F::Stall | F::Jitter | F::Drop | F::Duplicate | F::Reorder => false,
        F::LostEntries | F::SlowSync | F::FailedSync | F::Drift | F::Offset => false,
    }
}

fn list(links: &[(HostId, HostId)]) -> String {
    let named: Vec<String> = links.iter().take(12).map(|(from, to)| format!("{}>{}", from.0, to.0)).collect();
    named.join(" ")
}

/// How many unsynced sectors a power loss waits for at most.
const SECTORS_TORN_MOST: u64 = 3;

/// The shortest that anything lasts, in nanoseconds.
const A_MOMENT: u64 = 1_000_000;

/// How far a wall clock can be off at the start, in milliseconds: an hour.
const OFFSET_MS_MOST: u32 = 3_600_000;

/// How far a wall clock can jump, in milliseconds: a minute.
const JUMP_MS_MOST: u32 = 60_000;

/// How often it is looked whether a wiped voter may come back.
const REJOIN_POLL: Duration = Duration::from_millis(50);
