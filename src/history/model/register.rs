//! A register: read, write, compare-and-set. A lock is one that holds "free" or "held", an element of a set one that holds
//! "absent" or "present".
//!
//! **Quotient** (rule 8 of the search): a value that no read saw, no compare-and-set expected, and none was refused for, cannot
//! be told from another such value. All of them are one state. A lone optional write of such a value could help only a
//! refusal, so where nothing was refused it is left out.

use crate::history::engine::search::{Object, Op};
use crate::history::model::Start;
use crate::history::objects::{Action, Entry, NIL, Name, OPEN};

/// Every value that nobody observed.
const OTHER: u32 = 0;

/// What the operations of one register are to the search.
#[derive(Clone, Debug)]
pub struct Register {
    /// What was observed, sorted; the state is the place in it plus one, or [`OTHER`].
    observed: Vec<Name>,
    steps: Vec<Step>,
    start: Option<u32>,
    /// Calls of operations that return and leave a value, by value and call; where each value's begin.
    calls: Vec<u32>,
    first_calls: Vec<u32>,
    /// Position of the return, by operation.
    returns: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Is(u32),
    IsNot(u32),
    Set(u32),
    Swap(u32, u32),
}

impl Register {
    /// The register of these entries, its operations, and which entry each is.
    pub fn new(entries: &[Entry], start: Start) -> (Register, Vec<Op>, Vec<u32>) {
        let mut observed: Vec<Name> = entries.iter().filter_map(observes).collect();
        observed.sort();
        observed.dedup();
        let state = |name: Name| observed.binary_search(&name).map_or(OTHER, |place| place as u32 + 1);
        let nothing_is_refused = !entries.iter().any(|entry| entry.action == Action::Refused);
        let (mut steps, mut ops, mut which) = (Vec::new(), Vec::new(), Vec::new());
        for (index, entry) in (0..).zip(entries) {
            let step = step_of(entry, state);
            let is_read = matches!(step, Step::Is(_) | Step::IsNot(_));
            let is_idle = is_read || nothing_is_refused && step.leaves() == Some(OTHER);
            if entry.ret == OPEN && is_idle {
                continue;
            }
            ops.push(Op { call: entry.call, ret: entry.ret, class: step.class(), is_read });
            steps.push(step);
            which.push(index);
        }
        let start = match start {
            Start::Holds(name) => Some(state(name)),
            Start::Unknown => None,
        };
        let returns = ops.iter().map(|op| op.ret).collect();
        let mut register = Register { observed, steps, start, calls: Vec::new(), first_calls: Vec::new(), returns };
        register.sort_calls(&ops);
        (register, ops, which)
    }

    fn sort_calls(&mut self, ops: &[Op]) {
        let states = self.observed.len() + 1;
        let mut first = vec![0u32; states + 1];
        let setups = || self.steps.iter().zip(ops).filter(|(_, op)| op.ret != OPEN);
        let setups = || setups().filter_map(|(step, op)| Some((step.leaves()? as usize, op.call)));
        setups().for_each(|(state, _)| first[state + 1] += 1);
        for state in 0..states {
            first[state + 1] += first[state];
        }
        let (mut next, mut calls) = (first.clone(), vec![0; first[states] as usize]);
        setups().for_each(|(state, call)| {
            calls[next[state] as usize] = call;
            next[state] += 1;
        });
        (self.calls, self.first_calls) = (calls, first);
    }
}

impl Object for Register {
    fn starts(&self) -> Vec<u32> {
        match self.start {
            Some(state) => vec![state],
            None => (0..=self.observed.len() as u32).collect(),
        }
    }

    fn step(&mut self, state: u32, op: usize) -> Option<u32> {
        match self.steps[op] {
            Step::Is(value) => (state == value).then_some(state),
            Step::IsNot(value) => (state != value).then_some(state),
            Step::Set(value) => Some(value),
            Step::Swap(from, to) => (state == from).then_some(to),
        }
    }

    fn leads_to(&self, state: u32, read: usize) -> bool {
        match self.steps[read] {
            Step::Is(value) => state == value,
            _ => true,
        }
    }

    fn sets_up(&self, op: usize, read: usize) -> bool {
        match self.steps[read] {
            Step::Is(value) => self.steps[op].leaves() == Some(value),
            _ => true,
        }
    }

    fn last_setup(&self, read: usize) -> Option<u32> {
        let Step::Is(value) = self.steps[read] else { return Some(OPEN) };
        let calls =
            &self.calls[self.first_calls[value as usize] as usize..self.first_calls[value as usize + 1] as usize];
        let before = calls.partition_point(|&call| call < self.returns[read]);
        before.checked_sub(1).map(|last| calls[last])
    }

    fn bytes(&self) -> u64 {
        0
    }
}

impl Step {
    /// What it holds afterwards, if that is this operation's doing.
    fn leaves(self) -> Option<u32> {
        match self {
            Step::Is(_) | Step::IsNot(_) => None,
            Step::Set(value) | Step::Swap(_, value) => Some(value),
        }
    }

    fn class(self) -> u64 {
        let (kind, a, b) = match self {
            Step::Is(value) => (0, value, 0),
            Step::IsNot(value) => (1, value, 0),
            Step::Set(value) => (2, value, 0),
            Step::Swap(from, to) => (3, from, to),
        };
        kind << 62 | u64::from(a) << 31 | u64::from(b)
    }
}

/// The value that the operation tells something about.
pub fn observes(entry: &Entry) -> Option<Name> {
    match entry.action {
        Action::Read | Action::Cas | Action::Refused => Some(entry.a),
        Action::Acquire => Some(FREE),
        Action::Release => Some(HELD),
        Action::Contains => Some(PRESENT),
        Action::Lacks => Some(ABSENT),
        _ => None,
    }
}

fn step_of(entry: &Entry, state: impl Fn(Name) -> u32) -> Step {
    match entry.action {
        Action::Read => Step::Is(state(entry.a)),
        Action::Refused => Step::IsNot(state(entry.a)),
        Action::Write => Step::Set(state(entry.a)),
        Action::Cas if entry.a == entry.b => Step::Is(state(entry.a)),
        Action::Cas => Step::Swap(state(entry.a), state(entry.b)),
        Action::Acquire => Step::Swap(state(FREE), state(HELD)),
        Action::Release => Step::Swap(state(HELD), state(FREE)),
        Action::Insert => Step::Set(state(PRESENT)),
        Action::Discard => Step::Set(state(ABSENT)),
        Action::Contains => Step::Is(state(PRESENT)),
        Action::Lacks => Step::Is(state(ABSENT)),
        other => unreachable!("{other:?} is no operation of a register: the importer checks that"),
    }
}

/// What a lock holds while nobody has it.
pub const FREE: Name = NIL;
/// What a lock holds while somebody has it.
pub const HELD: Name = 1;
/// What an element of a set holds while it is not in it.
pub const ABSENT: Name = NIL;
/// What an element of a set holds while it is in it.
pub const PRESENT: Name = 1;
