//! Machines are fed exactly what is committed, in order, once, and agree wherever they stand.
//!
//! Delta check, per incarnation: the first batch a machine is given is the first of the log, every further one begins
//! where the one before ended, and each is the committed batch at its place. State check, over all nodes and
//! incarnations: equal offset ⇒ equal digest.
//!
//! Source: Raft, State Machine Safety; KAFKA-10632 (a committed range skipped or given twice at a change of role).

use std::collections::BTreeMap;

use crate::check::{BatchMark, Interests, Property, Seen, Violation, What};
use crate::ids::Offset;
use crate::record::RecordBatch;

/// See the module.
#[derive(Debug, Default)]
pub struct MachinesAgree {
    next: Vec<Offset>,
    digests: Digests,
    compared: u64,
}

/// Who first stood where, and with which digest: by the upper part of the offset, then by the lower.
#[derive(Debug, Default)]
struct Digests(BTreeMap<u64, Vec<Stand>>);

#[derive(Clone, Copy, Debug)]
struct Stand {
    digest: u64,
    offset_below: u16,
    by: u16,
}

impl Digests {
    /// What is known of that offset, which is `digest` if nothing was.
    fn first(&mut self, at: Offset, digest: u64, by: usize) -> (u64, usize) {
        let stands = self.0.entry(at.0 >> BELOW_BITS).or_default();
        let offset_below = (at.0 & ((1 << BELOW_BITS) - 1)) as u16;
        match stands.binary_search_by_key(&offset_below, |stand| stand.offset_below) {
            Ok(found) => (stands[found].digest, usize::from(stands[found].by)),
            Err(place) => {
                stands.insert(place, Stand { digest, offset_below, by: by as u16 });
                (digest, by)
            }
        }
    }
}

impl MachinesAgree {
    fn feed(&mut self, seen: &Seen<'_>, batches: &[RecordBatch]) -> Result<(), String> {
        let next = &mut self.next[seen.observation.node];
        for mark in batches.iter().map(BatchMark::of) {
            if mark.base != *next {
                return Err(format!("is given offset {} after everything up to {next}", mark.base));
            }
            *next = mark.end;
            let committed = seen.ledger.committed().at(mark.base);
            if committed.is_none() {
                return Err(format!("is given offset {}, committed is {}", mark.base, seen.ledger.committed_end()));
            }
            if committed != Some(mark) {
                return Err(format!(
                    "is given epoch {} at offset {}, committed is {committed:?}",
                    mark.epoch, mark.base
                ));
            }
        }
        Ok(())
    }

    fn agree(&mut self, node: usize, end: Offset, machine: u64) -> Result<(), String> {
        if self.next[node] != end {
            return Err(format!("stands at {end}, and was given everything up to {}", self.next[node]));
        }
        let (digest, by) = self.digests.first(end, machine, node);
        self.compared += u64::from(by != node);
        match digest == machine {
            true => Ok(()),
            false => Err(format!("at offset {end} has digest {machine:016x}, that of node {by} is {digest:016x}")),
        }
    }
}

impl Property for MachinesAgree {
    fn name(&self) -> &'static str {
        "machines_agree"
    }

    fn statement(&self) -> &'static str {
        "Every machine is given the committed log in order, once, and machines at equal offsets are equal (Raft's State Machine Safety)."
    }

    fn interests(&self) -> Interests {
        Interests::APPLIED | Interests::STARTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        if self.next.len() <= node {
            self.next.resize(node + 1, Offset::ZERO);
        }
        let (batches, end, machine) = match seen.observation.what {
            What::Started { view, .. } => {
                self.next[node] = view.log_start;
                return Ok(());
            }
            What::Applied { batches, end, machine } => (batches, end, machine),
            _ => return Ok(()),
        };
        self.feed(seen, batches)
            .and_then(|()| self.agree(node, end, machine))
            .or_else(|lie| self.fails(seen, format!("the machine of node {node} {lie}")))
    }

    fn exercised(&self) -> u64 {
        self.compared
    }
}

/// Few enough that a stand that comes late moves little, and enough that a page's own bytes do not count.
const BELOW_BITS: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, batch};

    fn committed() -> (Stage, Vec<RecordBatch>) {
        let mut stage = Stage::of(MachinesAgree::default(), 3);
        let batches = vec![batch(0, 1, &[10]), batch(1, 1, &[11, 12])];
        let marks: Vec<BatchMark> = batches.iter().map(BatchMark::of).collect();
        stage.node(0).write(&marks).sync().high_watermark(3);
        stage.step(0).unwrap();
        (stage, batches)
    }

    fn apply(stage: &mut Stage, node: usize, batches: &[RecordBatch], machine: u64) -> Result<(), Violation> {
        let end = batches.last().map_or(Offset::ZERO, RecordBatch::end);
        stage.see(node, What::Applied { batches, end, machine })
    }

    #[test]
    fn in_order_and_equal() {
        let (mut stage, batches) = committed();
        apply(&mut stage, 0, &batches[..1], 7).unwrap();
        apply(&mut stage, 0, &batches[1..], 8).unwrap();
        apply(&mut stage, 1, &batches, 8).unwrap();
        stage.down(0).unwrap();
        stage.start(0).unwrap();
        apply(&mut stage, 0, &batches, 8).unwrap();
        assert_eq!(stage.exercised(), 1);
    }

    #[test]
    fn skipped_and_repeated_batches() {
        let (mut stage, batches) = committed();
        assert!(apply(&mut stage, 0, &batches[1..], 8).unwrap_err().message.contains("is given offset 1 after"));
        let (mut stage, batches) = committed();
        apply(&mut stage, 0, &batches[..1], 7).unwrap();
        assert!(apply(&mut stage, 0, &batches, 8).is_err());
    }

    #[test]
    fn what_is_not_committed() {
        let (mut stage, mut batches) = committed();
        batches.push(batch(3, 1, &[13]));
        assert!(apply(&mut stage, 0, &batches, 8).unwrap_err().message.ends_with("is given offset 3, committed is 3"));
    }

    #[test]
    fn digests_that_differ() {
        let (mut stage, batches) = committed();
        apply(&mut stage, 0, &batches, 8).unwrap();
        let message = apply(&mut stage, 1, &batches, 9).unwrap_err().message;
        assert!(message.starts_with("the machine of node 1 at offset 3 has digest"), "{message}");
    }
}
