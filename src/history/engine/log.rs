//! The log monitor: were these answers given by one log?
//!
//! In general that question is a search through all orders of the operations. Offsets answer it: an acknowledged append
//! *says* where it stands, so the order is known, and what remains is to check that it is possible. Three statements
//! are checked, each in O(log n) for every value or answer:
//!
//! 1. **Content.** An offset holds one value or none, for ever; a value stands at one offset; the values of one append
//!    are adjacent; nothing stands in the log whose append failed, or that nobody has appended yet. Two answers that
//!    disagree are a violation whichever of them came first. An open append stands once or not at all: clients that
//!    cannot recognise their own duplicates never send a value twice, and those that can must not see one.
//! 2. **Real time of appends and tails.** Each answer proves that the log had reached some length: an append at `b` of
//!    `n` values, `b + n`; a tail read, its end; a read of committed values, the offset after its last. Whoever *asks*
//!    afterwards finds no less: an append that is invoked later gets a larger offset, a tail read invoked later says no
//!    smaller end. (That is the whole condition for a log with offsets: no operation of a lower position is called after one of a higher position
//!    has returned.)
//! 3. **Reads** of committed values need not be up to date, a plain consumer is not promised that; but what they return
//!    is committed, so it counts as proof in 1 and 2.
//!
//! **What plain consumers are promised** is less than a linearizable tail, and is checked of every read `R`, which was asked for
//! `from` and told cells (offset, value) and `next`:
//!
//! | promise | formally | if broken |
//! |---|---|---|
//! | committed | `(o, v)` in `R` implies an append `A` of `v` that did not fail, and `A` was called before `R` returned | [`Anomaly::DirtyRead`], [`Anomaly::Invented`] |
//! | monotonic | offsets in `R` ascend from `from` on: a position never goes back | [`Anomaly::Nonmonotonic`] |
//! | no rewrite | `(o, v)` in `R` and `(o, w)` in another read imply `v = w` | [`Anomaly::Rewritten`] |
//! | no gap | an append was told offset `o` for `v`, and `from <= o < next`, imply `(o, v)` in `R` | [`Anomaly::LostWrite`] |
//!
//! How far `next` gets is not promised: after an election the high watermark may lag behind what an earlier leader had told.
//!
//! **Which of two lies is told.** What was acknowledged and lost, or read and replaced, breaks real time as well: whoever appends
//! after that lands too low, and the end is too near. So where an answer breaks statement 2, and the history statement 1 anywhere,
//! the latter is what a finished history is accused of.
//!
//! Offsets between values are legal: a new leader writes a record of its own. Hence an open append that nobody has seen
//! needs no place. For the same reason the monitor is exact: if 1 and 2 hold, the appends and tails in the order of
//! their positions are the log's history. (A test compares it with brute force over all orders.)
//!
//! **Use.** Tell [`LogMonitor`] of invokes and returns in the order in which they happened, as `check` does during a run,
//! or give a finished history to [`check`].

use std::collections::BTreeMap;

use crate::history::engine::gaps::Gaps;
use crate::history::{Ask, ClientId, Operation, Outcome, Told, value};
use crate::time::Instant;

/// What kind of lie was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// An acknowledged value is not where it was said to be.
    LostWrite,
    /// One value at two offsets.
    Duplicate,
    /// Two appends were acknowledged at one offset, so that one of them is lost.
    SharedOffset,
    /// What was read at an offset differs from what is said of it later: it was not committed when it was read.
    Rewritten,
    /// The values of one append are not adjacent, or the log ended between them.
    TornBatch,
    /// A value was read whose append failed.
    DirtyRead,
    /// A value was read that nobody had appended.
    Invented,
    /// A read went back below the offset that it was at.
    Nonmonotonic,
    /// A tail read ends below what was known before it was asked.
    StaleTail,
    /// An append stands below what was known before it was asked.
    Reordered,
    /// Two appends of one client stand in another order than it sent them. (Of producers alone.)
    OutOfSequence,
    /// An answer that no log could have given.
    Unreadable,
}

