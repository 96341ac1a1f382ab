//! What lies in a node's log files, followed from the file operations alone.
//!
//! The judge must not ask the replica what it stored. So every write to a segment is read again here, header by header,
//! and every sync is turned into a count of batches that no power loss can take away.

use bytes::Bytes;

use crate::check::{BatchMark, Damage, DiskView, Lapse, MarkLog};
use crate::ids::{Epoch, Offset};
use crate::log::layout::Directory;
use crate::log::{FileName, FileOp, QuorumState};
use crate::record::{Batches, HEADER_BYTES};
use crate::sim::disk::{Disk, EntryChange};

/// The batches of one node's log, where they lie, and how many are durable.
#[derive(Debug, Default)]
pub struct Marks {
    marks: MarkLog,
    places: Places,
    durable: usize,
    quorum: Option<QuorumState>,
    /// What `quorum` was read from.
    quorum_bytes: Vec<u8>,
    lapse: Option<Lapse>,
    /// What a durable fault has done to the disk.
    pub damage: Damage,
    /// From where on bytes are not what was written, however much they look like batches.
    rotten: Option<Rotten>,
}

/// A place in a segment, from which on nothing can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotten {
    /// The segment's base offset.
    pub segment: Offset,
    /// The first byte that is damaged or gone.
    pub at: usize,
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: Offset,
    end: u64,
}

/// Where all of them lie, in four bytes each.
#[derive(Debug, Default)]
struct Places {
    ends: Vec<u32>,
    /// Segments, with the index of the first batch of each.
    segments: Vec<(usize, Offset)>,
}

impl Places {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, index: usize) -> Option<Place> {
        let &end = self.ends.get(index)?;
        let is_last = self.segments.last().is_some_and(|&(first, _)| first <= index);
        let above = match is_last {
            true => self.segments.len(),
            false => self.segments.partition_point(|&(first, _)| first <= index),
        };
        Some(Place { segment: self.segments[above - 1].1, end: u64::from(end) })
    }

    /// The places from that index on.
    fn iter_from(&self, index: usize) -> impl Iterator<Item = Place> {
        let mut above = self.segments.partition_point(|&(first, _)| first <= index);
        (index..).zip(self.ends.get(index..).unwrap_or_default()).map(move |(index, &end)| {
            above += usize::from(self.segments.get(above).is_some_and(|&(first, _)| first <= index));
            Place { segment: self.segments[above - 1].1, end: u64::from(end) }
        })
    }

    fn push(&mut self, Place { segment, end }: Place) {
        if self.segments.last().is_none_or(|&(_, last)| last != segment) {
            self.segments.push((self.ends.len(), segment));
        }
        self.ends.push(u32::try_from(end).expect("invariant: positions in a segment fit in 31 bits"));
    }

    fn truncate(&mut self, kept: usize) {
        self.ends.truncate(kept);
        self.segments.truncate(self.segments.partition_point(|&(first, _)| first < kept));
    }
}

impl Marks {
    /// What the disk holds, read anew: after a start, a power loss or a wipe.
    pub fn reread(&mut self, disk: &Disk, committed: &MarkLog) {
        self.shorten(0);
        for (&name, &number) in &disk.names {
            if let FileName::Segment(base) = name {
                self.read_valid(base, &Bytes::copy_from_slice(&disk.files[number].cache));
            }
        }
        self.keep_contiguous();
        if let Some(Rotten { segment, at }) = self.rotten {
            self.truncate(|place| place.segment < segment || place.segment == segment && place.end <= at as u64);
        }
        self.count_durable(disk);
        self.read_quorum(disk);
        self.share(committed);
    }

    /// Follows one operation that the disk has carried out.
    pub fn follow(&mut self, op: &FileOp, disk: &Disk) {
        match op {
            FileOp::Write { file: FileName::Segment(base), at, bytes } => {
                self.cut(|place| place.segment != *base || place.end <= *at);
                match bytes.as_slice() {
                    [only] => self.read_batches(*base, *at, only),
                    parts => self.read_batches(*base, *at, &join(parts)),
                }
            }
            FileOp::Truncate { file: FileName::Segment(base), length } => {
                self.cut(|place| place.segment != *base || place.end <= *length);
            }
            FileOp::Remove { file: FileName::Segment(base) } => self.cut(|place| place.segment != *base),
            FileOp::Sync { file: FileName::Segment(_) } => {
                self.heal(disk);
                self.count_durable(disk);
            }
            FileOp::SyncDirectory(Directory::Partition) => {
                self.heal(disk);
                self.count_durable(disk);
                self.read_quorum(disk);
            }
            _ => {}
        }
    }

    /// Synced bytes were damaged or taken away, in the log from that place on.
    pub fn rot(&mut self, disk: &Disk, rotten: Option<Rotten>, committed: &MarkLog) {
        self.damage = Damage::Rotten;
        self.rotten = rotten;
        self.reread(disk, committed);
    }

    /// A process starts. Who was wiped comes back only when that is safe.
    pub fn begin_boot(&mut self) {
        if self.damage == Damage::Wiped {
            self.damage = Damage::None;
        }
    }

    /// Where the batch of that index lies: its segment, its first byte and the byte behind its last.
    pub fn place(&self, index: usize) -> (Offset, usize, usize) {
        let Place { segment, end } = self.places.get(index).expect("invariant: a batch of the log");
        let before = index.checked_sub(1).and_then(|before| self.places.get(before));
        let from = before.filter(|before| before.segment == segment).map_or(0, |before| before.end);
        (segment, from as usize, end as usize)
    }

