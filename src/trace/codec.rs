//! Traces as bytes: magic, version, then every event with varints and differences.
//!
//! ```text
//!  "KBED"  version  count  ┤ per event: id − previous id │ cause: 0 none, else id − cause │ time − previous time │ place │ kind ├
//!  4 bytes 1 byte   varint │             zigzag varint         varint                         zigzag varint       …       …
//! ```
//!
//! A place is a tag and, but for the world, a number; a kind is a tag and its fields in the order of their declaration;
//! a text is its length and UTF-8. The decoder trusts nothing: no length makes it allocate, nothing makes it panic.

use std::collections::BTreeSet;
use std::fmt;

use crate::history::{Ask, ClientId, Operation, Outcome, Told};
use crate::ids::{DirectoryId, Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::note::Note;
use crate::raft::view::RoleKind;
use crate::scenario::fault::FaultKind;
use crate::time::Instant;
use crate::trace::{Event, EventId, EventKind, Place};

const MAGIC: &[u8; 4] = b"KBED";
const VERSION: u8 = 1;
/// Distinct fixed words (property names and reasons) that one trace may hold, and the length of each. They are leaked,
/// because events hold them as `&'static str`; this bounds the leak of one decoding to 64 KiB.
const WORDS_MAX: usize = 256;
const WORD_BYTES_MAX: usize = 256;

/// Bytes that are no trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// What was being read.
    pub what: &'static str,
    /// What was found instead.
    pub found: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}: found {}", self.at, self.what, self.found)
    }
}

impl std::error::Error for DecodeError {}

/// A trace as bytes.
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer { bytes: MAGIC.to_vec() };
    writer.bytes.push(VERSION);
    writer.number(events.len() as u64);
    let (mut id, mut at) = (0, 0);
    for event in events {
        writer.difference(id, event.id.0);
        writer.cause(event);
        writer.difference(at, event.at.0);
        (id, at) = (event.id.0, event.at.0);
        writer.place(event.place);
        writer.kind(&event.kind);
    }
    writer.bytes
}

