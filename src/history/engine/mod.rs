//! Deciders: could one copy of the thing, used by one client at a time, have given these answers?
//!
//! A *monitor* decides a special kind of history in near-linear time and names the operations that conflict.
//! [`log`] is the one for a replicated log whose operations carry offsets.

pub mod gaps;
pub mod log;