    /// A disk operation was called complete: no power loss may undo it, nor any before it. Index files are exempt.
    pub fn complete(&mut self, disk: &Disk) {
        if self.lapse.is_some() {
            return;
        }
        let is_exempt = |name: FileName| matches!(name, FileName::Index(_) | FileName::TimeIndex(_));
        let mut entries = disk.pending.iter().map(EntryChange::name).filter(|&name| !is_exempt(name));
        let end = self.marks.last().map(|mark| mark.end);
        let mut segments = disk.names.range(FileName::Segment(Offset(0))..=FileName::Segment(Offset(u64::MAX)));
        self.lapse = match (entries.next(), segments.next_back()) {
            (Some(entry), _) => Some(Lapse::Entry(entry)),
            (None, Some((&last, &number))) if disk.files[number].is_dirty() => Some(Lapse::Bytes(last)),
            (None, Some((&last, _))) if end.is_some_and(|end| FileName::Segment(end) < last) => {
                Some(Lapse::Behind(last))
            }
            (None, _) => None,
        };
        if self.lapse.is_none() && self.durable < self.marks.len() {
            let place = self.places.get(self.durable).expect("invariant: every batch has a place");
            self.lapse = Some(Lapse::Bytes(FileName::Segment(place.segment)));
        }
    }

    /// What is the same as in the books of the judge need not be kept twice.
    pub fn share(&mut self, committed: &MarkLog) {
        self.marks.share(committed);
    }

    /// How many marks are kept for this disk alone.
    pub fn unshared(&self) -> usize {
        self.marks.unshared()
    }

    /// What the judge is shown.
    pub fn view(&self) -> DiskView<'_> {
        DiskView {
            log: &self.marks,
            durable: self.durable,
            quorum: self.quorum.as_ref(),
            lapse: self.lapse,
            damage: self.damage,
        }
    }

    /// Drops the first batch that is not kept, and all after it.
    fn cut(&mut self, is_kept: impl Fn(&Place) -> bool) {
        let mut kept = self.places.len();
        while let Some(last) = kept.checked_sub(1).and_then(|last| self.places.get(last))
            && !is_kept(&last)
        {
            kept -= 1;
        }
        self.shorten(kept);
    }

    /// Keeps batches up to the first that is not kept.
    fn truncate(&mut self, is_kept: impl Fn(&Place) -> bool) {
        self.shorten(self.places.iter_from(0).take_while(is_kept).count());
    }

    fn shorten(&mut self, kept: usize) {
        self.places.truncate(kept);
        self.marks.truncate(kept);
        self.durable = self.durable.min(kept);
    }

    /// Rot is healed by a cut below it; the node has made up for it once its marker has come and gone.
    fn heal(&mut self, disk: &Disk) {
        if self.damage == Damage::None {
            return;
        }
        self.rotten = self.rotten.filter(|rotten| {
            let number = disk.durable_names.get(&FileName::Segment(rotten.segment));
            number.is_some_and(|&number| disk.files[number].durable().len() > rotten.at)
        });
        let is_marked = disk.durable_names.contains_key(&FileName::Recovering);
        self.damage = match (self.damage, is_marked) {
            (Damage::Rotten, true) => Damage::Marked,
            (Damage::Marked, false) => Damage::None,
            (damage, _) => damage,
        };
    }

    fn read_batches(&mut self, segment: Offset, at: u64, bytes: &[u8]) {
        let mut from = 0;
        while let Some((mark, length)) = read_mark(&bytes[from..]) {
            let end = at + (from + length) as u64;
            self.marks.push(mark);
            self.places.push(Place { segment, end });
            from += length;
        }
    }

    /// What a reader makes of a whole segment: batches up to the first that is not whole.
    fn read_valid(&mut self, segment: Offset, bytes: &Bytes) {
        let mut end = 0;
        for batch in Batches::of(bytes).map_while(Result::ok) {
            end += batch.size_bytes() as u64;
            self.marks.push(BatchMark {
                base: batch.base_offset(),
                end: batch.end(),
                epoch: batch.leader_epoch(),
                crc: batch.header.crc,
            });
            self.places.push(Place { segment, end });
        }
    }

    /// A reader stops at the first gap.
    fn keep_contiguous(&mut self) {
        let pairs = self.marks.iter().zip(self.marks.iter_from(1));
        self.shorten(1 + pairs.take_while(|(one, next)| one.end == next.base).count());
    }

    /// The durable quorum-state. Its directory is synced for every file in it, so mostly it is the same as before.
    fn read_quorum(&mut self, disk: &Disk) {
        let number = disk.durable_names.get(&FileName::QuorumState);
        let bytes = number.map(|&number| disk.files[number].durable()).unwrap_or_default();
        if *bytes != *self.quorum_bytes {
            self.quorum = QuorumState::parse(&bytes).ok();
            self.quorum_bytes = bytes.into_owned();
        }
    }

    fn count_durable(&mut self, disk: &Disk) {
        let is_durable = |place: &Place| disk.is_durable(FileName::Segment(place.segment), place.end as usize);
        self.durable += self.places.iter_from(self.durable).take_while(is_durable).count();
    }
}

/// The header of the batch at the front of `bytes`, and the batch's length.
fn read_mark(bytes: &[u8]) -> Option<(BatchMark, usize)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("invariant: four bytes"));
    let base = u64::from_be_bytes(header[..8].try_into().expect("invariant: eight bytes"));
    let length = word(8) as usize + 12;
    if header[16] != 2 || length < HEADER_BYTES || length > bytes.len() {
        return None;
    }
    let end = Offset(base.checked_add(u64::from(word(23)) + 1)?);
    Some((BatchMark { base: Offset(base), end, epoch: Epoch(word(12)), crc: word(17) }, length))
}

fn join(parts: &[Bytes]) -> Vec<u8> {
    parts.concat()
}
