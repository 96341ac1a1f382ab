//! A client: a session and what is asked of it, with a report of every invoke and return.
//!
//! A driver gives it what a session is given, except asks, and carries out what it says. The events go into the
//! history, stamped by the driver with the history's clock: invokes when they were reported, before their frames leave;
//! returns when they were reported, after the frames that caused them arrived. So an operation's interval contains the
//! moment at which it happened.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::client::table::{Next, Table};
use crate::client::{Ask, AskId, Brief, Config, Delivery, Input, Kind, Output, Session, Told, Workload, values};
use crate::history;
use crate::history::{ClientId, Outcome, Recorder};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::record::RecordBatch;
use crate::time::Instant;

/// One client of a run.
#[derive(Clone, Debug)]
pub struct Client {
    session: Session,
    workload: Workload,
    reader: values::Reader,
    table: Table,
    /// What the session has under way, and for which operation of the workload.
    asks: BTreeMap<AskId, u64>,
    next_ask: AskId,
    /// A request that an operation goes on with.
    next: Option<(u64, Ask)>,
    said: Vec<Output>,
}

/// Something for the history.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Event {
    /// The client asked.
    Invoked { serial: u64, ask: history::Ask },
    /// The client was told.
    Returned { serial: u64, outcome: Outcome },
    /// The client was given committed batches, asked for from `from`. Comes before the operation's return.
    Consumed { from: Offset, batches: Vec<RecordBatch>, high_watermark: Offset },
}

impl Event {
    /// Writes an invoke or a return down; the answer is the operation's index in the history.
    pub fn record(&self, at: Instant, client: ClientId, history: &mut Recorder) -> Option<usize> {
        match self {
            Event::Invoked { serial, ask } => Some(history.invoked(at, client, *serial, ask.clone())),
            Event::Returned { serial, outcome } => Some(history.returned(at, client, *serial, outcome.clone())),
            Event::Consumed { .. } => None,
        }
    }
}

impl Client {
    /// A client that has done nothing yet. The brief's kind decides about idempotence and batches in flight, whatever
    /// `config` says.
    pub fn new(mut config: Config, brief: Brief, mut prng: Prng) -> Client {
        let workload = Workload::new(brief, Prng::new(prng.word(), WORKLOAD_STREAM));
        config.produce_in_flight_max = workload.appends_in_flight_max();
        config.delivery = match brief.kind {
            Kind::Append => Delivery::AtMostOnce,
            Kind::Producer | Kind::Kv | Kind::Cas => Delivery::ExactlyOnce,
        };
        let reader = values::Reader::new(config.quirks);
        let table = Table::new(brief.client, brief.value_bytes, config.quirks);
        Client {
            session: Session::new(config, prng),
            workload,
            reader,
            table,
            asks: BTreeMap::new(),
            next_ask: AskId(0),
            next: None,
            said: Vec::new(),
        }
    }

    /// Its number in the history.
    pub fn id(&self) -> ClientId {
        self.workload.brief().client
    }

    /// Takes one input (never an ask), asks what is due, and reports both. A tick at the start sets it going.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>, events: &mut Vec<Event>) {
        assert!(!matches!(input, Input::Ask { .. }), "a client decides for itself what to ask");
        self.step_session(now, input, out, events);
        loop {
            if let Some((serial, ask)) = self.next.take() {
                self.ask(now, serial, ask, out, events);
            } else if let Some((serial, ask)) = self.workload.next(now) {
                let asked = self.wire_ask(&ask);
                events.push(Event::Invoked { serial, ask });
                self.ask(now, serial, asked, out, events);
            } else {
                return;
            }
        }
    }

    fn ask(&mut self, now: Instant, serial: u64, ask: Ask, out: &mut Vec<Output>, events: &mut Vec<Event>) {
        // Numbers are not used again: an answer to a request that was given up must not be taken for that of another.
        let id = self.next_ask;
        self.next_ask = AskId(id.0 + 1);
        self.asks.insert(id, serial);
        self.step_session(now, Input::Ask { id, ask }, out, events);
    }

    /// When to call [`Client::step`] with a tick at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline().into_iter().chain(self.workload.deadline()).min()
    }

    /// Stops pacing: finish what was to be done, then read the log once more if the brief says so. Step the client
    /// afterwards.
    pub fn finish(&mut self) {
        self.workload.finish();
    }

    /// Whether everything it was to do has ended.
    pub fn is_done(&self) -> bool {
        self.workload.is_done()
    }

    /// What it does and how far it is.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    fn step_session(&mut self, now: Instant, input: Input, out: &mut Vec<Output>, events: &mut Vec<Event>) {
        let mut said = std::mem::take(&mut self.said);
        self.session.step(now, input, &mut said);
        for output in said.drain(..) {
            match output {
                Output::Told { id, told } => self.on_told(id, told, events),
                output => out.push(output),
            }
        }
        self.said = said;
    }

    fn on_told(&mut self, id: AskId, told: Told, events: &mut Vec<Event>) {
        let serial = self.asks.remove(&id).expect("invariant: only what was asked for ends");
        let next = self.table.on_told(&told);
        if let (Some(_), Told::Fetched { from, batches, high_watermark: Some(high_watermark) }) = (&next, &told) {
            let (from, batches, high_watermark) = (*from, batches.clone(), *high_watermark);
            events.push(Event::Consumed { from, batches, high_watermark });
        }
        let outcome = match next {
            Some(Next::Ask(ask)) => return self.next = Some((serial, ask)),
            Some(Next::End(outcome)) => outcome,
            None => self.outcome(told, events),
        };
        self.workload.on_returned(serial, &outcome);
        events.push(Event::Returned { serial, outcome });
    }

    /// How an operation of one request has ended.
    fn outcome(&mut self, told: Told, events: &mut Vec<Event>) -> Outcome {
        match told {
            Told::Produced { base } => Outcome::Ok(history::Told::Appended { offset: base.0 }),
            Told::Tail { end } => Outcome::Ok(history::Told::Tail { end: end.0 }),
            Told::Fetched { from, batches, high_watermark } => {
                let read = self.reader.read(from, &batches);
                if let Some(high_watermark) = high_watermark {
                    events.push(Event::Consumed { from, batches, high_watermark });
                }
                Outcome::Ok(read)
            }
            Told::Unreadable { reason } => Outcome::Ok(history::Told::Unreadable { reason }),
            // A workload reads where it was told that something is, so its offset is never out of range.
            Told::Failed { error: OFFSET_OUT_OF_RANGE } => {
                let reason = "an offset that exists is out of range".to_owned();
                Outcome::Ok(history::Told::Unreadable { reason })
            }
            Told::Failed { .. } => Outcome::Failed,
            Told::Open => Outcome::Open,
        }
    }

    fn wire_ask(&mut self, ask: &history::Ask) -> Ask {
        if let Some(first) = self.table.begin(ask) {
            return first;
        }
        let encode = |&value: &u64| -> Bytes { values::encode(value, self.workload.brief().value_bytes) };
        match ask {
            history::Ask::Append { values } => Ask::Produce { values: values.iter().map(encode).collect() },
            history::Ask::Read { from } => Ask::Fetch { from: Offset(*from) },
            history::Ask::Tail => Ask::Tail,
            history::Ask::Get { .. } | history::Ask::Put { .. } | history::Ask::Cas { .. } => {
                unreachable!("a table begins what is about a key")
            }
        }
    }
}

/// A Fetch from outside start..end. (Kafka: `OFFSET_OUT_OF_RANGE`.)
pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;

/// The workload draws from a stream of its own, so that a retry more changes nothing of what is asked.
const WORKLOAD_STREAM: u64 = 1;
