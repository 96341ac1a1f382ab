//! Why no order explains a core: how far orders get, and what stops them there.
//!
//! Of the few operations of a core all orders can be tried. One that cannot go on is a *dead end*; it is worth telling if no
//! other order places the same operations and more. To each belongs what the object then holds and what cannot come next,
//! with what might have made it possible and why it does not.
//!
//! This explains a verdict and gives none: what is tried here in vain was proved to be in vain before ([`super::core`]). Where
//! there is too much to try, there is no explanation.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::engine::core::Core;
use crate::history::model::register::{ABSENT, FREE, HELD, PRESENT};
use crate::history::model::{Model, Start};
use crate::history::objects::{Action, Entry, NIL, Name, OPEN, ObjectHistory};

/// Orders of operations that place the same ones and cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadEnd {
    /// One of these orders. Operations that never return are in it where they help.
    pub order: Vec<Entry>,
    /// What the object may hold then, by order.
    pub held: Vec<Held>,
    /// The operations that have to come next, none of which can, each with what might have led to it.
    pub next: Vec<(Entry, Vec<(Entry, Useless)>)>,
}

/// Why an operation that leaves what was observed is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Useless {
    /// It has a place before.
    Placed,
    /// It is possible only where something else is held.
    NeedsOther,
    /// It can only come later.
    TooLate,
}

/// What an object holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Nobody knows, but that it is none of these values.
    AnythingBut(BTreeSet<Name>),
    /// A value.
    Value(Name),
    /// A text that grows, and begins one that was observed.
    Text(String),
    /// A text that nobody observed, nor will, until something else is put.
    Unobserved,
    /// The elements of a queue, the oldest first.
    Elements(Vec<Name>),
}

/// The dead ends of a core, the ones that get furthest first; none where there is too much to try.
pub fn dead_ends(history: &ObjectHistory, core: &Core) -> Vec<DeadEnd> {
    let Some(mut trials) = Trials::new(history, core) else { return Vec::new() };
    if !trials.go_on(0, 0, trials.start.clone()) {
        return Vec::new();
    }
    let masks: Vec<u32> = trials.reached.keys().copied().collect();
    let is_furthest = |mask: &u32| masks.iter().all(|other| other == mask || other & mask != *mask);
    let mut furthest: Vec<u32> = masks.iter().copied().filter(is_furthest).collect();
    furthest.sort_by_key(|mask| std::cmp::Reverse(mask.count_ones()));
    furthest.into_iter().map(|mask| trials.dead_end(mask)).collect()
}

struct Trials<'h> {
    history: &'h ObjectHistory,
    start: Held,
    required: Vec<Entry>,
    optional: Vec<Entry>,
    /// Whether some operation is possible only where something else is held than it tells.
    is_refused: bool,
    /// Texts that are observed.
    observed: Vec<&'h str>,
    /// Which required operations were placed, by bits, which optional ones, and what is held.
    tried: BTreeSet<(u32, u128, Held)>,
    /// Required operations that were placed: the first order that does, and what may be held then.
    reached: BTreeMap<u32, (Vec<Entry>, Vec<Held>)>,
    order: Vec<Entry>,
}

