//! What the nodes' directories hold, read as anybody could read them: segment files, batch after batch.

#![expect(clippy::disallowed_methods, reason = "real files are read")]

use std::fs;
use std::path::Path;

use bytes::Bytes;

use crate::ids::Offset;
use crate::log::FileName;
use crate::record::{Batches, RecordBatch};
use crate::server::members::{SystemError, system};

/// The batches of a node's log from one offset (a batch's first) to another, as its files hold them at this moment.
pub fn batches(log_directory: &Path, from: Offset, to: Offset) -> Result<Vec<RecordBatch>, SystemError> {
    let folder = log_directory.join(PARTITION);
    let shown = folder.display().to_string();
    let entries = fs::read_dir(&folder).map_err(|source| system(&shown, source))?;
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| system(&shown, source))?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if let Some(FileName::Segment(base)) = FileName::parse(&format!("{PARTITION}/{name}")) {
            segments.push((base, entry.path()));
        }
    }
    segments.sort();
    let mut found = Vec::new();
    for (index, (base, path)) in segments.iter().enumerate() {
        let is_before = segments.get(index + 1).is_some_and(|(next, _)| *next <= from);
        if is_before || *base >= to {
            continue;
        }
        let bytes = Bytes::from(fs::read(path).map_err(|source| system(path.display().to_string(), source))?);
        // The end of the active segment may be zeros, or be written at this moment.
        let whole = Batches::of(&bytes).map_while(Result::ok);
        found.extend(whole.filter(|batch| batch.base_offset() >= from && batch.end() <= to));
    }
    Ok(found)
}

/// Where two nodes' logs differ first, in words.
pub fn difference(one: &[RecordBatch], other: &[RecordBatch], to: Offset) -> Option<String> {
    let differ = one.iter().zip(other).find(|(one, other)| one != other);
    if let Some((one, other)) = differ {
        let words = |batch: &RecordBatch| {
            format!(
                "{}..{}@{} crc {:08x}",
                batch.base_offset(),
                batch.end(),
                batch.header.leader_epoch,
                batch.header.crc
            )
        };
        return Some(format!("{} here, {} there", words(one), words(other)));
    }
    let end = |batches: &[RecordBatch]| batches.last().map_or(Offset::ZERO, RecordBatch::end);
    let (one, other) = (end(one), end(other));
    (one != other || one != to).then(|| format!("ends at {one} here, at {other} there, and {to} is committed"))
}

/// The log's directory below a node's `log.dirs`.
const PARTITION: &str = "__cluster_metadata-0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    fn batch(text: &str, base: u64, epoch: u32) -> RecordBatch {
        let mut builder = BatchBuilder::new(Timestamp(1));
        builder.push(None, Some(text.as_bytes()));
        builder.build().stamped(Offset(base), Epoch(epoch))
    }

    #[test]
    fn logs_that_differ_are_told_where() {
        let log = [batch("a", 0, 1), batch("b", 1, 1)];
        assert_eq!(difference(&log, &log, Offset(2)), None);
        let other = [batch("a", 0, 1), batch("b", 1, 2)];
        assert!(difference(&log, &other, Offset(2)).is_some_and(|what| what.starts_with("1..2@1 crc ")));
        let shorter = difference(&log, &log[..1], Offset(2));
        assert_eq!(shorter.as_deref(), Some("ends at 2 here, at 1 there, and 2 is committed"));
        assert!(difference(&log, &log, Offset(3)).is_some(), "both lack what is committed");
    }
}
