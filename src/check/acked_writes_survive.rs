//! I7: what was acknowledged is there, where it was said to be, once; what was refused never is.
//!
//! When an append returns successfully at offset o: everything up to its last value is committed at that moment. Whenever
//! committed records are read, by a machine or a consumer: every value is where its acknowledgement said, no value is
//! there twice, and none that was refused is there at all (an open append may be there once, or not). When a settled run
//! ends: every acknowledged value was read, and a majority of the voters holds every committed batch durably.
//!
//! Source: KIP-98 (idempotent producers, exactly once); TLA+ `Durability`, `AckedValueNotLost`.
//! Values are unique in the run (`history::value`).

use std::collections::BTreeMap;

use crate::check::{End, Interests, Ledger, Property, Seen, Violation, What};
use crate::history::{Ask, Operation, Outcome, Told, value};
use crate::ids::Offset;
use crate::record::{Record, RecordBatch};

/// See the module.
#[derive(Debug, Default)]
pub struct AckedWritesSurvive {
    values: Fates,
    read: Offset,
    acked: u64,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// Where its acknowledgement said it is.
    acked: Option<u64>,
    /// Whether a client was told that it is not and never will be.
    is_refused: bool,
    /// Where it was found.
    found: Option<u64>,
}

/// What is known of every value. Of most it is that they are where they were said to be, which takes a word.
#[derive(Debug, Default)]
struct Fates {
    /// Values that are not found, or not as they should be.
    open: BTreeMap<u64, Fate>,
    /// Found values, by client and sequence: twice the offset after them, plus 1 where that was acknowledged; or 0.
    found: BTreeMap<u64, Vec<u64>>,
}

impl Fates {
    fn of(&self, value: u64) -> Fate {
        let settled = self.found.get(&(value >> 32)).and_then(|found| found.get(value as u32 as usize));
        match settled.copied().unwrap_or_default() {
            0 => self.open.get(&value).copied().unwrap_or_default(),
            word => {
                let at = (word >> 1) - 1;
                Fate { acked: (word & 1 == 1).then_some(at), is_refused: false, found: Some(at) }
            }
        }
    }

    /// Changes what is known of a value, which must not contradict itself.
    fn change(&mut self, value: u64, change: impl FnOnce(&mut Fate)) -> Result<(), String> {
        let mut fate = self.of(value);
        change(&mut fate);
        fate.is_consistent(value)?;
        let found = self.found.entry(value >> 32).or_default();
        let sequence = value as u32 as usize;
        match fate.found {
            Some(at) if sequence < found.len() + GAP_MAX => {
                found.resize(found.len().max(sequence + 1), 0);
                found[sequence] = (at + 1) << 1 | u64::from(fate.acked.is_some());
                self.open.remove(&value);
            }
            _ => {
                self.open.insert(value, fate);
            }
        }
        Ok(())
    }
}

impl Fate {
    fn is_consistent(&self, value: u64) -> Result<(), String> {
        let lie = match (self.acked, self.found) {
            (Some(acked), Some(found)) if acked != found => {
                format!("was acknowledged at offset {acked} and is at {found}")
            }
            (_, Some(found)) if self.is_refused => format!("was refused and is at offset {found}"),
            _ => return Ok(()),
        };
        Err(format!("value {} {lie}", value::name(value)))
    }
}