impl Anomaly {
    /// The name in messages: Jepsen's for Kafka-like logs, where it has one. (`jepsen/tests/kafka.clj`.)
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::LostWrite | Anomaly::SharedOffset => "lost write",
            Anomaly::Duplicate => "duplicate",
            Anomaly::Rewritten | Anomaly::DirtyRead => "dirty read",
            Anomaly::TornBatch => "torn batch",
            Anomaly::Invented => "invented value",
            Anomaly::Nonmonotonic => "nonmonotonic read",
            Anomaly::StaleTail => "stale read",
            Anomaly::Reordered | Anomaly::OutOfSequence => "reorder",
            Anomaly::Unreadable => "impossible answer",
        }
    }
}

/// Operations that cannot all have happened in one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The kind.
    pub anomaly: Anomaly,
    /// What conflicts, in words; the anomaly's name comes first.
    pub message: String,
    /// The operations that conflict, by index in the history; the last is the one that gave it away.
    pub operations: Vec<usize>,
}

/// Follows a history as it happens.
#[derive(Clone, Debug, Default)]
pub struct LogMonitor {
    facts: Vec<Fact>,
    /// Value → the append it belongs to, and its place among that append's values.
    origins: BTreeMap<u64, (usize, u64)>,
    /// Offset → the value there, and the operation whose answer said so first.
    contents: BTreeMap<u64, (u64, usize)>,
    /// Offsets that were read and hold no value.
    gaps: Gaps,
    /// Where the log was said to end, and to whom first.
    ends: BTreeMap<u64, usize>,
    /// The greatest length that was proved, and by which operation.
    known: Option<Proof>,
    answers: u64,
    judges: Judges,
}

/// Which statements are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Judges {
    #[default]
    All,
    /// Not the second, real time.
    Content,
}

/// The log had this length when this operation returned.
#[derive(Clone, Copy, Debug)]
struct Proof {
    end: u64,
    by: usize,
}

/// What must be remembered of an operation.
#[derive(Clone, Debug)]
struct Fact {
    client: ClientId,
    invoked: Instant,
    returned: Option<Instant>,
    /// What was known when it was invoked.
    floor: Option<Proof>,
    said: Said,
}

#[derive(Clone, Debug)]
enum Said {
    Append { values: Vec<u64>, base: Option<u64>, is_failed: bool },
    Tail { end: Option<u64> },
    Read { from: u64, next: Option<u64> },
    OfKey,
}

/// Judges a finished history. Events of one instant count as concurrent.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    match follow(history, Judges::All) {
        Err(late @ Violation { anomaly: Anomaly::StaleTail | Anomaly::Reordered, .. }) => {
            Err(follow(history, Judges::Content).err().unwrap_or(late))
        }
        judged => judged,
    }
}

fn follow(history: &[Operation], judges: Judges) -> Result<(), Violation> {
    let mut events: Vec<(Instant, bool, usize)> = Vec::with_capacity(history.len() * 2);
    for (index, operation) in history.iter().enumerate() {
        events.push((operation.invoked, false, index));
        // Failed operations may lack a time of return; they are judged at the end.
        let ends = operation.outcome != Outcome::Open;
        events.extend(ends.then_some((operation.returned.unwrap_or(Instant(u64::MAX)), true, index)));
    }
    events.sort();
    let mut numbers = vec![usize::MAX; history.len()];
    let mut monitor = LogMonitor { judges, ..LogMonitor::default() };
    for (_, is_return, index) in events {
        if is_return {
            monitor.on_returned(numbers[index], &history[index]).map_err(|violation| violation.renumbered(&numbers))?;
        } else {
            numbers[index] = monitor.facts.len();
            monitor.on_invoked(numbers[index], &history[index]);
        }
    }
    Ok(())
}

impl LogMonitor {
    /// A monitor that has seen nothing.
    pub fn new() -> LogMonitor {
        LogMonitor::default()
    }

