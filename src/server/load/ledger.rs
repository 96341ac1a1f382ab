//! What was acknowledged and what was not, compared with what the log holds.
//!
//! A leader stamps a batch's place and epoch and leaves the rest alone, so a batch is found again by its checksum, which
//! covers its records, its producer's id and its number. Nothing is kept of the records themselves.
//!
//! Found must be: every acknowledged batch, at the offset that was acknowledged; nothing that was refused; nothing twice,
//! if the producer numbers its batches; and the batches of one producer in the order in which they were made.

use std::collections::BTreeMap;
use std::fmt;

use crate::client::producer::{Ended, Fate};
use crate::ids::Offset;
use crate::record::RecordBatch;

/// The batches of a run.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By checksum. Two batches with one checksum and one size would be taken for each other; they are kept apart by their
    /// producers' numbers, which are part of what is summed.
    entries: BTreeMap<u32, Vec<Entry>>,
    records_acked: u64,
    /// The number of the batch that was found last, for each producer.
    last_found: BTreeMap<usize, u64>,
    report: Report,
}

#[derive(Clone, Debug)]
struct Entry {
    client: usize,
    first_record: u64,
    records: u32,
    fate: Fate,
    found: u32,
}

/// What the comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Acknowledged records.
    pub acked: u64,
    /// Of these, records that were read back, each counted once.
    pub found: u64,
    /// Acknowledged records that are not in the log.
    pub missing: u64,
    /// Records read back a second time.
    pub duplicated: u64,
    /// Records at another offset than the one that was acknowledged.
    pub misplaced: u64,
    /// Records that come after one that was made later.
    pub reordered: u64,
    /// Records that were refused and are in the log.
    pub forged: u64,
    /// Records whose fate was unknown and that are in the log: allowed, and good to know.
    pub surfaced: u64,
    /// Records of others, between the two ends that were read.
    pub foreign: u64,
    /// What was wrong first, in words.
    pub first_wrong: Option<String>,
}

/// How often an acknowledged batch may be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The producer numbers its batches.
    ExactlyOnce,
    /// It tries again and does not.
    AtLeastOnce,
}

impl Ledger {
    /// A batch has ended.
    pub fn note(&mut self, client: usize, ended: &Ended) {
        // One that was never sent is in no log, and has no checksum.
        if ended.attempts == 0 {
            return;
        }
        if matches!(ended.fate, Fate::Acked { .. }) {
            self.records_acked += u64::from(ended.records);
        }
        let Ended { fate, first_record, records, .. } = *ended;
        self.entries.entry(ended.crc).or_default().push(Entry { client, first_record, records, fate, found: 0 });
    }

    /// A batch was read back. They come in the order of the log.
    pub fn find(&mut self, batch: &RecordBatch, promise: Promise) {
        let records = u64::from(batch.header.record_count);
        let base = batch.base_offset();
        let is_it = |entry: &&mut Entry| entry.records == batch.header.record_count;
        // Batches of equal bytes, as only producers without numbers make them, are found in the order they were made.
        let found = self.entries.get_mut(&batch.header.crc).and_then(|entries| {
            let next = entries.iter().position(|entry| entry.found == 0).unwrap_or(0);
            entries.get_mut(next).filter(is_it)
        });
        let Some(entry) = found else {
            self.report.foreign += records;
            return;
        };
        entry.found += 1;
        let (client, first_record, times, fate) = (entry.client, entry.first_record, entry.found, entry.fate);
        if times > 1 {
            self.report.duplicated += records;
            if promise == Promise::ExactlyOnce {
                self.wrong(format_args!("the batch at offset {base} is in the log for the {times}th time"));
            }
            return;
        }
        match fate {
            Fate::Acked { base: told } => {
                self.report.found += records;
                if let Some(told) = told.filter(|&told| told != base && promise == Promise::ExactlyOnce) {
                    self.report.misplaced += records;
                    self.wrong(format_args!("the batch acknowledged at offset {told} is at {base}"));
                }
            }
            Fate::Failed { error } => {
                self.report.forged += records;
                self.wrong(format_args!("the batch at offset {base} was refused with error {error}"));
            }
            Fate::Open { .. } => self.report.surfaced += records,
        }
        let last = self.last_found.insert(client, first_record);
        if promise == Promise::ExactlyOnce && last.is_some_and(|last| last > first_record) {
            self.report.reordered += records;
            self.wrong(format_args!("the batch at offset {base} comes after one that was made later"));
        }
    }

