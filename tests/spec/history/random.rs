//! Random small histories: some that happened, some that were bent, some out of nothing.

use kraftbed::history::Model;
use kraftbed::history::objects::{Action, Clock, Entry, NIL, Name, OPEN, ObjectHistory};
use kraftbed::prng::Prng;

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub model: Model,
    /// Operations at most.
    pub operations: u64,
    pub processes: u32,
    /// Different values; more than there are operations makes most of them distinct.
    pub values: u64,
    /// Whether every written value is new.
    pub is_unique: bool,
    /// Of a hundred operations, so many never return.
    pub open: u64,
    /// Of a hundred answers, so many are changed.
    pub bent: u64,
}

/// Draws a history: every operation takes effect at a random moment between call and return, and then some answers are bent.
pub fn draw(prng: &mut Prng, shape: Shape) -> ObjectHistory {
    let mut history = ObjectHistory::new(shape.model, Clock::Nanoseconds);
    let names: Vec<Name> = (0..shape.values).map(|value| history.values.name(&word(value))).collect();
    let count = 1 + prng.below(shape.operations);
    // Three moments of each operation: call, effect, return; a process does one thing at a time.
    let mut free = vec![0u64; shape.processes as usize];
    let mut drawn: Vec<(u64, u64, u64, u32)> = Vec::new();
    for _ in 0..count {
        let process = prng.below(u64::from(shape.processes)) as u32;
        let call = free[process as usize] + prng.below(6);
        let effect = call + 1 + prng.below(12);
        let ret = effect + 1 + prng.below(12);
        free[process as usize] = ret + 1;
        drawn.push((effect, call, ret, process));
    }
    drawn.sort();
    let mut held = Held { value: NIL, text: String::new(), elements: Vec::new() };
    let (mut entries, mut fresh) = (Vec::new(), 0);
    for (_, call, ret, process) in drawn {
        let is_open = prng.chance(shape.open, 100);
        // Half of what never returns never happened.
        let happened = !is_open || prng.chance(1, 2);
        let (action, a, b) = held.step(prng, &mut history, shape, &names, &mut fresh, happened);
        if is_open && !is_change(action) {
            continue;
        }
        let (action, a) = match (is_open, action) {
            (true, Action::Remove) if shape.model == Model::Queue => (Action::Take, NIL),
            _ => (action, a),
        };
        let is_bent = !is_open && prng.chance(shape.bent, 100);
        let (action, a) = match action {
            Action::Remove | Action::Read | Action::Refused | Action::Contains | Action::Lacks if is_bent => {
                (action, *prng.pick(&names))
            }
            Action::Acquire if is_bent => (Action::Release, a),
            Action::Release if is_bent => (Action::Acquire, a),
            _ => (action, a),
        };
        entries.push((
            call,
            if is_open { u64::MAX } else { ret },
            Entry { action, a, b, key: NIL, process, call: 0, ret: OPEN },
        ));
    }
    place(&mut history, entries);
    history
}

/// Gives every call and return a position of its own; at one moment, calls come first.
fn place(history: &mut ObjectHistory, entries: Vec<(u64, u64, Entry)>) {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (index, (call, ret, _)) in entries.iter().enumerate() {
        events.push((*call, false, index));
        events.extend((*ret != u64::MAX).then_some((*ret, true, index)));
    }
    events.sort();
    let mut placed: Vec<Entry> = entries.into_iter().map(|(_, _, entry)| entry).collect();
    for (position, (moment, is_return, index)) in (0u32..).zip(events) {
        history.stamps.push(moment);
        if is_return {
            placed[index].ret = position;
        } else {
            placed[index].call = position;
        }
    }
    placed.sort_by_key(|entry| entry.call);
    history.entries = placed;
}

struct Held {
    value: Name,
    text: String,
    elements: Vec<Name>,
}

