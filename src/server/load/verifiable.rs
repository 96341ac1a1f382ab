//! A producer that counts up and says what became of each record, for tests that must know what was acknowledged.
//!
//! It never tries again, and so does not number its batches either: every record is sent once, and an answer that is lost
//! is an error, whatever became of the record. (Kafka: `VerifiableProducer`.)

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::client::producer::{Ended, Fate, Refused, Settings, exception};
use crate::history::{Ask, ClientId, Outcome, Recorder, Told, value};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::record::Shape;
use crate::server::load::drive::Drive;
use crate::server::load::pace::Pace;
use crate::time::{Instant, Timestamp};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The producer's settings.
    pub settings: Settings,
    /// How many records; without a number, as many as come before the process is asked to stop.
    pub records: Option<u64>,
    /// How fast.
    pub pace: Pace,
    /// What stands in front of every value, with a dot.
    pub value_prefix: Option<i32>,
    /// Keys count from 0 up to here, and begin again.
    pub repeating_keys: Option<i32>,
    /// What the first record is stamped with; without it, all are stamped with the time.
    pub create_time: Option<i64>,
    /// Whether to write a history down.
    pub history: bool,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Event {
    /// Before the first record.
    Started,
    /// A record was acknowledged; −1 where nobody says at which offset.
    Acked { record: Record, offset: i64 },
    /// A record was not.
    Failed { record: Record, class: &'static str, message: &'static str },
    /// What a person should know of connections, and of the topic.
    Trouble(String),
    /// After the last record's event.
    Stopped,
    /// The end.
    Summed { sent: u64, acked: u64, took: Duration },
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: String,
}

/// Does it, until SIGTERM or SIGINT at the latest. The driver calls `tell` in the order of events. The answer is the history, if
/// one was asked for: record `n` is value `n` of client 0, whatever its text.
pub fn run(plan: &Plan, prng: Prng, tell: &mut dyn FnMut(Event)) -> io::Result<Option<Recorder>> {
    let mut drive = Drive::new(&plan.settings, 1, prng)?;
    drive.catch_signals()?;
    let start = drive.now();
    let history = plan.history.then(Recorder::new);
    let run = Run { plan, drive, start, sent: 0, acked: 0, waiting: BTreeMap::new(), blocked: None, history };
    run.through(tell)
}

struct Run<'a> {
    plan: &'a Plan,
    drive: Drive,
    start: Instant,
    sent: u64,
    acked: u64,
    /// Which record the producer knows by which number, as long as it has not ended.
    waiting: BTreeMap<u64, u64>,
    /// Since when there is no room for the next record.
    blocked: Option<Instant>,
    history: Option<Recorder>,
}

