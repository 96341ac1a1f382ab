//! A session: finds the leader, keeps operations under way in the right order, ends each of them once.
//!
//! Everything happens in [`Session::step`]: an input is taken in, what has run out of time is ended, and then whatever
//! can be sent is sent. Nothing is remembered about *why* a step was made, so a tick too many changes nothing.
//!
//! **Idempotence** (KIP-98). A producer id numbers its records from 0. A batch gets its sequence number when it is sent
//! for the first time, and keeps it for every further attempt: a broker that has it already recognises it. When a batch
//! ends without an acknowledgement, nobody knows which number is due next, so the id is retired: the batches that carry
//! it are played to their end, then a new id is asked for. (Java bumps the epoch instead and renumbers; a new id needs
//! no memory on the broker's side.)
//!
//! **Invariants**
//! - A batch is sent only when all earlier batches are on their way, so a connection carries them in order.
//! - A session that is not idempotent never sends a batch again whose fate it does not know.
//! - Every deadline that `step` has passed is gone afterwards: a driver that obeys [`Session::deadline`] never spins.

use std::time::Duration;

use bytes::Bytes;

use crate::client::cluster::Cluster;
use crate::client::consume;
use crate::client::contact::Contact;
use crate::client::link::{Call, Voice};
use crate::client::operation::{Attempt, Operation};
use crate::client::outcome::{Certain, outcome_of};
use crate::client::wire::{Api, Hint, Malformed, Request, Response};
use crate::client::{Ask, AskId, Config, Delivery, Input, Output, Told};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::protocol::ConnectionId;
use crate::quirk::Quirk;
use crate::record::ProducerStamp;
use crate::time::{Instant, Timestamp};

/// One client of the log.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    prng: Prng,
    contact: Contact,
    identity: Identity,
    /// In the order in which they were asked for.
    operations: Vec<Operation>,
}

/// Who an idempotent producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    None,
    Resting(Instant),
    Asked,
    Held { id: i64, epoch: i16, next_sequence: i32 },
}

impl Session {
    /// A session that has said nothing yet. Its requests are numbered from a drawn number on, so that those of two
    /// sessions are not mistaken for each other.
    pub fn new(config: Config, mut prng: Prng) -> Session {
        config.validate();
        let turn = prng.below(config.bootstrap.len() as u64) as usize;
        let first = i32::try_from(prng.below(1 << 31)).expect("invariant: below 2³¹");
        let cluster = Cluster::new(&config.bootstrap, turn);
        let voice = Voice::new(&config.client_id, first);
        let contact = Contact::new(cluster, voice, &config.topic, config.request_timeout, ConnectionId::FIRST_OUTBOUND);
        Session { contact, config, prng, identity: Identity::None, operations: Vec::new() }
    }

