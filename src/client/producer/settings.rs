//! What a producer is told: the settings of Kafka's producer that mean something here, with its names and defaults.

use std::time::Duration;

use crate::ids::Endpoint;
use crate::protocol::ConnectionId;

/// Who must have a batch before it is acknowledged. (Kafka: `acks`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody, and the broker does not answer.
    None,
    /// The leader.
    Leader,
    /// A majority.
    All,
}

impl Acks {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// Whether batches are numbered, so that a broker recognises one that comes again. (Kafka: `enable.idempotence`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// Exactly once, in order.
    On,
    /// At least once where there are retries, at most once where there are none.
    Off,
}

/// Settings of a producer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to begin. Not empty. (`bootstrap.servers`)
    pub bootstrap: Vec<Endpoint>,
    /// How brokers shall call us in their logs. (`client.id`)
    pub client_id: String,
    /// The topic; its partition 0 is the log.
    pub topic: String,
    /// Who must have a batch before it is acknowledged. (`acks`)
    pub acks: Acks,
    /// Whether batches are numbered. (`enable.idempotence`)
    pub idempotence: Idempotence,
    /// Bytes of a batch, unless a record alone is larger. (`batch.size`)
    pub batch_bytes: usize,
    /// How long an open batch waits for more records. (`linger.ms`)
    pub linger: Duration,
    /// Batches under way at a time. (`max.in.flight.requests.per.connection`)
    pub in_flight_max: usize,
    /// Bytes of all batches that have not ended. (`buffer.memory`)
    pub buffer_bytes_max: usize,
    /// Bytes of a request, and so of the largest record. (`max.request.size`)
    pub request_bytes_max: usize,
    /// How often a batch is sent again. (`retries`)
    pub retries: u32,
    /// How long to wait before trying again; up to half of it is added by chance. (`retry.backoff.ms`)
    pub retry_backoff: Duration,
    /// An answer that takes longer costs the connection. (`request.timeout.ms`)
    pub request_timeout: Duration,
    /// A batch that takes longer has ended, one way or the other. (`delivery.timeout.ms`)
    pub delivery_timeout: Duration,
    /// How long a record may wait for room in the buffer, by whoever pushes it. (`max.block.ms`)
    pub block_max: Duration,
    /// Its connections are numbered from here on.
    pub first_connection: ConnectionId,
}

impl Settings {
    /// Kafka's defaults. (4.x: `ProducerConfig`.)
    pub fn new(bootstrap: Vec<Endpoint>, client_id: &str, topic: &str) -> Settings {
        Settings {
            bootstrap,
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            acks: Acks::All,
            idempotence: Idempotence::On,
            batch_bytes: 16384,
            linger: Duration::from_millis(5),
            in_flight_max: 5,
            buffer_bytes_max: 32 << 20,
            request_bytes_max: 1 << 20,
            retries: i32::MAX as u32,
            retry_backoff: Duration::from_millis(100),
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
            block_max: Duration::from_secs(60),
            first_connection: ConnectionId::FIRST_OUTBOUND,
        }
    }

    pub(crate) fn validate(&self) {
        assert!(!self.bootstrap.is_empty(), "a producer needs an endpoint to begin at");
        assert!(self.in_flight_max > 0, "a producer that may have nothing under way sends nothing");
        assert!(!self.retry_backoff.is_zero(), "a producer that does not wait before it tries again is a busy loop");
        if self.idempotence == Idempotence::On {
            assert!(self.acks == Acks::All, "an idempotent producer waits for everybody");
            assert!(self.in_flight_max <= 5, "brokers remember the last five batches of a producer");
        }
    }
}