impl Held {
    /// Does something, and says what.
    fn step(
        &mut self,
        prng: &mut Prng,
        history: &mut ObjectHistory,
        shape: Shape,
        names: &[Name],
        fresh: &mut usize,
        happened: bool,
    ) -> (Action, Name, Name) {
        let name = if shape.is_unique { names[*fresh % names.len()] } else { *prng.pick(names) };
        *fresh += 1;
        match shape.model {
            Model::Queue => self.queue(prng, name, happened),
            Model::Set => self.set(prng, history, name, happened, shape.values > 3),
            Model::Kv => self.text(prng, history, name, happened),
            Model::Lock => {
                let is_free = self.value == NIL;
                if happened {
                    self.value = Name::from(is_free);
                }
                (if is_free { Action::Acquire } else { Action::Release }, NIL, NIL)
            }
            _ => self.register(prng, name, happened, shape.model == Model::CasRegister),
        }
    }

    fn queue(&mut self, prng: &mut Prng, name: Name, happened: bool) -> (Action, Name, Name) {
        if prng.chance(1, 2) {
            self.elements.extend(happened.then_some(name));
            return (Action::Insert, name, NIL);
        }
        match self.elements.first().copied() {
            None => (Action::Empty, NIL, NIL),
            Some(first) => {
                if happened {
                    self.elements.remove(0);
                }
                (Action::Remove, first, NIL)
            }
        }
    }

    fn set(
        &mut self,
        prng: &mut Prng,
        history: &mut ObjectHistory,
        name: Name,
        happened: bool,
        has_reads: bool,
    ) -> (Action, Name, Name) {
        let is_in = self.elements.contains(&name);
        match prng.below(4) {
            0 | 1 => {
                self.elements.extend((happened && !is_in).then_some(name));
                (Action::Insert, name, NIL)
            }
            2 if has_reads => {
                let mut list = self.elements.clone();
                list.sort();
                history.lists.push(list);
                (Action::Elements, history.lists.len() as Name - 1, NIL)
            }
            2 => {
                self.elements.retain(|element| !happened || *element != name);
                (Action::Discard, name, NIL)
            }
            _ if is_in => (Action::Contains, name, NIL),
            _ => (Action::Lacks, name, NIL),
        }
    }

    fn text(
        &mut self,
        prng: &mut Prng,
        history: &mut ObjectHistory,
        name: Name,
        happened: bool,
    ) -> (Action, Name, Name) {
        match prng.below(5) {
            0 | 1 if self.text.is_empty() => (Action::Read, NIL, NIL),
            0 | 1 => (Action::Read, history.values.name(&self.text), NIL),
            2 if happened => {
                self.text = history.values.text(name).to_owned();
                (Action::Write, name, NIL)
            }
            _ => {
                self.text.push_str(if happened { history.values.text(name) } else { "" });
                (Action::Append, name, NIL)
            }
        }
    }

    fn register(&mut self, prng: &mut Prng, name: Name, happened: bool, swaps: bool) -> (Action, Name, Name) {
        let (held, after) = (self.value, if happened { name } else { self.value });
        match prng.below(6) {
            0..=2 => (Action::Read, held, NIL),
            3 if swaps && held != name => (Action::Refused, name, NIL),
            4 if swaps => {
                self.value = after;
                (Action::Cas, held, name)
            }
            _ => {
                self.value = after;
                (Action::Write, name, NIL)
            }
        }
    }
}

fn is_change(action: Action) -> bool {
    matches!(
        action,
        Action::Write
            | Action::Cas
            | Action::Append
            | Action::Insert
            | Action::Remove
            | Action::Discard
            | Action::Acquire
            | Action::Release
    )
}

fn word(value: u64) -> String {
    // Words that are beginnings of each other, so that texts can be read in several ways.
    let letter = char::from(b'a' + (value / 2 % 26) as u8);
    format!("{letter}{}", if value.is_multiple_of(2) { String::new() } else { letter.to_string() })
}
