//! Specification of `recovery`: what operations do to files, and what is left of them after any power loss.

#[path = "recovery/bytes.rs"]
mod bytes;
#[path = "recovery/crashes.rs"]
mod crashes;
#[path = "recovery/disk.rs"]
mod disk;
#[path = "recovery/queue.rs"]
mod queue;
#[path = "recovery/scripts.rs"]
mod scripts;
