//! A producer as Kafka's clients have it: records are collected into batches, several batches are under way at a time,
//! and each of them ends once.
//!
//! Where a [`Session`] is asked for one operation after the other and every operation is a batch, a [`Producer`] takes
//! records as fast as they come. It has no I/O either: a driver carries out its outputs and gives it inputs, the same ones
//! as a session's, so that both worlds could use it. The real one does: the load tools, and a server that loads itself.
//!
//! ```text
//!   push ─▶ open batch ── full, or lingered ──▶ waiting ──▶ sent ──▶ acknowledged ───────────▶ Ended
//!           (accumulator)                          ▲          ├────▶ refused ─────▶ resting ─┐
//!                                                  │          └────▶ lost ────────▶ in doubt ┤
//!                                                  └─────────────────────────────────────────┘ until out of time or tries
//! ```
//!
//! The settings have Kafka's names and defaults ([`Settings`]). One thing is different: a batch stays open while all places
//! under way are taken, so that records which must wait wait together.

pub mod accumulator;
pub mod exception;
pub mod producer;
pub mod settings;

pub use accumulator::{Accumulator, Refused};
pub use producer::Producer;
pub use settings::{Acks, Idempotence, Settings};

#[cfg(doc)]
use crate::client::Session;
use crate::ids::Offset;
use crate::record::ProducerStamp;
use crate::time::Instant;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub fate: Fate,
    /// The number of its first record among those pushed, from 0.
    pub first_record: u64,
    /// How many records it held.
    pub records: u32,
    /// Bytes of the encoded batch.
    pub batch_bytes: usize,
    /// Its checksum, by which it can be found in the log; 0 when it was never sent.
    pub crc: u32,
    /// The idempotent producer's stamp, if it was sent with one.
    pub stamp: Option<ProducerStamp>,
    /// How often it was sent.
    pub attempts: u32,
    /// When its records were pushed.
    pub runs: Vec<Run>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Fate {
    /// It is in the log, at this offset; without one if nobody said where (`acks=0`, or a duplicate of long ago).
    Acked { base: Option<Offset> },
    /// It did not happen and never will; the wire code of the last refusal.
    Failed { error: i16 },
    /// It may have happened, and nobody knows; the wire code of what went wrong last.
    Open { error: i16 },
}

/// Adjacent records that were pushed at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When.
    pub at: Instant,
    /// How many.
    pub records: u32,
    /// Bytes of their values together.
    pub value_bytes: u64,
}

/// What a producer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Produce requests sent, each with one batch.
    pub requests: u64,
    /// Of these, batches that were sent before.
    pub retries: u64,
    /// Bytes of the batches in them.
    pub batch_bytes: u64,
    /// Connections lost.
    pub disconnects: u64,
}
