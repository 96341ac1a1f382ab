//! What a replica is told before it starts: who it is, whom it knows, how patient it is, and every limit by name.

use std::time::Duration;

use crate::ids::{Endpoint, Listener, ReplicaId};
use crate::quirk::Quirks;
use crate::raft::VoterSet;

/// Configuration of one replica. Defaults are Kafka's of today (`QuorumConfig`).
#[derive(Clone, Debug)]
pub struct Config {
    /// `node.id`.
    pub id: ReplicaId,
    /// Own listeners, as told to peers in BeginQuorumEpoch.
    pub listeners: Vec<Listener>,
    /// The static voters (`controller.quorum.voters`); voter records in the log override them.
    pub voters: VoterSet,
    /// `controller.quorum.bootstrap.servers`; when empty the voters' endpoints serve.
    pub bootstrap: Vec<Endpoint>,
    /// `controller.quorum.election.timeout.ms`, 1 s: a timeout is this and up to as much again.
    pub election_timeout: Duration,
    /// `controller.quorum.fetch.timeout.ms`, 2 s.
    pub fetch_timeout: Duration,
    /// `controller.quorum.election.backoff.max.ms`, 1 s: longest wait of a non-preferred successor.
    pub election_backoff_max: Duration,
    /// `controller.quorum.request.timeout.ms`, 2 s.
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`, 20 ms.
    pub retry_backoff: Duration,
    /// How long a fetch asks to be parked, 500 ms. (Kafka: `MAX_FETCH_WAIT_MS`.)
    pub fetch_max_wait: Duration,
    /// `controller.quorum.fetch.max.bytes`, 1 MiB.
    pub fetch_bytes_max: usize,
    /// Memory tail of the log, 32 MiB.
    pub log_tail_bytes_max: usize,
    /// Unflushed bytes from which on the log is full, 64 MiB: producers wait, and are refused when their time is up.
    pub unflushed_bytes_max: usize,
    /// Loads that the disk is asked for at once on behalf of fetches and reads, 64; others wait for their turn.
    pub loads_max: usize,
    /// How long a fetch or read waits for a load at least, 500 ms; then it is answered without records.
    pub load_timeout: Duration,
    /// Fetches, reads, confirms, proposals parked at once, and fetches and reads that wait for a load, 10,000 each.
    pub parked_max: usize,
    /// Replicas a leader keeps account of, observers included, 1,000.
    pub replicas_max: usize,
    /// Idempotent producers known at once, 100,000: those that wrote last. Others are strangers, as after a day's silence
    /// in Kafka (`producer.id.expiration.ms`).
    pub producers_max: usize,
    /// Largest batch accepted from a client, 8 MiB. (Kafka: `MAX_BATCH_SIZE_BYTES`.)
    pub batch_bytes_max: usize,
    /// The recovery point is written when the flushed end has moved by this many bytes, 1 MiB, or at a roll or stop.
    pub recovery_point_bytes: usize,
    /// Planted bugs.
    pub quirks: Quirks,
}

impl Config {
    /// Kafka's defaults for a replica of this id in this static quorum.
    pub fn new(id: ReplicaId, voters: VoterSet) -> Config {
        Config {
            id,
            listeners: Vec::new(),
            voters,
            bootstrap: Vec::new(),
            election_timeout: Duration::from_millis(1000),
            fetch_timeout: Duration::from_millis(2000),
            election_backoff_max: Duration::from_millis(1000),
            request_timeout: Duration::from_millis(2000),
            retry_backoff: Duration::from_millis(20),
            fetch_max_wait: Duration::from_millis(500),
            fetch_bytes_max: 1 << 20,
            log_tail_bytes_max: 32 << 20,
            unflushed_bytes_max: 64 << 20,
            loads_max: 64,
            load_timeout: Duration::from_millis(500),
            parked_max: 10_000,
            replicas_max: 1_000,
            producers_max: PRODUCERS_MAX,
            batch_bytes_max: 8 << 20,
            recovery_point_bytes: 1 << 20,
            quirks: Quirks::NONE,
        }
    }
}

/// How many idempotent producers are known at once, unless somebody says otherwise.
pub const PRODUCERS_MAX: usize = 100_000;
