//! Brings what happens before the judge, with the disks of that moment.

use crate::check::{Damage, DiskView, End, Judge, Observation, Options, Violation, What};
use crate::sim::host::Host;
use crate::sim::{HostId, NODES_MAX};
use crate::time::Instant;

/// The judge, and the first violation it found.
#[derive(Debug)]
pub struct Court {
    judge: Judge,
    violation: Option<Violation>,
}

impl Court {
    /// A court that has seen nothing.
    pub fn new(options: &Options) -> Court {
        Court { judge: Judge::new(options), violation: None }
    }

    /// Shows the judge what happened on a host, or on none.
    pub fn see(&mut self, hosts: &[Host], at: Instant, host: Option<HostId>, what: What<'_>) {
        if self.violation.is_some() {
            return;
        }
        let mut disks = [NO_DISK; NODES_MAX];
        for (disk, host) in disks.iter_mut().zip(hosts) {
            *disk = host.marks.view();
        }
        let node = host.map_or(Observation::NO_NODE, HostId::index);
        let incarnation = hosts.get(node).map_or(0, |host| host.starts.saturating_sub(1));
        let observation = Observation { at, node, incarnation, disks: &disks[..hosts.len()], what };
        self.violation = self.judge.observe(&observation);
    }

    /// Something that the driver itself saw.
    pub fn accuse(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Judges the end, unless a violation has ended the run already.
    pub fn close(&mut self, end: &End<'_>) {
        if self.violation.is_none() {
            self.violation = self.judge.finish(end);
        }
    }

    /// The first violation.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }
}

const NO_DISK: DiskView<'static> = DiskView { log: &[], durable: 0, quorum: None, lapse: None, damage: Damage::None };
