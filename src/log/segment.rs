//! One segment of the log: where its batches lie, and what its two index files say of them.
//!
//! Of every batch the segment remembers the first offset and the position, 8 bytes in all, so that a truncation or a cold
//! read needs no look at the file. The index *files* exist for Kafka's tools: sparse, written when a segment is sealed or
//! closed, never synced on an append, and rebuilt by recovery from the batches alone.
//!
//! ```text
//!  %020d.index       0        4        8          %020d.timeindex   0                8        12
//!                    ├────────┼────────┤                            ├────────────────┼────────┤
//!                    relative position                              largest          relative
//!                    offset                                         timestamp        offset
//! ```
//!
//! **Invariants**
//! - batches are contiguous: each begins where the one before ends, in offsets and in bytes.
//! - both index files are functions of the batches (timestamps that a truncation forgot aside).

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::Offset;
use crate::record::RecordBatch;

/// A file of batches, from its base offset on.
#[derive(Clone, Debug)]
pub(in crate::log) struct Segment {
    base: Offset,
    end: Offset,
    bytes: u64,
    places: Vec<Place>,
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
    newest: Option<TimeEntry>,
}

/// Where a batch begins, both numbers relative to the segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u32,
    position: u32,
}

/// An entry of `.index`: the last offset of a batch, and where that batch begins. (Kafka: `OffsetIndex`.)
#[derive(Clone, Copy, Debug)]
struct OffsetEntry {
    last_offset: u32,
    position: u32,
}

/// An entry of `.timeindex`: the largest timestamp so far and the last offset of its batch. (Kafka: `TimeIndex`.)
#[derive(Clone, Copy, Debug)]
struct TimeEntry {
    timestamp: i64,
    last_offset: u32,
}

impl Segment {
    /// An empty segment.
    pub fn new(base: Offset) -> Segment {
        Segment { base, end: base, bytes: 0, places: vec![], offsets: vec![], times: vec![], newest: None }
    }

    /// Offset of its first record, which names its file.
    pub fn base(&self) -> Offset {
        self.base
    }

    /// Offset after its last record.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Bytes of its batches.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether Kafka's four-byte fields can say where this batch is.
    pub fn can_hold(&self, batch: &RecordBatch) -> bool {
        let limit = u64::from(i32::MAX.unsigned_abs());
        batch.end() - self.base <= limit && self.bytes + batch.size_bytes() as u64 <= limit
    }

    /// Takes note of a batch at the end of the file.
    pub fn push(&mut self, batch: &RecordBatch) {
        assert!(batch.base_offset() == self.end, "batches of a segment are contiguous: {}", batch.base_offset());
        assert!(self.can_hold(batch), "positions and offsets of a segment fit in 31 bits");
        let (offset, position) = ((batch.base_offset() - self.base) as u32, self.bytes as u32);
        let last_offset = (batch.end() - self.base - 1) as u32;
        let timestamp = batch.header.max_timestamp.0;
        if self.newest.is_none_or(|newest| timestamp > newest.timestamp) {
            self.newest = Some(TimeEntry { timestamp, last_offset });
        }
        let indexed = self.offsets.last().map_or(0, |entry| entry.position);
        if position - indexed > INDEX_INTERVAL_BYTES {
            self.offsets.push(OffsetEntry { last_offset, position });
            self.times.extend(self.next_time());
        }
        self.places.push(Place { offset, position });
        self.bytes += batch.size_bytes() as u64;
        self.end = batch.end();
    }

    /// Forgets the batches from `end` on, which must be the end of a batch or the segment's base.
    pub fn truncate(&mut self, end: Offset) {
        let kept = self.places.partition_point(|place| self.base + u64::from(place.offset) < end);
        let Some(&Place { offset, position }) = self.places.get(kept) else {
            assert!(end >= self.end, "the log is cut between batches, not at {end}");
            return;
        };
        assert!(self.base + u64::from(offset) == end, "the log is cut between batches, not at {end}");
        self.places.truncate(kept);
        self.bytes = u64::from(position);
        self.end = end;
        self.offsets.retain(|entry| entry.position < position);
        self.times.retain(|entry| entry.last_offset < offset);
        // What lies between the last entry and the cut is known to the file only. (Kafka: `LogSegment.truncateTo`.)
        self.newest = self.times.last().copied();
    }

    /// Position and length of whole batches from the one that contains `from`: as many as fit `bytes_max`, at least one.
    pub fn locate(&self, from: Offset, bytes_max: usize) -> (u64, u64) {
        assert!(self.base <= from && from < self.end, "offset {from} is not in this segment");
        let first = self.places.partition_point(|place| self.base + u64::from(place.offset) <= from) - 1;
        let at = u64::from(self.places[first].position);
        let limit = at.saturating_add(bytes_max as u64);
        let position_of = |index: usize| self.places.get(index).map_or(self.bytes, |place| u64::from(place.position));
        let fitting = match self.bytes <= limit {
            true => self.places.len(),
            false => self.places.partition_point(|place| u64::from(place.position) <= limit) - 1,
        };
        (at, position_of(fitting.max(first + 1)) - at)
    }

    /// The content of the `.index` file.
    pub fn offset_index(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.offsets.len() * 8);
        for entry in &self.offsets {
            out.put_u32(entry.last_offset);
            out.put_u32(entry.position);
        }
        out.freeze()
    }

    /// The content of the `.timeindex` file of a segment that is sealed or closed: its last entry is the largest
    /// timestamp of all. (Kafka: `LogSegment.onBecomeInactiveSegment`.)
    pub fn time_index(&self) -> Bytes {
        let mut out = BytesMut::with_capacity((self.times.len() + 1) * 12);
        for entry in self.times.iter().copied().chain(self.next_time()) {
            out.put_i64(entry.timestamp);
            out.put_u32(entry.last_offset);
        }
        out.freeze()
    }

    /// The entry due: none if time has not advanced since the last one. (Kafka: `TimeIndex.maybeAppend`.)
    fn next_time(&self) -> Option<TimeEntry> {
        let last = self.times.last().map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        self.newest.filter(|newest| newest.timestamp > last)
    }
}

/// An index entry is written for the first batch that begins more than this after the last entry. (Kafka:
/// `index.interval.bytes`.)
const INDEX_INTERVAL_BYTES: u32 = 4096;

/// What Kafka takes a missing timestamp for. (Kafka: `RecordBatch.NO_TIMESTAMP`.)
const NO_TIMESTAMP: i64 = -1;
