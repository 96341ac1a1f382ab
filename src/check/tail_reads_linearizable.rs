//! The end of the log, as clients are told it, fits one log that only grows, in real time.
//!
//! Let the *floor* of a moment be the largest end that any client was told before it: of its own values by an append, of
//! the log by a tail read. Then, by the floor at its invocation: a tail read returns at least the floor, an append lands at
//! or above it; and no tail read returns more than is committed. Because an append returns its offset, this linear check
//! is complete for tails: an order exists exactly when every answer respects what was returned before it was asked.
//!
//! Source: rule R10 of [`crate::raft`]; Herlihy and Wing, locality of real-time order.

use std::collections::BTreeMap;

use crate::check::{Interests, Ledger, Property, Seen, Violation, What};
use crate::history::{Ask, ClientId, Operation, Outcome, Told};

/// See the module.
#[derive(Debug, Default)]
pub struct TailReadsLinearizable {
    floor: u64,
    running: BTreeMap<usize, u64>,
    tails: u64,
}

impl TailReadsLinearizable {
    fn on_returned(&mut self, ledger: &Ledger, index: usize, operation: &Operation) -> Result<(), String> {
        let floor = self.running.remove(&index).unwrap_or_default();
        let Outcome::Ok(told) = &operation.outcome else { return Ok(()) };
        let client = operation.client;
        match (&operation.ask, told) {
            (_, Told::Unreadable { reason }) => return Err(format!("client {client} was answered: {reason}")),
            (Ask::Append { values }, Told::Appended { offset }) => {
                self.on_appended(client, floor, *offset, values.len() as u64)?;
            }
            (_, Told::Put { offset } | Told::Compared { offset, .. }) => {
                self.on_appended(client, floor, *offset, 1)?;
            }
            (Ask::Tail, Told::Tail { end }) => {
                self.tails += 1;
                let committed = ledger.committed_end().0;
                if *end < floor {
                    return Err(format!(
                        "client {client} was told that the log ends at {end}, and {floor} was known before it asked"
                    ));
                }
                if *end > committed {
                    return Err(format!(
                        "client {client} was told that the log ends at {end}, committed is {committed}"
                    ));
                }
                self.floor = self.floor.max(*end);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_appended(&mut self, client: ClientId, floor: u64, offset: u64, count: u64) -> Result<(), String> {
        if offset < floor {
            return Err(format!(
                "client {client} appended at offset {offset}, after somebody was told that the log ends at {floor}"
            ));
        }
        self.floor = self.floor.max(offset + count);
        Ok(())
    }
}

impl Property for TailReadsLinearizable {
    fn name(&self) -> &'static str {
        "tail_reads_linearizable"
    }

    fn statement(&self) -> &'static str {
        "A read of the log's end sees all that was acknowledged before it began (R10, linearizability of a log with offsets)."
    }

    fn interests(&self) -> Interests {
        Interests::INVOKED | Interests::RETURNED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Invoked { index, .. } => {
                self.running.insert(index, self.floor);
                Ok(())
            }
            What::Returned { index, operation } => {
                self.on_returned(seen.ledger, index, operation).or_else(|lie| self.fails(seen, lie))
            }
            _ => Ok(()),
        }
    }

    fn entries(&self) -> usize {
        self.running.len()
    }

    fn exercised(&self) -> u64 {
        self.tails
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Observation;
    use crate::check::fixture::{Stage, append, mark, tail};

    fn stage() -> Stage {
        let mut stage = Stage::of(TailReadsLinearizable::default(), 3);
        stage.node(0).write(&[mark(0, 9, 1)]).sync().high_watermark(9);
        stage.step(0).unwrap();
        stage
    }

    fn invoke(stage: &mut Stage, index: usize) {
        let operation = tail(Outcome::Open);
        stage.see(Observation::NO_NODE, What::Invoked { index, operation: &operation }).unwrap();
    }

    fn returns(stage: &mut Stage, index: usize, operation: &Operation) -> Result<(), Violation> {
        stage.see(Observation::NO_NODE, What::Returned { index, operation })
    }

    fn told_tail(end: u64) -> Operation {
        tail(Outcome::Ok(Told::Tail { end }))
    }

    #[test]
    fn concurrent_reads_may_differ() {
        let mut stage = stage();
        invoke(&mut stage, 0);
        invoke(&mut stage, 1);
        returns(&mut stage, 0, &told_tail(5)).unwrap();
        returns(&mut stage, 1, &told_tail(3)).unwrap();
        invoke(&mut stage, 2);
        returns(&mut stage, 2, &told_tail(5)).unwrap();
        assert_eq!(stage.exercised(), 3);
    }

    #[test]
    fn a_stale_read() {
        let mut stage = stage();
        invoke(&mut stage, 0);
        returns(&mut stage, 0, &append(&[7, 8], Outcome::Ok(Told::Appended { offset: 4 }))).unwrap();
        invoke(&mut stage, 1);
        let violation = returns(&mut stage, 1, &told_tail(4)).unwrap_err();
        assert!(violation.message.ends_with("told that the log ends at 4, and 6 was known before it asked"));
    }

    #[test]
    fn an_append_below_a_known_end() {
        let mut stage = stage();
        invoke(&mut stage, 0);
        returns(&mut stage, 0, &told_tail(5)).unwrap();
        invoke(&mut stage, 1);
        assert!(returns(&mut stage, 1, &append(&[7], Outcome::Ok(Told::Appended { offset: 4 }))).is_err());
    }

    #[test]
    fn an_end_that_is_not_committed() {
        let mut stage = stage();
        invoke(&mut stage, 0);
        assert!(returns(&mut stage, 0, &told_tail(10)).unwrap_err().message.ends_with("committed is 9"));
    }
}
