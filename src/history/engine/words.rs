//! What conflicts, in words: a sentence for a core.

use std::borrow::Cow;

use crate::history::engine::core::Core;
use crate::history::engine::orders::{DeadEnd, Held, Useless};
use crate::history::model::register::{ABSENT, FREE, HELD, PRESENT};
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
        Action::Elements => words.of_elements(&required, last),
        Action::Acquire => words.of_lock(core, last),
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
            format!("{object}{NO_ORDER} {}{}: {}", required.len(), words.before(core), list.join("; "))
        }
    }
}

/// What is wrong in a sentence about an object, whichever operations and values it tells of; `None` of any other text. One bug makes
/// a read of one value conflict with a write, and a compare-and-set of another with a read: a matter of luck.
pub fn kind(sentence: &str) -> Option<&'static str> {
    let has = |mark: &&str| sentence.contains(*mark);
    match () {
        () if [UNWRITTEN, UNASKED].iter().any(has) => Some("an answer that nothing had written"),
        () if [UNRENEWED, UNRESTORED, NO_ORDER].iter().any(has) => Some("answers that no order explains"),
        () => None,
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

/// How far an order of a core's operations gets, and why it does not go on.
pub fn dead_end(history: &ObjectHistory, end: &DeadEnd) -> String {
    let words = Words { history };
    let by = |entry: &Entry| format!("{} by client {}", words.deed(entry), entry.process);
    let order: Vec<String> = end.order.iter().map(by).collect();
    let order = if order.is_empty() { "at first".to_owned() } else { order.join(", ") };
    let held: Vec<String> = end.held.iter().take(LIST_MAX).map(|held| words.held(held)).collect();
    let more = if end.held.len() > LIST_MAX { " or something else" } else { "" };
    let next = end.next.iter().map(|(next, sources)| {
        let why = |(source, why): &(Entry, Useless)| match why {
            Useless::Placed => format!("{} has come before", by(source)),
            Useless::TooLate => format!("{} can only come later", by(source)),
            Useless::NeedsOther => format!("{} cannot come either", by(source)),
        };
        let mut reasons: Vec<String> = sources.iter().take(SOURCES_MAX).map(why).collect();
        if sources.len() > SOURCES_MAX {
            reasons.push(format!("and so on for {} more", sources.len() - SOURCES_MAX));
        }
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        format!("{} cannot come next{reasons}", by(next))
    });
    let next = next.collect::<Vec<String>>().join(", and ");
    format!("{order}: {} {}{more}; {next}", words.holder(), held.join(" or "))
}

struct Words<'h> {
    history: &'h ObjectHistory,
}

