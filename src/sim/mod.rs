//! Driver 1: many nodes and clients, one thread, virtual time.
//!
//! A [`World`] is made from a [`crate::scenario::Plan`] and runs to an [`crate::outcome::Outcome`]. It owns everything
//! that the nodes do not: time, the network, the disks, the faults. The nodes and clients in it are the ones of the
//! server, fed through the same seam.
//!
//! ```text
//!            ┌────────── world: pop the earliest event, let it happen ──────────┐
//!            │                                                                  │
//!  nemesis, script ──▶ host (node, clock, disk) ◀── frames ── network ── frames ──▶ host (client)
//!            │              │ file operations            │ cuts, stalls, resets  │
//!            │              ▼                            ▼                       │
//!            │          cache ▸ platter             every frame                  │
//!            └──────────────────── what happened ──▶ judge ◀────────────────────┘
//! ```
//!
//! Everything random is drawn through [`decide`]: one stream per subject, every draw numbered, every draw
//! replaceable by a scenario. A run's digest folds in every event, so equal digests mean equal runs.

pub mod boot;
pub mod clients;
pub mod clock;
pub mod connections;
pub mod court;
pub mod decide;
pub mod disk;
pub mod doses;
pub mod drills;
pub mod examination;
pub mod falls;
pub mod holdings;
pub mod host;
pub mod image;
pub mod marks;
pub mod nemesis;
pub mod network;
pub mod queue;
pub mod recorder;
pub mod rot;
pub mod run;
pub mod script;
pub mod settle;
pub mod shelf;
pub mod storage;
pub mod wiretap;
pub mod world;

pub use holdings::Holdings;
pub use run::{Finished, RunOptions, run, run_while};
pub use world::World;

/// A host, by dense number: the nodes first, then the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub u32);

impl HostId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Most nodes in one world, observers included.
pub const NODES_MAX: usize = crate::scenario::scenario::NODES_MAX as usize;
