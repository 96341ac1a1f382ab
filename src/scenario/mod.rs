//! Scenario files: what to run, under which faults, and what must come of it.
//!
//! A file is parsed from text into a [`Scenario`] (ranges still ranges, positions kept for errors), and drawn with a
//! seed into a [`Plan`] in which everything is explicit. A plan can be written back as a scenario: the *resolved* one.
//! Nothing here knows the code that will run it.

pub mod fault;
pub mod plan;

pub use fault::{Family, FaultKind};
pub use plan::Plan;