impl<'h> Trials<'h> {
    fn new(history: &'h ObjectHistory, core: &Core) -> Option<Trials<'h>> {
        // Without reads of all its elements a set is one object for each, and a core is about one of them.
        let element = core.required().next()?.a;
        let is_other = |entry: &Entry| history.model == Model::Set && entry.a != element;
        if core.entries.iter().any(|entry| entry.action == Action::Elements) || core.required().any(is_other) {
            return None;
        }
        let is_text = core.entries.iter().any(|entry| entry.action == Action::Append);
        let start = match (core.start, history.model) {
            (_, Model::Queue) => Held::Elements(Vec::new()),
            (_, Model::Set) => Held::Value(ABSENT),
            (Start::Unknown, _) => Held::AnythingBut(BTreeSet::new()),
            _ if is_text => Held::Text(text(history, history.initial).to_owned()),
            (Start::Holds(name), _) => Held::Value(name),
        };
        let (required, mut optional): (Vec<Entry>, Vec<Entry>) =
            core.entries.iter().filter(|entry| !is_other(entry)).partition(|entry| entry.ret != OPEN);
        if matches!(start, Held::AnythingBut(_) | Held::Value(_)) {
            optional = useful(&required, optional);
        }
        let observes = |entry: &&Entry| matches!(entry.action, Action::Read | Action::Cas | Action::Refused);
        let observed = core.entries.iter().filter(|_| is_text).filter(observes).map(|entry| text(history, entry.a));
        let is_small = required.len() <= REQUIRED_MAX && optional.len() <= u128::BITS as usize;
        is_small.then(|| Trials {
            history,
            start,
            required,
            optional,
            is_refused: core.entries.iter().any(|entry| entry.action == Action::Refused),
            observed: observed.collect(),
            tried: BTreeSet::new(),
            reached: BTreeMap::new(),
            order: Vec::new(),
        })
    }

    /// Tries everything from here on; whether there was not too much to try, and no order of all operations.
    fn go_on(&mut self, placed: u32, used: u128, held: Held) -> bool {
        if placed.count_ones() as usize == self.required.len() || self.tried.len() >= TRIES_MAX {
            return false;
        }
        if !self.tried.insert((placed, used, held.clone())) {
            return true;
        }
        let order = &self.order;
        let (_, states) = self.reached.entry(placed).or_insert_with(|| (order.clone(), Vec::new()));
        if !states.contains(&held) {
            states.push(held.clone());
        }
        for (entry, placed, used) in self.candidates(placed, used) {
            let Some(then) = self.after(&held, &entry) else { continue };
            if entry.ret == OPEN && (then == held || then == Held::Unobserved && !self.is_refused) {
                continue;
            }
            self.order.push(entry);
            let is_in_vain = self.go_on(placed, used, then);
            self.order.pop();
            if !is_in_vain {
                return false;
            }
        }
        true
    }

    fn after(&self, held: &Held, entry: &Entry) -> Option<Held> {
        let words = |name: Name| text(self.history, name);
        let now = match held {
            Held::Text(now) => Some(now.as_str()),
            Held::Unobserved => None,
            _ => return after(held, entry),
        };
        let then = match entry.action {
            Action::Read => (now? == words(entry.a)).then(|| now.map(str::to_owned))?,
            Action::Cas => (now? == words(entry.a)).then(|| Some(words(entry.b).to_owned()))?,
            Action::Refused => (now != Some(words(entry.a))).then(|| now.map(str::to_owned))?,
            Action::Append => now.map(|now| format!("{now}{}", words(entry.a))),
            _ => Some(words(entry.a).to_owned()),
        };
        let is_begun = |then: &String| self.observed.iter().any(|observed| observed.starts_with(then.as_str()));
        Some(then.filter(is_begun).map_or(Held::Unobserved, Held::Text))
    }

    /// What may come next in real time, and what is then placed and used.
    fn candidates(&self, placed: u32, used: u128) -> Vec<(Entry, u32, u128)> {
        let required = self.required.iter().enumerate();
        let required = required.filter(|(index, _)| placed >> index & 1 == 0);
        let required = required.map(|(index, entry)| (*entry, placed | 1 << index, used));
        let optional = self.optional.iter().enumerate();
        let optional = optional.filter(|(index, _)| used >> index & 1 == 0);
        let optional = optional.map(|(index, entry)| (*entry, placed, used | 1 << index));
        required.chain(optional).filter(|(entry, ..)| self.may_come(placed, entry)).collect()
    }

    /// Whether everything that returned before it was asked has its place.
    fn may_come(&self, placed: u32, entry: &Entry) -> bool {
        let missing = self.required.iter().enumerate().filter(|(index, _)| placed >> index & 1 == 0);
        missing.into_iter().all(|(_, missing)| missing.ret > entry.call)
    }

    fn dead_end(&self, placed: u32) -> DeadEnd {
        let (order, held) = self.reached[&placed].clone();
        let is_next = |(index, entry): &(usize, &Entry)| placed >> index & 1 == 0 && self.may_come(placed, entry);
        let next = self
            .required
            .iter()
            .enumerate()
            .filter(is_next)
            .map(|(_, next)| (*next, self.sources(placed, &order, next)));
        let next = next.collect();
        DeadEnd { order, held, next }
    }

    /// What leaves the value that the operation observes, and why that is of no use where these operations were placed.
    fn sources(&self, placed: u32, order: &[Entry], next: &Entry) -> Vec<(Entry, Useless)> {
        if !matches!(next.action, Action::Read | Action::Cas) || matches!(self.start, Held::Text(_)) {
            return Vec::new();
        }
        let all = self.required.iter().chain(&self.optional);
        let sources = all.filter(|entry| leaves(entry) == Some(next.a));
        let why = |entry: &Entry| match () {
            () if order.contains(entry) => Useless::Placed,
            () if !self.may_come(placed, entry) => Useless::TooLate,
            () => Useless::NeedsOther,
        };
        sources.map(|entry| (*entry, why(entry))).collect()
    }
}

/// The optional operations that may lead to what the required ones observe.
fn useful(required: &[Entry], optional: Vec<Entry>) -> Vec<Entry> {
    if required.iter().any(|entry| matches!(entry.action, Action::Refused | Action::Lacks)) {
        return optional;
    }
    let mut wanted: BTreeSet<Name> = required.iter().filter_map(needs).collect();
    loop {
        let is_useful = |entry: &&Entry| leaves(entry).is_some_and(|value| wanted.contains(&value));
        let more: Vec<Name> = optional.iter().filter(is_useful).filter_map(needs).collect();
        let before = wanted.len();
        wanted.extend(more);
        if wanted.len() == before {
            break;
        }
    }
    optional.into_iter().filter(|entry| leaves(entry).is_some_and(|value| wanted.contains(&value))).collect()
}

/// The value without which it is not possible.
fn needs(entry: &Entry) -> Option<Name> {
    match entry.action {
        Action::Read | Action::Cas => Some(entry.a),
        Action::Acquire => Some(FREE),
        Action::Release => Some(HELD),
        Action::Contains => Some(PRESENT),
        _ => None,
    }
}

/// The value that it leaves.
fn leaves(entry: &Entry) -> Option<Name> {
    match entry.action {
        Action::Write => Some(entry.a),
        Action::Cas if entry.a != entry.b => Some(entry.b),
        Action::Acquire => Some(HELD),
        Action::Release => Some(FREE),
        Action::Insert => Some(PRESENT),
        Action::Discard => Some(ABSENT),
        _ => None,
    }
}

fn text(history: &ObjectHistory, name: Name) -> &str {
    if name == NIL { "" } else { history.values.text(name) }
}

/// What is held after the operation, if that can end as it did.
fn after(held: &Held, entry: &Entry) -> Option<Held> {
    match held {
        Held::AnythingBut(values) => match (entry.action, needs(entry)) {
            (Action::Refused, _) => Some(Held::AnythingBut(values.iter().copied().chain([entry.a]).collect())),
            (_, Some(needed)) if values.contains(&needed) => None,
            (_, needed) => leaves(entry).or(needed).map(Held::Value),
        },
        Held::Value(value) => {
            let is_possible = match entry.action {
                Action::Refused => *value != entry.a,
                Action::Lacks => *value == ABSENT,
                _ => needs(entry).is_none_or(|needed| needed == *value),
            };
            is_possible.then(|| Held::Value(leaves(entry).unwrap_or(*value)))
        }
        Held::Elements(elements) => {
            let then = match entry.action {
                Action::Insert => Some(elements.iter().copied().chain([entry.a]).collect()),
                Action::Remove => (elements.first() == Some(&entry.a)).then(|| elements[1..].to_vec()),
                Action::Empty => elements.is_empty().then(Vec::new),
                _ => Some(elements.iter().skip(1).copied().collect()),
            };
            then.map(Held::Elements)
        }
        Held::Text(_) | Held::Unobserved => unreachable!("texts are told by their words"),
    }
}

/// Cores of more operations are not explained.
const REQUIRED_MAX: usize = 12;

/// What is tried for an explanation.
const TRIES_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::engine::decide::{Verdict, core_of, decide, parts};
    use crate::history::engine::{Budget, words};
    use crate::history::format::{Hints, import};

