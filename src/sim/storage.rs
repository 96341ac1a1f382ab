//! What happens at the disks of a world: operations one after another, syncs that are slow or fail, loads.

use std::time::Duration;

use bytes::Bytes;

use crate::digest::Digest;
use crate::log::{FileName, FileOp, FileRange, LoadId, QueuedOp};
use crate::node::Input;
use crate::scenario::FaultKind;
use crate::sim::HostId;
use crate::sim::host::Waiting;
use crate::sim::world::{Happening, World};
use crate::trace::EventKind;

impl World<'_> {
    pub(crate) fn kick_disk(&mut self, host: HostId) {
        let state = &mut self.hosts[host.index()];
        if state.disk.current.is_some() || state.is_paused {
            return;
        }
        let Some(next) = state.disk.queue.next() else { return };
        let takes = self.disk_takes(host, &next.op);
        if matches!(next.op, FileOp::Sync { .. } | FileOp::SyncDirectory(_)) {
            self.sync_begins(host, takes);
        }
        let state = &mut self.hosts[host.index()];
        state.disk.current = Some(next);
        let incarnation = state.incarnation;
        self.queue.push(self.now + takes, Happening::Disk { host, incarnation });
    }

    /// How long an operation of a disk takes.
    pub(crate) fn disk_takes(&mut self, host: HostId, op: &FileOp) -> Duration {
        let (least, most) = self.plan.settings.sync;
        let is_calm = self.settle.has_begun();
        let slow = u64::from(self.plan.faults.get(&FaultKind::SlowSync).copied().unwrap_or(0));
        let stream = &mut self.hosts[host.index()].stream;
        let takes = match op {
            FileOp::Sync { .. } | FileOp::SyncDirectory(_) => {
                let mut takes = stream.between(least.as_nanos() as u64, most.as_nanos() as u64);
                if is_calm {
                    // Disks become timely like links: an election that waits for several syncs must be possible.
                    takes = takes.min(self.plan.settings.election_timeout.as_nanos() as u64 / 20);
                }
                if slow > 0
                    && !is_calm
                    && let Some(more) = stream.maybe((slow, 40), 5_000_000, 400_000_000)
                {
                    takes += more;
                    self.doses.give(FaultKind::SlowSync);
                }
                takes
            }
            _ => stream.between(2_000, 20_000),
        };
        Duration::from_nanos(takes)
    }

    pub(crate) fn disk_done(&mut self, host: HostId, incarnation: u32) {
        let state = &mut self.hosts[host.index()];
        if state.incarnation != incarnation {
            return;
        }
        if state.is_paused {
            return state.waiting.push_back(Waiting::Disk);
        }
        let Some(QueuedOp { op, completes }) = state.disk.current.take() else { return };
        if self.sync_fails(host, &op) {
            return self.fail_sync(host);
        }
        self.carry_out(host, &op);
        match completes {
            Some(seq) => {
                let state = &mut self.hosts[host.index()];
                state.marks.complete(&state.disk);
                self.node_step(host, Input::DiskDone { seq });
            }
            None => self.kick_disk(host),
        }
    }

    pub(crate) fn carry_out(&mut self, host: HostId, op: &FileOp) {
        let state = &mut self.hosts[host.index()];
        state.disk.carry_out(op);
        state.marks.follow(op, &state.disk);
        state.marks.share(self.court.judge().ledger().committed());
        self.mark(u64::from(host.0), 3, op_digest(op));
        let place = self.place(host);
        self.recorder.begin(self.now, place, || EventKind::Disk { what: describe_op(op) });
    }

    pub(crate) fn sync_fails(&mut self, host: HostId, op: &FileOp) -> bool {
        let strength = u64::from(self.plan.faults.get(&FaultKind::FailedSync).copied().unwrap_or(0));
        let is_sync = matches!(op, FileOp::Sync { .. } | FileOp::SyncDirectory(_));
        if strength == 0 || !is_sync || self.settle.has_begun() {
            return false;
        }
        self.hosts[host.index()].stream.chance(strength, 3_000)
    }

    /// A sync failed: what it should have saved must be considered lost, and the node stops (R9).
    pub(crate) fn fail_sync(&mut self, host: HostId) {
        self.doses.give(FaultKind::FailedSync);
        self.fault(Some(FaultKind::FailedSync), || format!("sync fails on n{}", host.0));
        self.power_off(host);
        self.restart_later(host);
    }

    pub(crate) fn begin_load(&mut self, host: HostId, load: LoadId, range: FileRange) {
        let state = &mut self.hosts[host.index()];
        let number = state.loads.begin(load, range);
        let takes = Duration::from_nanos(state.stream.between(20_000, 200_000));
        let incarnation = state.incarnation;
        self.queue.push(self.now + takes, Happening::Load { host, incarnation, load: number });
    }

    pub(crate) fn load_done(&mut self, host: HostId, incarnation: u32, load: u32) {
        let state = &mut self.hosts[host.index()];
        if state.incarnation != incarnation {
            return;
        }
        if state.is_paused {
            return state.waiting.push_back(Waiting::Load(load));
        }
        let (load, range) = state.loads.end(load);
        let bytes = state.disk.load(range);
        self.mark(u64::from(host.0), 4, range.at);
        self.node_step(host, Input::Loaded { load, bytes });
    }
}

/// What an operation adds to the digest.
fn op_digest(op: &FileOp) -> u64 {
    let mut digest = Digest::new();
    match op {
        FileOp::Write { file, at, bytes } => {
            digest.word(file_word(*file));
            digest.word(*at);
            digest.word(u64::from(bytes.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part))));
        }
        FileOp::Preallocate { file, length } | FileOp::Truncate { file, length } => {
            digest.word(file_word(*file));
            digest.word(*length);
        }
        FileOp::Sync { file } | FileOp::Remove { file } => digest.word(file_word(*file)),
        FileOp::SyncDirectory(directory) => digest.word(*directory as u64),
        FileOp::Rename { from, to } => {
            digest.word(file_word(*from));
            digest.word(file_word(*to));
        }
    }
    digest.value()
}

fn file_word(file: FileName) -> u64 {
    match file {
        FileName::Segment(base) => base.0 << 4 | 1,
        FileName::Index(base) => base.0 << 4 | 2,
        FileName::TimeIndex(base) => base.0 << 4 | 3,
        FileName::Temporary(replaced) => (replaced as u64) << 4 | 4,
        FileName::MetaProperties => 5,
        FileName::RecoveryPoint => 6,
        FileName::PartitionMetadata => 7,
        FileName::QuorumState => 8,
        FileName::Recovering => 9,
        FileName::LeaderEpochCheckpoint => 10,
        FileName::Snapshot(id) => id.end.0 << 4 | 11,
    }
}

/// An operation in the words of a trace.
fn describe_op(op: &FileOp) -> String {
    match op {
        FileOp::Write { file, at, bytes } => {
            format!("write {file} {at}+{}", bytes.iter().map(Bytes::len).sum::<usize>())
        }
        FileOp::Preallocate { file, length } => format!("reserve {file} {length}"),
        FileOp::Truncate { file, length } => format!("truncate {file} {length}"),
        FileOp::Sync { file } => format!("sync {file}"),
        FileOp::SyncDirectory(directory) => format!("sync directory {directory:?}"),
        FileOp::Rename { from, to } => format!("rename {from} {to}"),
        FileOp::Remove { file } => format!("remove {file}"),
    }
}
