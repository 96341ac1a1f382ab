//! What conflicts, in words: a sentence for a core.

use crate::history::engine::core::Core;
use crate::history::model::{Model, Start};
use crate::history::objects::{Action, Entry, NIL, Name, OPEN, ObjectHistory};

/// Why the core cannot be explained, as far as a sentence can say it.
pub fn sentence(history: &ObjectHistory, all: &[Entry], core: &Core) -> String {
    let required: Vec<&Entry> = core.required().collect();
    let words = Words { history };
    let last = required.iter().max_by_key(|entry| entry.ret);
    let reason = last.and_then(|last| match last.action {
        Action::Read | Action::Cas if history.model != Model::Set => words.of_value(all, &required, last),
        Action::Remove | Action::Empty if history.model == Model::Queue => words.of_element(all, last),
        _ => None,
    });
    let object = match words.object(required.first().map_or(NIL, |entry| entry.key)) {
        Some(key) => format!("{key}: "),
        None => String::new(),
    };
    match reason {
        Some(reason) => format!("{object}{reason}"),
        None => {
            let mut list: Vec<String> = required.iter().take(LIST_MAX).map(|entry| words.told(entry)).collect();
            if required.len() > LIST_MAX {
                list.push(format!("and {} more", required.len() - LIST_MAX));
            }
            format!("{object}no order explains these {}{}: {}", required.len(), words.before(core), list.join("; "))
        }
    }
}

/// An operation with its client and times: `write of 5 by client 2 (at 1.0s to 1.1s)`.
pub fn describe(history: &ObjectHistory, entry: &Entry) -> String {
    Words { history }.told(entry)
}

/// What an operation did: `write of 5`.
pub fn deed(history: &ObjectHistory, entry: &Entry) -> String {
    Words { history }.deed(entry)
}

struct Words<'h> {
    history: &'h ObjectHistory,
}

impl Words<'_> {
    fn text(&self, name: Name) -> &str {
        self.history.values.text(name)
    }

    fn object(&self, key: Name) -> Option<String> {
        (key != NIL).then(|| format!("key {}", self.history.keys.text(key)))
    }

    /// What it did: `write of 5`.
    fn deed(&self, entry: &Entry) -> String {
        let (a, b) = (self.text(entry.a), self.text(entry.b));
        match entry.action {
            Action::Read => format!("read of {a}"),
            Action::Write => format!("write of {a}"),
            Action::Cas => format!("compare-and-set from {a} to {b}"),
            Action::Refused => format!("compare-and-set that found something other than {a}"),
            Action::Append => format!("append of {a}"),
            Action::Insert if self.history.model == Model::Set => format!("add of {a}"),
            Action::Insert => format!("enqueue of {a}"),
            Action::Discard => format!("remove of {a}"),
            Action::Remove => format!("dequeue of {a}"),
            Action::Take => "dequeue of something".to_owned(),
            Action::Contains => format!("finding of {a}"),
            Action::Lacks => format!("not finding of {a}"),
            Action::Empty => "dequeue that found nothing".to_owned(),
            Action::Elements => {
                let elements = &self.history.lists[entry.a as usize];
                format!("read of {} elements", elements.len())
            }
            Action::Acquire => "acquire".to_owned(),
            Action::Release => "release".to_owned(),
        }
    }

    fn told(&self, entry: &Entry) -> String {
        let call = self.history.moment(entry.call);
        match entry.ret {
            OPEN => format!("{} by client {} (asked {call}, never answered)", self.deed(entry), entry.process),
            ret => {
                let ret = self.history.moment(ret);
                let ret = ret.strip_prefix("at ").unwrap_or(&ret);
                format!("{} by client {} ({call} to {ret})", self.deed(entry), entry.process)
            }
        }
    }

    /// A value was observed that cannot have been there.
    fn of_value(&self, all: &[Entry], required: &[&Entry], last: &Entry) -> Option<String> {
        let value = last.a;
        let leaves = |entry: &&Entry, value: Name| match entry.action {
            Action::Write => entry.a == value,
            Action::Cas => entry.b == value && entry.a != entry.b,
            _ => false,
        };
        let seen = format!("{} by client {} {}", self.deed(last), last.process, self.history.moment(last.ret));
        if all.iter().any(|entry| entry.action == Action::Append) {
            return None;
        }
        let text = self.text(value);
        let sources = || all.iter().filter(|entry| leaves(entry, value));
        if value != self.history.initial && sources().next().is_none() {
            return Some(format!("{seen}, which nothing ever wrote"));
        }
        if value != self.history.initial && sources().all(|source| source.call > last.ret) {
            let first = sources().min_by_key(|source| source.call)?;
            return Some(format!(
                "{seen}, before {text} was first asked to be written, {}",
                self.history.moment(first.call)
            ));
        }
        // Something else was there, and nothing brought the value back.
        let other = |entry: &&&Entry| {
            let is_other = match entry.action {
                Action::Write => entry.a != value,
                Action::Cas => entry.b != value,
                Action::Read => entry.a != value,
                Action::Refused => entry.a == value,
                _ => false,
            };
            is_other && entry.ret < last.call
        };
        let other = required.iter().filter(other).max_by_key(|entry| entry.ret)?;
        let is_gone = sources().all(|source| source.ret < other.call || source.call > last.ret);
        let since = match required.len() {
            _ if is_gone => format!("nothing wrote {text} since"),
            2 => format!("what might have brought {text} back since could not"),
            _ => return None,
        };
        let verb = if other.is_observation() { "told" } else { "acknowledged" };
        let (deed, moment) = (self.deed(other), self.history.moment(other.ret));
        Some(format!("{seen}, after {deed} was {verb} to client {} {moment} and {since}", other.process))
    }

    fn of_element(&self, all: &[Entry], last: &Entry) -> Option<String> {
        let told = self.told(last);
        let is_inserted = all.iter().any(|entry| entry.action == Action::Insert && entry.a == last.a);
        (last.action == Action::Remove && !is_inserted).then(|| format!("{told}, which nobody had put in"))
    }

    fn before(&self, core: &Core) -> String {
        match core.start {
            Start::Unknown => ", whatever was there before".to_owned(),
            Start::Holds(_) if matches!(self.history.model, Model::Queue | Model::Set) => String::new(),
            Start::Holds(_) => format!(", from {} on", self.text(self.history.initial)),
        }
    }
}

/// Operations that a sentence tells one by one.
const LIST_MAX: usize = 6;
