//! How a node goes down, or stands still.

use crate::check::{Damage, Rest, What};
use crate::sim::HostId;
use crate::sim::disk::Disk;
use crate::sim::host::{State, Waiting, liberties};
use crate::sim::image::lose_power;
use crate::sim::network::{Presence, Scene};
use crate::sim::world::{Happening, World};
use crate::trace::EventKind;

impl World<'_> {
    /// The process dies; cache and platter stay.
    pub(crate) fn kill(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        state.disk.forget_queue();
        state.state = State::Down;
        self.fall(host, Presence::Down);
    }

    /// The power fails: the disk keeps one legal image.
    pub(crate) fn power_off(&mut self, host: HostId) {
        let liberties = liberties(self.plan);
        let state = &mut self.hosts[host.index()];
        state.state = State::Dark;
        let loss = lose_power(&mut state.disk, liberties, &mut state.stream);
        state.marks.reread(&state.disk, self.court.judge().ledger().committed());
        for kind in loss.kinds {
            self.doses.give(kind);
        }
        self.fall(host, Presence::Dark);
    }

    /// The disk is replaced by an empty one; the process must be down.
    pub(crate) fn wipe_disk(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        assert!(!state.is_started(), "a disk was replaced under a running process");
        state.disk = Disk::default();
        state.wipes += 1;
        state.marks.reread(&state.disk, self.court.judge().ledger().committed());
        state.marks.damage = Damage::Wiped;
        self.see_damage(host);
    }

    /// Shows the judge what a durable fault has left.
    pub(crate) fn see_damage(&mut self, host: HostId) {
        self.court.see(&self.hosts, self.now, Some(host), What::Down { power: true });
    }

    pub(crate) fn fall(&mut self, host: HostId, presence: Presence) {
        self.network.host_down(
            &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses },
            host,
            presence,
        );
        self.wiretap.forget(host);
        let state = &mut self.hosts[host.index()];
        state.is_paused = false;
        state.falls_in_sync = None;
        state.incarnation += 1;
        self.roles[host.index()] = None;
        self.mark(u64::from(host.0), 6, presence as u64);
        let place = self.place(host);
        let power = presence == Presence::Dark;
        let what = if power { "power lost" } else { "process ended" };
        self.recorder.record(self.now, place, || EventKind::Down { what: what.to_owned() });
        self.court.see(&self.hosts, self.now, Some(host), What::Down { power });
    }

    pub(crate) fn node_stopped(&mut self, host: HostId) {
        self.court.see(&self.hosts, self.now, Some(host), What::Closed);
        self.show_files_of(host, Rest::Closed);
        self.kill(host);
        self.stopped_gracefully(host);
    }

    /// The process stands still.
    pub(crate) fn pause(&mut self, host: HostId) {
        self.hosts[host.index()].is_paused = true;
    }

    /// The process goes on, and sees what has gathered.
    pub(crate) fn go_on(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        if !std::mem::replace(&mut state.is_paused, false) {
            return;
        }
        let incarnation = state.incarnation;
        self.fault(None, || format!("n{} goes on", host.0));
        let state = &mut self.hosts[host.index()];
        for waiting in std::mem::take(&mut state.waiting) {
            let happening = match waiting {
                Waiting::Disk => Happening::Disk { host, incarnation },
                Waiting::Boot => Happening::Boot { host, incarnation },
                Waiting::Load(load) => Happening::Load { host, incarnation, load },
            };
            self.queue.push(self.now, happening);
        }
        self.hosts[host.index()].timer = None;
        self.network.host_continues(
            &mut Scene { now: self.now, queue: &mut self.queue, plan: self.plan, doses: &mut self.doses },
            host,
        );
        self.arm_timer(host);
        self.kick_disk(host);
    }
}
