//! Batches under way: sent in order, tried again in order, ended once.
//!
//! The rules are those of [`session`](crate::client::session), for many records a batch and five batches at a time.
//! Records are taken by [`Producer::push`], which sends nothing; [`Producer::step`] does, and says in the end what became of
//! batches. A driver that pushes steps with a tick when [`Producer::is_due`] says so, instead of once per record.
//!
//! **Idempotence.** A batch gets its number when it is sent for the first time, and is the same bytes ever after. One that
//! ends without an acknowledgement retires the producer's id: the batches that carry it are played to their end, then a new
//! id is asked for.
//!
//! **Invariants**
//! - batches end at most once, and leave the queue when they do;
//! - a batch is sent only when all earlier ones are on their way: a connection carries them in order;
//! - batches with a number stand in front of those without.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::client::cluster::Cluster;
use crate::client::contact::Contact;
use crate::client::link::{Call, Voice};
use crate::client::operation::Attempt;
use crate::client::outcome::{Certain, outcome_of};
use crate::client::producer::accumulator::Collected;
use crate::client::producer::{Accumulator, Acks, Counters, Ended, Fate, Idempotence, Refused, Run, Settings};
use crate::client::wire::{Api, Hint, Request, Response};
use crate::client::{AskId, Input, Output};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::protocol::ConnectionId;
use crate::record::{BatchWriter, ProducerStamp, Shape};
use crate::time::Instant;

/// One producer of one log.
#[derive(Clone, Debug)]
pub struct Producer {
    settings: Settings,
    prng: Prng,
    contact: Contact,
    accumulator: Accumulator,
    identity: Identity,
    /// Closed batches that have not ended, in order.
    batches: VecDeque<Batch>,
    /// How many of them are under way.
    sent: usize,
    serial: u64,
    is_flushing: bool,
    /// When it was stepped last.
    stepped: Instant,
    ended: VecDeque<Ended>,
    counters: Counters,
    /// The error of the last description of the topic, until somebody takes it.
    refusal: Option<i16>,
}

/// Who an idempotent producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    None,
    Resting(Instant),
    Asked,
    Held { id: i64, epoch: i16, next_sequence: i32 },
}

#[derive(Clone, Debug)]
struct Batch {
    serial: u64,
    content: Content,
    records: u32,
    created: Instant,
    first_record: u64,
    memory_bytes: usize,
    runs: Vec<Run>,
    attempt: Attempt,
    attempts: u32,
    is_in_doubt: bool,
    error: i16,
}

#[derive(Clone, Debug)]
enum Content {
    /// Never sent.
    Records(BatchWriter),
    /// Sent, and the same bytes for ever.
    Sealed { bytes: Bytes, crc: u32, stamp: Option<ProducerStamp> },
    /// In between.
    Taken,
}

