//! What a replica believes durable is durable.
//!
//! State check: a node's `flushed` never passes the end of what every legal image of its disk after a power loss would
//! hold. The cursor is judged, the platter is the evidence.
//!
//! Source: rules R1, R7 and R12 of [`crate::raft`]: completions vouch for a prefix, truncations clip what is in flight, recovered bytes do
//! not count before they are synced.

use crate::check::{Interests, Property, Seen, Violation};
use crate::ids::Offset;

/// See the module.
#[derive(Debug, Default)]
pub struct FlushedIsDurable {
    looked: u64,
}

impl Property for FlushedIsDurable {
    fn name(&self) -> &'static str {
        "flushed_is_durable"
    }

    fn statement(&self) -> &'static str {
        "A replica counts as flushed only what its platter would keep (R1, R7 and R12)."
    }

    fn interests(&self) -> Interests {
        Interests::CURSORS | Interests::LOG
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(mirror) = seen.ledger.node(node) else { return Ok(()) };
        let Some(state) = mirror.state else { return Ok(()) };
        self.looked += 1;
        let last = mirror.durable.checked_sub(1).map(|index| mirror.log[index]);
        let end = last.map_or(Offset::ZERO, |mark| mark.end);
        if state.flushed <= end.max(state.log_start) {
            return Ok(());
        }
        self.fails(seen, format!("node {node} counts {} as flushed, a power loss would keep {end}", state.flushed))
    }

    fn exercised(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    #[test]
    fn flushed_is_what_the_platter_keeps() {
        let mut stage = Stage::of(FlushedIsDurable::default(), 1);
        stage.node(0).write(&[mark(0, 3, 1)]).sync().write(&[mark(3, 6, 1)]);
        stage.step(0).unwrap();
        stage.node(0).flushed = Some(Offset(6));
        assert_eq!(stage.step(0).unwrap_err().message, "node 0 counts 6 as flushed, a power loss would keep 3");
    }
}