    /// How many answers were put to the test.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// An operation was invoked. Operations are numbered from 0 in the order of their invokes; the outcome is not
    /// looked at.
    pub fn on_invoked(&mut self, index: usize, operation: &Operation) {
        assert_eq!(index, self.facts.len(), "operations are numbered in the order of their invokes");
        let said = match &operation.ask {
            Ask::Append { values } => {
                for (place, value) in (0..).zip(values) {
                    let before = self.origins.insert(*value, (index, place));
                    assert!(before.is_none(), "value {} is appended twice: it must be unique", value::name(*value));
                }
                Said::Append { values: values.clone(), base: None, is_failed: false }
            }
            Ask::Tail => Said::Tail { end: None },
            Ask::Read { from } => Said::Read { from: *from, next: None },
            Ask::Get { .. } | Ask::Put { .. } | Ask::Cas { .. } => Said::OfKey,
        };
        let (client, invoked) = (operation.client, operation.invoked);
        let floor = self.known.filter(|_| self.judges == Judges::All);
        self.facts.push(Fact { client, invoked, returned: None, floor, said });
    }

    /// An operation has ended as its outcome says.
    pub fn on_returned(&mut self, index: usize, operation: &Operation) -> Result<(), Violation> {
        if operation.outcome == Outcome::Open {
            return Ok(());
        }
        self.answers += 1;
        self.facts[index].returned = operation.returned;
        match (&operation.ask, &operation.outcome) {
            (_, Outcome::Open) => Ok(()),
            (_, Outcome::Ok(told)) if largest_offset(told) > OFFSET_MAX => {
                Err(self.unreadable(index, &format!("offset {}", largest_offset(told))))
            }
            (Ask::Append { .. }, Outcome::Failed) => self.on_failed(index),
            (Ask::Tail | Ask::Read { .. }, Outcome::Failed) => Ok(()),
            (Ask::Get { .. } | Ask::Put { .. } | Ask::Cas { .. }, Outcome::Failed) => Ok(()),
            // What keys hold is not for this monitor to say.
            (Ask::Get { .. }, Outcome::Ok(Told::Got { .. })) => Ok(()),
            (Ask::Put { .. }, Outcome::Ok(Told::Put { .. })) => Ok(()),
            (Ask::Cas { .. }, Outcome::Ok(Told::Compared { .. })) => Ok(()),
            (Ask::Append { values }, Outcome::Ok(Told::Appended { offset })) => {
                self.place(index, *offset, index)?;
                self.prove(offset + values.len() as u64, index);
                Ok(())
            }
            (Ask::Tail, Outcome::Ok(Told::Tail { end })) => self.on_tail(index, *end),
            (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) => self.on_read(index, *from, values, *next),
            (_, Outcome::Ok(Told::Unreadable { reason })) => Err(self.unreadable(index, reason)),
            (_, Outcome::Ok(_)) => Err(self.unreadable(index, "an answer to another question")),
        }
    }

    fn on_failed(&mut self, index: usize) -> Result<(), Violation> {
        let Said::Append { base, is_failed, .. } = &mut self.facts[index].said else { unreachable!("appends fail") };
        *is_failed = true;
        match *base {
            None => Ok(()),
            Some(offset) => {
                let (value, by) = self.contents[&offset];
                let message = format!("{}, but {}", self.found(by, offset, Some(value)), self.told(index));
                Err(self.violation(Anomaly::DirtyRead, &[by, index], message))
            }
        }
    }

    fn on_tail(&mut self, index: usize, end: u64) -> Result<(), Violation> {
        self.facts[index].said = Said::Tail { end: Some(end) };
        if let Some(floor) = self.facts[index].floor.filter(|floor| end < floor.end) {
            let Fact { client, invoked, .. } = &self.facts[index];
            let message = format!(
                "client {client} asked at {invoked} where the log ends and was told {end}, after {}",
                self.told(floor.by)
            );
            return Err(self.violation(Anomaly::StaleTail, &[floor.by, index], message));
        }
        if let Some(append) = end.checked_sub(1).and_then(|last| self.append_at(last))
            && self.append_at(end) == Some(append)
        {
            let message = format!("{}, in the midst of {}", self.told(index), self.asked(append));
            let by = self.contents[&end].1;
            return Err(self.violation(Anomaly::TornBatch, &[append, by, index], message));
        }
        self.ends.entry(end).or_insert(index);
        self.prove(end, index);
        Ok(())
    }

