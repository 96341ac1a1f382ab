//! Which decider, for what: a history in parts, and each part to the cheapest decider that is exact for it.
//!
//! Nothing here guesses. A decider that finds that its condition does not hold says so, and the search takes over.

use crate::history::engine::core::{self, Core};
use crate::history::engine::queue::Queues;
use crate::history::engine::search::{Effort, Found, Object, Op, search};
use crate::history::engine::zones::Zones;
use crate::history::engine::{Budget, Exhausted, proof, queue, witness, zones};
use crate::history::model::collection::{Collection, Kind};
use crate::history::model::register::{ABSENT, Register};
use crate::history::model::text::Text;
use crate::history::model::{Model, Start};
use crate::history::objects::{Action, Entry, Name, OPEN, ObjectHistory};

/// The operations on one object.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which object; of a set that falls apart, which element too.
    pub key: (Name, Option<Name>),
    /// By call.
    pub entries: Vec<Entry>,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// [`zones`].
    Zones,
    /// [`queue`].
    Queue,
    /// [`search`].
    Search,
    /// [`witness`].
    Witness,
}

impl Engine {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Zones => "zones",
            Engine::Queue => "queue",
            Engine::Search => "search",
            Engine::Witness => "witness",
        }
    }
}

/// What was decided of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order; where there was a need to find one, it was replayed.
    Linearizable,
    /// There is none.
    NotLinearizable(Refutation),
    /// Not known.
    Undecided(Exhausted),
}

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// Operations that cannot be explained; all of them together conflict, and nothing else is needed.
    pub conflict: Vec<Entry>,
    /// The operation whose return no order gets past, where the search found that.
    pub blocked: Option<Entry>,
    /// The longest order that gets there.
    pub prefix: Vec<Entry>,
}

/// The verdict on a part, and what it took.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Who decided.
    pub engine: Engine,
    /// What a search took.
    pub effort: Effort,
}

/// The parts of a history. If each is linearizable, so is the whole, and if not, not.
pub fn parts(history: &ObjectHistory) -> Vec<Part> {
    let falls_apart =
        history.model == Model::Set && !history.entries.iter().any(|entry| entry.action == Action::Elements);
    let key_of = |entry: &Entry| (entry.key, falls_apart.then_some(entry.a));
    let mut parts: Vec<Part> = Vec::new();
    if !falls_apart {
        // Keys are dense: no need to sort.
        let mut places: Vec<u32> = vec![OPEN; history.keys.len()];
        for entry in &history.entries {
            let place = &mut places[entry.key as usize];
            if *place == OPEN {
                *place = parts.len() as u32;
                parts.push(Part { key: key_of(entry), entries: Vec::new() });
            }
            parts[*place as usize].entries.push(*entry);
        }
        return parts;
    }
    let mut entries = history.entries.clone();
    entries.sort_by_key(|entry| (key_of(entry), entry.call));
    for entry in entries {
        match parts.last_mut().filter(|part| part.key == key_of(&entry)) {
            Some(part) => part.entries.push(entry),
            None => parts.push(Part { key: key_of(&entry), entries: vec![entry] }),
        }
    }
    parts
}

/// Decides one part of a history.
pub fn decide(history: &ObjectHistory, part: &Part, budget: &Budget<'_>) -> Decision {
    let entries = &part.entries[..];
    let start = Start::Holds(history.initial);
    match history.model {
        Model::Queue => match queue::decide(entries) {
            Some(Queues::Legal) => Decision::by(Engine::Queue, Verdict::Linearizable),
            Some(Queues::Conflict(conflict)) => refuted(history, entries, &conflict, Engine::Queue, budget),
            None => by_search(history, entries, start, budget),
        },
        Model::Register | Model::CasRegister | Model::Kv | Model::Lock => {
            match zones::decide(entries, history.initial) {
                Some(Zones::Order(order)) => {
                    assert_holds(history, entries, &order);
                    Decision::by(Engine::Zones, Verdict::Linearizable)
                }
                Some(Zones::Conflict(conflict)) => refuted(history, entries, &conflict, Engine::Zones, budget),
                None => by_search(history, entries, start, budget),
            }
        }
        _ => by_search(history, entries, start, budget),
    }
}

