//! What a client asks for, and when; used in both worlds.
//!
//! A workload is one client's behaviour. It appends values that are unique in the history, and between appends it asks
//! the questions that a judge needs answers to: where the log ends, what comes next, and again what was read before,
//! because only who reads twice notices that something changed.
//!
//! The *pace* is that of appends: append number `k` is asked for in the `k`-th interval since the start, at a moment
//! drawn within it, so a rate is exact over any number of whole intervals. Appends that fall behind are asked for as
//! soon as there is room.
//!
//! Clients of keys ([`objects`]) have one operation at a time, and the pace is that of all their operations.
//!
//! **Finishing.** After [`Workload::finish`] the pace is off: what is left of a fixed number of operations is done at
//! once, an endless workload stops, and then the whole log is read once more, or every key ([`Audit`]), so that a value that
//! was acknowledged and lost cannot stay unnoticed because nobody happened to look.
//!
//! [`objects`]: crate::client::objects

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::objects::Objects;
use crate::history::{Ask, ClientId, Outcome, Told, value};
use crate::prng::Prng;
use crate::time::Instant;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Appends unique values, one at a time, reads the tail and consumes in between; not idempotent.
    Append,
    /// The same as an idempotent producer with several batches in flight and retries.
    Producer,
    /// Puts values under keys, one operation at a time, each value once; gets them; compares and sets now and then.
    Kv,
    /// Compares and sets a few keys that hold small numbers; gets them, puts now and then.
    Cas,
}

impl Kind {
    /// All kinds, in the order of declaration.
    pub const ALL: [Kind; 4] = [Kind::Append, Kind::Producer, Kind::Kv, Kind::Cas];

    /// Whether it is about keys, and not about the log itself.
    pub fn is_about_keys(self) -> bool {
        matches!(self, Kind::Kv | Kind::Cas)
    }

    /// The name used in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Append => "append",
            Kind::Producer => "producer",
            Kind::Kv => "kv",
            Kind::Cas => "cas",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What clients read between their writes. With [`Reads::None`] every operation is a write, so that a pace is a pace of
/// writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reads {
    /// Nothing.
    None,
    /// Committed records, as a consumer. All that datagram transport permits.
    Committed,
    /// Committed records, and the linearizable tail of the log.
    #[default]
    Tail,
}

/// Whether the whole log is read at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Ask for the end, then read from offset 0 up to it; where the tail cannot be asked for, until nothing more comes. Who
    /// asks of keys gets each of them.
    ReadAll,
    /// Stop when the operations have ended.
    Skip,
}

/// What one client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    /// Its number in the history.
    pub client: ClientId,
    /// What it does.
    pub kind: Kind,
    /// How many operations, reads included and the audit not; `None` for as many as the time allows.
    pub operations: Option<u64>,
    /// One append in each interval of this length; `None` for as fast as answers come.
    pub pace: Option<Duration>,
    /// Bytes of a value, at least the eight of its number.
    pub value_bytes: usize,
    /// What it reads between its writes.
    pub reads: Reads,
    /// What to do at the end.
    pub audit: Audit,
}

/// One client's behaviour.
#[derive(Clone, Debug)]
pub struct Workload {
    brief: Brief,
    prng: Prng,
    appends_in_flight_max: usize,
    values_per_append_max: u64,
    stage: Stage,
    /// When the next append is due; `None` before the first step.
    slot: Option<Slot>,
    /// A question to be asked before the next append, and from when on.
    question: Option<(Question, Instant)>,
    running: BTreeMap<u64, Errand>,
    asked: u64,
    sequence: u32,
    objects: Objects,
    /// Where the consumer stands.
    position: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Where the interval begins.
    interval: Instant,
    /// When within it.
    due: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// At its pace.
    Paced,
    /// As fast as answers come.
    Finishing,
    /// Asks for the end of the log.
    AuditEnd,
    /// Reads from `at` to `end`, or until nothing more comes.
    AuditRead { at: u64, end: Option<u64> },
    /// Gets this key and the ones after it.
    AuditKeys { key: u32 },
    /// Nothing is left to do.
    Finished,
}

/// Something to ask between appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Where does the log end?
    End,
    /// What comes next?
    Next,
    /// What stands at and after this offset, which was read before?
    Again { from: u64 },
}

/// Why something was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Append,
    /// Asks something of a key.
    Operate,
    /// Moves the consumer on.
    Consume,
    /// Leaves it where it is.
    Look,
    Audit,
}