impl Run<'_> {
    fn through(mut self, tell: &mut dyn FnMut(Event)) -> io::Result<Option<Recorder>> {
        tell(Event::Started);
        let mut taken = 0;
        loop {
            let is_over = self.drive.stops_asked() > 0 || Some(self.sent) == self.plan.records;
            let patience = match is_over {
                true => {
                    self.drive.flush();
                    PATIENCE
                }
                false => self.push_some(&mut taken, tell),
            };
            self.drive.turn(patience)?;
            while let Some((_, ended)) = self.drive.next_ended() {
                self.on_ended(&ended, tell);
            }
            if let Some(trouble) = self.drive.take_trouble() {
                tell(Event::Trouble(trouble));
            }
            // Asked twice, it does not wait for answers any more.
            if is_over && self.drive.is_idle() || self.drive.stops_asked() > 1 {
                break;
            }
        }
        tell(Event::Stopped);
        let took = self.drive.now().since(self.start);
        tell(Event::Summed { sent: self.sent, acked: self.acked, took });
        Ok(self.history)
    }

    /// Pushes what is due, a batch or so at most; how long there is nothing more to do.
    fn push_some(&mut self, taken: &mut u64, tell: &mut dyn FnMut(Event)) -> Duration {
        for _ in 0..RECORDS_PER_TURN {
            let now = self.drive.now();
            if Some(self.sent) == self.plan.records {
                return Duration::ZERO;
            }
            if self.plan.pace.due_by(self.start, now) <= self.sent {
                return self.drive.clock().until(self.plan.pace.due(self.start, self.sent)).min(PATIENCE);
            }
            let record = self.record(self.sent);
            let (timestamp, value) = (self.timestamp(now), record.value.as_bytes());
            let shape = Shape { timestamp, key: record.key.as_deref().map(str::as_bytes), value_bytes: value.len() };
            match self.drive.push(0, now, &shape, |place| place.copy_from_slice(value)) {
                Ok(()) => {
                    self.waiting.insert(*taken, self.sent);
                    if let Some(history) = &mut self.history {
                        let ask = Ask::Append { values: vec![value::number(ClientId(0), self.sent as u32)] };
                        history.invoked(now, ClientId(0), self.sent, ask);
                    }
                    *taken += 1;
                }
                Err(Refused::Full) if now.since(*self.blocked.get_or_insert(now)) < self.plan.settings.block_max => {
                    return PATIENCE;
                }
                Err(Refused::Full) => {
                    let message = "Failed to allocate memory within the configured max blocking time.";
                    tell(Event::Failed { record, class: "TimeoutException", message });
                }
                Err(Refused::TooLarge { .. }) => {
                    let message = "The message is larger than the max.request.size configuration.";
                    tell(Event::Failed { record, class: "RecordTooLargeException", message });
                }
            }
            self.blocked = None;
            self.sent += 1;
        }
        Duration::ZERO
    }

    fn on_ended(&mut self, ended: &Ended, tell: &mut dyn FnMut(Event)) {
        for index in 0..u64::from(ended.records) {
            let number = self.waiting.remove(&(ended.first_record + index));
            let number = number.expect("invariant: a record ends once, after it was taken");
            let record = self.record(number);
            if let Some(history) = &mut self.history {
                history.returned(self.drive.now(), ClientId(0), number, outcome(ended.fate, index));
            }
            tell(match ended.fate {
                Fate::Acked { base } => {
                    self.acked += 1;
                    Event::Acked { record, offset: base.map_or(-1, |Offset(base)| (base + index) as i64) }
                }
                Fate::Failed { error } | Fate::Open { error } => {
                    let (class, message) = exception::exception_of(error);
                    Event::Failed { record, class, message }
                }
            });
        }
    }

    fn record(&self, number: u64) -> Record {
        let value = match self.plan.value_prefix {
            Some(prefix) => format!("{prefix}.{number}"),
            None => number.to_string(),
        };
        // Kafka counts up and begins again at the number, which it never reaches when that is 0 or less.
        let key = self.plan.repeating_keys.map(|keys| match u64::try_from(keys) {
            Ok(keys @ 1..) => (number % keys).to_string(),
            _ => number.to_string(),
        });
        Record { key, value }
    }

    /// Given a first time, Kafka's tool adds the time since its start to it with every record: the stamps run ahead.
    fn timestamp(&self, now: Instant) -> Timestamp {
        match self.plan.create_time {
            None => self.drive.timestamp(now),
            Some(first) => {
                let since = i64::try_from(now.since(self.start).as_millis()).unwrap_or(i64::MAX);
                Timestamp(first.saturating_add(since))
            }
        }
    }
}

/// What a history says of record `index` of a batch.
pub(in crate::server::load) fn outcome(fate: Fate, index: u64) -> Outcome {
    match fate {
        Fate::Acked { base: Some(base) } => Outcome::Ok(Told::Appended { offset: base.0 + index }),
        Fate::Acked { base: None } | Fate::Open { .. } => Outcome::Open,
        Fate::Failed { .. } => Outcome::Failed,
    }
}

/// How long one wait may take when nothing is due.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records pushed between two looks at the sockets.
const RECORDS_PER_TURN: usize = 64;
