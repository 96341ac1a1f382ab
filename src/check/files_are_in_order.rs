//! At rest a node's files say one thing, in Kafka's own layout, and nothing is left over.
//!
//! Judged in a calm and after a clean stop, when no file operation is on its way, from the bytes of all files:
//! - segments are named after their first offset, follow one another without a gap, and only the last one has anything
//!   behind its batches: zeros, no more of them than are reserved ahead, and none after a clean stop;
//! - no segment is larger than `segment.bytes` unless one batch alone is, and segments roll only when they must (a cut may
//!   leave a segment that its successor no longer fits behind, so one more may be early for each cut and each start);
//! - `leader-epoch-checkpoint` lists exactly the epochs of the batches; the recovery point lies in the log, after a clean
//!   stop at its end;
//! - index files belong to segments, a sealed segment has those that Kafka would have written (a cut may forget the time of
//!   one), and each entry is true;
//! - `partition.metadata` and `meta.properties` name the topic and the node; no `.tmp` file and no other is there.
//!
//! A damaged disk is judged once its node has made up for the damage.
//!
//! Source: Kafka's `LogManager`, `LogSegment.append`, `OffsetIndex`, `TimeIndex`, `LeaderEpochCheckpointFile`.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::check::{Damage, Interests, Property, Rest, Seen, Shelf, Violation, What};
use crate::ids::{Epoch, Offset};
use crate::log::FileName;
use crate::raft::note::Note;
use crate::record::{Batches, RecordBatch};

/// See the module.
#[derive(Debug, Default)]
pub struct FilesAreInOrder {
    looked: u64,
    /// How often each node has cut its log, or may have: when it diverged, and at every start.
    cuts: BTreeMap<usize, usize>,
}

/// A segment as its file has it.
struct Segment {
    base: Offset,
    batches: Vec<RecordBatch>,
    /// Bytes of the batches.
    bytes: u64,
}

impl Segment {
    fn end(&self) -> Offset {
        self.batches.last().map_or(self.base, RecordBatch::end)
    }

    /// Each batch with the position of its first byte.
    fn places(&self) -> impl Iterator<Item = (u64, &RecordBatch)> {
        self.batches.iter().scan(0, |at, batch| {
            let position = *at;
            *at += batch.size_bytes() as u64;
            Some((position, batch))
        })
    }
}

