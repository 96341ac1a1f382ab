//! What committed records are applied to. Machines run after commit and never reject a Produce.
//!
//! A machine is a pure function of the committed log: two nodes that applied the same records have the same digest,
//! however the records were grouped when they were handed over. That is what a checker compares.

pub mod kv;
pub mod log;
pub mod monotonic;

pub use kv::{Command, KvMachine};
pub use log::LogMachine;
pub use monotonic::MonotonicMachine;

use crate::record::RecordBatch;

/// A deterministic machine fed with committed batches in order.
pub trait StateMachine: std::fmt::Debug {
    /// Applies a batch (control batches included, most machines skip them). Lines for people go to `out`.
    fn apply(&mut self, batch: &RecordBatch, out: &mut Vec<String>);
    /// A fingerprint of the state: equal at equal offsets on every node.
    fn digest(&self) -> u64;
}
