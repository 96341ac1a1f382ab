//! A text that grows: get, put, append, compare-and-set.
//!
//! **Quotient** (rule 8 of the search): a text that is no beginning of any text that was observed will never be observed, and
//! nor will anything that grows from it: all such texts are one dead state until something is put. What remains are the beginnings
//! of observed texts. With the observed texts sorted, the ones that begin alike stand together; so a state is a range of them
//! and a length, and to append is to look for the narrower range.

use hashbrown::HashTable;

use crate::history::engine::search::{Object, Op};
use crate::history::objects::{Action, Entry, NIL, Name, Names, OPEN, mix};

/// A text that nobody will observe.
const DEAD: u32 = 0;

/// What the operations of one text are to the search.
pub struct Text<'h> {
    /// What was observed, sorted, each once.
    observed: Vec<&'h str>,
    steps: Vec<Step<'h>>,
    start: u32,
    /// Known states; [`DEAD`] is the first.
    states: Vec<Beginning>,
    table: HashTable<u32>,
    /// (state, class of an append) → state.
    grown: HashTable<(u32, u64, u32)>,
    /// Position of the return, by operation.
    returns: Vec<u32>,
    /// Calls of operations that return and put a text, ascending, with the state that they leave.
    puts: Vec<(u32, u32)>,
}

/// The beginning, so many bytes long, that the observed texts of a range have in common, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Beginning {
    first: u32,
    last: u32,
    bytes: u32,
}

#[derive(Clone, Copy, Debug)]
enum Step<'h> {
    /// It was observed text number so.
    Is(u32),
    IsNot(u32),
    Put(u32),
    Swap(u32, u32),
    Append(&'h str, u64),
}

impl<'h> Text<'h> {
    /// The text of these entries, its operations, and which entry each is.
    pub fn new(entries: &[Entry], initial: Name, names: &'h Names) -> (Text<'h>, Vec<Op>, Vec<u32>) {
        let text_of = |name: Name| if name == NIL { "" } else { names.text(name) };
        let observed = |entry: &Entry| matches!(entry.action, Action::Read | Action::Refused | Action::Cas);
        let mut texts: Vec<&str> =
            entries.iter().filter(|entry| observed(entry)).map(|entry| text_of(entry.a)).collect();
        texts.sort();
        texts.dedup();
        let dead = Beginning { first: 1, last: 0, bytes: 0 };
        let mut text = Text {
            observed: texts,
            steps: Vec::new(),
            start: DEAD,
            states: vec![dead],
            table: HashTable::new(),
            grown: HashTable::new(),
            returns: Vec::new(),
            puts: Vec::new(),
        };
        text.start = text.state_of(text_of(initial));
        let (mut ops, mut which) = (Vec::new(), Vec::new());
        for (index, entry) in (0..).zip(entries) {
            let (step, class) = text.step_of(entry, &text_of);
            let is_read = matches!(step, Step::Is(_) | Step::IsNot(_));
            if is_read && entry.ret == OPEN {
                continue;
            }
            if let (Some(state), true) = (step.leaves(), entry.ret != OPEN) {
                text.puts.push((entry.call, state));
            }
            ops.push(Op { call: entry.call, ret: entry.ret, class, is_read });
            text.steps.push(step);
            text.returns.push(entry.ret);
            which.push(index);
        }
        (text, ops, which)
    }

    fn step_of(&mut self, entry: &Entry, text_of: &impl Fn(Name) -> &'h str) -> (Step<'h>, u64) {
        let (a, b) = (text_of(entry.a), text_of(entry.b));
        let number = |text: &Text<'_>, of: &str| text.observed.binary_search(&of).unwrap_or(0) as u32;
        let step = match entry.action {
            Action::Read => Step::Is(number(self, a)),
            Action::Refused => Step::IsNot(number(self, a)),
            Action::Write => Step::Put(self.state_of(a)),
            Action::Cas if a == b => Step::Is(number(self, a)),
            Action::Cas => Step::Swap(number(self, a), self.state_of(b)),
            Action::Append => Step::Append(a, u64::from(entry.a)),
            other => unreachable!("{other:?} is no operation of a text: the importer checks that"),
        };
        let class = match step {
            Step::Is(number) => u64::from(number),
            Step::IsNot(number) => 1 << 61 | u64::from(number),
            Step::Put(state) => 2 << 61 | u64::from(state),
            Step::Swap(from, to) => 3 << 61 | u64::from(from) << 31 | u64::from(to),
            Step::Append(_, name) => 4 << 61 | name,
        };
        (step, class)
    }

