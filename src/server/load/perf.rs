//! The performance test: sends records at a pace, says how it goes, and compares in the end.
//!
//! ```text
//!   burst ─▶ burst ─▶ … ─▶ turn ─▶ what has ended ─▶ statistics, ledger, history
//!     ▲  until a batch can leave, 16 KiB are written,        │
//!     └─ nothing is due, or there is no room ────────────────┘
//! ```
//!
//! A burst writes a few KiB of records at one reading of the clock. Latencies are therefore measured from the beginning of
//! a burst: never too short.

use std::io;
use std::time::Duration;

use crate::client::producer::{Counters, Ended, Fate, Idempotence, Refused, Run, Settings, exception};
use crate::client::values;
use crate::history::{Ask, ClientId, Outcome, Recorder, Told};
use crate::ids::Offset;
use crate::prng::Prng;
use crate::server::load::drive::Drive;
use crate::server::load::histogram::{Latencies, Percentiles};
use crate::server::load::ledger::{Ledger, Promise, Report};
use crate::server::load::pace::Pace;
use crate::server::load::payload::{Keys, Payloads, Source};
use crate::server::load::reading::{Consumed, Fetched, ReadError, Reader};
use crate::server::load::stats::{Part, Stats};
use crate::server::load::verifiable::outcome;
use crate::time::Instant;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The producers' settings.
    pub settings: Settings,
    /// Producers, each with connections of its own; records are dealt out to them.
    pub clients: u32,
    /// Records in all.
    pub records: u64,
    /// Of these, how many come before the steady part.
    pub warmup: u64,
    /// How fast, all clients together.
    pub pace: Pace,
    /// Records of one client that may be under way at a time, for a load that waits for its answers.
    pub in_flight_records_max: Option<u64>,
    /// When to send no more, though there are more records.
    pub time_limit: Option<Duration>,
    /// What is sent.
    pub source: Source,
    /// Under which keys.
    pub keys: Keys,
    /// The seed of payloads and keys.
    pub seed: u64,
    /// How often to say how it goes, ms.
    pub interval_ms: u64,
    /// What comes after.
    pub after: After,
}

/// What a test does besides producing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Read everything back and compare it with what was acknowledged.
    pub verify: bool,
    /// Measure how fast it can be read.
    pub consume: bool,
    /// Write a history down, reads included.
    pub history: bool,
}

/// What a test says while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// How it goes.
    Progress(String),
    /// What went wrong.
    Trouble(String),
}

/// What a test came to.
#[derive(Debug)]
pub struct Summary {
    /// The last line of Kafka's tool, and after a warm-up the one of the steady part.
    pub totals: Vec<String>,
    /// Acknowledged records.
    pub acked: u64,
    /// Records that were not.
    pub failed: u64,
    /// Bytes of acknowledged values.
    pub bytes: u64,
    /// From the first record to the last answer.
    pub took: Duration,
    /// How long records took, from when they were sent.
    pub latencies: Percentiles,
    /// How long they took from when they were due; none where the pace is unlimited, since nothing is due then.
    pub corrected: Option<Percentiles>,
    /// Requests and the like.
    pub counters: Counters,
    /// What reading back came to.
    pub report: Option<Report>,
    /// How fast reading was.
    pub consumed: Option<Consumed>,
    /// What was asked and told.
    pub history: Option<Recorder>,
}

/// Does it. Whatever is to be said on the way is given to `say`.
pub fn run(plan: &Plan, prng: Prng, say: &mut dyn FnMut(Line)) -> Result<Summary, ReadError> {
    let mut test = Test::new(plan, prng)?;
    let from = match plan.after.is_reading() {
        true => Some(test.reader()?.end()?),
        false => None,
    };
    test.start();
    test.produce(say)?;
    test.finish(from)
}

struct Test<'a> {
    plan: &'a Plan,
    prng: Prng,
    drive: Drive,
    talkers: Vec<Talker>,
    start: Instant,
    whole: Stats,
    steady: Option<Stats>,
    /// When the steady part began.
    steady_from: Instant,
    pushed: u64,
    failed: u64,
    latencies: Latencies,
    corrected: Latencies,
    ledger: Ledger,
    history: Option<Recorder>,
    lines: Vec<String>,
}

