//! What lies in a node's log files, followed from the file operations alone.
//!
//! The judge must not ask the replica what it stored. So every write to a segment is read again here, header by header,
//! and every sync is turned into a count of batches that no power loss can take away.

use bytes::Bytes;

use crate::check::{BatchMark, DiskView};
use crate::ids::{Epoch, Offset};
use crate::log::layout::Directory;
use crate::log::{FileName, FileOp, QuorumState};
use crate::record::{HEADER_BYTES, RecordBatch};
use crate::sim::disk::Disk;

/// The batches of one node's log, where they lie, and how many are durable.
#[derive(Debug, Default)]
pub struct Marks {
    marks: Vec<BatchMark>,
    places: Vec<Place>,
    durable: usize,
    quorum: Option<QuorumState>,
    /// Whether the node was wiped and has not earned its vote back.
    pub is_impaired: bool,
}

/// Where a batch lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: Offset,
    end: u64,
}

impl Marks {
    /// What the disk holds, read anew: after a start, a power loss or a wipe.
    pub fn reread(&mut self, disk: &Disk) {
        self.marks.clear();
        self.places.clear();
        self.durable = 0;
        for (&name, &number) in &disk.names {
            if let FileName::Segment(base) = name {
                self.read_valid(base, &Bytes::copy_from_slice(&disk.files[number].cache));
            }
        }
        self.keep_contiguous();
        self.count_durable(disk);
        self.quorum = durable_quorum(disk);
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
            FileOp::Sync { file: FileName::Segment(_) } => self.count_durable(disk),
            FileOp::SyncDirectory(Directory::Partition) => {
                self.count_durable(disk);
                self.quorum = durable_quorum(disk);
            }
            _ => {}
        }
    }

    /// What the judge is shown.
    pub fn view(&self) -> DiskView<'_> {
        DiskView {
            log: &self.marks,
            durable: self.durable,
            quorum: self.quorum.as_ref(),
            is_impaired: self.is_impaired,
        }
    }

    /// Drops the first batch that is not kept, and all after it.
    fn cut(&mut self, is_kept: impl Fn(&Place) -> bool) {
        let mut kept = self.places.len();
        while kept > 0 && !is_kept(&self.places[kept - 1]) {
            kept -= 1;
        }
        self.places.truncate(kept);
        self.marks.truncate(kept);
        self.durable = self.durable.min(kept);
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
        let mut at = 0;
        while let Ok(batch) = RecordBatch::parse(&bytes.slice(at..)) {
            let end = at + batch.size_bytes();
            self.marks.push(BatchMark {
                base: batch.base_offset(),
                end: batch.end(),
                epoch: batch.leader_epoch(),
                crc: batch.header.crc,
            });
            self.places.push(Place { segment, end: end as u64 });
            at = end;
        }
    }

    /// A reader stops at the first gap.
    fn keep_contiguous(&mut self) {
        let whole = 1 + self.marks.windows(2).take_while(|pair| pair[0].end == pair[1].base).count();
        self.marks.truncate(whole);
        self.places.truncate(whole);
    }

    fn count_durable(&mut self, disk: &Disk) {
        while let Some(place) = self.places.get(self.durable) {
            if !disk.is_durable(FileName::Segment(place.segment), place.end as usize) {
                return;
            }
            self.durable += 1;
        }
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

fn durable_quorum(disk: &Disk) -> Option<QuorumState> {
    let number = disk.durable_names.get(&FileName::QuorumState)?;
    QuorumState::parse(&disk.files[*number].durable()).ok()
}

fn join(parts: &[Bytes]) -> Vec<u8> {
    parts.concat()
}
