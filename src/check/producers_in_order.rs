//! What one client was told of its appends, they stand in the order in which it sent them.
//!
//! For any two appends `a` and `b` of one client, `a` sent before `b`: if `a` was acknowledged, and where `b` stands was
//! told by its acknowledgement or by a read, then `a` stands below `b`. Of an append that nobody acknowledged nothing is
//! promised: it may be in the log at any time after it was asked for, or never. That each stands there once at most is
//! [`log_linearizable`](crate::check::log_linearizable)'s to say, which is asked first.
//!
//! Where a client waits for every answer this follows from real time. It says more of a producer that has several batches
//! under way: the leader knows them by their sequence numbers, and appends none before the one in front of it.
//!
//! Source: KIP-98 (sequence numbers); Jepsen's "nonmonotonic send" of Kafka-like logs; [`crate::history::engine::producer`].

use crate::check::{End, Interests, Ledger, Property, Seen, Violation};
use crate::history::engine::{finished, producer};
use crate::history::{Ask, Model, Operation, Outcome};

/// See the module.
#[derive(Debug, Default)]
pub struct ProducersInOrder {
    acked: u64,
}

impl Property for ProducersInOrder {
    fn name(&self) -> &'static str {
        "producers_in_order"
    }

    fn statement(&self) -> &'static str {
        "Appends of one client stand in the order in which it sent them, if the earlier one was acknowledged (KIP-98)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let is_acked = |of: &&Operation| matches!((&of.ask, &of.outcome), (Ask::Append { .. }, Outcome::Ok(_)));
        self.acked += end.history.iter().filter(is_acked).count() as u64;
        if producer::check(end.history).is_ok() {
            return Ok(());
        }
        // The same core as whoever judges the history that is kept.
        finished::check(end.history, Model::Producer).or_else(|lie| self.fails_in_the_end(end, None, lie.message))
    }

    fn exercised(&self) -> u64 {
        self.acked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, append};
    use crate::history::Told;
    use crate::time::Instant;

    /// Two appends that one client has under way at once.
    fn judged(outcomes: [Outcome; 2]) -> Result<u64, Violation> {
        let at = |(index, outcome): (u64, Outcome)| {
            let returned = (outcome != Outcome::Open).then_some(Instant(9));
            Operation { invoked: Instant(index), returned, ..append(&[index], outcome) }
        };
        let history: Vec<Operation> = (0..).zip(outcomes).map(at).collect();
        let mut stage = Stage::of(ProducersInOrder::default(), 3);
        stage.finish(End { history: &history, ..End::default() })?;
        Ok(stage.exercised())
    }

    fn acked(offset: u64) -> Outcome {
        Outcome::Ok(Told::Appended { offset })
    }

    #[test]
    fn in_the_order_in_which_they_were_sent() {
        assert_eq!(judged([acked(4), acked(5)]).unwrap(), 2);
        assert_eq!(judged([Outcome::Open, acked(5)]).unwrap(), 1);
    }

    #[test]
    fn one_that_overtook_another() {
        let message = judged([acked(5), acked(4)]).unwrap_err().message;
        assert!(message.starts_with("reorder: client 0 sent c0-0 at "), "{message}");
    }
}