/// What a monitor says cannot be explained, if the search agrees; else the search decides all of it. (A conflict may leave out
/// what makes it one: a value may have come from operations without an answer, and who saw it be elsewhere.)
fn refuted(
    history: &ObjectHistory,
    entries: &[Entry],
    conflict: &[u32],
    engine: Engine,
    budget: &Budget<'_>,
) -> Decision {
    let refutation = Refutation::of(entries, conflict);
    let start = Start::Holds(history.initial);
    // To be sure of a few operations costs little, and is not what a budget is meant to save.
    let sure = Budget { steps_max: budget.steps_max.max(CONFLICT_STEPS_MAX), ..*budget };
    let searched = by_search(history, &refutation.conflict, start, &sure);
    match searched.verdict {
        Verdict::Linearizable => by_search(history, entries, start, budget),
        Verdict::NotLinearizable(_) => Decision { engine, ..searched }.with(refutation),
        Verdict::Undecided(_) => searched,
    }
}

/// The answer of a history that first cannot be explained, whatever is answered later: by its part, and what refutes that up to
/// there. A part is known to be refuted; of the others only what was answered before can matter. What is not decided within the
/// budget is passed over.
pub fn earliest(
    history: &ObjectHistory,
    parts: &[Part],
    (known, refutation): (usize, &Refutation),
    budget: &Budget<'_>,
) -> (usize, Refutation) {
    let (mut first, (mut found, mut end)) = (known, up_to_first(history, &parts[known], refutation, budget));
    for (other, part) in parts.iter().enumerate().filter(|&(other, _)| other != known) {
        let shorter = part.until(end);
        if let Verdict::NotLinearizable(refutation) = decide(history, &shorter, budget).verdict {
            (first, (found, end)) = (other, up_to_first(history, &shorter, &refutation, budget));
        }
    }
    // What refutes it does not depend on where the look began.
    match decide(history, &parts[first].until(end), budget).verdict {
        Verdict::NotLinearizable(refutation) => (first, refutation),
        Verdict::Linearizable | Verdict::Undecided(_) => (first, found),
    }
}

/// The first answer of a refuted part that cannot be explained, by the position of its return, and what refutes the part up to it.
fn up_to_first(history: &ObjectHistory, part: &Part, known: &Refutation, budget: &Budget<'_>) -> (Refutation, u32) {
    // A search has got past all that came before.
    if let Some(blocked) = known.blocked {
        return (known.clone(), blocked.ret);
    }
    let refutation_at = |end: u32| match decide(history, &part.until(end), budget).verdict {
        Verdict::NotLinearizable(refutation) => Some(refutation),
        Verdict::Linearizable | Verdict::Undecided(_) => None,
    };
    let mut ends: Vec<u32> = part.entries.iter().map(|entry| entry.ret).filter(|&ret| ret != OPEN).collect();
    ends.sort();
    // Refuted up to `ends[high]`, and not up to `ends[low - 1]`.
    let (mut low, mut high, mut found) = (0, ends.len().saturating_sub(1), known.clone());
    while low < high {
        let middle = low.midpoint(high);
        match refutation_at(ends[middle]) {
            Some(refutation) => (high, found) = (middle, refutation),
            None => low = middle + 1,
        }
    }
    (found, ends.get(high).copied().unwrap_or(OPEN))
}

/// The core of a part that is not linearizable.
pub fn core_of(history: &ObjectHistory, refutation: &Refutation, budget: &Budget<'_>) -> Core {
    let start = Start::Holds(history.initial);
    let can_forget = !needs_text(history, &refutation.conflict) && !is_collection(history);
    core::shrink(refutation.conflict.clone(), start, can_forget, |entries, start| {
        let verdict = match queue::decide(entries).filter(|_| history.model == Model::Queue) {
            Some(Queues::Legal) => Verdict::Linearizable,
            Some(Queues::Conflict(conflict)) => Refutation::of(entries, &conflict).into(),
            None => by_search(history, entries, start, budget).verdict,
        };
        match verdict {
            Verdict::Linearizable => Some(false),
            Verdict::NotLinearizable(_) => Some(true),
            Verdict::Undecided(_) => None,
        }
    })
}

/// Decides by search alone.
pub fn by_search(history: &ObjectHistory, entries: &[Entry], start: Start, budget: &Budget<'_>) -> Decision {
    let initial = match start {
        Start::Holds(name) => name,
        Start::Unknown => history.initial,
    };
    let is_element = history.model == Model::Set
        && entries.iter().all(|entry| entry.action != Action::Elements && entry.a == entries[0].a);
    if is_collection(history) && !is_element {
        let kind = if history.model == Model::Queue { Kind::Queue } else { Kind::Set };
        let (object, ops, which) = Collection::new(kind, entries, &history.lists);
        return searched(object, &ops, &which, entries, budget);
    }
    if needs_text(history, entries) {
        let (object, ops, which) = Text::new(entries, initial, &history.values);
        return searched(object, &ops, &which, entries, budget);
    }
    let (object, ops, which) = Register::new(entries, if is_element { Start::Holds(ABSENT) } else { start });
    searched(object, &ops, &which, entries, budget)
}

