//! Consumers are given committed records only, all of them, in order, and never other ones at the same place.
//!
//! For every batch that a consumer is given: it is the committed batch at its place (so it never changes); it begins where
//! the one before ended; the first contains the offset that was asked for. No high watermark that a consumer is told is
//! above what is committed.
//!
//! Source: KIP-392 and Kafka's consumer contract (read up to the high watermark); a bug of other logs (records served
//! before they are durable).

use crate::check::{BatchMark, Interests, Property, Seen, Violation, What};
use crate::ids::Offset;
use crate::record::RecordBatch;

/// See the module.
#[derive(Debug, Default)]
pub struct ConsumersSeeCommitted {
    batches: u64,
}

impl ConsumersSeeCommitted {
    fn judge(
        &mut self,
        seen: &Seen<'_>,
        from: Offset,
        batches: &[RecordBatch],
        high_watermark: Offset,
    ) -> Result<(), String> {
        let committed_end = seen.ledger.committed_end();
        if high_watermark > committed_end {
            return Err(format!("is told high watermark {high_watermark}, committed is {committed_end}"));
        }
        let mut next = from;
        for mark in batches.iter().map(BatchMark::of) {
            self.batches += 1;
            let is_first = next == from;
            let fits = if is_first { mark.base <= next && next < mark.end } else { mark.base == next };
            if !fits {
                return Err(format!("is given offsets {} to {}, {next} was due", mark.base, mark.end));
            }
            next = mark.end;
            match seen.ledger.committed_at(mark.base) {
                None => return Err(format!("is given offset {}, committed is {committed_end}", mark.base)),
                Some(committed) if *committed != mark => {
                    let (of, epoch) = (committed.epoch, mark.epoch);
                    return Err(format!("is given epoch {epoch} at offset {}, committed is epoch {of}", mark.base));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Property for ConsumersSeeCommitted {
    fn name(&self) -> &'static str {
        "consumers_see_committed"
    }

    fn statement(&self) -> &'static str {
        "Consumers see committed records only, without gaps, and never see one change (Kafka's consumer contract, KIP-392)."
    }

    fn interests(&self) -> Interests {
        Interests::CONSUMED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let What::Consumed { from, batches, high_watermark } = seen.observation.what else { return Ok(()) };
        self.judge(seen, from, batches, high_watermark)
            .or_else(|lie| self.fails(seen, format!("a consumer that asked for {from} {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Observation;
    use crate::check::fixture::{Stage, batch};

    fn consume(from: u64, batches: &[RecordBatch], high_watermark: u64) -> Result<(), Violation> {
        let mut stage = Stage::of(ConsumersSeeCommitted::default(), 3);
        let marks = [batch(0, 1, &[10]), batch(1, 1, &[11, 12])].map(|batch| BatchMark::of(&batch));
        stage.node(0).write(&marks).sync().high_watermark(3);
        stage.step(0).unwrap();
        let (from, high_watermark) = (Offset(from), Offset(high_watermark));
        stage.see(Observation::NO_NODE, What::Consumed { from, batches, high_watermark })
    }

    #[test]
    fn committed_batches_from_the_middle_of_one() {
        consume(2, &[batch(1, 1, &[11, 12])], 3).unwrap();
        consume(0, &[batch(0, 1, &[10]), batch(1, 1, &[11, 12])], 3).unwrap();
        consume(3, &[], 3).unwrap();
    }

    #[test]
    fn dirty_reads() {
        assert!(consume(3, &[batch(3, 1, &[13])], 3).unwrap_err().message.ends_with("committed is 3"));
        assert!(consume(3, &[], 4).is_err());
    }

    #[test]
    fn other_content() {
        assert!(consume(0, &[batch(0, 2, &[10])], 3).is_err());
        assert!(consume(0, &[batch(0, 1, &[99])], 3).is_err());
    }

    #[test]
    fn gaps() {
        assert!(consume(0, &[batch(1, 1, &[11, 12])], 3).unwrap_err().message.ends_with("offsets 1 to 3, 0 was due"));
    }
}
