//! kraftbed: Kafka Raft as a deterministic simulation testbed. One node, two worlds.

pub mod campaign;
pub mod check;
pub mod cli;
pub mod client;
pub mod digest;
pub mod history;
pub mod ids;
pub mod log;
pub mod machine;
pub mod node;
pub mod outcome;
pub mod prng;
pub mod protocol;
pub mod quirk;
pub mod raft;
pub mod record;
pub mod scenario;
pub mod server;
pub mod sim;
pub mod time;
pub mod trace;