impl Property for FilesAreInOrder {
    fn name(&self) -> &'static str {
        "files_are_in_order"
    }

    fn statement(&self) -> &'static str {
        "At rest a node's files are Kafka's, agree with one another, and nothing is left over (LogManager, LogSegment)."
    }

    fn interests(&self) -> Interests {
        Interests::SHELVED | Interests::NOTED | Interests::STARTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let cuts = self.cuts.entry(node).or_default();
        let shelf = match seen.observation.what {
            What::Started { .. } | What::Noted(Note::Diverged { .. }) => {
                *cuts += 1;
                return Ok(());
            }
            What::Shelved(shelf) => shelf,
            _ => return Ok(()),
        };
        let damage = seen.observation.disks.get(node).map(|disk| disk.damage);
        if damage != Some(Damage::None) {
            return Ok(());
        }
        self.looked += 1;
        look(shelf, *cuts).or_else(|lie| self.fails(seen, format!("node {node}: {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.looked
    }
}

fn look(shelf: &Shelf<'_>, cuts: usize) -> Result<(), String> {
    let segments = segments(shelf)?;
    segments.iter().try_for_each(|segment| tail_is_reserved(shelf, segment))?;
    names_are_known(shelf, &segments)?;
    segments_roll_when_they_must(shelf, &segments, cuts)?;
    epochs_are_listed(shelf, &segments)?;
    recovery_point_is_in_the_log(shelf, &segments)?;
    let finished = if is_closed(shelf) { segments.len() } else { segments.len().saturating_sub(1) };
    for (index, segment) in segments.iter().enumerate() {
        let rest = if index < finished { Rest::Closed } else { Rest::Calm };
        offset_index_is_true(shelf, segment, rest)?;
        time_index_is_true(shelf, segment)?;
    }
    time_indexes_are_there(shelf, &segments[..finished], cuts)?;
    for (file, line) in shelf.owed {
        let text = text(shelf, *file).ok_or_else(|| format!("{file} is missing"))?;
        if !text.lines().any(|found| found == line) {
            return Err(format!("{file} has no line {line:?}, it is {text:?}"));
        }
    }
    Ok(())
}

/// The segments, in the order of their offsets, each whole and one after another.
fn segments(shelf: &Shelf<'_>) -> Result<Vec<Segment>, String> {
    let mut segments: Vec<Segment> = Vec::new();
    let files = shelf.files.iter().filter_map(|(file, bytes)| match file {
        FileName::Segment(base) => Some((*base, *file, bytes)),
        _ => None,
    });
    for (base, file, bytes) in files {
        let mut segment = Segment { base, batches: Vec::new(), bytes: 0 };
        for batch in Batches::of(bytes).map_while(Result::ok) {
            if batch.base_offset() != segment.end() {
                return Err(format!("{file} has a batch at {} after offset {}", batch.base_offset(), segment.end()));
            }
            segment.bytes += batch.size_bytes() as u64;
            segment.batches.push(batch);
        }
        match segments.last() {
            Some(before) if before.end() != base => {
                return Err(format!("{file} follows a segment that ends at {}", before.end()));
            }
            Some(_) | None => segments.push(segment),
        }
    }
    let sealed = segments.split_last().map(|(_, sealed)| sealed).unwrap_or_default();
    match sealed.iter().find(|segment| segment.batches.is_empty()) {
        Some(empty) => Err(format!("{} is empty and not the last one", FileName::Segment(empty.base))),
        None => Ok(segments),
    }
}

/// Behind the batches of the last segment there may be zeros; nothing else anywhere.
fn tail_is_reserved(shelf: &Shelf<'_>, segment: &Segment) -> Result<(), String> {
    let file = FileName::Segment(segment.base);
    let tail = bytes(shelf, file).map(|bytes| &bytes[segment.bytes as usize..]).unwrap_or_default();
    let is_last = shelf.files.iter().rev().find(|(name, _)| matches!(name, FileName::Segment(_)));
    let is_active = is_last.is_some_and(|(name, _)| *name == file) && !is_closed(shelf);
    let reserved = if is_active { shelf.preallocate_bytes } else { 0 };
    match () {
        () if tail.len() as u64 > reserved => {
            Err(format!("{file} goes on for {} bytes after its batches, {reserved} may be reserved", tail.len()))
        }
        () if tail.iter().any(|&byte| byte != 0) => {
            Err(format!("{file} goes on after its batches, and not with zeros"))
        }
        () => Ok(()),
    }
}

/// No file but those that a log at rest has.
fn names_are_known(shelf: &Shelf<'_>, segments: &[Segment]) -> Result<(), String> {
    let has_segment = |base: Offset| segments.iter().any(|segment| segment.base == base);
    for (file, _) in shelf.files {
        let is_known = match *file {
            FileName::Index(base) | FileName::TimeIndex(base) => has_segment(base),
            FileName::Temporary(_) | FileName::Recovering | FileName::Snapshot(_) => false,
            _ => true,
        };
        if !is_known {
            return Err(format!("{file} is left over"));
        }
    }
    Ok(())
}

fn segments_roll_when_they_must(shelf: &Shelf<'_>, segments: &[Segment], cuts: usize) -> Result<(), String> {
    let large = |segment: &&Segment| segment.batches.len() > 1 && segment.bytes > shelf.segment_bytes;
    if let Some(large) = segments.iter().find(large) {
        let file = FileName::Segment(large.base);
        return Err(format!("{file} has {} bytes of batches, {} are allowed", large.bytes, shelf.segment_bytes));
    }
    let would_fit = |pair: &&[Segment]| {
        let first = pair[1].batches.first().map_or(u64::MAX, |batch| batch.size_bytes() as u64);
        pair[0].bytes.saturating_add(first) <= shelf.segment_bytes
    };
    let early: Vec<&[Segment]> = segments.windows(2).filter(would_fit).collect();
    match early.first().filter(|_| early.len() > cuts) {
        None => Ok(()),
        Some(pair) => {
            let (count, file, bytes) = (early.len(), FileName::Segment(pair[0].base), pair[0].bytes);
            Err(format!("{count} segments were left before they were full, {file} with {bytes} bytes"))
        }
    }
}

/// `leader-epoch-checkpoint`, as the batches have it.
fn epochs_are_listed(shelf: &Shelf<'_>, segments: &[Segment]) -> Result<(), String> {
    let mut starts: Vec<(Epoch, Offset)> = Vec::new();
    for batch in segments.iter().flat_map(|segment| &segment.batches) {
        let epoch = batch.header.leader_epoch;
        if starts.last().is_none_or(|(last, _)| *last != epoch) {
            starts.push((epoch, batch.base_offset()));
        }
    }
    let lines: String = starts.iter().map(|(epoch, start)| format!("{epoch} {start}\n")).collect();
    let owed = format!("0\n{}\n{lines}", starts.len());
    match text(shelf, FileName::LeaderEpochCheckpoint) {
        None if starts.is_empty() => Ok(()),
        found if found.as_deref() == Some(owed.as_str()) => Ok(()),
        found => Err(format!("leader-epoch-checkpoint is {:?}, the batches say {owed:?}", found.unwrap_or_default())),
    }
}

fn recovery_point_is_in_the_log(shelf: &Shelf<'_>, segments: &[Segment]) -> Result<(), String> {
    let end = segments.last().map_or(Offset::ZERO, Segment::end);
    let Some(text) = text(shelf, FileName::RecoveryPoint) else {
        return match is_closed(shelf) && end > Offset::ZERO {
            true => Err("recovery-point-offset-checkpoint is missing after a clean stop".to_owned()),
            false => Ok(()),
        };
    };
    let point = text.strip_prefix("0\n1\n__cluster_metadata 0 ").and_then(|rest| rest.strip_suffix('\n'));
    let Some(point) = point.and_then(|point| point.parse().ok()).map(Offset) else {
        return Err(format!("recovery-point-offset-checkpoint is {text:?}"));
    };
    match () {
        () if point > end => Err(format!("the recovery point is {point}, the log ends at {end}")),
        () if is_closed(shelf) && point < end => {
            Err(format!("the recovery point of a clean stop is {point}, the log ends at {end}"))
        }
        () => Ok(()),
    }
}

/// An entry of `.index` is the last offset of a batch, relative to the segment, and where that batch begins. Of a segment
/// that is closed all of them are owed.
fn offset_index_is_true(shelf: &Shelf<'_>, segment: &Segment, rest: Rest) -> Result<(), String> {
    let file = FileName::Index(segment.base);
    let mut owed = Vec::new();
    let mut indexed = 0;
    for (position, batch) in segment.places().filter(|_| rest == Rest::Closed) {
        if position - indexed > INDEX_INTERVAL_BYTES {
            indexed = position;
            owed.push(entry(segment, batch, position));
        }
    }
    let Some(bytes) = bytes(shelf, file) else {
        return if owed.is_empty() { Ok(()) } else { Err(format!("{file} is missing")) };
    };
    let found: Vec<(u32, u32)> = bytes.chunks(8).map(|entry| (number(entry, 0), number(entry, 4))).collect();
    if rest == Rest::Closed && found != owed {
        return Err(format!("{file} is {found:?}, the batches say {owed:?}"));
    }
    let places: Vec<(u32, u32)> = segment.places().map(|(position, batch)| entry(segment, batch, position)).collect();
    match found.iter().find(|entry| !places.contains(entry)) {
        None if found.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1) => Ok(()),
        None => Err(format!("{file} does not ascend: {found:?}")),
        Some((last, position)) => Err(format!("{file} has a batch that ends with {last} at byte {position}")),
    }
}

/// An entry of `.timeindex` is the timestamp of a batch and its last offset; both ascend. (A truncation forgets what is
/// between two entries, so which ones there are is not judged.)
fn time_index_is_true(shelf: &Shelf<'_>, segment: &Segment) -> Result<(), String> {
    let file = FileName::TimeIndex(segment.base);
    let Some(bytes) = bytes(shelf, file) else { return Ok(()) };
    let time = |entry: &[u8]| (u64::from(number(entry, 0)) << 32 | u64::from(number(entry, 4))) as i64;
    let found: Vec<(i64, u32)> = bytes.chunks(12).map(|entry| (time(entry), number(entry, 8))).collect();
    let last = |batch: &RecordBatch| (batch.end() - segment.base - 1) as u32;
    let times: Vec<(i64, u32)> =
        segment.batches.iter().map(|batch| (batch.header.max_timestamp.0, last(batch))).collect();
    let ascends = found.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
    match found.iter().find(|entry| !times.contains(entry)) {
        None if ascends => Ok(()),
        None => Err(format!("{file} does not ascend: {found:?}")),
        Some((time, last)) => Err(format!("{file} has a batch of time {time} that ends with {last}")),
    }
}

/// A finished segment has the time of its newest batch, unless a truncation has forgotten it.
fn time_indexes_are_there(shelf: &Shelf<'_>, finished: &[Segment], cuts: usize) -> Result<(), String> {
    let files = finished.iter().filter(|segment| !segment.batches.is_empty());
    let files = files.map(|segment| FileName::TimeIndex(segment.base));
    let missing: Vec<FileName> = files.filter(|&file| bytes(shelf, file).is_none_or(Bytes::is_empty)).collect();
    match missing.first().filter(|_| missing.len() > cuts) {
        None => Ok(()),
        Some(file) => Err(format!("{file} is missing, one of {}", missing.len())),
    }
}

fn is_closed(shelf: &Shelf<'_>) -> bool {
    shelf.rest == Rest::Closed
}

fn entry(segment: &Segment, batch: &RecordBatch, position: u64) -> (u32, u32) {
    ((batch.end() - segment.base - 1) as u32, position as u32)
}

/// Four bytes of an entry; of one that was cut short, whatever nobody else has.
fn number(entry: &[u8], at: usize) -> u32 {
    entry.get(at..at + 4).map_or(u32::MAX, |field| u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}

fn bytes<'a>(shelf: &Shelf<'a>, file: FileName) -> Option<&'a Bytes> {
    shelf.files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes)
}