impl Workload {
    /// A workload that has asked nothing yet.
    pub fn new(brief: Brief, mut prng: Prng) -> Workload {
        let (appends_in_flight_max, values_per_append_max) = match brief.kind {
            Kind::Append | Kind::Kv | Kind::Cas => (1, 1),
            Kind::Producer => (prng.range(1..6) as usize, 3),
        };
        Workload {
            brief,
            prng,
            appends_in_flight_max,
            values_per_append_max,
            stage: Stage::Paced,
            slot: None,
            question: None,
            running: BTreeMap::new(),
            asked: 0,
            sequence: 0,
            objects: Objects::new(&brief),
            position: 0,
        }
    }

    /// What it was told to do.
    pub fn brief(&self) -> &Brief {
        &self.brief
    }

    /// How many appends it has under way at most.
    pub fn appends_in_flight_max(&self) -> usize {
        self.appends_in_flight_max
    }

    /// How many operations it has asked for, the audit's included.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// What to ask at this moment, and under which number; `None` when it is not time or there is no room.
    pub fn next(&mut self, now: Instant) -> Option<(u64, Ask)> {
        self.move_on();
        let (errand, ask) = match self.stage {
            Stage::Paced | Stage::Finishing => self.next_operation(now)?,
            Stage::AuditEnd if self.running.is_empty() => (Errand::Audit, Ask::Tail),
            Stage::AuditRead { at, .. } if self.running.is_empty() => (Errand::Audit, Ask::Read { from: at }),
            Stage::AuditKeys { key } if self.running.is_empty() => (Errand::Audit, Ask::Get { key }),
            Stage::AuditEnd | Stage::AuditRead { .. } | Stage::AuditKeys { .. } | Stage::Finished => return None,
        };
        let serial = self.asked;
        self.asked += 1;
        self.running.insert(serial, errand);
        Some((serial, ask))
    }

    /// How an operation ended.
    pub fn on_returned(&mut self, serial: u64, outcome: &Outcome) {
        let errand = self.running.remove(&serial).expect("invariant: only what was asked for ends");
        match (errand, outcome) {
            (Errand::Consume, Outcome::Ok(Told::Read { next, .. })) => self.position = self.position.max(*next),
            (Errand::Operate, Outcome::Ok(told)) => self.objects.on_told(told),
            (Errand::Audit, Outcome::Ok(told)) => self.on_audited(told),
            // An audit that was refused or timed out is asked for again; anything else was evidence, and that is all.
            _ => {}
        }
    }

    /// When [`Workload::next`] may have something to ask that it has not now.
    pub fn deadline(&self) -> Option<Instant> {
        if self.stage != Stage::Paced || self.is_exhausted() {
            return None;
        }
        let question = self.question.filter(|_| self.has_room_to_look()).map(|(_, due)| due);
        let append = self.slot.filter(|_| self.has_room_to_append()).map(|slot| slot.due);
        question.into_iter().chain(append).min()
    }

    /// From here on: no pace, no new work, an audit, and the end.
    pub fn finish(&mut self) {
        if self.stage == Stage::Paced {
            self.stage = Stage::Finishing;
        }
    }

    /// Whether everything that was to be done is done. A workload with a fixed number of operations is done when they
    /// have ended, and after [`Workload::finish`] again when the audit has.
    pub fn is_done(&self) -> bool {
        match self.stage {
            Stage::Paced => self.is_exhausted() && self.running.is_empty(),
            Stage::Finished => true,
            Stage::Finishing | Stage::AuditEnd | Stage::AuditRead { .. } | Stage::AuditKeys { .. } => false,
        }
    }

    fn move_on(&mut self) {
        let is_idle = self.running.is_empty();
        let has_work = self.brief.operations.is_some() && !self.is_exhausted();
        if self.stage == Stage::Finishing && is_idle && !has_work {
            self.stage = match self.brief.audit {
                Audit::ReadAll if self.brief.kind.is_about_keys() => {
                    Stage::AuditKeys { key: self.objects.keys().start }
                }
                Audit::ReadAll if self.brief.reads == Reads::Committed => Stage::AuditRead { at: 0, end: None },
                Audit::ReadAll => Stage::AuditEnd,
                Audit::Skip => Stage::Finished,
            };
        }
    }