    fn on_read(&mut self, index: usize, from: u64, values: &[(u64, u64)], next: u64) -> Result<(), Violation> {
        self.facts[index].said = Said::Read { from, next: Some(next) };
        let mut due = from;
        for &(offset, value) in values {
            if offset < due {
                return Err(self.went_back(index, (offset, value), due));
            }
            if offset >= next {
                let reason = format!("{} at offset {offset}, and the next offset is {next}", value::name(value));
                return Err(self.unreadable(index, &reason));
            }
            self.on_gap(index, due, offset)?;
            self.on_value(index, offset, value)?;
            due = offset + 1;
        }
        if due > next {
            return Err(self.unreadable(index, &format!("goes on at {next}, below {due}")));
        }
        self.on_gap(index, due, next)?;
        if next > from {
            self.prove(next, index);
        }
        Ok(())
    }

    /// A read found no value at these offsets.
    fn on_gap(&mut self, index: usize, from: u64, to: u64) -> Result<(), Violation> {
        if from == to {
            return Ok(());
        }
        if let Some((&offset, &(value, by))) = self.contents.range(from..to).next() {
            return Err(self.disagree(offset, (Some(value), by), (None, index)));
        }
        self.gaps.insert(from, to, index);
        Ok(())
    }

    /// A read found this value at this offset.
    fn on_value(&mut self, index: usize, offset: u64, value: u64) -> Result<(), Violation> {
        if self.contents.get(&offset).is_some_and(|&(there, _)| there == value) {
            return Ok(());
        }
        let found = || self.found(index, offset, Some(value));
        let Some(&(append, place)) = self.origins.get(&value) else {
            return Err(self.violation(Anomaly::Invented, &[index], format!("{}, which nobody had appended", found())));
        };
        let Said::Append { base, is_failed, .. } = &self.facts[append].said else {
            unreachable!("values are appended")
        };
        if *is_failed {
            let message = format!("{}, but {}", found(), self.told(append));
            return Err(self.violation(Anomaly::DirtyRead, &[append, index], message));
        }
        if let Some(before) = base.map(|base| base + place).filter(|before| *before != offset) {
            let by = self.contents[&before].1;
            let message = match by == index {
                true => format!("{} and again at offset {offset}", self.found(by, before, Some(value))),
                false => format!("{}, but {}", self.found(by, before, Some(value)), found()),
            };
            return Err(self.violation(Anomaly::Duplicate, &[append, by, index], message));
        }
        let Some(base) = offset.checked_sub(place) else {
            let message = format!("{}, too low for the append of {}", found(), self.names_of(append));
            return Err(self.violation(Anomaly::TornBatch, &[append, index], message));
        };
        self.place(append, base, index)
    }

    /// The values of an append stand from `base` on, as operation `by` was told.
    fn place(&mut self, append: usize, base: u64, by: usize) -> Result<(), Violation> {
        let fact = &mut self.facts[append];
        let Said::Append { values, base: known, .. } = &mut fact.said else {
            unreachable!("only appends have a place")
        };
        if let Some(before) = *known {
            if before == base {
                return Ok(());
            }
            let (value, seen) = self.contents[&before];
            let (now, then) = (self.acknowledged(append, base), self.found(seen, before, Some(value)));
            return Err(self.violation(Anomaly::Duplicate, &[seen, append], format!("{now}, but {then}")));
        }
        *known = Some(base);
        let values = values.clone();
        if let Some(floor) = fact.floor.filter(|floor| base < floor.end) {
            let Fact { client, invoked, .. } = &self.facts[append];
            let message = format!(
                "{}, which client {client} asked for at {invoked}, after {}",
                self.found(by, base, values.first().copied()),
                self.told(floor.by)
            );
            return Err(self.violation(Anomaly::Reordered, &[floor.by, append, by], message));
        }
        if let Some((_, &tail)) = self.ends.range(base + 1..(base + values.len() as u64).max(base + 1)).next() {
            let (names, end) = (self.names_of(append), base + values.len() as u64);
            let message =
                format!("{}, in the midst of the append of {names} at offsets {base}..{end}", self.told(tail));
            return Err(self.violation(Anomaly::TornBatch, &[append, tail, by], message));
        }
        for (offset, value) in (base..).zip(values) {
            self.put(offset, value, by)?;
        }
        Ok(())
    }

