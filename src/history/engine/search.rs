//! The search: is there an order of these operations that one copy of the object could have gone through?
//!
//! In general that takes exponential time (Gibbons and Korach), but only in how many operations are under way at once, not in
//! how many there are (Lowe, "Testing for linearizability"). The search walks over the returns in the order in which they
//! happened. When it meets the return of an operation that has no place in the order yet, it is *blocked*, and chooses: one
//! of the operations that are under way, until the blocked one has its place.
//!
//! Eight rules keep the choices few. Each is an exchange: an order that breaks the rule can be turned into one that keeps it.
//!
//! 1. **Window.** What returned has its place; what was not called has none. So a state of the search is the return at
//!    which it stands, which of the operations under way have places, which optional ones were used, and the object's state.
//! 2. **Just in time.** A choice is made only when a return is blocked: what is not needed before this return can stand after it.
//! 3. **Reads at once.** A read that the object's state permits takes its place now: it changes nothing, and is one thing less to do.
//! 4. **Equals.** Of equal operations under way the one that returns first comes first, of equal optional ones the one called
//!    first: swap them.
//! 5. **Dominance.** An optional operation (one that never returned) need not happen. So a state that used fewer of them covers
//!    one that used more, and one that would change nothing is never used.
//! 6. **Order.** First the blocked operation, then by return, optional ones last. This decides only how soon the answer is found.
//! 7. **Lookahead.** The read that returns first must still be possible: the object's state leads to it, or something that sets
//!    it up is still to come ([`Object::leads_to`], [`Object::sets_up`]).
//! 8. **Quotient.** States that no operation of this history tells apart are one state. This is the objects' part.
//!
//! States that were tried are kept, compared in full behind their hash: a collision costs time, never a verdict.
//!
//! The answer comes with its proof: an order, which the caller replays ([`crate::history::engine::proof`]), or the first return
//! that cannot be passed.

use hashbrown::HashTable;

use crate::history::engine::bits::Bits;
use crate::history::engine::{Budget, Exhausted};
use crate::history::objects::{OPEN, mix};

/// An operation as the search sees it.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Position of the call.
    pub call: u32,
    /// Position of the return, or [`OPEN`].
    pub ret: u32,
    /// Operations of one class are equal but for their times.
    pub class: u64,
    /// It never changes the object.
    pub is_read: bool,
}

/// What the operations are operations of. Operations are numbered as in the slice of [`Op`]s, states as the object likes.
pub trait Object {
    /// What it may be at first.
    fn starts(&self) -> Vec<u32>;
    /// What it is after the operation, if that can end as it did.
    fn step(&mut self, state: u32, op: usize) -> Option<u32>;
    /// Whether appends and the like, which build on what is there, may lead from the state to where the read is possible.
    fn leads_to(&self, state: u32, read: usize) -> bool;
    /// Whether the read may be possible after this operation, whatever the state before.
    fn sets_up(&self, op: usize, read: usize) -> bool;
    /// Position of the last call before the read returns of an operation that returns and sets it up.
    fn last_setup(&self, read: usize) -> Option<u32>;
    /// Bytes of the states that it keeps.
    fn bytes(&self) -> u64;
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These operations in this order. Optional ones that did not happen are not in it.
    Order(Vec<u32>),
    /// No order gets past the return of this operation, and maybe none gets there; this is one that gets as far as any.
    #[expect(missing_docs, reason = "the sentence names the fields")]
    Blocked { op: u32, prefix: Vec<u32> },
    /// Not known.
    Undecided(Exhausted),
}

/// What a search took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Operations tried.
    pub steps: u64,
    /// Most bytes of states that were kept.
    pub bytes: u64,
}

/// Looks for an order of all operations that return, and any others. They are in the order of their calls.
pub fn search(object: &mut impl Object, ops: &[Op], budget: &Budget<'_>) -> (Found, Effort) {
    let plan = Plan::new(ops);
    match plan.width.max(plan.optional.len()) {
        0..=64 => run::<1>(object, ops, &plan, budget),
        65..=128 => run::<2>(object, ops, &plan, budget),
        129..=256 => run::<4>(object, ops, &plan, budget),
        257..=1024 => run::<16>(object, ops, &plan, budget),
        1025..=WIDTH_MAX => run::<64>(object, ops, &plan, budget),
        _ => (Found::Undecided(Exhausted::Width), Effort::default()),
    }
}