    fn next_operation(&mut self, now: Instant) -> Option<(Errand, Ask)> {
        let is_ending = self.stage == Stage::Finishing && self.brief.operations.is_none();
        if self.is_exhausted() || is_ending {
            return None;
        }
        let is_paced = self.stage == Stage::Paced;
        if self.has_room_to_look()
            && let Some((question, _)) = self.question.take_if(|(_, due)| !is_paced || *due <= now)
        {
            return Some(match question {
                Question::End => (Errand::Look, Ask::Tail),
                Question::Next => (Errand::Consume, Ask::Read { from: self.position }),
                Question::Again { from } => (Errand::Look, Ask::Read { from }),
            });
        }
        if !self.has_room_to_append() || !self.is_due(now) {
            return None;
        }
        if self.brief.kind.is_about_keys() {
            return Some((Errand::Operate, self.objects.draw(&mut self.prng)));
        }
        self.question = self.draw_question().map(|question| (question, self.draw_moment(now)));
        Some((Errand::Append, Ask::Append { values: self.new_values() }))
    }

    /// Whether an append is due; if so, the next one is put into the next interval.
    fn is_due(&mut self, now: Instant) -> bool {
        let Some(pace) = self.brief.pace.filter(|_| self.stage == Stage::Paced) else { return true };
        let slot = match self.slot {
            Some(slot) => slot,
            None => self.draw_slot(now, pace),
        };
        if now < slot.due {
            self.slot = Some(slot);
            return false;
        }
        self.slot = Some(self.draw_slot(slot.interval + pace, pace));
        true
    }

    fn draw_slot(&mut self, interval: Instant, pace: Duration) -> Slot {
        let length = u64::try_from(pace.as_nanos()).expect("invariant: a pace is shorter than centuries");
        let due = interval + Duration::from_nanos(self.prng.below(length.max(1)));
        Slot { interval, due }
    }

    fn draw_question(&mut self) -> Option<Question> {
        let drawn = self.prng.below(10);
        match drawn {
            _ if self.brief.reads == Reads::None => None,
            0..6 => None,
            6 | 7 if self.brief.reads == Reads::Tail => Some(Question::End),
            6 | 7 => Some(Question::Next),
            8 => Some(Question::Next),
            // What was read once must read the same for ever. Half of the time from the very beginning.
            _ if self.prng.chance(1, 2) => Some(Question::Again { from: 0 }),
            _ => Some(Question::Again { from: self.prng.below(self.position + 1) }),
        }
    }

    /// When to ask: at once, or at any moment before the next append is due. Who asks only what it has just written
    /// about never asks a leader that has been replaced in the meantime.
    fn draw_moment(&mut self, now: Instant) -> Instant {
        let Some(slot) = self.slot.filter(|slot| slot.due > now && self.brief.pace.is_some()) else { return now };
        match self.prng.chance(1, 2) {
            true => now,
            false => Instant(now.0 + self.prng.below(slot.due.0 - now.0)),
        }
    }

    fn new_values(&mut self) -> Vec<u64> {
        let count = self.prng.range(1..self.values_per_append_max + 1);
        let mut values = Vec::with_capacity(count as usize);
        for _ in 0..count {
            values.push(value::number(self.brief.client, self.sequence));
            self.sequence = self.sequence.checked_add(1).expect("invariant: a client writes fewer than 2³² values");
        }
        values
    }

    fn has_room_to_append(&self) -> bool {
        let appends = self.running.values().filter(|errand| **errand == Errand::Append).count();
        match self.brief.kind {
            Kind::Append | Kind::Kv | Kind::Cas => self.running.is_empty(),
            Kind::Producer => appends < self.appends_in_flight_max,
        }
    }

    fn has_room_to_look(&self) -> bool {
        match self.brief.kind {
            Kind::Append | Kind::Kv | Kind::Cas => self.running.is_empty(),
            Kind::Producer => self.running.values().all(|errand| *errand == Errand::Append),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.brief.operations.is_some_and(|operations| self.asked >= operations)
    }

    fn on_audited(&mut self, told: &Told) {
        self.stage = match (self.stage, told) {
            (Stage::AuditEnd, Told::Tail { end }) if *end > 0 => Stage::AuditRead { at: 0, end: Some(*end) },
            (Stage::AuditRead { at, end }, Told::Read { next, .. }) if end.map_or(*next > at, |end| *next < end) => {
                Stage::AuditRead { at: *next, end }
            }
            (Stage::AuditKeys { key }, Told::Got { .. }) if key + 1 < self.objects.keys().end => {
                Stage::AuditKeys { key: key + 1 }
            }
            _ => Stage::Finished,
        };
    }
}
