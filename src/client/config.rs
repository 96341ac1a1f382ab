//! What a session is told about itself: where to begin, how long to wait, how much to have under way.

use std::time::Duration;

use crate::ids::Endpoint;
use crate::quirk::Quirks;
use crate::record::Compression;
use crate::time::Timestamp;

/// What a producer does when it does not know what became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Never sends it again: the batch is in the log once or not at all, and nobody knows which.
    AtMostOnce,
    /// Sends the same batch with the same sequence number until it is acknowledged. (Kafka: `enable.idempotence`.)
    ExactlyOnce,
}

/// Settings of a session; the defaults are those of [`Config::new`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to begin; all of them stay in use. Not empty. (Kafka: `bootstrap.servers`.)
    pub bootstrap: Vec<Endpoint>,
    /// How brokers shall call us in their logs. (Kafka: `client.id`.)
    pub client_id: String,
    /// The topic; its partition 0 is the log.
    pub topic: String,
    /// Idempotent or not.
    pub delivery: Delivery,
    /// An answer that takes longer costs the connection. (Kafka: `request.timeout.ms`, there 30 s.)
    pub request_timeout: Duration,
    /// An operation that takes longer has ended, one way or the other. (Kafka: `delivery.timeout.ms`, there 120 s.)
    pub operation_timeout: Duration,
    /// How long to wait before trying again; up to half of it is added by chance. (Kafka: `retry.backoff.ms`.)
    pub retry_backoff: Duration,
    /// How long a broker may hold a Fetch at the end of the log. (Kafka: `fetch.max.wait.ms`.)
    pub fetch_wait_max: Duration,
    /// How much a Fetch may bring, bytes; one batch always fits. (Kafka: `fetch.max.bytes`.)
    pub fetch_bytes_max: usize,
    /// Batches under way at a time, 1 to 5. (Kafka: `max.in.flight.requests.per.connection`.)
    pub produce_in_flight_max: usize,
    /// How batches are compressed. (Kafka: `compression.type`.)
    pub compression: Compression,
    /// The wall clock at [`crate::time::Instant::ZERO`]; only stamps records.
    pub wall_origin: Timestamp,
    /// Planted bugs.
    pub quirks: Quirks,
}

impl Config {
    /// A session that begins at these endpoints, not idempotent, one batch at a time.
    pub fn new(bootstrap: Vec<Endpoint>, client_id: &str, topic: &str) -> Config {
        Config {
            bootstrap,
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            delivery: Delivery::AtMostOnce,
            request_timeout: Duration::from_secs(1),
            operation_timeout: Duration::from_secs(10),
            retry_backoff: Duration::from_millis(50),
            fetch_wait_max: Duration::from_millis(200),
            fetch_bytes_max: 64 << 10,
            produce_in_flight_max: 1,
            compression: Compression::None,
            wall_origin: Timestamp(0),
            quirks: Quirks::NONE,
        }
    }

    pub(crate) fn validate(&self) {
        assert!(!self.bootstrap.is_empty(), "a session needs an endpoint to begin at");
        assert!(
            (1..=PRODUCE_IN_FLIGHT_MAX).contains(&self.produce_in_flight_max),
            "a session has 1 to 5 batches under way: brokers remember no more of a producer"
        );
        assert!(!self.retry_backoff.is_zero(), "a session that does not wait before it tries again is a busy loop");
    }
}

/// Brokers keep the last five batches of a producer, so a sixth could not be recognised when it comes again.
pub const PRODUCE_IN_FLIGHT_MAX: usize = 5;