fn text(shelf: &Shelf<'_>, file: FileName) -> Option<String> {
    bytes(shelf, file).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Kafka's default of `index.interval.bytes`.
const INDEX_INTERVAL_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::Stage;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    const CHECKPOINT: FileName = FileName::LeaderEpochCheckpoint;
    const POINT: FileName = FileName::RecoveryPoint;

    fn batch(base: u64, epoch: u32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Timestamp(1_000 + base as i64));
        builder.push(None, Some(&[7; 60]));
        let batch = builder.build().stamped(Offset(base), Epoch(epoch));
        [&batch.encode_header()[..], &batch.body].concat()
    }

    fn log(base: u64) -> FileName {
        FileName::Segment(Offset(base))
    }

    fn times(base: u64, offset: u64) -> (FileName, Vec<u8>) {
        let time = 1_000 + (base + offset) as i64;
        let entry = [time.to_be_bytes().as_slice(), (offset as u32).to_be_bytes().as_slice()].concat();
        (FileName::TimeIndex(Offset(base)), entry)
    }

    /// Two segments of two batches and one.
    fn tidy() -> Vec<(FileName, Vec<u8>)> {
        vec![
            (POINT, b"0\n1\n__cluster_metadata 0 3\n".to_vec()),
            (CHECKPOINT, b"0\n2\n1 0\n4 2\n".to_vec()),
            (FileName::PartitionMetadata, b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ".to_vec()),
            (log(0), [batch(0, 1), batch(1, 1)].concat()),
            (log(2), [batch(2, 4), vec![0; 40]].concat()),
            times(0, 1),
        ]
    }

    fn judged(files: &[(FileName, Vec<u8>)], rest: Rest) -> Result<(), Violation> {
        judged_with(files, rest, 300)
    }

    fn judged_with(files: &[(FileName, Vec<u8>)], rest: Rest, segment_bytes: u64) -> Result<(), Violation> {
        let mut files: Vec<_> = files.iter().map(|(file, bytes)| (*file, Bytes::copy_from_slice(bytes))).collect();
        files.sort_by_key(|(file, _)| *file);
        let owed = [(FileName::PartitionMetadata, "topic_id: AAAAAAAAAAAAAAAAAAAAAQ".to_owned())];
        let shelf = Shelf { files: &files, rest, segment_bytes, preallocate_bytes: 64, owed: &owed };
        let mut stage = Stage::of(FilesAreInOrder::default(), 1);
        stage.start(0).unwrap();
        stage.see(0, What::Shelved(&shelf))
    }

    /// What is said of the tidy files once one of them holds something else.
    fn spoiled(file: FileName, bytes: &[u8]) -> String {
        let mut files = tidy();
        files.retain(|(name, _)| *name != file);
        files.push((file, bytes.to_vec()));
        judged(&files, Rest::Calm).unwrap_err().message
    }

    #[test]
    fn tidy_files_are_fine() {
        judged(&tidy(), Rest::Calm).unwrap();
        judged(&tidy()[2..3], Rest::Calm).unwrap();
    }

    #[test]
    fn whatever_is_left_over_is_found() {
        let temporary = FileName::Temporary(crate::log::layout::Replaced::QuorumState);
        assert!(spoiled(temporary, b"").ends_with("is left over"));
        assert!(spoiled(times(1, 0).0, &times(1, 0).1).ends_with("is left over"));
        assert!(spoiled(log(9), &batch(9, 4)).contains("follows a segment that ends at 3"));
        assert!(spoiled(log(2), &[batch(2, 4), vec![1; 40]].concat()).contains("not with zeros"));
        assert!(spoiled(log(2), &[batch(2, 4), vec![0; 65]].concat()).contains("64 may be reserved"));
        assert!(spoiled(log(0), &[batch(0, 1), batch(1, 1), vec![0]].concat()).contains("0 may be reserved"));
    }

    #[test]
    fn checkpoints_agree_with_the_batches() {
        assert!(spoiled(CHECKPOINT, b"0\n1\n1 0\n").contains("the batches say"));
        assert!(spoiled(CHECKPOINT, b"0\n3\n1 0\n4 2\n5 3\n").contains("the batches say"));
        assert!(spoiled(POINT, b"0\n1\n__cluster_metadata 0 4\n").contains("the log ends at 3"));
        assert!(spoiled(POINT, b"0\n0\n").starts_with("node 0: recovery-point-offset-checkpoint is"));
    }

    #[test]
    fn indexes_are_true_and_complete() {
        assert!(spoiled(times(0, 1).0, &times(0, 2).1).contains("a batch of time 1002"));
        assert!(spoiled(FileName::Index(Offset(0)), &[0, 0, 0, 1, 0, 0, 0, 9]).contains("the batches say []"));
        assert!(spoiled(FileName::Index(Offset(2)), &[0, 0, 0, 1, 0, 0, 0, 9]).contains("at byte 9"));
        let each = |base: u64| (log(base), batch(base, 1));
        let mut files: Vec<_> = (0..5).map(each).collect();
        files.push((CHECKPOINT, b"0\n1\n1 0\n".to_vec()));
        assert!(judged_with(&files, Rest::Calm, 130).unwrap_err().message.contains("timeindex is missing, one of 4"));
    }

    #[test]
    fn a_sealed_segment_of_many_batches_is_indexed() {
        let batches: Vec<Vec<u8>> = (0..40).map(|base| batch(base, 1)).collect();
        let size = batches[0].len();
        let first = 4096 / size + 1;
        let entry = |index: usize| [(index as u32).to_be_bytes(), ((index * size) as u32).to_be_bytes()].concat();
        let index = FileName::Index(Offset(0));
        let files = |index_bytes: Option<Vec<u8>>| {
            let mut files = vec![
                tidy()[2].clone(),
                (CHECKPOINT, b"0\n1\n1 0\n".to_vec()),
                (log(0), batches.concat()),
                (log(40), batch(40, 1)),
                times(0, 39),
            ];
            files.extend(index_bytes.map(|bytes| (index, bytes)));
            judged_with(&files, Rest::Calm, 40 * size as u64)
        };
        files(Some(entry(first))).unwrap();
        assert!(files(None).unwrap_err().message.ends_with("index is missing"));
        assert!(files(Some(entry(first - 1))).unwrap_err().message.contains("the batches say"));
        let open = |bytes: Vec<u8>| {
            let files =
                [tidy()[2].clone(), (CHECKPOINT, b"0\n1\n1 0\n".to_vec()), (log(0), batches.concat()), (index, bytes)];
            judged_with(&files, Rest::Calm, 40 * size as u64)
        };
        open(entry(7)).unwrap();
        assert!(open([entry(7), entry(7)].concat()).unwrap_err().message.contains("does not ascend"));
    }

    #[test]
    fn what_files_owe_is_in_them() {
        let text = spoiled(FileName::PartitionMetadata, b"version: 0\ntopic_id: somebody else");
        assert!(text.contains("has no line \"topic_id: AAAAAAAAAAAAAAAAAAAAAQ\""), "{text}");
        let files: Vec<_> = tidy().into_iter().filter(|(file, _)| *file != FileName::PartitionMetadata).collect();
        assert!(judged(&files, Rest::Calm).unwrap_err().message.ends_with("partition.metadata is missing"));
        assert!(spoiled(times(0, 1).0, &[times(0, 1).1, times(0, 0).1].concat()).contains("does not ascend"));
        let mut files = tidy();
        files.insert(0, (log(0), Vec::new()));
        files.retain(|(file, bytes)| *file != log(0) || bytes.is_empty());
        assert!(judged(&files, Rest::Calm).unwrap_err().message.contains("follows a segment that ends at 0"));
    }

    #[test]
    fn a_clean_stop_leaves_nothing_open() {
        assert!(judged(&tidy(), Rest::Closed).unwrap_err().message.contains("0 may be reserved"));
        let mut files = tidy();
        files.retain(|(file, _)| *file != log(2));
        files.push((log(2), batch(2, 4)));
        judged(&files, Rest::Closed).unwrap();
        files.retain(|(file, _)| *file != POINT);
        files.push((POINT, b"0\n1\n__cluster_metadata 0 2\n".to_vec()));
        assert!(judged(&files, Rest::Closed).unwrap_err().message.contains("of a clean stop is 2"));
    }

    #[test]
    fn segments_roll_when_they_are_full_and_not_before() {
        let three = [batch(0, 1), batch(1, 1), batch(2, 1)].concat();
        let files = [(log(0), three), (CHECKPOINT, b"0\n1\n1 0\n".to_vec())];
        assert!(judged(&files, Rest::Calm).unwrap_err().message.contains("300 are allowed"));
        let each = |base: u64| [(log(base), batch(base, 1)), times(base, 0)];
        let mut files: Vec<_> = (0..3).flat_map(each).collect();
        files.extend([tidy()[2].clone(), (CHECKPOINT, b"0\n1\n1 0\n".to_vec())]);
        assert!(judged(&files, Rest::Calm).unwrap_err().message.contains("2 segments were left before they were full"));
        files.retain(|(file, _)| !matches!(file, FileName::Segment(Offset(2)) | FileName::TimeIndex(Offset(2))));
        judged(&files, Rest::Calm).unwrap();
    }
}