/// Decides about a register by an order of its changes that somebody saw: entries by number, each once. The order explains all of
/// them, or there is one that has no place in it.
pub fn by_witness(history: &ObjectHistory, entries: &[Entry], changes: &[u32]) -> Result<Decision, Entry> {
    assert!(!is_collection(history) && !needs_text(history, entries), "a register's history");
    let (mut object, ops, which) = Register::new(entries, Start::Holds(history.initial));
    let number = numbers(entries, &which);
    let is_change = |op: &u32| *op != OPEN && !ops[*op as usize].is_read;
    let changes: Vec<u32> = changes.iter().map(|&entry| number[entry as usize]).filter(is_change).collect();
    match witness::order(&mut object, &ops, &changes) {
        Ok(_) => Ok(Decision::by(Engine::Witness, Verdict::Linearizable)),
        Err(op) => Err(entries[which[op as usize] as usize]),
    }
}

fn searched(mut object: impl Object, ops: &[Op], which: &[u32], entries: &[Entry], budget: &Budget<'_>) -> Decision {
    let (found, effort) = search(&mut object, ops, budget);
    let entry = |op: u32| entries[which[op as usize] as usize];
    let verdict = match found {
        Found::Order(order) => {
            assert!(proof::holds(&mut object, ops, &order), "invariant: an order that was found explains the history");
            Verdict::Linearizable
        }
        Found::Undecided(exhausted) => Verdict::Undecided(exhausted),
        Found::Blocked { op, prefix } => Verdict::NotLinearizable(Refutation {
            conflict: core::until(entries, entry(op).ret),
            blocked: Some(entry(op)),
            prefix: prefix.into_iter().map(entry).collect(),
        }),
    };
    Decision { verdict, engine: Engine::Search, effort }
}

/// Replays the order of blocks.
fn assert_holds(history: &ObjectHistory, entries: &[Entry], order: &[u32]) {
    let (mut object, ops, which) = Register::new(entries, Start::Holds(history.initial));
    let number = numbers(entries, &which);
    let order: Vec<u32> = order.iter().map(|&entry| number[entry as usize]).filter(|&op| op != OPEN).collect();
    assert!(proof::holds(&mut object, &ops, &order), "invariant: an order of blocks explains the history");
}

/// The operation of each entry. Objects leave out what cannot matter.
fn numbers(entries: &[Entry], which: &[u32]) -> Vec<u32> {
    let mut number = vec![OPEN; entries.len()];
    (0..).zip(which).for_each(|(op, &entry)| number[entry as usize] = op);
    number
}

fn is_collection(history: &ObjectHistory) -> bool {
    matches!(history.model, Model::Queue | Model::Set)
}

fn needs_text(history: &ObjectHistory, entries: &[Entry]) -> bool {
    history.model == Model::Kv && entries.iter().any(|entry| entry.action == Action::Append)
}

impl Part {
    /// What is left of it if the history ends with the return at `end`.
    fn until(&self, end: u32) -> Part {
        Part { key: self.key, entries: core::until(&self.entries, end) }
    }
}

impl Decision {
    fn with(self, refutation: Refutation) -> Decision {
        Decision { verdict: refutation.into(), ..self }
    }

    fn by(engine: Engine, verdict: impl Into<Verdict>) -> Decision {
        Decision { verdict: verdict.into(), engine, effort: Effort::default() }
    }
}

impl Refutation {
    fn of(entries: &[Entry], conflict: &[u32]) -> Refutation {
        let mut conflict: Vec<Entry> = conflict.iter().map(|&index| entries[index as usize]).collect();
        conflict.sort_by_key(|entry| entry.call);
        conflict.dedup();
        Refutation { conflict, blocked: None, prefix: Vec::new() }
    }
}

impl From<Refutation> for Verdict {
    fn from(refutation: Refutation) -> Verdict {
        Verdict::NotLinearizable(refutation)
    }
}

/// Operations that the search may try to make sure of what a monitor found, however small the budget.
const CONFLICT_STEPS_MAX: u64 = 1_000_000;
