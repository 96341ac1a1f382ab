//! What clients are told of the log, all of it together, is what one log could have said.
//!
//! When the run ends, the whole history is given to the log's deciders: every offset holds one value or none for everybody, the
//! values of one append are adjacent, nothing that was refused is there, and whoever asks later finds no less. The other
//! properties ask while the run goes on, with what lies in files in front of them; this one knows nothing but what was said.
//!
//! Source: [`crate::history::engine::finished`], which is exact, and says what the smallest part is that conflicts; Jepsen's checker for Kafka-like logs.

use crate::check::{End, Interests, Ledger, Property, Seen, Violation};
use crate::history::engine::finished;
use crate::history::{Model, Outcome};

/// See the module.
#[derive(Debug, Default)]
pub struct LogLinearizable {
    answers: u64,
}

impl Property for LogLinearizable {
    fn name(&self) -> &'static str {
        "log_linearizable"
    }

    fn statement(&self) -> &'static str {
        "All that clients were told of the log, taken together, one log could have said (linearizability of a log with offsets)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let is_answered = |outcome: &Outcome| matches!(outcome, Outcome::Ok(_));
        let answered = end.history.iter().filter(|operation| operation.ask.key().is_none());
        self.answers += answered.filter(|operation| is_answered(&operation.outcome)).count() as u64;
        finished::check(end.history, Model::Log).or_else(|lie| self.fails_in_the_end(end, None, lie.message))
    }

    fn exercised(&self) -> u64 {
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, append, tail};
    use crate::history::{Ask, Operation, Told};
    use crate::time::Instant;

    fn judged(history: &[Operation]) -> Result<u64, Violation> {
        let mut stage = Stage::of(LogLinearizable::default(), 3);
        stage.finish(End { history, ..End::default() })?;
        Ok(stage.exercised())
    }

    fn at(operation: Operation, invoked: u64) -> Operation {
        Operation { invoked: Instant(invoked), returned: Some(Instant(invoked + 5)), ..operation }
    }

    fn read(values: &[(u64, u64)], next: u64) -> Operation {
        let told = Told::Read { values: values.to_vec(), next };
        Operation { ask: Ask::Read { from: 0 }, ..tail(Outcome::Ok(told)) }
    }

    #[test]
    fn answers_of_one_log() {
        let appended = append(&[7, 8], Outcome::Ok(Told::Appended { offset: 1 }));
        let history = [at(appended, 0), at(tail(Outcome::Ok(Told::Tail { end: 3 })), 10), at(read(&[(1, 7)], 2), 20)];
        assert_eq!(judged(&history).unwrap(), 3);
    }

    #[test]
    fn two_readers_that_saw_different_values_at_one_offset() {
        let appends = [at(append(&[7], Outcome::Open), 0), at(append(&[8], Outcome::Open), 0)];
        let history = [&appends[..], &[at(read(&[(1, 7)], 2), 10), at(read(&[(1, 8)], 2), 20)]].concat();
        let violation = judged(&history).unwrap_err();
        assert!(violation.message.contains("c0-7"), "{violation}");
    }

    #[test]
    fn answers_of_keys_are_not_counted() {
        let got = Operation { ask: Ask::Get { key: 1 }, ..tail(Outcome::Ok(Told::Got { value: None })) };
        let history = [at(got, 0), at(tail(Outcome::Ok(Told::Tail { end: 3 })), 10)];
        assert_eq!(judged(&history).unwrap(), 1);
    }
}
