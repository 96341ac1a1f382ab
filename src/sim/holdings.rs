//! How much a world holds besides what must grow with a run: the logs on its disks, the history, and one mark a batch.
//!
//! Whatever is made for a message, a connection, a read, a file or a fault has to go again, or long runs end in want of
//! memory. Here these things are counted, so that a run of an hour can be compared with one of a minute.

use crate::sim::world::World;

/// Things that a world holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Happenings in the queue.
    pub happenings: usize,
    /// Connections that something may still happen on.
    pub connections: usize,
    /// Requests of replicas that were delivered and wait for their answers, as far as the judge listens to them.
    pub requests: usize,
    /// Reads of disks that are under way.
    pub loads: usize,
    /// Files that no name leads to.
    pub nameless_files: usize,
    /// Faults that are under way.
    pub faults: usize,
    /// Marks of batches that are in the books of the judge more than once.
    pub marks: usize,
    /// What properties remember of batches and values beyond those marks: what is under way, and what was written or
    /// asked for and came to nothing, because it must not come back.
    pub entries: usize,
}

impl World<'_> {
    /// What the world holds now.
    pub fn holdings(&self) -> Holdings {
        let disks = self.hosts.iter().map(|host| &host.disk);
        let judge = self.court.judge();
        Holdings {
            happenings: self.queue.len(),
            connections: self.network.connections(),
            requests: self.wiretap.waiting(),
            loads: self.hosts.iter().map(|host| host.loads.count()).sum(),
            nameless_files: disks.map(|disk| disk.files.count().saturating_sub(disk.names.len())).sum(),
            faults: self.nemesis.under_way(),
            marks: self.hosts.iter().map(|host| host.marks.unshared()).sum::<usize>() + judge.ledger().unshared(),
            entries: judge.entries(),
        }
    }
}
