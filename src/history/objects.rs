//! A history of objects in integers: what importers produce and deciders read.
//!
//! Files speak of keys, values and times in many ways. Here a key and a value are [`Name`]s, numbers of a table of texts,
//! and time is a *position*: all calls and returns of a history stand in one total order, so that there are no ties. (Of
//! events at one moment, calls come first: intervals are closed, as for Porcupine.)
//!
//! **Invariants**: entries stand in the order of their calls; positions are distinct; an entry's return, if it has one,
//! comes after its call. Operations that did not happen, and reads that say nothing, are not in it, only counted.

use std::fmt;

use hashbrown::HashTable;

use crate::history::Model;

/// A key or a value, as its number in a table of texts.
pub type Name = u32;

/// The value of what was never written.
pub const NIL: Name = 0;

/// A return that never comes: the operation may happen at any time after its call, or never.
pub const OPEN: u32 = u32::MAX;

/// What an operation did, or would do if it happens at all. `a` and `b` are the names in the [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It held `a`.
    Read,
    /// It holds `a` from here on.
    Write,
    /// It held `a` and holds `b` from here on.
    Cas,
    /// A compare-and-set found something other than `a`.
    Refused,
    /// Text `a` was put at its end.
    Append,
    /// `a` is in it from here on: at the end of a queue; in a set, where it may have been before.
    Insert,
    /// `a` was taken out of a queue, its oldest element.
    Remove,
    /// The oldest element of a queue was taken out, if there was one; nobody knows which. (It never returned.)
    Take,
    /// `a` is not in a set from here on; it may have been absent before.
    Discard,
    /// A set contained `a`.
    Contains,
    /// A set did not contain `a`.
    Lacks,
    /// A queue was empty.
    Empty,
    /// A set held exactly the elements of list `a`.
    Elements,
    /// A lock that nobody held was taken.
    Acquire,
    /// A lock that was held was let go.
    Release,
}

/// One operation on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub action: Action,
    /// The first name.
    pub a: Name,
    /// The second name; [`NIL`] where there is none.
    pub b: Name,
    /// Of which object.
    pub key: Name,
    /// Who asked.
    pub process: u32,
    /// Position of the call.
    pub call: u32,
    /// Position of the return, or [`OPEN`].
    pub ret: u32,
}

/// What the stamps of a history are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds since its start.
    Nanoseconds,
    /// Lines of the file, from 1: it tells the order and no times.
    Lines,
    /// Places in an order of events that the file gives.
    Events,
}

/// What an importer left out, since it cannot matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Operations that did not happen.
    pub failed: u64,
    /// Reads that never returned or say nothing.
    pub silent: u64,
}

/// A history of one kind of object.
#[derive(Clone, Debug)]
pub struct ObjectHistory {
    /// What each object is.
    pub model: Model,
    /// What each register holds at first.
    pub initial: Name,
    /// The operations, by position of their calls.
    pub entries: Vec<Entry>,
    /// The elements of lists ([`Action::Elements`]), sorted.
    pub lists: Vec<Vec<Name>>,
    /// Texts of values.
    pub values: Names,
    /// Texts of keys; [`NIL`] is the object of a history that has only one.
    pub keys: Names,
    /// When each position was, by [`ObjectHistory::clock`].
    pub stamps: Vec<u64>,
    /// What the stamps are.
    pub clock: Clock,
    /// What is not in it.
    pub dropped: Dropped,
}

impl ObjectHistory {
    /// A history without operations.
    pub fn new(model: Model, clock: Clock) -> ObjectHistory {
        ObjectHistory {
            model,
            initial: NIL,
            entries: Vec::new(),
            lists: Vec::new(),
            values: Names::new(),
            keys: Names::new(),
            stamps: Vec::new(),
            clock,
            dropped: Dropped::default(),
        }
    }

    /// The moment of a position in words: `at 1.204s`, `at line 12`.
    pub fn moment(&self, position: u32) -> String {
        match (self.stamps.get(position as usize), self.clock) {
            (Some(&stamp), Clock::Nanoseconds) => format!("at {}", crate::time::Instant(stamp)),
            (Some(&stamp), Clock::Lines) => format!("at line {stamp}"),
            (Some(&stamp), Clock::Events) => format!("at event {stamp}"),
            (None, _) => format!("at event {position}"),
        }
    }
}

/// Texts with numbers. The text of [`NIL`] is `nil`, and no other name has it.
#[derive(Clone)]
pub struct Names {
    bytes: String,
    ends: Vec<u32>,
    table: HashTable<Name>,
}

impl Names {
    /// A table that knows [`NIL`] only.
    pub fn new() -> Names {
        let mut names = Names { bytes: String::new(), ends: Vec::new(), table: HashTable::new() };
        names.name("nil");
        names
    }

    /// The name of a text, which gets one if it has none.
    pub fn name(&mut self, text: &str) -> Name {
        let (bytes, ends) = (&self.bytes, &self.ends);
        let hash = hash(text.as_bytes());
        if let Some(&name) = self.table.find(hash, |&name| slice(bytes, ends, name) == text) {
            return name;
        }
        let name = Name::try_from(self.ends.len()).expect("invariant: fewer than 2³² texts fit into memory");
        self.bytes.push_str(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("invariant: the importer bounds a file at 4 GiB"));
        let (bytes, ends) = (&self.bytes, &self.ends);
        self.table.insert_unique(hash, name, |&name| self::hash(slice(bytes, ends, name).as_bytes()));
        name
    }

    /// The text of a name.
    pub fn text(&self, name: Name) -> &str {
        slice(&self.bytes, &self.ends, name)
    }

    /// How much memory they take.
    pub fn kept_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * BYTES_PER_NAME
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: [`NIL`] is always there.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..self.ends.len()).map(|name| self.text(name as Name))).finish()
    }
}

fn slice<'b>(bytes: &'b str, ends: &[u32], name: Name) -> &'b str {
    let start = if name == 0 { 0 } else { ends[name as usize - 1] };
    &bytes[start as usize..ends[name as usize] as usize]
}

/// Mixes bytes, eight at a time. Only where to look depends on it; texts are always compared.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

/// One word more. (A multiplication that keeps both halves: wyhash's step.)
pub(super) fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product >> 64) as u64 ^ product as u64
}

/// Bytes of a name beside its text: where that ends, and its place in a table of which up to half is empty.
const BYTES_PER_NAME: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_has_one_name() {
        let mut names = Names::new();
        let (three, long) = (names.name("3"), names.name("a text of more than eight bytes"));
        assert_eq!(
            (names.name("nil"), names.name("3"), names.name("a text of more than eight bytes")),
            (NIL, three, long)
        );
        assert_eq!((names.text(three), names.text(long), names.len()), ("3", "a text of more than eight bytes", 3));
    }
}
