//! A queue (first in, first out) and a set, as the search sees them: the state is what is in them.
//!
//! Where the elements are unique there is no need to search: [`crate::history::engine::queue`], and a set falls apart into its
//! elements ([`crate::history::engine::decide`]).

use hashbrown::HashTable;

use crate::history::engine::search::{Object, Op};
use crate::history::objects::{Action, Entry, Name, OPEN, mix};

/// In which order elements leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As they came.
    Queue,
    /// As they are named.
    Set,
}

/// What the operations of one collection are to the search.
pub struct Collection<'h> {
    kind: Kind,
    entries: Vec<Entry>,
    lists: &'h [Vec<Name>],
    states: Vec<Vec<Name>>,
    table: HashTable<u32>,
    /// Elements of all states together.
    names: usize,
}

impl<'h> Collection<'h> {
    /// The collection of these entries, its operations, and which entry each is.
    pub fn new(kind: Kind, entries: &[Entry], lists: &'h [Vec<Name>]) -> (Collection<'h>, Vec<Op>, Vec<u32>) {
        let is_read =
            |entry: &Entry| !matches!(entry.action, Action::Insert | Action::Remove | Action::Take | Action::Discard);
        let kept = (0..).zip(entries).filter(|(_, entry)| entry.ret != OPEN || !is_read(entry));
        let (which, kept): (Vec<u32>, Vec<Entry>) = kept.map(|(index, entry)| (index, *entry)).unzip();
        let class = |entry: &Entry| (entry.action as u64) << 32 | u64::from(entry.a);
        let op = |entry: &Entry| Op { call: entry.call, ret: entry.ret, class: class(entry), is_read: is_read(entry) };
        let ops = kept.iter().map(op).collect();
        let mut collection =
            Collection { kind, entries: kept, lists, states: Vec::new(), table: HashTable::new(), names: 0 };
        collection.intern(Vec::new());
        (collection, ops, which)
    }

    fn intern(&mut self, elements: Vec<Name>) -> u32 {
        let hash = |elements: &[Name]| elements.iter().fold(0, |hash, &name| mix(hash, u64::from(name)));
        let states = &self.states;
        if let Some(&state) = self.table.find(hash(&elements), |&state| states[state as usize] == elements) {
            return state;
        }
        let state = self.states.len() as u32;
        let at = hash(&elements);
        self.names += elements.capacity();
        self.states.push(elements);
        let states = &self.states;
        self.table.insert_unique(at, state, |&state| hash(&states[state as usize]));
        state
    }

    fn with(&mut self, state: u32, element: Name) -> u32 {
        let mut elements = self.states[state as usize].clone();
        match (self.kind, elements.binary_search(&element)) {
            (Kind::Queue, _) => elements.push(element),
            (Kind::Set, Err(place)) => elements.insert(place, element),
            (Kind::Set, Ok(_)) => return state,
        }
        self.intern(elements)
    }

    fn without(&mut self, state: u32, element: Name) -> Option<u32> {
        let elements = &self.states[state as usize];
        let place = match (self.kind, elements.binary_search(&element)) {
            (Kind::Queue, _) => (elements.first() == Some(&element)).then_some(0)?,
            (Kind::Set, Ok(place)) => place,
            (Kind::Set, Err(_)) => return Some(state),
        };
        let mut elements = elements.clone();
        elements.remove(place);
        Some(self.intern(elements))
    }
}

impl Object for Collection<'_> {
    fn starts(&self) -> Vec<u32> {
        vec![0]
    }

    fn step(&mut self, state: u32, op: usize) -> Option<u32> {
        let Entry { action, a, .. } = self.entries[op];
        let elements = &self.states[state as usize];
        match action {
            Action::Insert => Some(self.with(state, a)),
            Action::Remove | Action::Discard => self.without(state, a),
            Action::Take => elements.first().copied().and_then(|oldest| self.without(state, oldest)),
            Action::Empty => elements.is_empty().then_some(state),
            Action::Contains => elements.binary_search(&a).is_ok().then_some(state),
            Action::Lacks => elements.binary_search(&a).is_err().then_some(state),
            Action::Elements => (*elements == self.lists[a as usize]).then_some(state),
            other => unreachable!("{other:?} is no operation of a collection: the importer checks that"),
        }
    }

    fn leads_to(&self, _: u32, _: usize) -> bool {
        true
    }

    fn sets_up(&self, _: usize, _: usize) -> bool {
        true
    }

    fn last_setup(&self, _: usize) -> Option<u32> {
        Some(OPEN)
    }

    fn bytes(&self) -> u64 {
        let states = self.names * size_of::<Name>() + self.states.capacity() * size_of::<Vec<Name>>();
        (states + self.table.allocation_size()) as u64
    }
}
