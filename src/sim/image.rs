//! What a power loss leaves: one legal image of a disk.
//!
//! Per file any subset of the unsynced sectors survives, and per directory any subset of the unsynced changes of names.
//! A length that was not synced is either the old or the new one. The kinds of fault that are on decide how nasty the
//! choice is; with none of them, exactly the synced state survives.

use std::collections::BTreeSet;

use crate::log::FileName;
use crate::prng::Prng;
use crate::scenario::FaultKind;
use crate::sim::decide::{Stream, pick};
use crate::sim::disk::{Disk, File, FileNumber};

/// Bytes that a disk writes or does not write as one.
pub const SECTOR_BYTES: usize = 512;

/// Which liberties a power loss may take with unsynced state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Liberties {
    /// A prefix of the changed sectors may survive, cutting a batch in two.
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
    let counted: BTreeSet<FileNumber> = counted_files(disk).collect();
    for (number, file) in disk.files.iter_mut().filter(|(_, file)| file.is_dirty()) {
        let kind = lose_sectors(file, liberties, stream);
        loss.kinds.extend(kind.filter(|_| counted.contains(&number)));
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

/// The files whose losses are doses. An index is made anew whatever is left of it, so losing one is no feat.
fn counted_files(disk: &Disk) -> impl Iterator<Item = FileNumber> {
    let is_index = |name: &FileName| matches!(name, FileName::Index(_) | FileName::TimeIndex(_));
    disk.names.iter().filter(move |(name, _)| !is_index(name)).map(|(_, &number)| number)
}

/// Settles the file as one that survived the loss; returns what the power did to it if it is neither the old nor the new
/// one, which every power loss may leave.
fn lose_sectors(file: &mut File, liberties: Liberties, stream: &mut Stream) -> Option<FaultKind> {
    let old = file.durable().into_owned();
    let new = std::mem::take(&mut file.cache);
    let (kind, image) = match () {
        () if liberties.sectors && stream.chance(1, 2) => (FaultKind::LostSectors, any_sectors(&old, &new, stream)),
        () if liberties.torn => (FaultKind::Torn, first_sectors(&old, &new, stream)),
        () => {
            file.settle(old);
            return None;
        }
    };
    let is_mixed = image != new && image != old;
    file.settle(image);
    is_mixed.then_some(kind)
}

/// The old bytes with a prefix of the changed sectors. Where there are several, mostly some survive and some do not.
fn first_sectors(old: &[u8], new: &[u8], stream: &mut Stream) -> Vec<u8> {
    let changed = changed_sectors(old, new);
    let all = changed.len() as u64;
    let survive = stream.decide(0, |prng| match all > 1 && prng.chance(3, 4) {
        true => pick(prng, 1, all - 1),
        false => pick(prng, 0, all),
    });
    let Some(&lost) = changed.get(survive.min(all) as usize) else { return new.to_vec() };
    let cut = (lost * SECTOR_BYTES).min(new.len());
    let mut image = new[..cut].to_vec();
    image.extend_from_slice(old.get(cut..).unwrap_or_default());
    image
}

/// In how many sectors of one file, at most, a power loss might make a difference.
pub fn unsynced_sectors(disk: &Disk) -> usize {
    let of = |file: &File| if file.is_dirty() { changed_sectors(&file.durable(), &file.cache).len() } else { 0 };
    counted_files(disk).map(|number| of(&disk.files[number])).max().unwrap_or(0)
}

/// The numbers of the sectors in which two states of a file differ, ascending.
fn changed_sectors(old: &[u8], new: &[u8]) -> Vec<usize> {
    let sectors = old.len().max(new.len()).div_ceil(SECTOR_BYTES);
    let differs = |&sector: &usize| {
        let at = sector * SECTOR_BYTES;
        slice(old, at, SECTOR_BYTES) != slice(new, at, SECTOR_BYTES)
    };
    (0..sectors).filter(differs).collect()
}

/// Old and new bytes mixed sector by sector; the length is the old or the new one, lost sectors beyond the old end read
/// as zeros.
fn any_sectors(old: &[u8], new: &[u8], stream: &mut Stream) -> Vec<u8> {
    let length = match stream.chance(3, 4) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::log::FileOp;
    use crate::scenario::Scenario;
    use crate::scenario::plan::Otherwise;
    use crate::sim::decide::Decider;
    use crate::sim::recorder::Trace;

    const LOG: FileName = FileName::Segment(crate::ids::Offset(0));
    const SECTOR: u64 = SECTOR_BYTES as u64;

    /// A stream that draws what is decided, and is harmless after that.
    fn stream(decided: &[u64]) -> Stream {
        let text = r#"{ "about": "A disk.", "version": 1, "voters": 1 }"#;
        let mut plan = Scenario::parse("disk.json", text, &[]).expect("a scenario").draw(1, "disk");
        plan.otherwise = Otherwise::Neutral;
        plan.decisions = BTreeMap::from([("disk 0".to_owned(), (0..).zip(decided.iter().copied()).collect())]);
        Decider::new(&plan, Trace::Digest).stream("disk 0")
    }

    fn write(disk: &mut Disk, file: FileName, at: u64, byte: u8, length: u64) {
        let bytes = vec![Bytes::from(vec![byte; length as usize])];
        disk.carry_out(&FileOp::Write { file, at, bytes });
    }

    /// Half a sector is synced, three sectors and a half are not.
    fn disk(reserved: u64) -> Disk {
        let mut disk = Disk::default();
        write(&mut disk, LOG, 0, b'o', SECTOR / 2);
        disk.carry_out(&FileOp::Preallocate { file: LOG, length: reserved });
        disk.carry_out(&FileOp::Sync { file: LOG });
        disk.carry_out(&FileOp::SyncDirectory(LOG.directory()));
        write(&mut disk, LOG, SECTOR / 2, b'n', SECTOR * 7 / 2);
        disk
    }

    /// What is left of the file, run by run, and what was done to it.
    fn left(reserved: u64, liberties: Liberties, decided: &[u64]) -> (String, Vec<FaultKind>) {
        let mut disk = disk(reserved);
        let loss = lose_power(&mut disk, liberties, &mut stream(decided));
        let cache = &disk.files[disk.names[&LOG]].cache;
        let run = |run: &[u8]| format!("{}{} ", char::from(run[0].max(b'-')), run.len());
        (cache.chunk_by(|a, b| a == b).map(run).collect::<String>().trim_end().to_owned(), loss.kinds)
    }

    const TORN: Liberties = Liberties { torn: true, sectors: false, entries: false };
    const SECTORS: Liberties = Liberties { torn: false, sectors: true, entries: false };

    #[test]
    fn without_liberties_what_was_synced_survives() {
        assert_eq!(left(0, Liberties::default(), &[]), ("o256".into(), vec![]));
        assert_eq!(left(4096, Liberties::default(), &[]), ("o256 -3840".into(), vec![]));
    }

    #[test]
    fn a_tear_keeps_the_first_sectors() {
        assert_eq!(left(0, TORN, &[0]), ("o256".into(), vec![]));
        assert_eq!(left(0, TORN, &[2]), ("o256 n768".into(), vec![FaultKind::Torn]));
        assert_eq!(left(0, TORN, &[4]), ("o256 n1792".into(), vec![]));
        assert_eq!(left(4096, TORN, &[3]), ("o256 n1280 -2560".into(), vec![FaultKind::Torn]));
    }

    #[test]
    fn any_sectors_may_be_lost() {
        assert_eq!(left(0, SECTORS, &[1, 1, 0b1001]), ("o256 n256 -1024 n512".into(), vec![FaultKind::LostSectors]));
        assert_eq!(left(0, SECTORS, &[1, 1, 0b1111]), ("o256 n1792".into(), vec![]));
        assert_eq!(left(4096, SECTORS, &[1, 0, 0b0010]).0, "o256 -256 n512 -3072");
        assert_eq!(left(4096, SECTORS, &[0]), ("o256 -3840".into(), vec![]));
    }

    #[test]
    fn what_is_made_anew_does_not_count() {
        let mut disk = disk(0);
        assert_eq!(unsynced_sectors(&disk), 4);
        disk.carry_out(&FileOp::Sync { file: LOG });
        let index = FileName::TimeIndex(crate::ids::Offset(0));
        write(&mut disk, index, 0, b'n', 12);
        disk.carry_out(&FileOp::SyncDirectory(index.directory()));
        assert_eq!(unsynced_sectors(&disk), 0);
        assert_eq!(lose_power(&mut disk, SECTORS, &mut stream(&[1, 1, 0])).kinds, vec![]);
        assert_eq!(disk.read(crate::log::FileRange { file: index, at: 0, length: 12 }), vec![0; 12]);
    }
}
