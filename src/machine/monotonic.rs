//! The machine that a VerifiableProducer feeds: decimal counters 0, 1, 2, … and a line for every gap.
//!
//! Kafka's README for its Raft module has `VerifiableProducer` write monotonically increasing numbers to the quorum; a
//! committed sequence with a hole, or with a step back, means that something was lost, reordered or written twice. This
//! machine is that oracle. It reports and never rejects.
//!
//! Each producer id counts for itself (−1 stands for all producers without one), and a 0 starts a new count: a producer
//! that was restarted begins again. Values may carry a prefix, `7.42` or `any.text.42`; values that do not end in a
//! number are no counters and are passed over.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::ids::Offset;
use crate::machine::StateMachine;
use crate::record::RecordBatch;

/// Watches counters.
#[derive(Debug, Default)]
pub struct MonotonicMachine {
    /// By producer id: the value expected next, and where the last one was seen.
    counters: BTreeMap<i64, Counter>,
    gaps: u64,
    digest: Digest,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    next: u64,
    seen: Offset,
}

impl MonotonicMachine {
    /// How many values were not the one expected.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    fn observe(&mut self, producer: i64, offset: Offset, value: u64, out: &mut Vec<String>) {
        let expected = self.counters.get(&producer).map(|counter| counter.next);
        let next = value.saturating_add(1);
        self.counters.insert(producer, Counter { next, seen: offset });
        match expected {
            // A producer nobody has seen, or one that begins again.
            None | Some(_) if value == 0 => {}
            Some(expected) if value == expected => {}
            Some(expected) => {
                self.gaps += 1;
                out.push(format!("offset {offset}: producer {producer} counts {value}, expected {expected}"));
            }
            None => {
                self.gaps += 1;
                out.push(format!("offset {offset}: producer {producer} counts {value}, expected 0"));
            }
        }
        if self.counters.len() > COUNTERS_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets the producer that was silent for longest; it will be taken for a new one.
    fn forget_oldest(&mut self) {
        let oldest = self.counters.iter().min_by_key(|(_, counter)| counter.seen).map(|(&producer, _)| producer);
        if let Some(producer) = oldest {
            self.counters.remove(&producer);
        }
    }
}

impl StateMachine for MonotonicMachine {
    fn apply(&mut self, batch: &RecordBatch, out: &mut Vec<String>) {
        if batch.is_control() {
            return;
        }
        let producer = batch.producer().map_or(-1, |stamp| stamp.id);
        for record in batch.records().flatten() {
            let Some(value) = record.value.as_deref().and_then(counter) else { continue };
            let offset = batch.base_offset() + u64::from(record.offset_delta);
            self.observe(producer, offset, value, out);
            self.digest.word(offset.0);
            self.digest.word(value);
        }
    }

    fn digest(&self) -> u64 {
        self.digest.value()
    }
}

/// The number that a value ends in: all of it, or what follows the last dot.
fn counter(value: &[u8]) -> Option<u64> {
    let digits = value.rsplit(|&byte| byte == b'.').next()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Producers remembered at once.
const COUNTERS_MAX: usize = 4096;

/// Digits of the largest 64-bit number.
const DIGITS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(values: &[(i64, u64)]) -> Vec<String> {
        let (mut machine, mut out) = (MonotonicMachine::default(), Vec::new());
        for (offset, &(producer, value)) in values.iter().enumerate() {
            machine.observe(producer, Offset(offset as u64), value, &mut out);
        }
        out
    }

    #[test]
    fn counters_without_a_gap_are_silent() {
        assert_eq!(lines(&[(-1, 0), (-1, 1), (-1, 2)]), [""; 0]);
    }

    #[test]
    fn every_gap_and_every_step_back_has_a_line() {
        let lines = lines(&[(-1, 0), (-1, 2), (-1, 2)]);
        assert_eq!(lines, ["offset 1: producer -1 counts 2, expected 1", "offset 2: producer -1 counts 2, expected 3"]);
    }

    #[test]
    fn producers_count_for_themselves_and_may_begin_again() {
        assert_eq!(lines(&[(7, 0), (8, 0), (7, 1), (8, 1), (7, 0), (7, 1)]), [""; 0]);
        assert_eq!(lines(&[(7, 3)]), ["offset 0: producer 7 counts 3, expected 0"]);
    }

    #[test]
    fn values_may_carry_a_prefix_and_may_be_something_else() {
        assert_eq!(counter(b"42"), Some(42));
        assert_eq!(counter(b"7.42"), Some(42));
        assert_eq!(counter(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!([&b""[..], b"x", b"7.", b"18446744073709551616", b"-1"].map(counter), [None; 5]);
    }
}