    /// A value stands at an offset, as operation `by` was told.
    fn put(&mut self, offset: u64, value: u64, by: usize) -> Result<(), Violation> {
        let other = self.contents.get(&offset).map(|&(_, other)| other).or_else(|| self.gaps.get(offset));
        let Some(other) = other else {
            self.contents.insert(offset, (value, by));
            return Ok(());
        };
        let there = self.contents.get(&offset).map(|&(there, _)| there);
        Err(self.disagree(offset, (there, other), (Some(value), by)))
    }

    /// The append whose value stands at this offset.
    fn append_at(&self, offset: u64) -> Option<usize> {
        let (value, _) = self.contents.get(&offset)?;
        self.origins.get(value).map(|&(append, _)| append)
    }

    /// An offset is said to hold one thing by one operation, and another, or nothing, by a later one.
    fn disagree(&self, offset: u64, then: (Option<u64>, usize), now: (Option<u64>, usize)) -> Violation {
        let append_of =
            |value: Option<u64>| value.and_then(|value| self.origins.get(&value)).map(|&(append, _)| append);
        let is_acked = |append: usize| self.is_acknowledged(append);
        let (earlier, later) = (append_of(then.0), append_of(now.0));
        let anomaly = match (earlier.is_some_and(is_acked), later.is_some_and(is_acked)) {
            // One answer that contradicts itself.
            _ if then.1 == now.1 => Anomaly::TornBatch,
            (true, true) => Anomaly::SharedOffset,
            (true, false) => Anomaly::LostWrite,
            (false, true) if earlier.is_none() => Anomaly::LostWrite,
            (false, _) => Anomaly::Rewritten,
        };
        // An acknowledgement says more than whoever saw the value first.
        let witness = |append: Option<usize>, by: usize| append.filter(|&append| is_acked(append)).unwrap_or(by);
        let (first, second) = (witness(earlier, then.1), witness(later, now.1));
        let message = format!("{}, but {}", self.found(first, offset, then.0), self.found(second, offset, now.0));
        let operations: Vec<usize> = earlier.into_iter().chain(later).chain([first, second, now.1]).collect();
        self.violation(anomaly, &operations, message)
    }

    fn is_acknowledged(&self, append: usize) -> bool {
        let Fact { returned, said, .. } = &self.facts[append];
        matches!(said, Said::Append { is_failed: false, .. }) && returned.is_some()
    }

    /// A read was given an offset below the one that was due.
    fn went_back(&self, index: usize, given: (u64, u64), due: u64) -> Violation {
        let (offset, value) = given;
        let append = self.origins.get(&value).map(|&(append, _)| append);
        let message = format!("{}, where {due} or more was due", self.found(index, offset, Some(value)));
        let operations: Vec<usize> = append.into_iter().chain([index]).collect();
        self.violation(Anomaly::Nonmonotonic, &operations, message)
    }

    fn prove(&mut self, end: u64, by: usize) {
        if self.known.is_none_or(|known| known.end < end) {
            self.known = Some(Proof { end, by });
        }
    }

    fn unreadable(&self, index: usize, reason: &str) -> Violation {
        let message = format!("{} was answered with what no log contains: {reason}", self.asked(index));
        self.violation(Anomaly::Unreadable, &[index], message)
    }