fn run<const N: usize>(object: &mut impl Object, ops: &[Op], plan: &Plan, budget: &Budget<'_>) -> (Found, Effort) {
    let mut search = Search::<_, N>::new(object, ops, plan, budget);
    let mut found = search.run(usize::MAX);
    let mut effort = search.effort();
    if let Found::Blocked { op, .. } = found {
        // Once more, for an order that gets as far as any did.
        let furthest = search.furthest;
        let mut again = Search::<_, N>::new(object, ops, plan, budget);
        if let Found::Blocked { prefix, .. } = again.run(furthest) {
            found = Found::Blocked { op, prefix };
        }
        effort.steps += again.effort().steps;
    }
    (found, effort)
}

/// What can be said before the search: events in their order, and a slot for every operation while it is under way.
struct Plan {
    /// Operation · 2, plus 1 for its return. Operations that never return have no events.
    events: Vec<u32>,
    /// Slot by operation.
    slots: Vec<u16>,
    /// Slots in all: the most operations that are under way at once.
    width: usize,
    /// Operations that never return, by class and call.
    optional: Vec<u32>,
}

impl Plan {
    fn new(ops: &[Op]) -> Plan {
        let mut returns: Vec<(u32, u32)> =
            (0..).zip(ops).filter(|(_, op)| op.ret != OPEN).map(|(index, op)| (op.ret, index)).collect();
        returns.sort();
        let mut plan = Plan {
            events: Vec::with_capacity(returns.len() * 2),
            slots: vec![0; ops.len()],
            width: 0,
            optional: Vec::new(),
        };
        let mut free: Vec<u16> = Vec::new();
        let mut calls = (0..).zip(ops).filter(|(_, op)| op.ret != OPEN).peekable();
        for (ret, returned) in returns {
            while let Some((index, _)) = calls.next_if(|(_, op)| op.call < ret) {
                let slot = free.pop().unwrap_or_else(|| {
                    plan.width += 1;
                    (plan.width - 1).min(usize::from(u16::MAX)) as u16
                });
                plan.slots[index] = slot;
                plan.events.push((index as u32) << 1);
            }
            free.push(plan.slots[returned as usize]);
            plan.events.push(returned << 1 | 1);
        }
        plan.optional =
            (0..).zip(ops).filter(|(_, op)| op.ret == OPEN && !op.is_read).map(|(index, _)| index).collect();
        plan.optional.sort_by_key(|&index| (ops[index as usize].class, index));
        plan
    }
}

/// Where the search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand<const N: usize> {
    /// The next event to pass.
    at: u32,
    /// The object's state.
    state: u32,
    /// Slots of the operations under way that have their place.
    done: Bits<N>,
    /// Optional operations that were used, by their number in the plan.
    used: Bits<N>,
}

/// A blocked return, and what may be chosen there.
struct Frame<const N: usize> {
    stand: Stand<N>,
    path: u32,
    next: u32,
    end: u32,
}

/// One choice: an operation, the state after it, and its rank (the blocked operation, then by return, then optional ones).
#[derive(Clone, Copy)]
struct Choice {
    rank: u64,
    op: u32,
    state: u32,
    /// Its number among the optional ones plus one, or 0.
    optional: u32,
}

struct Search<'s, O, const N: usize> {
    object: &'s mut O,
    ops: &'s [Op],
    plan: &'s Plan,
    budget: &'s Budget<'s>,
    now: Stand<N>,
    /// Slot → operation.
    open: Vec<u32>,
    occupied: Bits<N>,
    path: Vec<u32>,
    frames: Vec<Frame<N>>,
    choices: Vec<Choice>,
    tried: Tried<N>,
    steps: u64,
    /// Times that it was blocked.
    stands: u64,
    /// The furthest event that was reached.
    furthest: usize,
    /// The operation whose return comes last of those that some order did not get past.
    stuck: Option<u32>,
}