    /// The dead ends of the first part that is not linearizable, in words. A line is `process type f value`.
    fn told(model: Model, lines: &[&str]) -> Vec<String> {
        let map = |line: &&str| {
            let [process, kind, f, value] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
        };
        let text: String = lines.iter().map(map).collect();
        let hints = Hints { model: Some(model), ..Hints::default() };
        let history = import(text.as_bytes(), &hints).expect("a history").subject.objects.expect("objects");
        for part in parts(&history) {
            if let Verdict::NotLinearizable(refutation) = decide(&history, &part, &Budget::BOUNDLESS).verdict {
                let core = core_of(&history, &refutation, &Budget::BOUNDLESS);
                return dead_ends(&history, &core).iter().map(|end| words::dead_end(&history, end)).collect();
            }
        }
        panic!("it is linearizable")
    }

    #[test]
    fn a_value_that_was_overwritten() {
        let told = told(
            Model::Register,
            &[
                "0 invoke write 1",
                "0 ok write 1",
                "0 invoke write 2",
                "0 ok write 2",
                "1 invoke read nil",
                "1 ok read 1",
            ],
        );
        assert_eq!(told, ["write of 2 by client 0: it holds 2; read of 1 by client 1 cannot come next"]);
    }

    #[test]
    fn two_reads_in_either_order() {
        let told = told(
            Model::CasRegister,
            &[
                "0 invoke write 1",
                "0 ok write 1",
                "1 invoke cas [1 2]",
                "2 invoke cas [1 3]",
                "3 invoke read nil",
                "4 invoke read nil",
                "3 ok read 2",
                "4 ok read 3",
            ],
        );
        assert_eq!(
            told,
            [
                "read of 2 by client 3: it holds 2; \
                 read of 3 by client 4 cannot come next (compare-and-set from 1 to 3 by client 2 cannot come either)",
                "read of 3 by client 4: it holds 3; \
                 read of 2 by client 3 cannot come next (compare-and-set from 1 to 2 by client 1 cannot come either)",
            ]
        );
    }

