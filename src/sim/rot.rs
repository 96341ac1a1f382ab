//! Rot: the power fails, and when it is back, bytes that were synced are damaged or gone.
//!
//! Only what lies below the recovery point is touched: that is where a node can and must notice (R11), and it comes back
//! recovering. Above it, what is missing looks like a torn tail, and no format can tell.

use crate::check::{Damage, MarkLog};
use crate::ids::Offset;
use crate::log::{FileName, checkpoint};
use crate::scenario::FaultKind;
use crate::sim::HostId;
use crate::sim::decide::Stream;
use crate::sim::disk::Disk;
use crate::sim::image::SECTOR_BYTES;
use crate::sim::marks::{Marks, Rotten};
use crate::sim::world::World;

/// What happens to synced bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ruin {
    /// A bit of a batch is not what it was.
    Flip,
    /// A segment ends in the midst of a batch.
    Cut,
    /// A sector reads as zeros.
    Zeros,
    /// A segment is not there; with the first one all are gone.
    Segment,
    /// A batch has an epoch below the one before it, and `leader-epoch-checkpoint`, which knows better, is gone.
    Epoch,
    /// The recovery point itself cannot be read.
    RecoveryPoint,
}

impl World<'_> {
    /// Within the budget, a voter loses its power, and synced bytes with it. True when that was done.
    ///
    /// Three voters or more, none of them wiped, and those that recover stay a minority: then whoever can be elected has
    /// all that is committed, because of any majority to commit and any to elect one voter is in both and not recovering.
    pub(crate) fn rot(&mut self, victim: HostId) -> bool {
        let voters = self.plan.voters as usize;
        let state = &self.hosts[victim.index()];
        if victim.index() >= voters || !state.is_started() || state.marks.damage != Damage::None {
            return false;
        }
        let is_wiped = |damage| damage == Damage::Wiped;
        let voting = &self.hosts[..voters];
        let harmed = voting.iter().filter(|host| host.marks.damage != Damage::None).count();
        let is_spent = self.nemesis.wiped.is_some() || voting.iter().any(|host| is_wiped(host.marks.damage));
        if !self.plan.beyond_budget && (is_spent || (harmed + 1) * 2 >= voters) {
            return false;
        }
        if batches_below(&state.marks, recovery_point(&state.disk)) == 0 {
            return false;
        }
        self.power_off(victim);
        let state = &mut self.hosts[victim.index()];
        // The power loss cannot take what lies below the recovery point, nor the recovery point.
        let below = batches_below(&state.marks, recovery_point(&state.disk));
        let (ruin, rotten) = ruin(&mut state.disk, &state.marks, below, &mut state.stream);
        state.marks.rot(&state.disk, rotten, self.court.judge().ledger().committed());
        self.doses.give(FaultKind::Rot);
        self.fault(Some(FaultKind::Rot), || format!("n{} loses power and synced bytes: {ruin:?}", victim.0));
        self.see_damage(victim);
        true
    }
}

/// The recovery point on the platter; 0 without one.
fn recovery_point(disk: &Disk) -> Offset {
    let number = disk.durable_names.get(&FileName::RecoveryPoint);
    let point = number.and_then(|&number| checkpoint::read_recovery_point(&disk.files[number].durable()).ok());
    point.flatten().unwrap_or(Offset::ZERO)
}

/// How many batches, from the front, begin below the recovery point.
fn batches_below(marks: &Marks, point: Offset) -> usize {
    marks.view().log.partition_point(|mark| mark.base < point)
}

/// Ruins one of the first `below` batches, or what is known about them, and says from where on the log is rotten.
fn ruin(disk: &mut Disk, marks: &Marks, below: usize, stream: &mut Stream) -> (Ruin, Option<Rotten>) {
    let log = marks.view().log;
    // The newest are the ones that others may lack: half of the time one of those.
    let least = if stream.chance(1, 2) { below.saturating_sub(NEWEST) } else { 0 };
    let index = stream.between(least as u64, below as u64 - 1) as usize;
    let (segment, from, to) = marks.place(index);
    let number = disk.names[&FileName::Segment(segment)];
    let mut bytes = disk.files[number].cache.clone();
    let at = from + stream.index(to - from);
    let ruin = match stream.index(6) {
        0 => Ruin::Flip,
        1 => Ruin::Cut,
        2 if bytes[at] != 0 => Ruin::Zeros,
        2 => Ruin::Cut,
        3 => Ruin::Segment,
        4 if lower_epoch(log, index).is_some() => Ruin::Epoch,
        4 => Ruin::Flip,
        _ => Ruin::RecoveryPoint,
    };
    match ruin {
        Ruin::Flip => bytes[at] ^= 1 << stream.index(8),
        Ruin::Cut => bytes.truncate(at),
        Ruin::Zeros => {
            let sector = at / SECTOR_BYTES * SECTOR_BYTES;
            let end = (sector + SECTOR_BYTES).min(bytes.len());
            bytes[sector..end].fill(0);
        }
        Ruin::Segment => {
            let is_first = log.first().is_some_and(|mark| mark.base == segment);
            disk.names.retain(|name, _| match name {
                FileName::Segment(base) => *base != segment && !is_first,
                _ => true,
            });
            bytes.clear();
        }
        Ruin::Epoch => {
            let epoch = lower_epoch(log, index).expect("invariant: the arm above asked");
            bytes[from + 12..from + 16].copy_from_slice(&epoch.to_be_bytes());
            disk.names.remove(&FileName::LeaderEpochCheckpoint);
        }
        Ruin::RecoveryPoint => disk.files[disk.names[&FileName::RecoveryPoint]].settle(b"rot".to_vec()),
    }
    disk.durable_names.clone_from(&disk.names);
    let before = &disk.files[number].cache;
    let changed = before.iter().zip(&bytes).position(|(before, after)| before != after);
    let is_shorter = bytes.len() < before.len();
    let rotten = changed.or(is_shorter.then_some(bytes.len())).map(|at| Rotten { segment, at });
    disk.files[number].settle(bytes);
    (ruin, rotten)
}

/// An epoch that no batch at this place of the log can have.
fn lower_epoch(log: &MarkLog, index: usize) -> Option<u32> {
    let before = log.get(index.checked_sub(1)?)?;
    before.epoch.0.checked_sub(1)
}

/// How many batches count as the newest.
const NEWEST: usize = 8;
