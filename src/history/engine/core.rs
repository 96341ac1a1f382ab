//! Cores: the few operations of a history that cannot be explained.
//!
//! Every step *relaxes* the history: what explains the whole would explain the rest, so if the rest cannot be explained, nor can
//! the whole. Three relaxations are used, each as far as it goes:
//!
//! * **Forget the past.** Before some moment nothing is known: what returned is forgotten, what was under way may have happened
//!   or not, and the object may hold anything.
//! * **Drop an observation**: a read, or a refused compare-and-set. It changes nothing.
//! * **Doubt a change**: it may have happened at any time after its call, or never. (To drop it would not relax: others may need it.)
//!
//! What remains is minimal: without any one of its operations, the rest can be explained. Many are relaxed at once, half of them if
//! that goes too far, so that the cost depends on the core and hardly on the history.

use crate::history::model::Start;
use crate::history::objects::{Action, Entry, NIL, OPEN};

/// Operations that cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// What the object holds at first.
    pub start: Start,
    /// The operations, by call. Those that never return were relaxed, or never returned: they may have happened, and do not help.
    pub entries: Vec<Entry>,
    /// Whether every smaller one was tried. Not if the budget was exhausted on the way.
    pub is_minimal: bool,
}

impl Core {
    /// The operations that must be explained.
    pub fn required(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.ret != OPEN)
    }
}

/// Shrinks operations that cannot be explained. `is_impossible` decides again, and says nothing if its budget is exhausted.
pub fn shrink(
    entries: Vec<Entry>,
    start: Start,
    can_forget: bool,
    mut is_impossible: impl FnMut(&[Entry], Start) -> Option<bool>,
) -> Core {
    let mut shrinking =
        Shrinking { core: Core { start, entries, is_minimal: true }, is_impossible: &mut is_impossible };
    if can_forget {
        shrinking.forget();
    }
    loop {
        let before = shrinking.core.required().count();
        shrinking.relax_all(Entry::is_observation);
        shrinking.relax_all(|entry| !entry.is_observation());
        if shrinking.core.required().count() == before {
            break;
        }
    }
    shrinking.core
}

/// What is left of a history that ends with the return at `end`: what was under way then may have happened or not.
pub fn until(entries: &[Entry], end: u32) -> Vec<Entry> {
    let begun = entries.iter().filter(|entry| entry.call < end).copied();
    let open = |entry: Entry| (!entry.is_observation()).then_some(Entry { ret: OPEN, ..entry });
    begun.filter_map(|entry| if entry.ret <= end { Some(entry) } else { open(entry) }).collect()
}

struct Shrinking<'s> {
    core: Core,
    is_impossible: &'s mut dyn FnMut(&[Entry], Start) -> Option<bool>,
}

impl Shrinking<'_> {
    fn try_this(&mut self, entries: Vec<Entry>, start: Start) -> bool {
        match (self.is_impossible)(&entries, start) {
            Some(true) => {
                (self.core.entries, self.core.start) = (entries, start);
                true
            }
            Some(false) => false,
            None => {
                self.core.is_minimal = false;
                false
            }
        }
    }

    /// Forgets as much of the past as can be: the later the moment, the less is known. What cannot be explained is mostly
    /// near the end, and a short history is decided soon, so the look is from there, twice as far each time.
    fn forget(&mut self) {
        let all = self.core.entries.clone();
        let mut kept = 1;
        while !self.forgets(&all, all.len().saturating_sub(kept)) {
            if kept >= all.len() {
                return;
            }
            kept *= 2;
        }
        // Impossible with so many kept, and not with half as many.
        let (mut low, mut high) = (all.len().saturating_sub(kept), all.len() - kept / 2);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if self.forgets(&all, middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
    }

    /// Whether what was called from operation `first` on cannot be explained, whatever was before.
    fn forgets(&mut self, all: &[Entry], first: usize) -> bool {
        let Some(moment) = all.get(first).map(|entry| entry.call) else { return false };
        let after = |entry: &Entry| {
            if entry.call >= moment {
                Some(*entry)
            } else if entry.ret > moment {
                entry.relaxed()
            } else {
                None
            }
        };
        self.try_this(all.iter().filter_map(after).collect(), Start::Unknown)
    }

    fn relax_all(&mut self, is_meant: impl Fn(&Entry) -> bool) {
        let calls = self.core.required().filter(|entry| is_meant(entry)).map(|entry| entry.call).collect::<Vec<u32>>();
        self.relax(&calls);
    }

    /// Relaxes these operations (by their calls), or as many of them as can be.
    fn relax(&mut self, calls: &[u32]) {
        if calls.is_empty() {
            return;
        }
        let relaxed = |entry: &Entry| match calls.binary_search(&entry.call) {
            Ok(_) => entry.relaxed(),
            Err(_) => Some(*entry),
        };
        let entries: Vec<Entry> = self.core.entries.iter().filter_map(relaxed).collect();
        if self.try_this(entries, self.core.start) || calls.len() == 1 {
            return;
        }
        let (first, second) = calls.split_at(calls.len() / 2);
        self.relax(second);
        self.relax(first);
    }
}

impl Entry {
    /// Whether it only tells what was there.
    pub fn is_observation(&self) -> bool {
        match self.action {
            Action::Read | Action::Refused | Action::Contains | Action::Lacks | Action::Empty | Action::Elements => {
                true
            }
            Action::Cas => self.a == self.b,
            Action::Write | Action::Append | Action::Insert | Action::Remove | Action::Take => false,
            Action::Acquire | Action::Release | Action::Discard => false,
        }
    }

    /// What is left of it if nobody knows whether it happened.
    pub fn relaxed(&self) -> Option<Entry> {
        match self.action {
            // It took something, then, or nothing.
            Action::Remove => Some(Entry { action: Action::Take, a: NIL, ret: OPEN, ..*self }),
            _ => (!self.is_observation()).then_some(Entry { ret: OPEN, ..*self }),
        }
    }
}