    #[test]
    fn what_might_have_helped_has_come_before() {
        let told = told(
            Model::Register,
            &[
                "9 invoke write 4",
                "0 invoke read nil",
                "0 ok read 4",
                "1 invoke write 1",
                "1 ok write 1",
                "0 invoke read nil",
                "0 ok read 4",
            ],
        );
        assert_eq!(
            told,
            ["write of 4 by client 9, read of 4 by client 0, write of 1 by client 1: it holds 1; \
              read of 4 by client 0 cannot come next (write of 4 by client 9 has come before)"]
        );
    }

    #[test]
    fn texts_queues_and_locks() {
        let lines = ["0 invoke enqueue 1", "0 ok enqueue 1", "0 invoke enqueue 2", "0 ok enqueue 2"];
        let lines = [&lines[..], &["1 invoke dequeue nil", "1 ok dequeue 2", "1 invoke dequeue nil", "1 ok dequeue 1"]]
            .concat();
        assert_eq!(
            told(Model::Queue, &lines),
            ["enqueue of 1 by client 0: it holds [1] or [1, 2]; dequeue of 2 by client 1 cannot come next"]
        );
        let lines = ["0 invoke acquire nil", "0 ok acquire nil", "1 invoke acquire nil", "1 ok acquire nil"];
        assert_eq!(
            told(Model::Lock, &lines),
            ["acquire by client 0: the lock is held; acquire by client 1 cannot come next"]
        );
        let lines = [
            r#"2 invoke append "b", :key "k""#,
            r#"0 invoke append "a", :key "k""#,
            r#"0 ok append "a", :key "k""#,
            r#"1 invoke get nil, :key "k""#,
            r#"1 ok get "b", :key "k""#,
        ];
        let holds = "append of a by client 0: it holds a text that none of these saw";
        assert_eq!(told(Model::Kv, &lines), [format!("{holds}; read of b by client 1 cannot come next")]);
    }