    /// The log was read to its end.
    pub fn close(mut self) -> Report {
        self.report.acked = self.records_acked;
        let lost = |entry: &&Entry| entry.found == 0 && matches!(entry.fate, Fate::Acked { .. });
        let missing: Vec<Entry> = self.entries.values().flatten().filter(lost).cloned().collect();
        self.report.missing = missing.iter().map(|entry| u64::from(entry.records)).sum();
        let place = |entry: &Entry| match entry.fate {
            Fate::Acked { base: Some(Offset(base)) } => format!("at offset {base}"),
            _ => "without an offset".to_owned(),
        };
        if let Some(first) = missing.iter().min_by_key(|entry| (entry.client, entry.first_record)) {
            self.wrong(format_args!("{} records acknowledged {} are not in the log", first.records, place(first)));
        }
        self.report
    }

    fn wrong(&mut self, what: fmt::Arguments<'_>) {
        if self.report.first_wrong.is_none() {
            self.report.first_wrong = Some(what.to_string());
        }
    }
}

impl Report {
    /// Whether everything is as it was promised.
    pub fn is_clean(&self) -> bool {
        self.first_wrong.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged records, {} read back, {} missing, {} twice, {} misplaced, {} out of order, {} refused and \
             there, {} unknown and there, {} of others",
            self.acked,
            self.found,
            self.missing,
            self.duplicated,
            self.misplaced,
            self.reordered,
            self.forged,
            self.surfaced,
            self.foreign
        )?;
        match &self.first_wrong {
            None => Ok(()),
            Some(what) => write!(f, "; first: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    fn batch(text: &str, base: u64) -> RecordBatch {
        let mut builder = BatchBuilder::new(Timestamp(1));
        builder.push(None, Some(text.as_bytes()));
        builder.build().stamped(Offset(base), Epoch(1))
    }

    fn ended(text: &str, first_record: u64, fate: Fate) -> Ended {
        let crc = batch(text, 0).header.crc;
        let runs = Vec::new();
        Ended { fate, first_record, records: 1, batch_bytes: 0, crc, stamp: None, attempts: 1, runs }
    }

    fn acked(base: u64) -> Fate {
        Fate::Acked { base: Some(Offset(base)) }
    }

    /// What was told of a, b and c, what the log holds, and what is wrong with it.
    fn judge(told: [Fate; 3], log: &[(&str, u64)], promise: Promise) -> Option<String> {
        let mut ledger = Ledger::default();
        for (number, (text, fate)) in ["a", "b", "c"].into_iter().zip(told).enumerate() {
            ledger.note(0, &ended(text, number as u64, fate));
        }
        log.iter().for_each(|(text, base)| ledger.find(&batch(text, *base), promise));
        ledger.close().first_wrong
    }

    #[test]
    fn a_log_that_holds_what_was_acknowledged_is_clean() {
        let told = [acked(0), Fate::Open { error: 7 }, acked(2)];
        assert_eq!(judge(told, &[("a", 0), ("x", 1), ("c", 2)], Promise::ExactlyOnce), None);
        let told = [acked(0), Fate::Open { error: 7 }, acked(2)];
        assert_eq!(judge(told, &[("a", 0), ("b", 1), ("c", 2)], Promise::ExactlyOnce), None);
    }

    #[test]
    fn what_is_not_as_promised_is_said() {
        let told = || [acked(0), acked(1), Fate::Failed { error: 6 }];
        let wrong = |log: &[(&str, u64)]| judge(told(), log, Promise::ExactlyOnce).expect("something is wrong");
        assert_eq!(wrong(&[("a", 0)]), "1 records acknowledged at offset 1 are not in the log");
        assert_eq!(wrong(&[("a", 0), ("b", 2)]), "the batch acknowledged at offset 1 is at 2");
        assert_eq!(wrong(&[("a", 0), ("b", 1), ("a", 2)]), "the batch at offset 2 is in the log for the 2th time");
        assert_eq!(wrong(&[("a", 0), ("b", 1), ("c", 2)]), "the batch at offset 2 was refused with error 6");
        assert!(wrong(&[("b", 1), ("a", 2)]).starts_with("the batch acknowledged at offset 0 is at 2"));
    }

    #[test]
    fn who_does_not_number_batches_may_write_them_twice() {
        let told = [acked(1), acked(2), Fate::Open { error: 13 }];
        assert_eq!(judge(told, &[("a", 0), ("a", 1), ("b", 2)], Promise::AtLeastOnce), None);
    }
}
