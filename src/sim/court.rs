//! Brings what happens before the judge, with the disks of that moment.

use std::array;

use crate::check::{Damage, DiskView, End, Judge, MarkLog, Observation, Options, Violation, What};
use crate::outcome::Verdict;
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
        // Every observation of a run pays for all views that are made here, and most worlds are small.
        match hosts.len() {
            ..=NODES_FEW => self.show::<NODES_FEW>(hosts, at, host, what),
            _ => self.show::<NODES_MAX>(hosts, at, host, what),
        }
    }

    fn show<const N: usize>(&mut self, hosts: &[Host], at: Instant, host: Option<HostId>, what: What<'_>) {
        let disks: [_; N] = array::from_fn(|node| hosts.get(node).map_or(NO_DISK, |host| host.marks.view()));
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

    /// What the run comes to.
    pub fn verdict(&self) -> Verdict {
        match (&self.violation, self.judge.undecided()) {
            (Some(violation), _) => Verdict::Violated(violation.clone()),
            (None, Some(why)) => Verdict::Undecided(why),
            (None, None) => Verdict::Passed,
        }
    }

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }
}

const NODES_FEW: usize = 5;

const NO_DISK: DiskView<'static> =
    DiskView { log: MarkLog::EMPTY, durable: 0, quorum: None, lapse: None, damage: Damage::None };
