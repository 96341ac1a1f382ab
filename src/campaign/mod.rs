//! Experiments made of many runs.
//!
//! A campaign brings what the simulated world may not have: threads, clocks, files. It reports progress through a
//! callback and returns plain data; printing is the business of `cli`.

pub mod bench;
pub mod check;
pub mod coverage;
pub mod decisions;
pub mod evidence;
pub mod hunt;
pub mod index;
pub mod library;
pub mod reading;
pub mod results;
pub mod sweep;
pub mod torture;

pub use library::{Library, LoadError, Named};
pub use sweep::{Failure, Progress, Sweep, SweepOptions, sweep};
