//! What a node is told before it starts, and the limits of connections, frames and requests, each with a name.

use std::sync::Arc;

use crate::ids::{Listener, uuid_to_text};
use crate::log::CLUSTER_METADATA_ID;
use crate::raft;
use crate::record::INFLATED_BYTES_MAX;

/// Which machine committed records are applied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineKind {
    /// Accepts everything.
    #[default]
    Log,
    /// Puts and compare-and-sets by key.
    Kv,
    /// Reports gaps in what a VerifiableProducer feeds.
    Monotonic,
}

/// Configuration of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The replica's part.
    pub raft: raft::Config,
    /// `cluster.id`.
    pub cluster_id: Arc<str>,
    /// Name of the one topic, `__cluster_metadata`.
    pub topic: Arc<str>,
    /// Its id, UUID 0/1.
    pub topic_id: [u8; 16],
    /// What clients are told to connect to, by the listener they came in on; parallel to the raft listeners.
    pub advertised: Vec<Listener>,
    /// Which machine applies records.
    pub machine: MachineKind,
    /// `verbose`: print each committed record.
    pub verbose: bool,
    /// Largest frame accepted, 100 MiB. (Kafka: `socket.request.max.bytes`.)
    pub frame_bytes_max: usize,
    /// Connections at once, 1,000. (Kafka: `max.connections`.)
    pub connections_max: usize,
    /// Connections beyond those that only voters may keep, two for each other voter: a call that supersedes another one
    /// comes on a new connection.
    pub connections_reserved: usize,
    /// Requests outstanding on one connection before it is held, 16.
    pub requests_in_flight_max: usize,
    /// Produce requests that wait for room in the log at once, 500; beyond, they are refused. (Kafka:
    /// `queued.max.requests`.)
    pub postponed_max: usize,
    /// Upper bound of a Produce's own timeout and a Fetch's wait, milliseconds, 60,000.
    pub wait_ms_max: u32,
    /// Upper bound of one Fetch answer, 50 MiB.
    pub fetch_bytes_max: usize,
    /// Bytes of records in a compressed batch, once inflated; at most, and by default, [`INFLATED_BYTES_MAX`].
    pub inflated_bytes_max: usize,
}

impl Config {
    /// A node with Kafka's limits around a replica.
    pub fn new(raft: raft::Config) -> Config {
        let voters = raft.voters.len();
        Config {
            advertised: raft.listeners.clone(),
            raft,
            cluster_id: uuid_to_text([0; 16]).into(),
            topic: "__cluster_metadata".into(),
            topic_id: CLUSTER_METADATA_ID,
            machine: MachineKind::Log,
            verbose: false,
            frame_bytes_max: 100 << 20,
            connections_max: 1000,
            connections_reserved: 2 * voters.saturating_sub(1),
            requests_in_flight_max: 16,
            postponed_max: 500,
            wait_ms_max: 60_000,
            fetch_bytes_max: 50 << 20,
            inflated_bytes_max: INFLATED_BYTES_MAX,
        }
    }
}