    /// Takes one input and says what follows from it. `now` never decreases.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Ask { id, ask } => self.on_ask(now, id, ask),
            Input::Opened { connection } => self.contact.on_opened(now, connection, out),
            Input::Frame { connection, frame } => self.on_frame(now, connection, &frame, out),
            Input::Closed { connection } => self.on_lost(now, connection, out),
            Input::Tick => {}
        }
        self.expire(now, out);
        self.wake(now);
        self.advance(now, out);
    }

    /// When to call [`Session::step`] with a tick at the latest; `None` when only an input can change something.
    pub fn deadline(&self) -> Option<Instant> {
        let operations = self.operations.iter().flat_map(|operation| match operation.attempt {
            Attempt::Resting(until) => [Some(operation.deadline), Some(until)],
            Attempt::Waiting | Attempt::Sent(_) => [Some(operation.deadline), None],
        });
        let identity = match self.identity {
            Identity::Resting(until) => Some(until),
            Identity::None | Identity::Asked | Identity::Held { .. } => None,
        };
        self.contact.deadline().into_iter().chain(operations.flatten()).chain(identity).min()
    }

    /// How many operations have not ended.
    pub fn under_way(&self) -> usize {
        self.operations.len()
    }

    fn on_ask(&mut self, now: Instant, id: AskId, ask: Ask) {
        assert!(self.operations.iter().all(|operation| operation.id != id), "operation {id:?} is under way already");
        self.operations.push(Operation::new(id, ask, now + self.config.operation_timeout));
    }

    fn on_frame(&mut self, now: Instant, connection: ConnectionId, frame: &Bytes, out: &mut Vec<Output>) {
        match self.contact.on_frame(now, connection, frame, out) {
            Ok(Some((call, response))) => self.on_response(now, call, response, out),
            Ok(None) => {}
            Err(malformed) => self.on_malformed(now, connection, &malformed, out),
        }
    }

    /// An answer that is none. The operation it was for ends with that evidence: to ask again would hide it.
    fn on_malformed(&mut self, now: Instant, connection: ConnectionId, what: &Malformed, out: &mut Vec<Output>) {
        if let Some(Call::Operation(id)) = self.contact.oldest_call(connection)
            && let Some(index) = self.position(id)
        {
            self.end(index, Told::Unreadable { reason: what.to_string() }, out);
        }
        self.hang_up(now, connection, out);
    }

    fn hang_up(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        out.push(Output::Close { connection });
        self.on_lost(now, connection, out);
    }

    /// A connection is gone, and with it every answer that was due on it.
    fn on_lost(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        if !self.contact.has(connection) {
            return;
        }
        let until = now + self.backoff();
        for call in self.contact.on_lost(connection, until) {
            match call {
                Call::Negotiation | Call::Refresh => {}
                Call::Identity => self.identity = Identity::Resting(until),
                Call::Operation(id) => self.on_answer_lost(now, id, out),
            }
        }
    }

    fn on_answer_lost(&mut self, now: Instant, id: AskId, out: &mut Vec<Output>) {
        let Some(index) = self.position(id) else { return };
        if self.operations[index].is_produce() && self.config.delivery == Delivery::AtMostOnce {
            return self.end(index, Told::Open, out);
        }
        self.doubt(now, index);
    }

    /// It may be there. Whoever has the batch knows it again, if it comes again as it was.
    fn doubt(&mut self, now: Instant, index: usize) {
        self.operations[index].is_in_doubt = true;
        self.rest(now, index);
        if self.operations[index].is_produce() && self.config.quirks.has(Quirk::RetriesAsSomebodyElse) {
            self.operations[index].batch = None;
            self.identity = Identity::None;
        }
    }

    fn on_response(&mut self, now: Instant, call: Call, response: Response, out: &mut Vec<Output>) {
        match (call, response) {
            (Call::Refresh, Response::Metadata { error, brokers, leader, epoch }) => {
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
            (Call::Operation(id), response) => {
                // An operation that ran out of time has been told so; what comes now changes nothing.
                let Some(index) = self.position(id) else { return };
                match response {
                    Response::Produce { error, base, hint } => self.on_produced(now, index, error, base, hint, out),
                    Response::Fetch { error, high_watermark, records, hint } => {
                        let Ask::Fetch { from } = self.operations[index].ask else { unreachable!("a Fetch was asked") };
                        let read = || consume::read(from, &records, high_watermark);
                        self.on_read(now, index, (Api::Fetch, error), hint, read, out);
                    }
                    Response::Tail { error, end } => {
                        self.on_read(now, index, (Api::ListOffsets, error), None, || tail(end), out);
                    }
                    other => unreachable!("operations ask for none of these: {other:?}"),
                }
            }
            (call, response) => unreachable!("invariant: {call:?} was sent as another API than {response:?}"),
        }
    }

    fn on_produced(
        &mut self,
        now: Instant,
        index: usize,
        error: i16,
        base: i64,
        hint: Option<Hint>,
        out: &mut Vec<Output>,
    ) {
        let is_idempotent = self.config.delivery == Delivery::ExactlyOnce;
        match outcome_of(Api::Produce, error) {
            Certain::Ok => {
                // An acknowledgement without a place is no evidence of one.
                let told = Offset::from_i64(base).map_or(Told::Open, |base| Told::Produced { base });
                self.end(index, told, out);
            }
            Certain::Retry => self.on_refused(now, index, error, hint),
            // A batch that overtook its predecessor is refused, and due again once that one is there. The first in line
            // has no predecessor: the leader has lost something, or never had it.
            Certain::Failed if error == OUT_OF_ORDER_SEQUENCE && is_idempotent && !self.is_first_in_line(index) => {
                self.operations[index].error = error;
                self.rest(now, index);
            }
            Certain::Failed => {
                self.operations[index].error = error;
                self.operations[index].attempt = Attempt::Waiting;
                let told = self.operations[index].given_up();
                self.end(index, told, out);
            }
            // A leader that cannot commit may be none any more: ask around before anything is sent to it again.
            Certain::Open if is_idempotent && error != DUPLICATE_SEQUENCE => {
                self.contact.doubt();
                self.doubt(now, index);
            }
            Certain::Open => {
                self.contact.doubt();
                self.end(index, Told::Open, out);
            }
        }
    }

    fn on_read(
        &mut self,
        now: Instant,
        index: usize,
        answer: (Api, i16),
        hint: Option<Hint>,
        read: impl FnOnce() -> Told,
        out: &mut Vec<Output>,
    ) {
        let (api, error) = answer;
        match outcome_of(api, error) {
            Certain::Ok => self.end(index, read(), out),
            Certain::Retry => self.on_refused(now, index, error, hint),
            Certain::Failed => self.end(index, Told::Failed { error }, out),
            Certain::Open => unreachable!("a read changes nothing, so it is never open"),
        }
    }

    /// This node will not do it: go where it points, or ask around and come back.
    fn on_refused(&mut self, now: Instant, index: usize, error: i16, hint: Option<Hint>) {
        self.operations[index].error = error;
        if self.contact.follow(hint) {
            self.operations[index].attempt = Attempt::Waiting;
            return;
        }
        self.contact.doubt();
        self.rest(now, index);
    }

    /// Ends what has run out of time: connections first, because they decide what is in doubt.
    fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        for connection in self.contact.late(now) {
            self.hang_up(now, connection, out);
        }
        while let Some(index) = self.operations.iter().position(|operation| operation.deadline <= now) {
            let told = self.operations[index].given_up();
            self.end(index, told, out);
        }
    }

    /// Lets what has rested long enough go on.
    fn wake(&mut self, now: Instant) {
        self.contact.wake(now);
        if matches!(self.identity, Identity::Resting(until) if until <= now) {
            self.identity = Identity::None;
        }
        for operation in &mut self.operations {
            if matches!(operation.attempt, Attempt::Resting(until) if until <= now) {
                operation.attempt = Attempt::Waiting;
            }
        }
    }

    /// Sends whatever can be sent.
    fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        // While an operation rests, the leader is looked for already.
        if self.operations.iter().all(Operation::is_sent) {
            return;
        }
        if let Some(connection) = self.contact.reach_leader(now, out) {
            self.identify(now, out);
            self.send_operations(now, connection, out);
        }
    }

    /// Asks for a producer id when a batch needs one and none is being played to its end. Any node can give one.
    fn identify(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_needed = self.config.delivery == Delivery::ExactlyOnce
            && self.identity == Identity::None
            && self.operations.iter().all(|operation| operation.stamp().is_none())
            && self.operations.iter().any(Operation::is_produce);
        if !is_needed {
            return;
        }
        let connection = *self.prng.pick(&self.contact.ready());
        self.send(now, connection, Call::Identity, &Request::InitProducerId, out);
        self.identity = Identity::Asked;
    }

    fn send_operations(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        let sent = self.operations.iter().filter(|operation| operation.is_produce() && operation.is_sent()).count();
        let mut room = self.config.produce_in_flight_max.saturating_sub(sent);
        let mut is_blocked = false;
        for index in 0..self.operations.len() {
            let operation = &self.operations[index];
            if operation.is_sent() {
                continue;
            }
            let is_produce = operation.is_produce();
            let is_waiting = operation.attempt == Attempt::Waiting;
            if is_produce && (is_blocked || room == 0 || !is_waiting || !self.seal(now, index)) {
                is_blocked = true;
                continue;
            }
            if is_waiting {
                room -= usize::from(is_produce);
                self.send_operation(now, connection, index, out);
            }
        }
    }

    /// Gives a Produce its batch if it has none yet; false when there is no identity to do it with.
    fn seal(&mut self, now: Instant, index: usize) -> bool {
        if self.operations[index].batch.is_some() {
            return true;
        }
        let stamp = match (self.config.delivery, &mut self.identity) {
            (Delivery::AtMostOnce, _) => None,
            (Delivery::ExactlyOnce, Identity::Held { id, epoch, next_sequence }) => {
                let Ask::Produce { values } = &self.operations[index].ask else { unreachable!("a Produce is sealed") };
                let stamp = ProducerStamp { id: *id, epoch: *epoch, base_sequence: *next_sequence };
                let count = u32::try_from(values.len()).expect("invariant: a batch has fewer than 2³¹ records");
                *next_sequence = stamp.sequence_after(count);
                Some(stamp)
            }
            (Delivery::ExactlyOnce, Identity::None | Identity::Resting(_) | Identity::Asked) => return false,
        };
        let millis = i64::try_from(now.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        let timestamp = Timestamp(self.config.wall_origin.0.saturating_add(millis));
        self.operations[index].seal(timestamp, self.config.compression, stamp);
        true
    }

    fn send_operation(&mut self, now: Instant, connection: ConnectionId, index: usize, out: &mut Vec<Output>) {
        let operation = &mut self.operations[index];
        operation.attempt = Attempt::Sent(connection);
        let (topic, leader_epoch) = (self.contact.topic().clone(), self.contact.cluster().epoch());
        let request = match &operation.ask {
            Ask::Produce { .. } => {
                let batch = operation.batch.as_ref().expect("invariant: a Produce is sealed before it is sent");
                // The broker answers that it has given up before we give up on the connection.
                let timeout = self.config.request_timeout / 4 * 3;
                Request::Produce { topic, records: batch.bytes.clone(), timeout, acks: ACKS_ALL }
            }
            Ask::Fetch { from } => {
                let (wait_max, bytes_max) = (self.config.fetch_wait_max, self.config.fetch_bytes_max);
                Request::Fetch { topic, leader_epoch, from: *from, wait_max, bytes_max }
            }
            Ask::Tail => Request::Tail { topic, leader_epoch },
        };
        let call = Call::Operation(operation.id);
        self.send(now, connection, call, &request, out);
    }

    fn send(&mut self, now: Instant, connection: ConnectionId, call: Call, request: &Request, out: &mut Vec<Output>) {
        let held = match request {
            Request::Fetch { wait_max, .. } => *wait_max,
            _ => Duration::ZERO,
        };
        self.contact.send(now, connection, call, request, held, out);
    }

    /// Ends an operation. A stamped batch that was not acknowledged leaves the sequence unknown, and retires the id.
    fn end(&mut self, index: usize, told: Told, out: &mut Vec<Output>) {
        let operation = self.operations.remove(index);
        let is_acknowledged = matches!(told, Told::Produced { .. });
        if let (Identity::Held { id, .. }, Some(stamp), false) = (self.identity, operation.stamp(), is_acknowledged)
            && id == stamp.id
        {
            self.identity = Identity::None;
        }
        out.push(Output::Told { id: operation.id, told });
    }

    fn rest(&mut self, now: Instant, index: usize) {
        self.operations[index].attempt = Attempt::Resting(now + self.backoff());
    }

    fn backoff(&mut self) -> Duration {
        let least = u64::try_from(self.config.retry_backoff.as_nanos()).unwrap_or(u64::MAX / 2);
        Duration::from_nanos(least + self.prng.below(least / 2 + 1))
    }

    fn position(&self, id: AskId) -> Option<usize> {
        self.operations.iter().position(|operation| operation.id == id)
    }

    fn is_first_in_line(&self, index: usize) -> bool {
        self.operations.iter().position(Operation::is_produce) == Some(index)
    }
}

fn tail(end: i64) -> Told {
    match Offset::from_i64(end) {
        Some(end) => Told::Tail { end },
        None => Told::Unreadable { reason: format!("the log ends at {end}") },
    }
}

/// A majority must have a batch before it is acknowledged. (Kafka: `acks=all`.)
const ACKS_ALL: i16 = -1;

/// The sequence check found a gap. (Kafka: `OUT_OF_ORDER_SEQUENCE_NUMBER`.)
const OUT_OF_ORDER_SEQUENCE: i16 = 45;

/// The batch is in the log, the broker does not know where. (Kafka: `DUPLICATE_SEQUENCE_NUMBER`.)
const DUPLICATE_SEQUENCE: i16 = 46;