impl AckedWritesSurvive {
    fn on_returned(&mut self, ledger: &Ledger, values: &[u64], outcome: &Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Ok(Told::Appended { offset }) => {
                self.acked += 1;
                let (end, committed) = (offset + values.len() as u64, ledger.committed_end().0);
                if end > committed {
                    return Err(format!("values up to offset {end} are acknowledged, committed is {committed}"));
                }
                for (value, at) in values.iter().zip(*offset..) {
                    self.values.change(*value, |fate| fate.acked = Some(at))?;
                }
                Ok(())
            }
            Outcome::Ok(told) => Err(format!("an append was answered with {told:?}")),
            Outcome::Failed => {
                values.iter().try_for_each(|value| self.values.change(*value, |fate| fate.is_refused = true))
            }
            Outcome::Open => Ok(()),
        }
    }

    /// A command of the key-value machine that was acknowledged is committed.
    fn on_told(&mut self, ledger: &Ledger, told: &Told) -> Result<(), String> {
        let (Told::Put { offset } | Told::Compared { offset, .. }) = told else { return Ok(()) };
        self.acked += 1;
        let committed = ledger.committed_end().0;
        match *offset < committed {
            true => Ok(()),
            false => Err(format!("a command at offset {offset} is acknowledged, committed is {committed}")),
        }
    }

    /// Reads what was not read before.
    fn on_read(&mut self, batches: &[RecordBatch]) -> Result<(), String> {
        for batch in batches {
            if batch.base_offset() != self.read {
                continue;
            }
            self.read = batch.end();
            if batch.is_control() {
                continue;
            }
            for record in batch.records() {
                let record = record.map_err(|error| format!("offset {}: {error}", batch.base_offset()))?;
                let at = batch.base_offset().0 + u64::from(record.offset_delta);
                let Some(value) = value_of(&record) else { continue };
                if let Some(found) = self.values.of(value).found {
                    let value = value::name(value);
                    return Err(format!("value {value} is at offset {found} and again at {at}"));
                }
                self.values.change(value, |fate| fate.found = Some(at))?;
            }
        }
        Ok(())
    }

    fn on_end(&self, end: &End<'_>, ledger: &Ledger) -> Result<(), String> {
        if end.settle.is_none() {
            return Ok(());
        }
        let lost = self.values.open.iter().find(|(_, fate)| fate.acked.is_some() && fate.found.is_none());
        if let Some((value, Fate { acked: Some(acked), .. })) = lost {
            let value = value::name(*value);
            return Err(format!(
                "value {value} was acknowledged at offset {acked} and never seen, {} was read",
                self.read
            ));
        }
        let Some(view) = end.views.iter().flatten().next() else { return Ok(()) };
        for (index, mark) in ledger.committed().iter().enumerate() {
            let holds = |voter: usize| {
                let disk = end.disks.get(voter);
                disk.is_some_and(|disk| {
                    disk.log.find_near(index, mark.base).is_some_and(|at| at < disk.durable && disk.log[at] == *mark)
                })
            };
            let holders = view.voters.iter().filter(|voter| holds(voter.key.id.0 as usize)).count();
            if holders < view.voters.majority() {
                let (base, of) = (mark.base, view.voters.len());
                return Err(format!("offset {base} is committed, and in the end durable on {holders} of {of} voters"));
            }
        }
        Ok(())
    }
}

/// The number that a workload's value begins with (`client::values`); `None` for other bytes.
fn value_of(record: &Record) -> Option<u64> {
    let number = record.value.as_ref()?.first_chunk()?;
    Some(u64::from_be_bytes(*number)).filter(|number| !value::is_foreign(*number))
}

impl Property for AckedWritesSurvive {
    fn name(&self) -> &'static str {
        "acked_writes_survive"
    }

    fn statement(&self) -> &'static str {
        "An acknowledged write is committed, stays where it was said to be, and is there once; a refused one never is (I7, KIP-98)."
    }

    fn interests(&self) -> Interests {
        Interests::RETURNED | Interests::APPLIED | Interests::CONSUMED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let judged = match seen.observation.what {
            What::Returned { operation: Operation { ask: Ask::Append { values }, outcome, .. }, .. } => {
                self.on_returned(seen.ledger, values, outcome)
            }
            What::Returned { operation: Operation { outcome: Outcome::Ok(told), .. }, .. } => {
                self.on_told(seen.ledger, told)
            }
            What::Applied { batches, .. } | What::Consumed { batches, .. } => self.on_read(batches),
            _ => Ok(()),
        };
        judged.or_else(|lie| self.fails(seen, lie))
    }

    fn finish(&mut self, end: &End<'_>, ledger: &Ledger) -> Result<(), Violation> {
        self.on_end(end, ledger).or_else(|lie| self.fails_in_the_end(end, None, lie))
    }

    fn entries(&self) -> usize {
        self.values.open.len()
    }

    fn exercised(&self) -> u64 {
        self.acked
    }
}