impl Producer {
    /// A producer that has said nothing yet.
    pub fn new(settings: Settings, mut prng: Prng) -> Producer {
        settings.validate();
        let turn = prng.below(settings.bootstrap.len() as u64) as usize;
        let first = i32::try_from(prng.below(1 << 31)).expect("invariant: below 2³¹");
        let voice = Voice::new(&settings.client_id, first);
        let cluster = Cluster::new(&settings.bootstrap, turn);
        let (timeout, connection) = (settings.request_timeout, settings.first_connection);
        Producer {
            contact: Contact::new(cluster, voice, &settings.topic, timeout, connection),
            accumulator: Accumulator::new(&settings),
            settings,
            prng,
            identity: Identity::None,
            batches: VecDeque::new(),
            sent: 0,
            serial: 0,
            is_flushing: false,
            stepped: Instant::ZERO,
            ended: VecDeque::new(),
            counters: Counters::default(),
            refusal: None,
        }
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The error with which the topic could last not be described, once.
    pub fn take_refusal(&mut self) -> Option<i16> {
        self.refusal.take()
    }

    /// Takes a record, whose value `fill` writes.
    pub fn push(&mut self, now: Instant, shape: &Shape<'_>, fill: impl FnMut(&mut [u8])) -> Result<(), Refused> {
        if let Some(full) = self.accumulator.push(now, shape, fill)? {
            self.enqueue(full);
        }
        Ok(())
    }

    /// Whether a step at this moment would send something that was pushed since the last one.
    pub fn is_due(&self, now: Instant) -> bool {
        let is_open_due = || self.accumulator.open_since().is_some_and(|since| self.is_ripe(since, now));
        self.has_room() && (self.batches.len() > self.sent || is_open_due())
    }

    /// Whether there may be no room for another batch.
    pub fn is_exhausted(&self) -> bool {
        self.accumulator.is_exhausted()
    }

    /// From now on nothing lingers: what was pushed is sent as soon as there is room.
    pub fn flush(&mut self) {
        self.is_flushing = true;
    }

    /// Whether everything pushed has ended and been reported.
    pub fn is_idle(&self) -> bool {
        self.batches.is_empty() && self.accumulator.open_since().is_none() && self.ended.is_empty()
    }

    /// Takes one input, never an ask, and says what follows from it. `now` never decreases.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Ask { .. } => panic!("a producer is given records, and decides for itself what to ask"),
            Input::Opened { connection } => self.contact.on_opened(now, connection, out),
            Input::Frame { connection, frame } => self.on_frame(now, connection, &frame, out),
            Input::Closed { connection } => self.on_lost(now, connection),
            Input::Tick => {}
        }
        self.expire(now, out);
        self.wake(now);
        self.advance(now, out);
        self.stepped = now;
    }

    /// With `acks=0`, what the operating system has taken of a connection is all that will ever be known: its batches have
    /// ended. A driver says so when nothing is left to send.
    pub fn on_drained(&mut self) {
        if self.settings.acks == Acks::None {
            while self.batches.front().is_some_and(Batch::is_sent) {
                self.end(0, Fate::Acked { base: None });
            }
        }
    }

    /// The next batch that has ended.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// When to call [`Producer::step`] with a tick at the latest; `None` when only an input or a push can change something.
    pub fn deadline(&self) -> Option<Instant> {
        let oldest = self.batches.front().map(|batch| batch.created);
        let expiry = oldest.or(self.accumulator.open_since()).map(|since| since + self.settings.delivery_timeout);
        let lingered = self.accumulator.open_since().filter(|_| self.batches.len() == self.sent && self.has_room());
        // One that has lingered long enough and was not sent waits for something else, such as a leader.
        let lingered = lingered.map(|since| since + self.settings.linger).filter(|&at| at > self.stepped);
        let resting = self.batches.iter().take(self.settings.in_flight_max).filter_map(|batch| match batch.attempt {
            Attempt::Resting(until) => Some(until),
            Attempt::Waiting | Attempt::Sent(_) => None,
        });
        let identity = match self.identity {
            Identity::Resting(until) => Some(until),
            Identity::None | Identity::Asked | Identity::Held { .. } => None,
        };
        self.contact.deadline().into_iter().chain(expiry).chain(lingered).chain(resting).chain(identity).min()
    }

    fn on_frame(&mut self, now: Instant, connection: ConnectionId, frame: &Bytes, out: &mut Vec<Output>) {
        match self.contact.on_frame(now, connection, frame, out) {
            Ok(Some((call, response))) => self.on_response(now, call, response),
            Ok(None) => {}
            Err(_) => self.hang_up(now, connection, out),
        }
    }

    fn hang_up(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        out.push(Output::Close { connection });
        self.on_lost(now, connection);
    }

    fn on_lost(&mut self, now: Instant, connection: ConnectionId) {
        if !self.contact.has(connection) {
            return;
        }
        self.counters.disconnects += 1;
        let until = now + self.backoff();
        if self.contact.on_lost(connection, until).contains(&Call::Identity) {
            self.identity = Identity::Resting(until);
        }
        let is_on = |batch: &Batch| batch.attempt == Attempt::Sent(connection);
        let lost: Vec<u64> = self.batches.iter().filter(|batch| is_on(batch)).map(|batch| batch.serial).collect();
        for serial in lost {
            let index = self.position(serial).expect("invariant: a lost answer ends no other batch");
            self.on_doubt(now, index, NETWORK_EXCEPTION);
        }
    }

    fn on_response(&mut self, now: Instant, call: Call, response: Response) {
        match (call, response) {
            (Call::Refresh, Response::Metadata { error, brokers, leader, epoch }) => {
                self.refusal = Some(error).filter(|&error| error != 0);
                if !self.contact.on_metadata(error, brokers, leader, epoch) {
                    let at = now + self.backoff();
                    self.contact.search_again(at);
                }
            }
            (Call::Identity, Response::InitProducerId { error, id, epoch }) => {
                let is_valid = outcome_of(Api::InitProducerId, error) == Certain::Ok && id >= 0 && epoch >= 0;
                self.identity = match is_valid {
                    true => Identity::Held { id, epoch, next_sequence: 0 },
                    false => Identity::Resting(now + self.backoff()),
                };
            }
            (Call::Operation(AskId(serial)), Response::Produce { error, base, hint }) => {
                // One that ran out of time has ended; what comes now changes nothing.
                if let Some(index) = self.position(serial) {
                    self.on_produced(now, index, error, base, hint);
                }
            }
            (call, response) => unreachable!("invariant: {call:?} was sent as another API than {response:?}"),
        }
    }

    fn on_produced(&mut self, now: Instant, index: usize, error: i16, base: i64, hint: Option<Hint>) {
        let is_idempotent = self.settings.idempotence == Idempotence::On;
        match outcome_of(Api::Produce, error) {
            Certain::Ok => self.end(index, Fate::Acked { base: Offset::from_i64(base) }),
            // It is in the log, and the broker has forgotten where. (Kafka: a success without an offset.)
            Certain::Open if error == DUPLICATE_SEQUENCE && is_idempotent => {
                self.end(index, Fate::Acked { base: None })
            }
            Certain::Retry => {
                let is_led = self.contact.follow(hint);
                if !is_led {
                    self.contact.doubt();
                }
                self.try_again(now, index, error, if is_led { Duration::ZERO } else { self.settings.retry_backoff });
            }
            // A batch that overtook its predecessor is refused, and due again once that one is there. The first in line
            // has no predecessor: the leader has lost something, or never had it.
            Certain::Failed if error == OUT_OF_ORDER_SEQUENCE && is_idempotent && index > 0 => {
                self.try_again(now, index, error, self.settings.retry_backoff);
            }
            Certain::Failed => {
                self.set_attempt(index, Attempt::Waiting);
                self.batches[index].error = error;
                self.give_up(index);
            }
            // A leader that cannot commit may be none any more: ask around before anything is sent to it again.
            Certain::Open => {
                self.contact.doubt();
                self.on_doubt(now, index, error);
            }
        }
    }

    /// Nobody knows what became of what was sent.
    fn on_doubt(&mut self, now: Instant, index: usize, error: i16) {
        self.batches[index].is_in_doubt = true;
        self.try_again(now, index, error, self.settings.retry_backoff);
    }

    fn try_again(&mut self, now: Instant, index: usize, error: i16, rest: Duration) {
        self.batches[index].error = error;
        self.set_attempt(index, Attempt::Waiting);
        if self.batches[index].attempts > self.settings.retries {
            return self.give_up(index);
        }
        if !rest.is_zero() {
            let until = now + self.backoff();
            self.set_attempt(index, Attempt::Resting(until));
        }
    }

    /// Ends what has run out of time: connections first, because they decide what is in doubt.
    fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        for connection in self.contact.late(now) {
            self.hang_up(now, connection, out);
        }
        let is_late = |since: Instant| since + self.settings.delivery_timeout <= now;
        if self.accumulator.open_since().is_some_and(is_late) {
            self.close_open();
        }
        while self.batches.front().is_some_and(|batch| batch.created + self.settings.delivery_timeout <= now) {
            self.give_up(0);
        }
    }

    fn wake(&mut self, now: Instant) {
        self.contact.wake(now);
        if matches!(self.identity, Identity::Resting(until) if until <= now) {
            self.identity = Identity::None;
        }
        for batch in self.batches.iter_mut().take(self.settings.in_flight_max) {
            if matches!(batch.attempt, Attempt::Resting(until) if until <= now) {
                batch.attempt = Attempt::Waiting;
            }
        }
    }

    fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_open_ripe = self.accumulator.open_since().is_some_and(|since| self.is_ripe(since, now));
        if self.batches.len() == self.sent && !is_open_ripe || !self.has_room() {
            return;
        }
        let Some(connection) = self.contact.reach_leader(now, out) else { return };
        self.identify(now, out);
        let mut index = 0;
        while self.has_room() {
            if index == self.batches.len() {
                if !self.accumulator.open_since().is_some_and(|since| self.is_ripe(since, now)) {
                    return;
                }
                self.close_open();
            }
            let attempt = self.batches[index].attempt;
            match attempt {
                Attempt::Sent(_) => {}
                Attempt::Waiting if self.seal(index) => self.send(now, connection, index, out),
                Attempt::Waiting | Attempt::Resting(_) => return,
            }
            index += 1;
        }
    }

    /// Asks for a producer id when a batch needs one and none is being played to its end. Any node can give one.
    fn identify(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_needed = self.settings.idempotence == Idempotence::On
            && self.identity == Identity::None
            && self.batches.front().is_none_or(|batch| batch.stamp().is_none());
        if is_needed {
            let connection = *self.prng.pick(&self.contact.ready());
            let request = Request::InitProducerId;
            self.contact.send(now, connection, Call::Identity, &request, Duration::ZERO, out);
            self.identity = Identity::Asked;
        }
    }

    /// Gives a batch its number and its header; false while there is no identity to do it with.
    fn seal(&mut self, index: usize) -> bool {
        let batch = &mut self.batches[index];
        if !matches!(batch.content, Content::Records(_)) {
            return true;
        }
        let stamp = match (self.settings.idempotence, &mut self.identity) {
            (Idempotence::Off, _) => None,
            (Idempotence::On, Identity::Held { id, epoch, next_sequence }) => {
                let stamp = ProducerStamp { id: *id, epoch: *epoch, base_sequence: *next_sequence };
                *next_sequence = stamp.sequence_after(batch.records);
                Some(stamp)
            }
            (Idempotence::On, Identity::None | Identity::Resting(_) | Identity::Asked) => return false,
        };
        if let Content::Records(writer) = std::mem::replace(&mut batch.content, Content::Taken) {
            let (bytes, crc) = writer.seal(stamp);
            batch.content = Content::Sealed { bytes, crc, stamp };
        }
        true
    }

    fn send(&mut self, now: Instant, connection: ConnectionId, index: usize, out: &mut Vec<Output>) {
        self.set_attempt(index, Attempt::Sent(connection));
        let batch = &mut self.batches[index];
        let Content::Sealed { bytes, .. } = &batch.content else { panic!("a batch is sealed before it is sent") };
        batch.attempts += 1;
        self.counters.requests += 1;
        self.counters.retries += u64::from(batch.attempts > 1);
        self.counters.batch_bytes += bytes.len() as u64;
        let request = Request::Produce {
            topic: self.contact.topic().clone(),
            records: bytes.clone(),
            timeout: self.settings.request_timeout,
            acks: self.settings.acks.code(),
        };
        let call = Call::Operation(AskId(batch.serial));
        self.contact.send(now, connection, call, &request, Duration::ZERO, out);
    }

    fn close_open(&mut self) {
        if let Some(open) = self.accumulator.take() {
            self.enqueue(open);
        }
    }

    fn enqueue(&mut self, collected: Collected) {
        let Collected { writer, runs, created, first_record, memory_bytes } = collected;
        self.batches.push_back(Batch {
            serial: self.serial,
            records: writer.count(),
            content: Content::Records(writer),
            created,
            first_record,
            memory_bytes,
            runs,
            attempt: Attempt::Waiting,
            attempts: 0,
            is_in_doubt: false,
            error: REQUEST_TIMED_OUT,
        });
        self.serial += 1;
    }

    /// Ends a batch that nobody will try again: failed if every attempt was refused, open otherwise.
    fn give_up(&mut self, index: usize) {
        let batch = &self.batches[index];
        let error = batch.error;
        let is_open = batch.is_in_doubt || batch.is_sent();
        self.end(index, if is_open { Fate::Open { error } } else { Fate::Failed { error } });
    }

    /// Ends a batch. One with a number that was not acknowledged leaves the sequence unknown, and retires the id.
    fn end(&mut self, index: usize, fate: Fate) {
        self.set_attempt(index, Attempt::Waiting);
        let batch = self.batches.remove(index).expect("invariant: only batches that are there end");
        let stamp = batch.stamp();
        if let (Identity::Held { id, .. }, Some(stamp)) = (self.identity, stamp)
            && id == stamp.id
            && !matches!(fate, Fate::Acked { .. })
        {
            self.identity = Identity::None;
        }
        let (batch_bytes, crc, buffer) = match batch.content {
            Content::Records(writer) => (writer.size_bytes(), 0, None),
            Content::Sealed { bytes, crc, .. } => (bytes.len(), crc, Some(bytes)),
            Content::Taken => unreachable!("invariant: a batch is sealed in one go"),
        };
        self.accumulator.release(batch.memory_bytes, buffer);
        let Batch { first_record, records, attempts, runs, .. } = batch;
        self.ended.push_back(Ended { fate, first_record, records, batch_bytes, crc, stamp, attempts, runs });
    }

    fn set_attempt(&mut self, index: usize, attempt: Attempt) {
        let batch = &mut self.batches[index];
        self.sent -= usize::from(batch.is_sent());
        batch.attempt = attempt;
        self.sent += usize::from(batch.is_sent());
    }

    fn has_room(&self) -> bool {
        self.sent < self.settings.in_flight_max
    }

    /// Whether an open batch need not wait for more.
    fn is_ripe(&self, since: Instant, now: Instant) -> bool {
        self.is_flushing || since + self.settings.linger <= now || self.accumulator.is_exhausted()
    }

    fn backoff(&mut self) -> Duration {
        let least = u64::try_from(self.settings.retry_backoff.as_nanos()).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(least + self.prng.below(least / 2 + 1))
    }

    fn position(&self, serial: u64) -> Option<usize> {
        // The batch whose answer comes is nearly always the first, and never far from it.
        self.batches.iter().position(|batch| batch.serial == serial)
    }
}

impl Batch {
    fn is_sent(&self) -> bool {
        matches!(self.attempt, Attempt::Sent(_))
    }

    fn stamp(&self) -> Option<ProducerStamp> {
        match self.content {
            Content::Sealed { stamp, .. } => stamp,
            Content::Records(_) | Content::Taken => None,
        }
    }
}

/// The connection was lost before an answer came. (Kafka: `NETWORK_EXCEPTION`.)
const NETWORK_EXCEPTION: i16 = 13;

/// The error of a batch that was never refused by anybody. (Kafka: `REQUEST_TIMED_OUT`.)
const REQUEST_TIMED_OUT: i16 = 7;

/// The sequence check found a gap. (Kafka: `OUT_OF_ORDER_SEQUENCE_NUMBER`.)
const OUT_OF_ORDER_SEQUENCE: i16 = 45;

/// The batch is in the log, the broker does not know where. (Kafka: `DUPLICATE_SEQUENCE_NUMBER`.)
const DUPLICATE_SEQUENCE: i16 = 46;