    /// The state of a text.
    fn state_of(&mut self, text: &str) -> u32 {
        let first = self.observed.partition_point(|other| *other < text) as u32;
        let count = self.observed[first as usize..].partition_point(|other| other.starts_with(text)) as u32;
        self.intern(first, count, text.len() as u32)
    }

    fn intern(&mut self, first: u32, count: u32, bytes: u32) -> u32 {
        if count == 0 {
            return DEAD;
        }
        let beginning = Beginning { first, last: first + count - 1, bytes };
        let states = &self.states;
        let hash = |beginning: Beginning| mix(u64::from(beginning.first), u64::from(beginning.bytes));
        if let Some(&state) = self.table.find(hash(beginning), |&state| states[state as usize] == beginning) {
            return state;
        }
        let state = self.states.len() as u32;
        self.states.push(beginning);
        let states = &self.states;
        self.table.insert_unique(hash(beginning), state, |&state| hash(states[state as usize]));
        state
    }

    /// The state of a text that is `state` and then `token`.
    fn grow(&mut self, state: u32, token: &str, class: u64) -> u32 {
        if state == DEAD || token.is_empty() {
            return state;
        }
        let hash = mix(u64::from(state), class);
        let known = self.grown.find(hash, |&(from, by, _)| from == state && by == class);
        if let Some(&(_, _, to)) = known {
            return to;
        }
        let Beginning { first, last, bytes } = self.states[state as usize];
        let alike = &self.observed[first as usize..=last as usize];
        let start = alike.partition_point(|text| text.as_bytes()[bytes as usize..] < *token.as_bytes());
        let count =
            alike[start..].partition_point(|text| text.as_bytes()[bytes as usize..].starts_with(token.as_bytes()));
        let to = self.intern(first + start as u32, count as u32, bytes + token.len() as u32);
        self.grown.insert_unique(hash, (state, class, to), |&(from, by, _)| mix(u64::from(from), by));
        to
    }

    fn is(&self, state: u32, number: u32) -> bool {
        let Beginning { first, last, bytes } = self.states[state as usize];
        first <= number && number <= last && self.observed[number as usize].len() == bytes as usize
    }

    /// Whether observed text `number` begins with the text of the state.
    fn begins(&self, state: u32, number: u32) -> bool {
        let Beginning { first, last, .. } = self.states[state as usize];
        first <= number && number <= last
    }
}

impl Object for Text<'_> {
    fn starts(&self) -> Vec<u32> {
        vec![self.start]
    }

    fn step(&mut self, state: u32, op: usize) -> Option<u32> {
        match self.steps[op] {
            Step::Is(number) => self.is(state, number).then_some(state),
            Step::IsNot(number) => (!self.is(state, number)).then_some(state),
            Step::Put(to) => Some(to),
            Step::Swap(from, to) => self.is(state, from).then_some(to),
            Step::Append(token, class) => Some(self.grow(state, token, class)),
        }
    }

    fn leads_to(&self, state: u32, read: usize) -> bool {
        match self.steps[read] {
            Step::Is(number) => self.begins(state, number),
            _ => true,
        }
    }

    fn sets_up(&self, op: usize, read: usize) -> bool {
        match self.steps[read] {
            Step::Is(number) => self.steps[op].leaves().is_some_and(|state| self.begins(state, number)),
            _ => true,
        }
    }

    fn last_setup(&self, read: usize) -> Option<u32> {
        let Step::Is(number) = self.steps[read] else { return Some(OPEN) };
        let before = self.puts.partition_point(|&(call, _)| call < self.returns[read]);
        self.puts[..before].iter().rev().find(|&&(_, state)| self.begins(state, number)).map(|&(call, _)| call)
    }

    fn bytes(&self) -> u64 {
        let states = self.states.capacity() * size_of::<Beginning>();
        (states + self.table.allocation_size() + self.grown.allocation_size()) as u64
    }
}

impl Step<'_> {
    /// The state afterwards, if it does not build on the one before.
    fn leaves(self) -> Option<u32> {
        match self {
            Step::Put(state) | Step::Swap(_, state) => Some(state),
            Step::Is(_) | Step::IsNot(_) | Step::Append(..) => None,
        }
    }
}