/// So many values further than all that were found of its client, a value is one that nobody made.
const GAP_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, append, batch};
    use crate::check::{BatchMark, Observation, Settle};

    /// Value 10 at offset 0, values 11 and 12 at 1 and 2, committed.
    fn committed() -> (Stage, Vec<RecordBatch>) {
        let mut stage = Stage::of(AckedWritesSurvive::default(), 3);
        let batches = vec![batch(0, 1, &[10]), batch(1, 1, &[11, 12])];
        let marks: Vec<BatchMark> = batches.iter().map(BatchMark::of).collect();
        stage.node(0).write(&marks).sync().high_watermark(3);
        stage.node(1).write(&marks).sync();
        stage.step(0).unwrap();
        (stage, batches)
    }

    fn told(stage: &mut Stage, values: &[u64], outcome: Outcome) -> Result<(), Violation> {
        let operation = append(values, outcome);
        stage.see(Observation::NO_NODE, What::Returned { index: 0, operation: &operation })
    }

    fn read(stage: &mut Stage, batches: &[RecordBatch]) -> Result<(), Violation> {
        stage.see(0, What::Applied { batches, end: Offset(3), machine: 0 })
    }

    fn at(offset: u64) -> Outcome {
        Outcome::Ok(Told::Appended { offset })
    }

    fn settled() -> End<'static> {
        End { settle: Some(Settle::default()), ..End::default() }
    }

    #[test]
    fn acknowledged_and_there() {
        let (mut stage, batches) = committed();
        told(&mut stage, &[10], at(0)).unwrap();
        read(&mut stage, &batches).unwrap();
        told(&mut stage, &[11, 12], at(1)).unwrap();
        told(&mut stage, &[13], Outcome::Failed).unwrap();
        stage.finish(settled()).unwrap();
    }

    #[test]
    fn acknowledged_before_it_is_committed() {
        let (mut stage, _) = committed();
        let violation = told(&mut stage, &[13], at(3)).unwrap_err();
        assert_eq!(violation.message, "values up to offset 4 are acknowledged, committed is 3");
    }

    #[test]
    fn acknowledged_and_elsewhere_or_nowhere() {
        let (mut stage, batches) = committed();
        told(&mut stage, &[11], at(0)).unwrap();
        assert!(read(&mut stage, &batches).unwrap_err().message.contains("acknowledged at offset 0 and is at 1"));
        let (mut stage, batches) = committed();
        told(&mut stage, &[99], at(0)).unwrap();
        read(&mut stage, &batches).unwrap();
        assert!(stage.finish(settled()).unwrap_err().message.contains("value c0-99 was acknowledged"));
    }

    #[test]
    fn there_twice() {
        let (mut stage, mut batches) = committed();
        batches.push(batch(3, 1, &[10]));
        assert_eq!(read(&mut stage, &batches).unwrap_err().message, "value c0-10 is at offset 0 and again at 3");
    }

    #[test]
    fn refused_and_there() {
        let (mut stage, batches) = committed();
        read(&mut stage, &batches).unwrap();
        told(&mut stage, &[13], Outcome::Open).unwrap();
        assert!(told(&mut stage, &[12], Outcome::Failed).is_err());
    }

    #[test]
    fn gone_from_a_majority_in_the_end() {
        let (mut stage, batches) = committed();
        read(&mut stage, &batches).unwrap();
        stage.node(1).truncate(1);
        assert!(stage.finish(settled()).unwrap_err().message.ends_with("durable on 1 of 3 voters"));
    }
}