/// A trace from bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut reader = Reader { bytes, at: 0, words: BTreeSet::new() };
    if reader.take(MAGIC.len(), "magic")? != MAGIC {
        return Err(DecodeError { at: 0, what: "magic", found: "other bytes than KBED".into() });
    }
    let version = reader.byte("version")?;
    if version != VERSION {
        return Err(DecodeError { at: MAGIC.len(), what: "version", found: version.to_string() });
    }
    let count = reader.number("count of events")?;
    let (mut id, mut at) = (0, 0);
    let mut events = Vec::new();
    for _ in 0..count {
        id = reader.difference(id, "event id")?;
        let cause = match reader.number("cause")? {
            0 => None,
            back => Some(EventId(id.wrapping_sub(back))),
        };
        at = reader.difference(at, "time")?;
        let place = reader.place()?;
        let kind = reader.kind()?;
        events.push(Event { id: EventId(id), cause, at: Instant(at), place, kind });
    }
    match reader.bytes.len() - reader.at {
        0 => Ok(events),
        rest => Err(reader.error("end of the trace", format!("{rest} more bytes"))),
    }
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn difference(&mut self, from: u64, to: u64) {
        let difference = to.wrapping_sub(from) as i64;
        self.number(((difference << 1) ^ (difference >> 63)) as u64);
    }

    fn cause(&mut self, event: &Event) {
        self.number(event.cause.map_or(0, |cause| event.id.0.wrapping_sub(cause.0)));
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn place(&mut self, place: Place) {
        match place {
            Place::World => self.number(0),
            Place::Node(node) => {
                self.number(1);
                self.number(node.into());
            }
            Place::Client(client) => {
                self.number(2);
                self.number(client.into());
            }
        }
    }

    fn tagged_text(&mut self, tag: u64, text: &str) {
        self.number(tag);
        self.text(text);
    }

    fn kind(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Sent { to, what } => {
                self.number(0);
                self.place(*to);
                self.text(what);
            }
            EventKind::Received { from, what } => {
                self.number(1);
                self.place(*from);
                self.text(what);
            }
            EventKind::Lost { to, what, why } => {
                self.number(2);
                self.place(*to);
                self.text(what);
                self.text(why);
            }
            EventKind::Disk { what } => self.tagged_text(3, what),
            EventKind::Note(note) => {
                self.number(4);
                self.note(note);
            }
            EventKind::Tick => self.number(5),
            EventKind::Fault { kind, what } => {
                self.number(6);
                self.optional(*kind, |writer, kind| writer.number(kind as u64));
                self.text(what);
            }
            EventKind::Started { incarnation, what } => {
                self.number(7);
                self.number((*incarnation).into());
                self.text(what);
            }
            EventKind::Down { what } => self.tagged_text(8, what),
            EventKind::Operation { index, operation } => {
                self.number(9);
                self.number(*index as u64);
                self.operation(operation);
            }
            EventKind::State { what } => self.tagged_text(10, what),
            EventKind::Violated { property, message } => {
                self.tagged_text(11, property);
                self.text(message);
            }
        }
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::Became { role, epoch, leader } => {
                self.numbers(&[0, *role as u64, epoch.0.into()]);
                self.optional(*leader, |writer, leader| writer.number(leader.0.into()));
            }
            Note::Leads { epoch, start } => self.numbers(&[1, epoch.0.into(), start.0]),
            Note::Voted { epoch, candidate } => {
                self.numbers(&[2, epoch.0.into(), candidate.id.0.into()]);
                self.optional(candidate.directory, |writer, directory| writer.bytes.extend_from_slice(&directory.0));
            }
            Note::VoteRefused { epoch, candidate, pre_vote } => {
                self.numbers(&[3, epoch.0.into(), candidate.0.into(), (*pre_vote).into()]);
            }
            Note::Diverged { keep } => self.numbers(&[4, keep.0]),
            Note::HighWatermark { to } => self.numbers(&[5, to.0]),
            Note::CheckQuorumFailed { epoch } => self.numbers(&[6, epoch.0.into()]),
            Note::StaleAnswer => self.number(7),
            Note::Contradiction { what } => self.tagged_text(8, what),
            Note::Recovering { above } => self.numbers(&[9, above.0.into()]),
            Note::Recovered => self.number(10),
            Note::Unreadable { from } => self.numbers(&[11, from.0]),
        }
    }

    fn numbers(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn operation(&mut self, operation: &Operation) {
        self.number(operation.client.0.into());
        match &operation.ask {
            Ask::Append { values } => {
                self.numbers(&[0, values.len() as u64]);
                self.numbers(values);
            }
            Ask::Tail => self.number(1),
            Ask::Read { from } => self.numbers(&[2, *from]),
            Ask::Get { key } => self.numbers(&[3, (*key).into()]),
            Ask::Put { key, value } => self.numbers(&[4, (*key).into(), *value]),
            Ask::Cas { key, from, to } => {
                self.numbers(&[5, (*key).into(), *to]);
                self.optional(*from, Self::number);
            }
        }
        self.number(operation.invoked.0);
        self.optional(operation.returned, |writer, at| writer.number(at.0));
        match &operation.outcome {
            Outcome::Open => self.number(0),
            Outcome::Failed => self.number(1),
            Outcome::Ok(Told::Appended { offset }) => self.numbers(&[2, *offset]),
            Outcome::Ok(Told::Tail { end }) => self.numbers(&[3, *end]),
            Outcome::Ok(Told::Read { values, next }) => {
                self.numbers(&[4, *next, values.len() as u64]);
                values.iter().for_each(|(offset, value)| self.numbers(&[*offset, *value]));
            }
            Outcome::Ok(Told::Unreadable { reason }) => self.tagged_text(5, reason),
            Outcome::Ok(Told::Got { value }) => {
                self.number(6);
                self.optional(*value, Self::number);
            }
            Outcome::Ok(Told::Put { offset }) => self.numbers(&[7, *offset]),
            Outcome::Ok(Told::Compared { offset, found }) => {
                self.numbers(&[8, *offset]);
                self.optional(*found, Self::number);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    words: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str, found: impl Into<String>) -> DecodeError {
        DecodeError { at: self.at, what, found: found.into() }
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..length) else {
            return Err(self.error(what, format!("{} bytes left, {length} needed", rest.len())));
        };
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(1, what)?[0])
    }

    fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.error(what, "a varint of more than ten bytes"))
    }

    fn small(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        let number = self.number(what)?;
        u32::try_from(number).map_err(|_| self.error(what, number.to_string()))
    }

    fn difference(&mut self, from: u64, what: &'static str) -> Result<u64, DecodeError> {
        let zigzag = self.number(what)?;
        Ok(from.wrapping_add((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()))
    }

    fn optional<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.number(what)? {
            0 => Ok(None),
            1 => read(self).map(Some),
            other => Err(self.error(what, format!("{other} instead of 0 or 1"))),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let length = self.number(what)?;
        let length = usize::try_from(length).map_err(|_| self.error(what, format!("length {length}")))?;
        let bytes = self.take(length, what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.error(what, "bytes that are not UTF-8"))
    }

    fn word(&mut self, what: &'static str) -> Result<&'static str, DecodeError> {
        let text = self.text(what)?;
        if let Some(known) = self.words.get(text.as_str()) {
            return Ok(known);
        }
        if text.len() > WORD_BYTES_MAX || self.words.len() >= WORDS_MAX {
            return Err(self.error(what, format!("word number {} of {} bytes", self.words.len() + 1, text.len())));
        }
        let word: &'static str = Box::leak(text.into_boxed_str());
        self.words.insert(word);
        Ok(word)
    }

    fn place(&mut self) -> Result<Place, DecodeError> {
        match self.number("place")? {
            0 => Ok(Place::World),
            1 => Ok(Place::Node(self.small("node")?)),
            2 => Ok(Place::Client(self.small("client")?)),
            other => Err(self.error("place", format!("tag {other}"))),
        }
    }

    fn kind(&mut self) -> Result<EventKind, DecodeError> {
        Ok(match self.number("event kind")? {
            0 => EventKind::Sent { to: self.place()?, what: self.text("frame")? },
            1 => EventKind::Received { from: self.place()?, what: self.text("frame")? },
            2 => EventKind::Lost { to: self.place()?, what: self.text("frame")?, why: self.word("reason")? },
            3 => EventKind::Disk { what: self.text("file operation")? },
            4 => EventKind::Note(self.note()?),
            5 => EventKind::Tick,
            6 => {
                let kind = self.optional("fault kind", |reader| {
                    let index = reader.number("fault kind")?;
                    let kind = usize::try_from(index).ok().and_then(|index| FaultKind::ALL.get(index));
                    kind.copied().ok_or_else(|| reader.error("fault kind", format!("number {index}")))
                })?;
                EventKind::Fault { kind, what: self.text("fault")? }
            }
            7 => EventKind::Started { incarnation: self.small("incarnation")?, what: self.text("start")? },
            8 => EventKind::Down { what: self.text("end of a node")? },
            9 => {
                let index = self.number("operation number")?;
                let index = usize::try_from(index).map_err(|_| self.error("operation number", index.to_string()))?;
                EventKind::Operation { index, operation: self.operation()? }
            }
            10 => EventKind::State { what: self.text("state")? },
            11 => EventKind::Violated { property: self.word("property")?, message: self.text("violation")? },
            other => return Err(self.error("event kind", format!("tag {other}"))),
        })
    }

    fn epoch(&mut self) -> Result<Epoch, DecodeError> {
        self.small("epoch").map(Epoch)
    }

    fn offset(&mut self) -> Result<Offset, DecodeError> {
        self.number("offset").map(Offset)
    }

    fn replica(&mut self) -> Result<ReplicaId, DecodeError> {
        self.small("replica").map(ReplicaId)
    }

    fn note(&mut self) -> Result<Note, DecodeError> {
        Ok(match self.number("note")? {
            0 => {
                let role = self.number("role")?;
                let role = RoleKind::ALL.into_iter().find(|known| *known as u64 == role);
                let role = role.ok_or_else(|| self.error("role", "no role"))?;
                Note::Became { role, epoch: self.epoch()?, leader: self.optional("leader", Reader::replica)? }
            }
            1 => Note::Leads { epoch: self.epoch()?, start: self.offset()? },
            2 => {
                let (epoch, id) = (self.epoch()?, self.replica()?);
                let directory = self.optional("directory", |reader| {
                    let bytes = reader.take(16, "directory")?;
                    Ok(DirectoryId(bytes.try_into().expect("invariant: sixteen bytes were taken")))
                })?;
                Note::Voted { epoch, candidate: ReplicaKey { id, directory } }
            }
            3 => {
                let (epoch, candidate) = (self.epoch()?, self.replica()?);
                Note::VoteRefused { epoch, candidate, pre_vote: self.number("pre-vote")? != 0 }
            }
            4 => Note::Diverged { keep: self.offset()? },
            5 => Note::HighWatermark { to: self.offset()? },
            6 => Note::CheckQuorumFailed { epoch: self.epoch()? },
            7 => Note::StaleAnswer,
            8 => Note::Contradiction { what: self.word("contradiction")? },
            9 => Note::Recovering { above: self.epoch()? },
            10 => Note::Recovered,
            11 => Note::Unreadable { from: self.offset()? },
            other => return Err(self.error("note", format!("tag {other}"))),
        })
    }

    fn operation(&mut self) -> Result<Operation, DecodeError> {
        let client = ClientId(self.small("client")?);
        let ask = match self.number("question")? {
            0 => {
                let count = self.number("count of values")?;
                Ask::Append { values: (0..count).map(|_| self.number("value")).collect::<Result<_, _>>()? }
            }
            1 => Ask::Tail,
            2 => Ask::Read { from: self.number("offset")? },
            3 => Ask::Get { key: self.small("key")? },
            4 => Ask::Put { key: self.small("key")?, value: self.number("value")? },
            5 => {
                let (key, to) = (self.small("key")?, self.number("value")?);
                Ask::Cas { key, from: self.optional("value", |reader| reader.number("value"))?, to }
            }
            other => return Err(self.error("question", format!("tag {other}"))),
        };
        let invoked = Instant(self.number("time")?);
        let returned = self.optional("time of return", |reader| reader.number("time").map(Instant))?;
        let outcome = self.outcome()?;
        Ok(Operation { client, ask, invoked, returned, outcome })
    }

    fn outcome(&mut self) -> Result<Outcome, DecodeError> {
        Ok(match self.number("outcome")? {
            0 => Outcome::Open,
            1 => Outcome::Failed,
            2 => Outcome::Ok(Told::Appended { offset: self.number("offset")? }),
            3 => Outcome::Ok(Told::Tail { end: self.number("offset")? }),
            4 => {
                let (next, count) = (self.number("offset")?, self.number("count of values")?);
                let pair = |_| Ok((self.number("offset")?, self.number("value")?));
                Outcome::Ok(Told::Read { values: (0..count).map(pair).collect::<Result<_, _>>()?, next })
            }
            5 => Outcome::Ok(Told::Unreadable { reason: self.text("reason")? }),
            6 => Outcome::Ok(Told::Got { value: self.optional("value", |reader| reader.number("value"))? }),
            7 => Outcome::Ok(Told::Put { offset: self.number("offset")? }),
            8 => {
                let offset = self.number("offset")?;
                Outcome::Ok(Told::Compared { offset, found: self.optional("value", |reader| reader.number("value"))? })
            }
            other => return Err(self.error("outcome", format!("tag {other}"))),
        })
    }
}
