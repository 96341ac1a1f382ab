//! The second driver: the node of the simulator on real sockets, files and clocks.
//!
//! One thread runs the node: it polls the sockets, steps the node with what arrived, sends the frames of the step, and
//! only then touches the disk. One more thread syncs when a second disk operation waits. Between the two goes the data
//! directory itself, so there are no locks. The driver is meant to be the dullest code of the crate: every decision is
//! the node's.
//!
//! ```text
//!            ┌───────────────────────── node's thread ─────────────────────────┐
//!  sockets ─▶ network ── Input ──▶ Node ── Output ─┬─ frames ─▶ network ─▶ sockets
//!            │                      ▲              └─ file operations ─▶ disk ──┼─▶ inline, alone
//!            └──────────────────────┴── DiskDone ◀──────────────────────┘       └─▶ disk thread, two or more
//! ```
//!
//! | file | is |
//! |---|---|
//! | [`run`] | the loop, and `serve`: from a properties file to exit |
//! | [`start`] | from configuration and directory to a node |
//! | [`network`], [`binding`], [`connection`], [`addresses`], [`hits`] | sockets, and the limits that they run into |
//! | [`disk`], [`files`] | files |
//! | [`storage`] | data directories before a node runs on them |
//! | [`clock`] | time |
//! | [`console`], [`metrics`] | what people and their tools read |
//! | [`members`], [`quorum`] | a local quorum of processes, and who watches it |
//! | [`relay`] | what can cut a connection in the midst of a frame |
//! | [`admin`] | asking a running quorum about itself |
//! | [`client`], [`load`] | the other side: clients that ask, and clients that measure |

pub mod addresses;
pub mod admin;
pub mod binding;
pub mod client;
pub mod clock;
pub mod connection;
pub mod console;
pub mod disk;
pub mod files;
pub mod hits;
pub mod load;
pub mod members;
pub mod metrics;
pub mod network;
pub mod quorum;
pub mod relay;
pub mod run;
pub mod signals;
pub mod start;
pub mod storage;
