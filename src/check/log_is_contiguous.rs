//! I8: a log has no gaps, and epochs never fall along it.
//!
//! State check of every node's files, over neighbouring batches a, b: end(a) = base(b), base(b) < end(b), epoch(a) ≤
//! epoch(b). The first batch of a log that was never trimmed is at offset 0. Each node's cursors: start ≤ flushed ≤ end,
//! and a high watermark inside.
//!
//! Source: Kafka's `MockLog` refuses gaps.

use crate::check::{BatchMark, Interests, Mirror, Property, Seen, Violation};

/// See the module.
#[derive(Debug, Default)]
pub struct LogIsContiguous {
    looked: u64,
}

fn neighbours(a: &BatchMark, b: &BatchMark) -> Result<(), String> {
    if a.end != b.base {
        return Err(format!("a batch that ends at {} is followed by one that begins at {}", a.end, b.base));
    }
    if a.epoch > b.epoch {
        return Err(format!("epoch {} at offset {} is followed by epoch {} at {}", a.epoch, a.base, b.epoch, b.base));
    }
    Ok(())
}

fn is_contiguous(mirror: &Mirror) -> Result<(), String> {
    let start = mirror.state.map(|state| state.log_start);
    if let (0, Some(first), Some(start)) = (mirror.kept, mirror.log.first(), start)
        && first.base > start
    {
        return Err(format!("the log starts at {start}, its first batch at {}", first.base));
    }
    let from = mirror.kept.saturating_sub(1);
    if let Some(empty) = mirror.added().find(|mark| mark.base >= mark.end) {
        return Err(format!("the batch at {} ends at {}", empty.base, empty.end));
    }
    let mut pairs = mirror.log.iter_from(from).zip(mirror.log.iter_from(from + 1));
    pairs.try_for_each(|(a, b)| neighbours(a, b))
}

fn cursors_are_ordered(mirror: &Mirror) -> Result<(), String> {
    let Some(state) = mirror.state else { return Ok(()) };
    if state.log_start <= state.flushed && state.flushed <= state.log_end {
        return Ok(());
    }
    let (start, flushed, end) = (state.log_start, state.flushed, state.log_end);
    Err(format!("log from {start} to {end}, flushed to {flushed}"))
}

impl Property for LogIsContiguous {
    fn name(&self) -> &'static str {
        "log_is_contiguous"
    }

    fn statement(&self) -> &'static str {
        "In every node's files offsets have no gaps and epochs never fall (I8)."
    }

    fn interests(&self) -> Interests {
        Interests::LOG | Interests::CURSORS
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        self.looked += 1;
        let mut judged = cursors_are_ordered(mirror);
        if seen.kinds.overlap(Interests::LOG) {
            judged = judged.and_then(|()| is_contiguous(mirror));
        }
        judged.or_else(|lie| self.fails(seen, format!("node {node}: {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    fn look(marks: &[BatchMark]) -> Result<(), Violation> {
        let mut stage = Stage::of(LogIsContiguous::default(), 1);
        stage.node(0).write(marks);
        stage.step(0)
    }

    #[test]
    fn a_log_without_gaps_is_fine() {
        look(&[mark(0, 1, 1), mark(1, 4, 1), mark(4, 5, 3)]).unwrap();
    }

    #[test]
    fn gaps_overlaps_and_falling_epochs_are_not() {
        assert!(look(&[mark(0, 1, 1), mark(2, 3, 1)]).is_err());
        assert!(look(&[mark(0, 2, 1), mark(1, 3, 1)]).is_err());
        assert!(look(&[mark(0, 1, 2), mark(1, 2, 1)]).is_err());
        assert!(look(&[mark(1, 2, 1)]).is_err());
    }

    #[test]
    fn a_batch_added_later_fits_what_was_there() {
        let mut stage = Stage::of(LogIsContiguous::default(), 1);
        stage.node(0).write(&[mark(0, 1, 2)]);
        stage.step(0).unwrap();
        stage.node(0).write(&[mark(1, 2, 1)]);
        assert!(stage.step(0).unwrap_err().message.contains("epoch 2 at offset 0 is followed by epoch 1"));
    }
}