impl<'s, O: Object, const N: usize> Search<'s, O, N> {
    fn new(object: &'s mut O, ops: &'s [Op], plan: &'s Plan, budget: &'s Budget<'s>) -> Search<'s, O, N> {
        Search {
            object,
            ops,
            plan,
            budget,
            now: Stand { at: 0, state: 0, done: Bits::EMPTY, used: Bits::EMPTY },
            open: vec![0; plan.width],
            occupied: Bits::EMPTY,
            path: Vec::with_capacity(ops.len()),
            frames: Vec::new(),
            choices: Vec::new(),
            tried: Tried { nodes: Vec::new(), table: HashTable::new() },
            steps: 0,
            stands: 0,
            furthest: 0,
            stuck: None,
        }
    }

    /// Searches until an order is found that passes all events or is blocked at event `until`.
    fn run(&mut self, until: usize) -> Found {
        for start in self.object.starts() {
            self.go_back_to(0);
            self.path.clear();
            self.now = Stand { at: 0, state: start, done: Bits::EMPTY, used: Bits::EMPTY };
            loop {
                match self.settle() {
                    None => return Found::Order(std::mem::take(&mut self.path)),
                    Some(blocked) => {
                        if self.now.at as usize == until {
                            return Found::Blocked { op: blocked, prefix: std::mem::take(&mut self.path) };
                        }
                        self.furthest = self.furthest.max(self.now.at as usize);
                        self.open_choices(blocked);
                    }
                }
                if let Some(exhausted) = self.exhausted() {
                    return Found::Undecided(exhausted);
                }
                if !self.choose() {
                    break;
                }
            }
        }
        Found::Blocked { op: self.stuck.expect("invariant: every start was stuck somewhere"), prefix: Vec::new() }
    }

    fn effort(&self) -> Effort {
        Effort { steps: self.steps, bytes: self.bytes() }
    }

    fn bytes(&self) -> u64 {
        let frames = self.frames.capacity() * size_of::<Frame<N>>() + self.choices.capacity() * size_of::<Choice>();
        self.tried.bytes() + self.object.bytes() + (frames + self.path.capacity() * size_of::<u32>()) as u64
    }

    fn exhausted(&mut self) -> Option<Exhausted> {
        if self.steps > self.budget.steps_max {
            return Some(Exhausted::Steps);
        }
        if self.bytes() > self.budget.bytes_max {
            return Some(Exhausted::Memory);
        }
        // Looking at a clock is dear, looking at it rarely is late.
        self.stands += 1;
        (self.stands.is_multiple_of(STANDS_PER_LOOK) && (self.budget.is_over)()).then_some(Exhausted::Time)
    }

    /// Passes events until a return is blocked, and says whose.
    fn settle(&mut self) -> Option<u32> {
        self.take_reads();
        while let Some(&event) = self.plan.events.get(self.now.at as usize) {
            let op = event >> 1;
            let slot = usize::from(self.plan.slots[op as usize]);
            if event & 1 == 0 {
                self.open[slot] = op;
                self.occupied.set(slot);
                if self.ops[op as usize].is_read {
                    self.try_read(slot);
                }
            } else if self.now.done.has(slot) {
                self.occupied.clear(slot);
                self.now.done.clear(slot);
            } else {
                return Some(op);
            }
            self.now.at += 1;
        }
        None
    }

    /// Rule 3, after the state has changed.
    fn take_reads(&mut self) {
        for slot in self.occupied.without(&self.now.done) {
            if self.ops[self.open[slot] as usize].is_read {
                self.try_read(slot);
            }
        }
    }

    fn try_read(&mut self, slot: usize) {
        let op = self.open[slot];
        self.steps += 1;
        if self.object.step(self.now.state, op as usize).is_some() {
            self.now.done.set(slot);
            self.path.push(op);
        }
    }

    /// Puts what may be chosen where the search stands on the stack; nothing, if it was here before or cannot go on.
    fn open_choices(&mut self, blocked: u32) {
        if let Some(read) = self.hopeless_read() {
            return self.note_stuck(read);
        }
        if !self.tried.insert(&self.now) {
            return;
        }
        let first = self.choices.len();
        for slot in self.occupied.without(&self.now.done) {
            let op = self.open[slot];
            if !self.ops[op as usize].is_read {
                self.offer(op, 0, if op == blocked { 0 } else { u64::from(self.ops[op as usize].ret) }, first);
            }
        }
        let before = self.ops[blocked as usize].ret;
        for (number, &op) in self.plan.optional.iter().enumerate() {
            let &Op { call, .. } = &self.ops[op as usize];
            if call < before && !self.now.used.has(number) {
                self.offer(op, number as u32 + 1, u64::from(OPEN) + u64::from(call), first);
            }
        }
        if self.choices.len() == first {
            return self.note_stuck(blocked);
        }
        // The last of them is taken first.
        self.choices[first..].sort_by_key(|choice| std::cmp::Reverse(choice.rank));
        self.frames.push(Frame {
            stand: self.now,
            path: self.path.len() as u32,
            next: self.choices.len() as u32,
            end: first as u32,
        });
    }

    /// Adds a choice, if it is one and none of its class is there already that returns sooner (rules 4 and 5).
    fn offer(&mut self, op: u32, optional: u32, rank: u64, first: usize) {
        self.steps += 1;
        let Some(state) = self.object.step(self.now.state, op as usize) else { return };
        if optional > 0 && state == self.now.state {
            return;
        }
        let class = self.ops[op as usize].class;
        let choice = Choice { rank, op, state, optional };
        let equal = self.choices[first..].iter_mut().find(|other| self.ops[other.op as usize].class == class);
        match equal {
            Some(other) if (other.optional > 0) != (optional > 0) => self.choices.push(choice),
            Some(other) if rank < other.rank => *other = choice,
            Some(_) => {}
            None => self.choices.push(choice),
        }
    }

    /// Takes the next choice of the latest frame that has one. False when there is none left.
    fn choose(&mut self) -> bool {
        while let Some(frame) = self.frames.last_mut() {
            if frame.next == frame.end {
                let blocked = self.plan.events[frame.stand.at as usize] >> 1;
                self.frames.pop();
                self.note_stuck(blocked);
                continue;
            }
            frame.next -= 1;
            let (stand, path, next) = (frame.stand, frame.path as usize, frame.next as usize);
            let choice = self.choices[next];
            self.choices.truncate(next);
            self.go_back_to(stand.at);
            self.now = stand;
            self.path.truncate(path);
            self.path.push(choice.op);
            self.now.state = choice.state;
            match choice.optional {
                0 => self.now.done.set(usize::from(self.plan.slots[choice.op as usize])),
                number => self.now.used.set(number as usize - 1),
            }
            return true;
        }
        false
    }

    /// Undoes events: the slots are what they were before event `at`.
    fn go_back_to(&mut self, at: u32) {
        while self.now.at > at {
            self.now.at -= 1;
            let event = self.plan.events[self.now.at as usize];
            let slot = usize::from(self.plan.slots[event as usize >> 1]);
            if event & 1 == 0 {
                self.occupied.clear(slot);
            } else {
                self.occupied.set(slot);
                self.open[slot] = event >> 1;
            }
        }
    }

    fn note_stuck(&mut self, op: u32) {
        let ret = |op: u32| self.ops[op as usize].ret;
        if self.stuck.is_none_or(|stuck| ret(stuck) < ret(op)) {
            self.stuck = Some(op);
        }
    }

    /// Rule 7: a read that will not be possible when it returns.
    fn hopeless_read(&self) -> Option<u32> {
        let under_way = || self.occupied.without(&self.now.done).map(|slot| self.open[slot] as usize);
        let read = under_way().filter(|&op| self.ops[op].is_read).min_by_key(|&op| self.ops[op].ret)?;
        if self.object.leads_to(self.now.state, read) || under_way().any(|op| self.object.sets_up(op, read)) {
            return None;
        }
        // A call that was passed is before every event to come.
        let next = self.plan.events.get(self.now.at as usize).map_or(OPEN, |&event| self.ops[event as usize >> 1].ret);
        if self.object.last_setup(read).is_some_and(|call| call > next) {
            return None;
        }
        let before = self.ops[read].ret;
        let is_hopeful = self.plan.optional.iter().enumerate().any(|(number, &op)| {
            !self.now.used.has(number) && self.ops[op as usize].call < before && self.object.sets_up(op as usize, read)
        });
        (!is_hopeful).then_some(read as u32)
    }
}

/// The stands that were tried.
struct Tried<const N: usize> {
    nodes: Vec<Node<N>>,
    /// First node by everything but the used operations.
    table: HashTable<u32>,
}

struct Node<const N: usize> {
    stand: Stand<N>,
    /// Another of the same place that used other operations, plus one; 0 at the end.
    other: u32,
}

impl<const N: usize> Tried<N> {
    /// Adds a stand. False if it or one that covers it was there (rule 5).
    fn insert(&mut self, stand: &Stand<N>) -> bool {
        let (nodes, table) = (&mut self.nodes, &mut self.table);
        let added = nodes.len() as u32;
        let hash = hash(stand);
        let Some(&first) = table.find(hash, |&node| is_same_place(&nodes[node as usize].stand, stand)) else {
            nodes.push(Node { stand: *stand, other: 0 });
            table.insert_unique(hash, added, |&node| self::hash(&nodes[node as usize].stand));
            return true;
        };
        let mut at = first;
        loop {
            let node = &nodes[at as usize];
            if node.stand.used.is_within(&stand.used) {
                return false;
            }
            match node.other {
                0 => break,
                other => at = other - 1,
            }
        }
        nodes[at as usize].other = added + 1;
        nodes.push(Node { stand: *stand, other: 0 });
        true
    }

    fn bytes(&self) -> u64 {
        (self.nodes.capacity() * size_of::<Node<N>>() + self.table.allocation_size()) as u64
    }
}

fn is_same_place<const N: usize>(left: &Stand<N>, right: &Stand<N>) -> bool {
    left.at == right.at && left.state == right.state && left.done == right.done
}

fn hash<const N: usize>(stand: &Stand<N>) -> u64 {
    let place = u64::from(stand.at) << 32 | u64::from(stand.state);
    stand.done.words().iter().fold(mix(0, place), |hash, &word| mix(hash, word))
}

/// Operations under way at once, or optional ones, that a search can handle.
pub const WIDTH_MAX: usize = 4096;

/// How often the search is blocked between two looks at the caller's clock.
const STANDS_PER_LOOK: u64 = 16;
