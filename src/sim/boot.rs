//! How a node comes up: the directory is formatted, recovery reads and repairs it, the node takes its first step.
//!
//! Every repair is an event of its own, so a node can die in the midst of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::{Damage, What};
use crate::log::recovery::Demand;
use crate::log::{FileOp, QueuedOp, Recovery};
use crate::node::Node;
use crate::scenario::FaultKind;
use crate::sim::HostId;
use crate::sim::host::{State, node_config};
use crate::sim::world::{Happening, World, panic_message};
use crate::trace::EventKind;

impl World<'_> {
    /// Switches a machine's process on.
    pub(crate) fn start(&mut self, host: HostId) {
        let plan = self.plan;
        self.hosts[host.index()].begin_boot(plan);
        self.boot_step(host);
    }

    pub(crate) fn boot_step(&mut self, host: HostId) {
        loop {
            let options = self.hosts[host.index()].recovery_options(self.plan);
            let is_only_voter = options.is_only_voter;
            let state = &mut self.hosts[host.index()];
            let State::Booting(boot) = &mut state.state else { return };
            if let Some(op) = boot.format.pop_front() {
                return self.boot_op(host, op);
            }
            let disk = &state.disk;
            let recovery = boot.recovery.get_or_insert_with(|| Recovery::new(&disk.listing(), options));
            match catch_unwind(AssertUnwindSafe(|| recovery.demand())) {
                Err(panic) => return self.node_panicked(host, &panic_message(&*panic)),
                Ok(Ok(Demand::Read(range))) => recovery.supply(disk.read(range)),
                Ok(Ok(Demand::File(op))) => return self.boot_op(host, op),
                Ok(Ok(Demand::Finished)) => return self.boot_finished(host),
                Ok(Err(error)) => return self.refuses_to_start(host, is_only_voter, &error.to_string()),
            }
        }
    }

    /// A lone voter whose synced bytes are gone has nobody to have them from: it must refuse (R11), and gets a new disk.
    /// Nobody else has a reason to.
    fn refuses_to_start(&mut self, host: HostId, is_only_voter: bool, why: &str) {
        let is_right = is_only_voter && self.hosts[host.index()].marks.damage == Damage::Rotten;
        if !is_right {
            return self.node_panicked(host, &format!("the node refuses to start: {why}"));
        }
        self.doses.give(FaultKind::Wipe);
        self.fault(Some(FaultKind::Wipe), || format!("n{} refuses to start and gets a new disk: {why}", host.0));
        self.wipe(host);
        self.restart_later(host);
    }

    pub(crate) fn boot_op(&mut self, host: HostId, op: FileOp) {
        let takes = self.disk_takes(host, &op);
        let state = &mut self.hosts[host.index()];
        state.disk.current = Some(QueuedOp { op, completes: None });
        let incarnation = state.incarnation;
        self.queue.push(self.now + takes, Happening::Boot { host, incarnation });
    }

    pub(crate) fn boot_done(&mut self, host: HostId, incarnation: u32) {
        if self.hosts[host.index()].incarnation != incarnation {
            return;
        }
        let state = &mut self.hosts[host.index()];
        let Some(QueuedOp { op, .. }) = state.disk.current.take() else { return };
        if let State::Booting(boot) = &mut state.state {
            boot.repairs += 1;
            if state.dies_in_boot_after.is_some_and(|after| boot.repairs > after) {
                state.dies_in_boot_after = None;
                return self.die_in_boot(host);
            }
        }
        self.carry_out(host, &op);
        self.boot_step(host);
    }

    pub(crate) fn die_in_boot(&mut self, host: HostId) {
        self.doses.give(FaultKind::KillInRecovery);
        self.fault(Some(FaultKind::KillInRecovery), || format!("n{} dies while it recovers", host.0));
        self.kill(host);
        self.restart_later(host);
    }

    pub(crate) fn boot_finished(&mut self, host: HostId) {
        let now = self.hosts[host.index()].clock.read(self.now);
        let state = &mut self.hosts[host.index()];
        let prng = state.incarnation_prng(self.plan);
        let State::Booting(boot) = std::mem::replace(&mut state.state, State::Down) else { return };
        let (recovered, layout) = boot.recovery.expect("invariant: recovery has finished").finish();
        let config = node_config(self.plan, host);
        let outputs = &mut self.outputs;
        let shown = recovered.clone();
        let node = catch_unwind(AssertUnwindSafe(|| Node::recover(config, recovered, layout, prng, now, outputs)));
        match node {
            Err(panic) => return self.node_panicked(host, &panic_message(&*panic)),
            Ok(node) => self.hosts[host.index()].state = State::Up(Box::new(node)),
        }
        let state = &mut self.hosts[host.index()];
        state.marks.reread(&state.disk, self.court.judge().ledger().committed());
        self.mark(u64::from(host.0), 5, shown.end.0);
        let place = self.place(host);
        let incarnation = self.hosts[host.index()].starts - 1;
        let end = shown.end;
        self.recorder.begin(self.now, place, || EventKind::Started { incarnation, what: format!("log ends at {end}") });
        if let Some(view) = self.hosts[host.index()].view() {
            let what = What::Started { view, recovered: &shown };
            self.court.see(&self.hosts, self.now, Some(host), what);
        }
        self.roles[host.index()] = None;
        self.execute(host);
        self.notice_role(host);
        self.arm_timer(host);
    }
}
