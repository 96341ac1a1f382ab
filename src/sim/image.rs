//! What a power loss leaves: one legal image of a disk.
//!
//! Per file any subset of the unsynced sectors survives, and per directory any subset of the unsynced changes of names.
//! A length that was not synced is either the old or the new one. The kinds of fault that are on decide how nasty the
//! choice is; with none of them, exactly the synced state survives.

use crate::prng::Prng;
use crate::scenario::FaultKind;
use crate::sim::decide::Stream;
use crate::sim::disk::{Disk, File};

/// Bytes that a disk writes or does not write as one.
pub const SECTOR_BYTES: usize = 512;

/// Which liberties a power loss may take with unsynced state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Liberties {
    /// A prefix of the unsynced sectors may survive, cutting a batch in two.
    pub torn: bool,
    /// Any subset of the unsynced sectors may survive.
    pub sectors: bool,
    /// Any subset of the unsynced changes of names may survive.
    pub entries: bool,
}

/// What a power loss did, for the count of doses.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Kinds of dose given.
    pub kinds: Vec<FaultKind>,
}

/// Leaves the disk as a power loss would: cache and platter are both the image.
pub fn lose_power(disk: &mut Disk, liberties: Liberties, stream: &mut Stream) -> Loss {
    let mut loss = Loss::default();
    disk.forget_queue();
    lose_entries(disk, liberties, stream, &mut loss);
    for file in &mut disk.files {
        if file.is_dirty() {
            lose_sectors(file, liberties, stream, &mut loss);
        }
    }
    loss
}

/// A copy of the disk as a power loss at this moment might leave it; the disk itself is not touched.
pub fn imagine(disk: &Disk, liberties: Liberties, stream: &mut Stream) -> Disk {
    let mut copy = Disk {
        files: disk.files.clone(),
        names: disk.names.clone(),
        durable_names: disk.durable_names.clone(),
        pending: disk.pending.clone(),
        ..Disk::default()
    };
    lose_power(&mut copy, liberties, stream);
    copy
}

fn lose_entries(disk: &mut Disk, liberties: Liberties, stream: &mut Stream, loss: &mut Loss) {
    let pending = std::mem::take(&mut disk.pending);
    let mut lost = 0;
    for change in &pending {
        let survives = liberties.entries && stream.chance(1, 2);
        match survives {
            true => change.apply(&mut disk.durable_names),
            false => lost += 1,
        }
    }
    if lost > 0 && liberties.entries {
        loss.kinds.push(FaultKind::LostEntries);
    }
    disk.names = disk.durable_names.clone();
}

fn lose_sectors(file: &mut File, liberties: Liberties, stream: &mut Stream, loss: &mut Loss) {
    let old = file.durable().into_owned();
    let new = std::mem::take(&mut file.cache);
    let image = match () {
        () if liberties.sectors && stream.chance(2, 3) => {
            let image = any_sectors(&old, &new, stream);
            loss.kinds.extend((image != new).then_some(FaultKind::LostSectors));
            image
        }
        () if liberties.torn => {
            let image = first_sectors(&old, &new, stream);
            loss.kinds.extend((image != new && image != old).then_some(FaultKind::Torn));
            image
        }
        () => old,
    };
    file.settle(image);
}

/// The old bytes with a prefix of the changed sectors.
fn first_sectors(old: &[u8], new: &[u8], stream: &mut Stream) -> Vec<u8> {
    let first_changed = old.iter().zip(new).position(|(old, new)| old != new).unwrap_or(old.len().min(new.len()));
    let sectors = new.len().div_ceil(SECTOR_BYTES);
    let from = first_changed / SECTOR_BYTES;
    let survive = from + stream.between(0, sectors.saturating_sub(from) as u64) as usize;
    let cut = (survive * SECTOR_BYTES).min(new.len());
    let mut image = new[..cut].to_vec();
    if old.len() > image.len() {
        image.extend_from_slice(&old[image.len()..]);
    }
    image
}

/// Old and new bytes mixed sector by sector; the length is the old or the new one, lost sectors beyond the old end read
/// as zeros.
fn any_sectors(old: &[u8], new: &[u8], stream: &mut Stream) -> Vec<u8> {
    let length = match stream.chance(1, 2) {
        true => new.len(),
        false => old.len(),
    };
    let mut image = vec![0u8; length];
    let mut mask = 0;
    let mut changed = 0;
    for (sector, target) in image.chunks_mut(SECTOR_BYTES).enumerate() {
        let at = sector * SECTOR_BYTES;
        let (from_old, from_new) = (slice(old, at, target.len()), slice(new, at, target.len()));
        let mut survivor = from_new;
        if from_old != from_new {
            // One draw decides about 64 changed sectors, so that a scenario can say which of them survive.
            if changed % 64 == 0 {
                mask = stream.decide(0, Prng::word);
            }
            if mask >> (changed % 64) & 1 == 0 {
                survivor = from_old;
            }
            changed += 1;
        }
        target[..survivor.len()].copy_from_slice(survivor);
    }
    image
}

fn slice(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    let from = at.min(bytes.len());
    &bytes[from..(from + length).min(bytes.len())]
}
