//! Reading a log back: for a measurement of reading, and to compare it with what was acknowledged.

use std::io;
use std::time::Duration;

use crate::client::producer::Settings;
use crate::client::{Ask, Config, Told};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::record::RecordBatch;
use crate::server::client::Client;
use crate::server::clock::Clock;
use crate::time::Instant;

/// A consumer of everything.
#[derive(Debug)]
pub struct Reader {
    client: Client,
}

/// Why reading ended early.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum ReadError {
    /// The operating system refuses.
    System(io::Error),
    /// The broker refused, or said nothing in time.
    Refused { error: i16 },
    /// What it answered is in no log.
    Unreadable { reason: String },
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::System(error) => write!(f, "the operating system refuses: {error}"),
            ReadError::Refused { error } => write!(f, "the log cannot be read: error {error}"),
            ReadError::Unreadable { reason } => write!(f, "the log cannot be read: {reason}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::System(error)
    }
}

/// What one Fetch brought.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<'a> {
    /// The offset asked for.
    pub from: Offset,
    /// Committed batches, control batches among them; the first contains the offset asked for.
    pub batches: &'a [RecordBatch],
    /// When it was asked for.
    pub asked: Instant,
    /// When it was there.
    pub told: Instant,
}

/// How fast reading was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// Records.
    pub records: u64,
    /// Bytes of their batches' bodies.
    pub bytes: u64,
    /// Fetches that brought something.
    pub fetches: u64,
}

impl Reader {
    /// A reader of the log that such a producer writes to.
    pub fn new(settings: &Settings, prng: Prng, clock: Clock) -> io::Result<Reader> {
        let mut config = Config::new(settings.bootstrap.clone(), &settings.client_id, &settings.topic);
        config.fetch_bytes_max = FETCH_BYTES_MAX;
        config.request_timeout = settings.request_timeout;
        config.operation_timeout = settings.delivery_timeout;
        Ok(Reader { client: Client::with_clock(config, prng, clock)? })
    }

    /// This moment.
    pub fn now(&self) -> Instant {
        self.client.now()
    }

    /// The end of what is committed.
    pub fn end(&mut self) -> Result<Offset, ReadError> {
        match self.client.ask(Ask::Tail)? {
            Told::Tail { end } => Ok(end),
            other => Err(failed(other)),
        }
    }

    /// Reads committed batches from one offset on until at least another.
    pub fn read(
        &mut self,
        from: Offset,
        to: Offset,
        mut each: impl FnMut(&Fetched<'_>),
    ) -> Result<Consumed, ReadError> {
        let mut consumed = Consumed { began: self.client.now(), ..Consumed::default() };
        let mut at = from;
        while at < to {
            let asked = self.client.now();
            let batches = match self.client.ask(Ask::Fetch { from: at })? {
                Told::Fetched { batches, .. } => batches,
                other => return Err(failed(other)),
            };
            consumed.fetches += u64::from(!batches.is_empty());
            each(&Fetched { from: at, batches: &batches, asked, told: self.client.now() });
            at = batches.last().map_or(at, RecordBatch::end);
            for batch in batches.iter().filter(|batch| !batch.is_control()) {
                consumed.records += u64::from(batch.header.record_count);
                consumed.bytes += batch.body.len() as u64;
            }
        }
        consumed.took = self.client.now().since(consumed.began);
        Ok(consumed)
    }
}

fn failed(told: Told) -> ReadError {
    match told {
        Told::Failed { error } => ReadError::Refused { error },
        Told::Unreadable { reason } => ReadError::Unreadable { reason },
        other => ReadError::Unreadable { reason: format!("an answer to another question: {other:?}") },
    }
}

/// What a Fetch may bring, 1 MiB. (Kafka: `max.partition.fetch.bytes`.)
const FETCH_BYTES_MAX: usize = 1 << 20;
