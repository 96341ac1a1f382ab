//! What a client was told against what is there.

use std::collections::BTreeMap;

use kraftbed::record::RecordBatch;
use libtest_mimic::Failed;

use crate::load::Told;

/// A record of the log: offset and value.
pub type Entry = (u64, u64);

/// How often a record may be in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The producer is idempotent: once, and in the order of the values.
    ExactlyOnce,
    /// Acknowledged records are there; a record that was sent again may be there again.
    AtLeastOnce,
}

/// Whether everything that was acknowledged is in the log where it was said to be, and nothing is there too often or too
/// late.
pub fn judge(told: &[Told], log: &[Entry], promise: Promise) -> Result<(), Failed> {
    let by_offset: BTreeMap<u64, u64> = log.iter().copied().collect();
    let mut last_first_seen = None;
    let mut seen = std::collections::BTreeSet::new();
    for (index, &(offset, value)) in log.iter().enumerate() {
        if index > 0 && log[index - 1].0 >= offset {
            return Err(format!("offset {offset} follows offset {}", log[index - 1].0).into());
        }
        if !seen.insert(value) {
            match promise {
                Promise::ExactlyOnce => return Err(format!("{value} is there again, at offset {offset}").into()),
                Promise::AtLeastOnce => continue,
            }
        }
        if last_first_seen.is_some_and(|last| last > value) {
            return Err(format!("{value} comes after {last_first_seen:?}, at offset {offset}").into());
        }
        last_first_seen = Some(value);
    }
    for told in told {
        if let Told::Acked { value, offset } = told
            && by_offset.get(offset) != Some(value)
        {
            let found = by_offset.get(offset);
            return Err(format!("{value} was acknowledged at offset {offset}, where there is {found:?}").into());
        }
    }
    Ok(())
}

/// That enough was acknowledged, and that nothing was given up.
pub fn all_acked(told: &[Told], at_least: usize) -> Result<(), Failed> {
    let given_up = told.iter().find_map(|told| match told {
        Told::Failed { value, why } => Some((value, why)),
        Told::Acked { .. } => None,
    });
    match given_up {
        Some((value, why)) => Err(format!("the client gave up on {value}: {why}").into()),
        None if told.len() < at_least => Err(format!("{} records were acknowledged", told.len()).into()),
        None => Ok(()),
    }
}

/// The records that clients wrote, as they are in these batches.
pub fn entries(log: &[RecordBatch]) -> Result<Vec<Entry>, Failed> {
    let mut found = Vec::new();
    for batch in log.iter().filter(|batch| !batch.is_control()) {
        for record in batch.records() {
            let record = record?;
            let offset = batch.base_offset().0 + u64::from(record.offset_delta);
            let value = record.value.unwrap_or_default();
            let value = std::str::from_utf8(&value)?;
            found.push((offset, value.parse().map_err(|_| format!("{value:?} at offset {offset} is no number"))?));
        }
    }
    Ok(found)
}

/// What a program that reads has printed: `OFFSET VALUE` a line.
pub fn read(printed: &str) -> Result<Vec<Entry>, Failed> {
    let entry = |line: &str| {
        let (offset, value) = line.split_once(' ')?;
        Some((offset.parse().ok()?, value.parse().ok()?))
    };
    printed.lines().map(|line| entry(line).ok_or_else(|| format!("{line:?} is no record").into())).collect()
}

/// That a client has read what the disks hold; a failure names the first difference.
pub fn equal(read: &[Entry], log: &[Entry]) -> Result<(), Failed> {
    if let Some((read, held)) = read.iter().zip(log).find(|(read, held)| read != held) {
        return Err(format!("(offset, value) {held:?} is in the log, {read:?} was read").into());
    }
    match read.len() == log.len() {
        true => Ok(()),
        false => Err(format!("{} records are in the log, {} were read", log.len(), read.len()).into()),
    }
}

/// The judge is judged: a good log passes, and every kind of bad one does not.
pub fn objects_to_every_kind_of_loss() -> Result<(), Failed> {
    let acked = |value, offset| Told::Acked { value, offset };
    let told = [acked(0, 1), acked(1, 2), acked(2, 4)];
    let good = [(1, 0), (2, 1), (4, 2), (5, 3)];
    judge(&told, &good, Promise::ExactlyOnce)?;
    let again = [(1, 0), (2, 1), (3, 0), (4, 2)];
    judge(&told, &again, Promise::AtLeastOnce)?;
    let bad: [(&str, &[Entry], Promise); 5] = [
        ("a record is lost", &[(1, 0), (4, 2)], Promise::AtLeastOnce),
        ("another is in its place", &[(1, 0), (2, 7), (4, 8)], Promise::AtLeastOnce),
        ("it is there twice", &again, Promise::ExactlyOnce),
        ("an earlier one comes late", &[(1, 0), (2, 1), (3, 3), (4, 2)], Promise::AtLeastOnce),
        ("offsets fall", &[(2, 1), (1, 0), (4, 2)], Promise::AtLeastOnce),
    ];
    for (what, log, promise) in bad {
        if judge(&told, log, promise).is_ok() {
            return Err(format!("no objection although {what}").into());
        }
    }
    let given_up = [acked(0, 1), Told::Failed { value: 1, why: "timed out".into() }];
    match (all_acked(&given_up, 1), all_acked(&told, 4), equal(&good, &good[..3])) {
        (Err(_), Err(_), Err(_)) => Ok(()),
        other => Err(format!("no objection: {other:?}").into()),
    }
}
