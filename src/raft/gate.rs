//! Effects that wait for the disk: nothing that speaks of an election leaves before the election is durable (R5).
//!
//! While an operation that the gate was told of is outstanding, every `Send` and every `Answer` waits here, in the order
//! it was emitted. The gate looks at the effects once, at the end of a step, so a handler may emit the answer first and
//! the operation it depends on afterwards. Disk operations, loads, applies and notes pass: they are not frames.
//!
//! **Invariants**
//! - what leaves is a prefix of what was emitted: a held effect is never overtaken by a later one.
//! - a request whose call was forgotten while it was held never leaves.
//!
//! It knows nothing of the log: a fetch that must wait for the log (R2) is not emitted in the first place.

use crate::log::DiskSeq;
use crate::raft::Effect;
use crate::raft::calls::Calls;

/// Holds frames back while election state is on its way to the disk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waits_for: Option<DiskSeq>,
    held: Vec<Effect>,
}

impl Gate {
    /// Nothing leaves before operation `seq` is durable.
    pub fn close_until(&mut self, seq: DiskSeq) {
        assert!(self.waits_for.is_none_or(|earlier| earlier < seq), "disk operations are numbered in order");
        self.waits_for = Some(seq);
    }

    /// Operation `seq` and all before it are durable; what waited for it goes to `out`, unless its call is forgotten.
    pub fn on_disk_done(&mut self, seq: DiskSeq, calls: &Calls, out: &mut Vec<Effect>) {
        if self.waits_for.is_none_or(|awaited| seq < awaited) {
            return;
        }
        self.waits_for = None;
        out.extend(self.held.drain(..).filter(|effect| match effect {
            Effect::Send { call, .. } => calls.is_outstanding(*call),
            _ => true,
        }));
    }

    /// At the end of a step: keeps the frames among the effects from `first` on, if the gate is closed.
    pub fn hold(&mut self, out: &mut Vec<Effect>, first: usize) {
        if self.waits_for.is_none() {
            assert!(self.held.is_empty(), "an open gate holds nothing");
            return;
        }
        let is_frame = |effect: &mut Effect| matches!(effect, Effect::Send { .. } | Effect::Answer { .. });
        self.held.extend(out.extract_if(first.., is_frame));
    }

    /// Whether nothing that is in memory is still on its way to the disk.
    pub fn is_open(&self) -> bool {
        self.waits_for.is_none()
    }

    /// The effects that wait, and for which operation.
    pub fn held(&self) -> (Option<DiskSeq>, &[Effect]) {
        (self.waits_for, &self.held)
    }
}