    /// The dead ends of these operations, in words: of each what it did, its value, and when it was called and returned. Clients are
    /// numbered as the operations are.
    fn told_of(model: Model, deeds: &[(Action, &str, u32, u32)]) -> Vec<String> {
        let mut history = ObjectHistory::new(model, crate::history::objects::Clock::Lines);
        let entry = |(process, &(action, value, call, ret))| {
            let a = history.values.name(value);
            Entry { action, a, b: NIL, key: NIL, process, call, ret }
        };
        let entries: Vec<Entry> = (0..).zip(deeds).map(entry).collect();
        let core = Core { start: Start::Holds(NIL), entries, is_minimal: true };
        dead_ends(&history, &core).iter().map(|end| words::dead_end(&history, end)).collect()
    }

    #[test]
    fn what_a_growing_text_must_not_be() {
        let put = [(Action::Write, "a", 0, 1), (Action::Append, "b", 2, 3)];
        let refused = |text| [&put[..], &[(Action::Refused, text, 4, 5)]].concat();
        assert_eq!(
            told_of(Model::Kv, &refused("ab")),
            ["write of a by client 0, append of b by client 1: it holds \"ab\"; \
              compare-and-set that found something other than ab by client 2 cannot come next"]
        );
        // What it holds is none of the texts that were observed, so there is an order.
        assert_eq!(told_of(Model::Kv, &refused("b")), [""; 0]);
        // What may have been put would explain it, if it came before.
        let late = [&refused("ab")[..], &[(Action::Write, "c", 6, OPEN)]].concat();
        assert_eq!(told_of(Model::Kv, &late).len(), 1);
        let in_time = [&refused("ab")[..], &[(Action::Write, "c", 3, OPEN)]].concat();
        assert_eq!(told_of(Model::Kv, &in_time), [""; 0]);
    }

    #[test]
    fn what_became_of_one_element_does_not_put_another_into_a_set() {
        let found = [(Action::Insert, "1", 0, OPEN), (Action::Contains, "2", 1, 2)];
        let words = ["at first: the element is absent; finding of 2 by client 1 cannot come next"];
        assert_eq!(told_of(Model::Set, &found), words);
        // A core of two elements is larger than need be, and is not explained.
        assert_eq!(told_of(Model::Set, &[&found[..], &[(Action::Contains, "1", 3, 4)]].concat()), [""; 0]);
    }

    #[test]
    fn too_much_to_try_is_not_explained() {
        let history = ObjectHistory::new(Model::Register, crate::history::objects::Clock::Lines);
        let read = |call| Entry { action: Action::Read, a: NIL, b: NIL, key: NIL, process: 0, call, ret: 100 + call };
        let entries: Vec<Entry> = (0..=REQUIRED_MAX as u32).map(read).collect();
        let core = Core { start: Start::Unknown, entries, is_minimal: true };
        assert_eq!(dead_ends(&history, &core), []);
    }
}
