//! All orders, one after another: the definition, and nothing else.
//!
//! What an operation means is written down here once more, on plain texts and lists, so that nothing is shared with the deciders.

use kraftbed::history::Model;
use kraftbed::history::objects::{Action, Entry, NIL, Name, OPEN, ObjectHistory};

/// What one object holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Of a register or a lock.
    Value(Name),
    /// Of a key.
    Text(String),
    /// Of a queue, in order, or of a set.
    Elements(Vec<Name>),
}

/// Whether the history is linearizable.
pub fn is_linearizable(history: &ObjectHistory) -> bool {
    let mut keys: Vec<Name> = history.entries.iter().map(|entry| entry.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().all(|key| {
        let mut rest: Vec<Entry> = history.entries.iter().filter(|entry| entry.key == key).copied().collect();
        explains(history, &mut rest, &start(history))
    })
}

/// What an object holds at first.
pub fn start(history: &ObjectHistory) -> Held {
    match history.model {
        Model::Queue | Model::Set => Held::Elements(Vec::new()),
        Model::Kv => Held::Text(text(history, history.initial)),
        _ => Held::Value(history.initial),
    }
}

/// Whether what is left has an order that starts from what is held.
fn explains(history: &ObjectHistory, rest: &mut Vec<Entry>, held: &Held) -> bool {
    if rest.iter().all(|entry| entry.ret == OPEN) {
        return true;
    }
    let first_return = rest.iter().map(|entry| entry.ret).min().expect("it is not empty");
    for index in 0..rest.len() {
        // Nothing may come first that was called after something else had returned.
        if rest[index].call > first_return {
            continue;
        }
        if let Some(after) = apply(history, held, &rest[index]) {
            let entry = rest.remove(index);
            let is_explained = explains(history, rest, &after);
            rest.insert(index, entry);
            if is_explained {
                return true;
            }
        }
    }
    false
}

/// The text of a name.
pub fn text(history: &ObjectHistory, name: Name) -> String {
    if name == NIL { String::new() } else { history.values.text(name).to_owned() }
}

/// What it holds after the operation, if that can end as it did.
pub fn apply(history: &ObjectHistory, held: &Held, entry: &Entry) -> Option<Held> {
    let Entry { action, a, b, .. } = *entry;
    match held {
        Held::Value(value) => match action {
            Action::Read => (*value == a).then_some(Held::Value(a)),
            Action::Refused => (*value != a).then_some(Held::Value(*value)),
            Action::Write => Some(Held::Value(a)),
            Action::Cas => (*value == a).then_some(Held::Value(b)),
            Action::Acquire => (*value == 0).then_some(Held::Value(1)),
            Action::Release => (*value == 1).then_some(Held::Value(0)),
            _ => unreachable!("{action:?}"),
        },
        Held::Text(now) => match action {
            Action::Read => (*now == text(history, a)).then(|| held.clone()),
            Action::Refused => (*now != text(history, a)).then(|| held.clone()),
            Action::Write => Some(Held::Text(text(history, a))),
            Action::Append => Some(Held::Text(format!("{now}{}", text(history, a)))),
            Action::Cas => (*now == text(history, a)).then(|| Held::Text(text(history, b))),
            _ => unreachable!("{action:?}"),
        },
        Held::Elements(now) => {
            let mut after = now.clone();
            match (action, history.model) {
                (Action::Insert, Model::Queue) => after.push(a),
                (Action::Remove, Model::Queue) if now.first() == Some(&a) => drop(after.remove(0)),
                (Action::Take, Model::Queue) if !now.is_empty() => drop(after.remove(0)),
                (Action::Empty, Model::Queue) if now.is_empty() => {}
                (Action::Insert, _) if now.contains(&a) => {}
                (Action::Insert, _) => after.push(a),
                (Action::Discard, _) => after.retain(|element| *element != a),
                (Action::Contains, _) if now.contains(&a) => {}
                (Action::Lacks, _) if !now.contains(&a) => {}
                (Action::Elements, _) => {
                    let mut sorted = now.clone();
                    sorted.sort_unstable();
                    if sorted != history.lists[a as usize] {
                        return None;
                    }
                }
                _ => return None,
            }
            Some(Held::Elements(after))
        }
    }
}