/// One client.
struct Talker {
    payloads: Payloads,
    pace: Pace,
    /// How many records it is to send.
    share: u64,
    /// How many it has tried to send.
    tried: u64,
    /// How many have ended.
    ended: u64,
    /// Since when there is no room for its next record.
    blocked: Option<Instant>,
}

/// What ended a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// There is more to do at once.
    None,
    /// The next record is due then.
    Until(Instant),
    /// There is no room before something ends.
    Full,
    /// Nothing is left.
    Done,
}

impl After {
    fn is_reading(self) -> bool {
        self.verify || self.consume || self.history
    }
}

impl<'a> Test<'a> {
    fn new(plan: &'a Plan, mut prng: Prng) -> io::Result<Test<'a>> {
        let drive = Drive::new(&plan.settings, plan.clients, Prng::new(prng.word(), 0))?;
        let now = drive.now();
        let clients = u64::from(plan.clients);
        let talker = |client: u32| Talker {
            payloads: Payloads::new(plan.source.clone(), plan.keys, plan.seed, client, plan.clients),
            pace: plan.pace.part(plan.clients as usize),
            share: plan.records / clients + u64::from(u64::from(client) < plan.records % clients),
            tried: 0,
            ended: 0,
            blocked: None,
        };
        Ok(Test {
            plan,
            prng,
            talkers: (0..plan.clients).map(talker).collect(),
            start: now,
            whole: Stats::new(now, plan.records, plan.interval_ms, Part::Whole),
            steady: None,
            steady_from: now,
            pushed: 0,
            failed: 0,
            latencies: Latencies::new(),
            corrected: Latencies::new(),
            ledger: Ledger::default(),
            history: plan.after.history.then(Recorder::new),
            lines: Vec::new(),
            drive,
        })
    }

    fn reader(&mut self) -> io::Result<Reader> {
        Reader::new(&self.plan.settings, Prng::new(self.prng.word(), 0), self.drive.clock())
    }

    fn start(&mut self) {
        self.start = self.drive.now();
        self.whole = Stats::new(self.start, self.plan.records, self.plan.interval_ms, Part::Whole);
    }

    fn produce(&mut self, say: &mut dyn FnMut(Line)) -> io::Result<()> {
        let mut is_flushing = false;
        loop {
            let mut patience = PATIENCE;
            let mut is_done = true;
            for client in 0..self.talkers.len() {
                let rest = self.bursts(client, say);
                is_done &= rest == Rest::Done;
                patience = match rest {
                    Rest::None => Duration::ZERO,
                    Rest::Until(at) => patience.min(self.drive.clock().until(at)),
                    Rest::Full | Rest::Done => patience,
                };
            }
            if is_done && !is_flushing {
                is_flushing = true;
                self.drive.flush();
            }
            if is_flushing && self.drive.is_idle() {
                return Ok(());
            }
            self.drive.turn(patience)?;
            let now = self.drive.now();
            while let Some((client, ended)) = self.drive.next_ended() {
                self.on_ended(client, &ended, now, say);
            }
            self.lines.drain(..).for_each(|line| say(Line::Progress(line)));
            if let Some(trouble) = self.drive.take_trouble() {
                say(Line::Trouble(trouble));
            }
        }
    }

    /// Pushes records of one client until it is time for a turn.
    fn bursts(&mut self, client: usize, say: &mut dyn FnMut(Line)) -> Rest {
        let mut bytes = 0;
        loop {
            let now = self.drive.now();
            let talker = &self.talkers[client];
            let is_late = self.plan.time_limit.is_some_and(|limit| now.since(self.start) >= limit);
            if talker.tried == talker.share || is_late {
                return Rest::Done;
            }
            let due = talker.pace.due_by(self.start, now).min(talker.share);
            if due <= talker.tried {
                return Rest::Until(talker.pace.due(self.start, talker.tried));
            }
            let room = self.plan.in_flight_records_max.map_or(u64::MAX, |max| talker.ended + max);
            if room <= talker.tried {
                return Rest::Full;
            }
            self.begin_steady_part(now);
            match self.burst(client, due.min(room), now) {
                Ok(pushed) => bytes += pushed,
                Err(Refused::TooLarge { bytes }) => {
                    self.refuse(client, say, too_large(bytes, &self.plan.settings));
                }
                Err(Refused::Full) => {
                    let since = *self.talkers[client].blocked.get_or_insert(now);
                    if now.since(since) < self.plan.settings.block_max {
                        return Rest::Full;
                    }
                    self.refuse(client, say, no_room(&self.plan.settings));
                }
            }
            // Who waits for answers has a fixed number of records to send: they leave together, as far as batches hold them.
            let is_bounded = self.plan.in_flight_records_max.is_some();
            let bytes_max = if is_bounded { self.plan.settings.batch_bytes.max(TURN_BYTES) } else { TURN_BYTES };
            if bytes >= bytes_max || !is_bounded && self.drive.is_due(client, now) {
                return Rest::None;
            }
        }
    }

    /// Pushes records of a client, up to its record `limit`, a few KiB at most; how many bytes it were.
    fn burst(&mut self, client: usize, limit: u64, now: Instant) -> Result<usize, Refused> {
        let timestamp = self.drive.timestamp(now);
        let talker = &mut self.talkers[client];
        let until_steady = self.plan.warmup.checked_sub(self.pushed).filter(|&rest| rest > 0).unwrap_or(u64::MAX);
        let limit = limit.min(talker.tried.saturating_add(until_steady)).min(talker.tried + BURST_RECORDS);
        let mut bytes = 0;
        while talker.tried < limit && bytes < BURST_BYTES {
            let (shape, write) = talker.payloads.next(timestamp);
            let value_bytes = shape.value_bytes;
            self.drive.push(client, now, &shape, write)?;
            bytes += value_bytes;
            if let Some(history) = &mut self.history {
                let ask = Ask::Append { values: vec![talker.payloads.value_number()] };
                history.invoked(now, ClientId(client as u32), talker.tried, ask);
            }
            talker.payloads.advance();
            talker.tried += 1;
            talker.blocked = None;
            self.pushed += 1;
        }
        Ok(bytes)
    }

    /// The next record of a client is none.
    fn refuse(&mut self, client: usize, say: &mut dyn FnMut(Line), why: String) {
        let talker = &mut self.talkers[client];
        talker.payloads.advance();
        talker.share -= 1;
        talker.blocked = None;
        self.failed += 1;
        say(Line::Trouble(why));
    }

    fn begin_steady_part(&mut self, now: Instant) {
        if self.plan.warmup > 0 && self.pushed == self.plan.warmup && self.steady.is_none() {
            let records = self.plan.records - self.plan.warmup;
            self.steady = Some(Stats::new(now, records, self.plan.interval_ms, Part::Steady));
            self.steady_from = now;
            self.whole.silence();
        }
    }

    fn on_ended(&mut self, client: usize, ended: &Ended, now: Instant, say: &mut dyn FnMut(Line)) {
        let talker = &mut self.talkers[client];
        talker.ended += u64::from(ended.records);
        if self.plan.after.verify {
            self.ledger.note(client, ended);
        }
        self.write_history(client, ended, now);
        let error = match ended.fate {
            Fate::Acked { .. } => return self.on_acked(client, ended, now),
            Fate::Failed { error } | Fate::Open { error } => error,
        };
        self.failed += u64::from(ended.records);
        let (class, message) = exception::exception_of(error);
        let (records, settings) = (ended.records, &self.plan.settings);
        say(Line::Trouble(match ended.attempts {
            0 => format!(
                "org.apache.kafka.common.errors.TimeoutException: Expiring {records} record(s) for {}-0:{} ms has passed \
                 since batch creation",
                settings.topic,
                settings.delivery_timeout.as_millis()
            ),
            _ => format!("org.apache.kafka.common.errors.{class}: {message} ({records} records)"),
        }));
    }

    fn on_acked(&mut self, client: usize, ended: &Ended, now: Instant) {
        let mut record = ended.first_record;
        for run in &ended.runs {
            let &Run { at, records, value_bytes } = run;
            self.whole.record(now, at, u64::from(records), value_bytes, &mut self.lines);
            if let Some(steady) = self.steady.as_mut().filter(|_| at >= self.steady_from) {
                steady.record(now, at, u64::from(records), value_bytes, &mut self.lines);
            }
            self.latencies.record(now.since(at), u64::from(records));
            if self.plan.pace != Pace::Unlimited {
                let pace = self.talkers[client].pace;
                for number in record..record + u64::from(records) {
                    self.corrected.record(now.since(pace.due(self.start, number).min(at)), 1);
                }
            }
            record += u64::from(records);
        }
    }

    fn write_history(&mut self, client: usize, ended: &Ended, now: Instant) {
        let Some(history) = &mut self.history else { return };
        for index in 0..u64::from(ended.records) {
            let outcome = outcome(ended.fate, index);
            history.returned(now, ClientId(client as u32), ended.first_record + index, outcome);
        }
    }

    fn finish(mut self, from: Option<Offset>) -> Result<Summary, ReadError> {
        let now = self.drive.now();
        let totals = [Some(&self.whole), self.steady.as_ref()];
        let totals = totals.into_iter().flatten().map(|stats| stats.total_line(now)).collect();
        let took = now.since(self.start);
        let (report, consumed) = match from {
            Some(from) => self.read_back(from)?,
            None => (None, None),
        };
        Ok(Summary {
            totals,
            acked: self.whole.records(),
            failed: self.failed,
            bytes: self.whole.bytes(),
            took,
            latencies: self.latencies.percentiles(),
            corrected: (self.plan.pace != Pace::Unlimited).then(|| self.corrected.percentiles()),
            counters: self.drive.counters(),
            report,
            consumed,
            history: self.history,
        })
    }

    fn read_back(&mut self, from: Offset) -> Result<(Option<Report>, Option<Consumed>), ReadError> {
        let After { verify, consume, .. } = self.plan.after;
        let mut reader = self.reader()?;
        let asked = reader.now();
        let end = reader.end()?;
        let auditor = ClientId(self.plan.clients);
        if let Some(history) = &mut self.history {
            history.invoked(asked, auditor, 0, Ask::Tail);
            history.returned(reader.now(), auditor, 0, Outcome::Ok(Told::Tail { end: end.0 }));
        }
        let consumed = match consume {
            true => Some(reader.read(from, end, |_| {})?),
            false => None,
        };
        if !verify && self.history.is_none() {
            return Ok((None, consumed));
        }
        let promise = match self.plan.settings.idempotence {
            Idempotence::On => Promise::ExactlyOnce,
            Idempotence::Off => Promise::AtLeastOnce,
        };
        let (mut ledger, mut serial) = (std::mem::take(&mut self.ledger), 0);
        reader.read(from, end, |fetched: &Fetched<'_>| {
            for batch in fetched.batches.iter().filter(|batch| !batch.is_control() && batch.base_offset() >= from) {
                ledger.find(batch, promise);
            }
            if let Some(history) = &mut self.history {
                serial += 1;
                history.invoked(fetched.asked, auditor, serial, Ask::Read { from: fetched.from.0 });
                let told = values::read(fetched.from, fetched.batches);
                history.returned(fetched.told, auditor, serial, Outcome::Ok(told));
            }
        })?;
        Ok((verify.then(|| ledger.close()), consumed))
    }
}

fn too_large(bytes: usize, settings: &Settings) -> String {
    format!(
        "org.apache.kafka.common.errors.RecordTooLargeException: The message is {bytes} bytes when serialized which is \
         larger than {}, which is the value of the max.request.size configuration.",
        settings.request_bytes_max
    )
}

fn no_room(settings: &Settings) -> String {
    format!(
        "org.apache.kafka.common.errors.TimeoutException: Failed to allocate {} bytes within the configured max blocking \
         time {} ms.",
        settings.batch_bytes,
        settings.block_max.as_millis()
    )
}

/// How long one wait may take when nothing is due.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of values written at one reading of the clock.
const BURST_BYTES: usize = 4 << 10;

/// Records written at one reading of the clock.
const BURST_RECORDS: u64 = 256;

/// Bytes of values written between two looks at the sockets.
const TURN_BYTES: usize = 16 << 10;
