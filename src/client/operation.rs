//! One operation's life: waiting, sent, in doubt, ended.

use bytes::{Bytes, BytesMut};

use crate::client::{Ask, AskId, Told};
use crate::protocol::ConnectionId;
use crate::record::{BatchBuilder, Compression, ProducerStamp};
use crate::time::{Instant, Timestamp};

/// An operation that has not ended.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub id: AskId,
    /// What was asked.
    pub ask: Ask,
    /// When it must have ended.
    pub deadline: Instant,
    /// Where its request is.
    pub attempt: Attempt,
    /// Whether a request was sent whose fate is unknown. Once true, the operation can no longer fail.
    pub is_in_doubt: bool,
    /// The last refusal.
    pub error: i16,
    /// A Produce's batch, as it was sent for the first time; every further attempt sends the same bytes.
    pub batch: Option<Batch>,
}

/// Where the request of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Not under way, and may be sent.
    Waiting,
    /// Not under way, and must not be sent before this instant.
    Resting(Instant),
    /// Under way on this connection.
    Sent(ConnectionId),
}

/// An encoded batch and whose it is.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The idempotent producer's stamp.
    pub stamp: Option<ProducerStamp>,
    /// Header and body.
    pub bytes: Bytes,
}

impl Operation {
    /// An operation that was just asked for.
    pub fn new(id: AskId, ask: Ask, deadline: Instant) -> Operation {
        if let Ask::Produce { values } = &ask {
            assert!(!values.is_empty(), "a batch holds at least one value");
        }
        let (attempt, error) = (Attempt::Waiting, REQUEST_TIMED_OUT);
        Operation { id, ask, deadline, attempt, is_in_doubt: false, error, batch: None }
    }

    /// Whether it writes.
    pub fn is_produce(&self) -> bool {
        matches!(self.ask, Ask::Produce { .. })
    }

    /// Whether its request is under way.
    pub fn is_sent(&self) -> bool {
        matches!(self.attempt, Attempt::Sent(_))
    }

    /// The stamp of its batch, once it has one.
    pub fn stamp(&self) -> Option<ProducerStamp> {
        self.batch.as_ref().and_then(|batch| batch.stamp)
    }

    /// Fixes the batch: from here on the operation sends these bytes and no others.
    pub fn seal(&mut self, timestamp: Timestamp, compression: Compression, stamp: Option<ProducerStamp>) {
        assert!(self.batch.is_none(), "a batch is made once, whatever happens to it");
        let Ask::Produce { values } = &self.ask else { panic!("only a Produce has a batch") };
        let mut builder = BatchBuilder::new(timestamp).compression(compression);
        if let Some(stamp) = stamp {
            builder = builder.producer(stamp);
        }
        for value in values {
            builder.push(None, Some(value));
        }
        let mut parts = Vec::with_capacity(2);
        let batch = builder.build();
        batch.gather(&mut parts);
        let mut bytes = BytesMut::with_capacity(batch.size_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        self.batch = Some(Batch { stamp, bytes: bytes.freeze() });
    }

    /// How it ends when nobody will try it again: failed if every attempt was refused, open otherwise.
    pub fn given_up(&self) -> Told {
        let is_open = self.is_produce() && (self.is_in_doubt || self.is_sent());
        if is_open { Told::Open } else { Told::Failed { error: self.error } }
    }
}

/// The error of an operation that was never refused by anybody. (Kafka: `REQUEST_TIMED_OUT`.)
const REQUEST_TIMED_OUT: i16 = 7;
