//! A disk operation that was called complete is beyond the reach of any power loss.
//!
//! State check, at every completion that a driver reports to a node: no create, rename or removal waits for a sync of its
//! directory, no segment for a sync of its bytes or of its length, and no segment lies behind the end of the log. Files are
//! judged, not what the layout meant to do: so a sync that was left out, or put off too long, shows at once, and not only
//! when a power loss happens to fall into the gap. Index files are exempt, recovery makes them anew.
//!
//! Source: [`crate::log::DiskOp`] and rule R1 of [`crate::raft`]. Kafka lets removed segments return, and then they
//! may fit: `LogSegment.deleteIfExists` syncs no directory.

use crate::check::{Interests, Lapse, Property, Seen, Violation};

/// See the module.
#[derive(Debug, Default)]
pub struct CompletedIsDurable {
    looked: u64,
}

impl Property for CompletedIsDurable {
    fn name(&self) -> &'static str {
        "completed_is_durable"
    }

    fn statement(&self) -> &'static str {
        "No power loss can undo a disk operation that was called complete (R1)."
    }

    fn interests(&self) -> Interests {
        Interests::CURSORS | Interests::LOG | Interests::QUORUM_STATE | Interests::DOWN
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        let Some(disk) = seen.observation.disks.get(node) else { return Ok(()) };
        self.looked += 1;
        let lapse = match disk.lapse {
            None => return Ok(()),
            Some(Lapse::Entry(file)) => format!("a power loss could undo what became of the name {file}"),
            Some(Lapse::Bytes(file)) => format!("a power loss could undo what became of the bytes of {file}"),
            Some(Lapse::Behind(file)) => format!("{file} lies behind the end of the log"),
        };
        self.fails(seen, format!("node {node} was told that its disk is done, and {lapse}"))
    }

    fn exercised(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};
    use crate::ids::Offset;
    use crate::log::FileName;

    #[test]
    fn a_completion_leaves_nothing_to_a_power_loss() {
        let mut stage = Stage::of(CompletedIsDurable::default(), 1);
        stage.node(0).write(&[mark(0, 3, 1)]).sync();
        stage.step(0).unwrap();
        stage.node(0).write(&[mark(3, 4, 1)]).lapse = Some(Lapse::Bytes(FileName::Segment(Offset(0))));
        let violation = stage.step(0).unwrap_err();
        assert!(
            violation
                .message
                .ends_with("undo what became of the bytes of __cluster_metadata-0/00000000000000000000.log")
        );
    }
}