    /// Each operation once, and the last one last.
    fn violation(&self, anomaly: Anomaly, operations: &[usize], message: String) -> Violation {
        let mut distinct: Vec<usize> = Vec::with_capacity(operations.len());
        for &index in operations.iter().rev() {
            if !distinct.contains(&index) {
                distinct.insert(0, index);
            }
        }
        Violation { anomaly, message: format!("{}: {message}", anomaly.name()), operations: distinct }
    }

    /// How an operation knows what stands at an offset: it was told so as its acknowledgement, or has read it.
    fn found(&self, by: usize, offset: u64, value: Option<u64>) -> String {
        match self.facts[by].said {
            Said::Append { .. } => self.told(by),
            _ => {
                let value = value.map_or("nothing".to_owned(), value::name);
                format!("{} and found {value} at offset {offset}", self.told(by))
            }
        }
    }

    /// The values of an append.
    fn names_of(&self, append: usize) -> String {
        let Said::Append { values, .. } = &self.facts[append].said else { unreachable!("only appends have values") };
        names(values)
    }

    /// An operation as something that was asked: `append of c1-3 by client 1, asked at 2s`.
    fn asked(&self, index: usize) -> String {
        let Fact { client, invoked, said, .. } = &self.facts[index];
        match said {
            Said::Append { values, .. } => {
                format!("append of {} by client {client}, asked at {invoked},", names(values))
            }
            Said::Tail { .. } => format!("tail read by client {client}, asked at {invoked},"),
            Said::Read { from, .. } => format!("read from {from} by client {client}, asked at {invoked},"),
            Said::OfKey => format!("question of client {client} about a key, asked at {invoked},"),
        }
    }

    /// An operation as something that somebody was told.
    fn told(&self, index: usize) -> String {
        let Fact { client, said, .. } = &self.facts[index];
        let at = self.facts[index].returned.map_or("some time".to_owned(), |at| at.to_string());
        match said {
            Said::Append { values, is_failed: true, .. } => {
                format!("append of {} had failed for client {client} at {at}", names(values))
            }
            Said::Append { values, base: Some(base), .. } => {
                format!("append of {} was acknowledged at offset {base} to client {client} at {at}", names(values))
            }
            Said::Append { values, base: None, .. } => format!("client {client} appended {}", names(values)),
            Said::Tail { end } => format!("client {client} was told at {at} that the log ends at {}", known(*end)),
            Said::Read { from, next } => format!("client {client} read {from}..{} at {at}", known(*next)),
            Said::OfKey => format!("client {client} was told of a key at {at}"),
        }
    }

    fn acknowledged(&self, append: usize, base: u64) -> String {
        let Fact { client, returned, .. } = &self.facts[append];
        let at = returned.map_or("some time".to_owned(), |at| at.to_string());
        format!("append of {} was acknowledged at offset {base} to client {client} at {at}", self.names_of(append))
    }
}

impl Violation {
    /// Back from the order of invokes to the order of the history.
    fn renumbered(mut self, numbers: &[usize]) -> Violation {
        for operation in &mut self.operations {
            *operation = numbers.iter().position(|number| number == operation).expect("invariant: all were numbered");
        }
        self
    }
}

fn names(values: &[u64]) -> String {
    if values.is_empty() {
        return "nothing".to_owned();
    }
    values.iter().map(|&value| value::name(value)).collect::<Vec<_>>().join(" ")
}

fn known(offset: Option<u64>) -> String {
    offset.map_or("an unknown offset".to_owned(), |offset| offset.to_string())
}

fn largest_offset(told: &Told) -> u64 {
    match told {
        Told::Appended { offset } => *offset,
        Told::Tail { end } => *end,
        Told::Read { next, .. } => *next,
        Told::Got { .. } | Told::Put { .. } | Told::Compared { .. } | Told::Unreadable { .. } => 0,
    }
}

/// Offsets have 62 bits here, so that sums of them do not overflow. (Kafka's have 63.)
pub const OFFSET_MAX: u64 = 1 << 62;
