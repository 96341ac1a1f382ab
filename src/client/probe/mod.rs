//! Probes: single requests, each with the one answer that a quiet cluster owes to it.
//!
//! The examiner speaks as clients do, in one version of six APIs. What peers and tools say to a broker is said here: votes
//! of an older epoch, heartbeats that name a rival, fetches that diverge, partitions that do not exist, descriptions of the
//! quorum. Every probe is harmless: answered rightly, it changes nothing, and answered wrongly it shows.
//!
//! A probe is a frame and a judgement of the frame that comes back. [`prober`] sends them, one at a time to each node, on
//! connections of its own; the other files are tables of questions.

mod descriptions;
mod elections;
mod fetches;
mod partitions;
pub mod prober;

pub use prober::Prober;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::protocol::Frame;

/// What came back: right, or what is wrong with it. It is told how long the answer took.
pub(in crate::client) type Judgement = Box<dyn Fn(Bytes, Duration) -> Result<(), String>>;

/// One question and its answer.
pub(in crate::client) struct Probe {
    /// In words.
    pub question: &'static str,
    /// Whom it is asked.
    pub node: usize,
    /// How long it asks to be kept waiting.
    pub wait: Duration,
    /// The request.
    pub frame: Frame,
    /// Whether this is the answer.
    pub judge: Judgement,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("question", &self.question).field("node", &self.node).finish_non_exhaustive()
    }
}