impl Words<'_> {
    fn text(&self, name: Name) -> Cow<'_, str> {
        printed(self.history.values.text(name))
    }

    /// As the history has it.
    fn raw(&self, name: Name) -> &str {
        self.history.values.text(name)
    }

    fn object(&self, key: Name) -> Option<String> {
        (key != NIL).then(|| format!("key {}", printed(self.history.keys.text(key))))
    }

    /// What it did: `write of 5`.
    fn deed(&self, entry: &Entry) -> String {
        if entry.action == Action::Elements {
            let count = self.history.lists[entry.a as usize].len();
            return format!("read of {count} element{}", if count == 1 { "" } else { "s" });
        }
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
            Action::Elements => unreachable!("invariant: told above, since it names no value"),
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

    /// The object of a dead end, with its verb.
    fn holder(&self) -> &'static str {
        match self.history.model {
            Model::Set => "the element is",
            Model::Lock => "the lock is",
            _ => "it holds",
        }
    }

    fn held(&self, held: &Held) -> String {
        match (held, self.history.model) {
            (Held::AnythingBut(values), _) if values.is_empty() => "anything".to_owned(),
            (Held::AnythingBut(values), _) => {
                let values: Vec<Cow<'_, str>> = values.iter().map(|value| self.text(*value)).collect();
                format!("anything but {}", values.join(", "))
            }
            (Held::Value(PRESENT), Model::Set) => "present".to_owned(),
            (Held::Value(ABSENT), Model::Set) => "absent".to_owned(),
            (Held::Value(HELD), Model::Lock) => "held".to_owned(),
            (Held::Value(FREE), Model::Lock) => "free".to_owned(),
            (Held::Value(name), _) => self.text(*name).into_owned(),
            (Held::Text(text), _) => format!("{text:?}"),
            (Held::Unobserved, _) => "a text that none of these saw".to_owned(),
            (Held::Elements(elements), _) => {
                let elements: Vec<Cow<'_, str>> = elements.iter().map(|element| self.text(*element)).collect();
                format!("[{}]", elements.join(", "))
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
            return self.of_text(all, required, last).map(|reason| format!("{seen}{reason}"));
        }
        let text = self.text(value);
        let sources = || all.iter().filter(|entry| leaves(entry, value));
        if value != self.history.initial && sources().next().is_none() {
            return Some(format!("{seen}{UNWRITTEN}"));
        }
        if value != self.history.initial && sources().all(|source| source.call > last.ret) {
            let first = sources().min_by_key(|source| source.call)?;
            return Some(format!(
                "{seen}{UNASKED} {text} was first asked to be written, {}",
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
            _ if is_gone => format!("{UNRENEWED} {text} since"),
            2 => format!("{UNRESTORED} {text} back since could not"),
            _ => return None,
        };
        let verb = if other.is_observation() { "told" } else { "acknowledged" };
        let (deed, moment) = (self.deed(other), self.history.moment(other.ret));
        Some(format!("{seen}, after {deed} was {verb} to client {} {moment} and {since}", other.process))
    }

    /// A text was observed that lacks something.
    fn of_text(&self, all: &[Entry], required: &[&Entry], last: &Entry) -> Option<String> {
        let seen = if last.a == NIL { "" } else { self.raw(last.a) };
        let before = |entry: &&&Entry| entry.ret < last.call;
        let other = required.iter().filter(before).max_by_key(|entry| entry.ret)?;
        // Unless something was put since, on which it goes on.
        let puts = all.iter().filter(|entry| entry.action == Action::Write && seen.starts_with(self.raw(entry.a)));
        if puts.into_iter().any(|put| put.ret > other.call) {
            return None;
        }
        let (there, moment) = (self.raw(other.a), self.history.moment(other.ret));
        match other.action {
            Action::Append if !seen.contains(there) => Some(format!(
                ", which lacks {there:?} although its append was acknowledged to client {} {moment}",
                other.process
            )),
            Action::Read if other.a != NIL && !seen.starts_with(there) => {
                Some(format!(", which does not go on from {there:?}, read by client {} {moment}", other.process))
            }
            _ => None,
        }
    }

    fn of_element(&self, all: &[Entry], last: &Entry) -> Option<String> {
        let told = self.told(last);
        let is_inserted = all.iter().any(|entry| entry.action == Action::Insert && entry.a == last.a);
        (last.action == Action::Remove && !is_inserted).then(|| format!("{told}, which nobody had put in"))
    }

    /// A whole read lacks what had been added.
    fn of_elements(&self, required: &[&Entry], last: &Entry) -> Option<String> {
        let [other] = required.iter().filter(|entry| **entry != last).copied().collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_missed = other.action == Action::Insert && !self.history.lists[last.a as usize].contains(&other.a);
        is_missed.then(|| {
            let (element, moment) = (self.text(other.a), self.history.moment(other.ret));
            format!(
                "{} by client {} {} lacks {element}, although its add was acknowledged to client {} {moment}",
                self.deed(last),
                last.process,
                self.history.moment(last.ret),
                other.process
            )
        })
    }

    /// A lock was granted more often than it can have been free.
    fn of_lock(&self, core: &Core, last: &Entry) -> Option<String> {
        let count =
            |action| core.entries.iter().filter(|entry| entry.action == action && entry.call < last.ret).count();
        let granted = core.required().filter(|entry| entry.action == Action::Acquire).count();
        let released = count(Action::Release);
        (granted > LIST_MAX && granted > released + 1).then(|| {
            let moment = self.history.moment(last.ret);
            format!(
                "the lock was granted {granted} times until {}, and released {released} times at most",
                moment.trim_start_matches("at ")
            )
        })
    }

    fn before(&self, core: &Core) -> String {
        match core.start {
            Start::Unknown => ", whatever was there before".to_owned(),
            Start::Holds(_) if matches!(self.history.model, Model::Queue | Model::Set) => String::new(),
            Start::Holds(_) => format!(", from {} on", self.text(self.history.initial)),
        }
    }
}

/// A text that stays in its line and runs from left to right: what would end a line, move the cursor or turn the direction is escaped.
fn printed(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_plain(c) { c.to_string() } else { c.escape_default().to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Said of a value that came from nowhere.
const UNWRITTEN: &str = ", which nothing ever wrote";

/// Said of a value that came from the future.
const UNASKED: &str = ", before";

/// Said of a value that was gone.
const UNRENEWED: &str = "nothing wrote";

/// Said of a value that was gone, and might have come back.
const UNRESTORED: &str = "what might have brought";

/// Said of operations of which no two alone conflict.
const NO_ORDER: &str = "no order explains these";

/// Operations that a sentence tells one by one.
const LIST_MAX: usize = 6;

/// Operations of a dead end that are told to be of no use.
const SOURCES_MAX: usize = 3;
