//! Operations with two times each become a history: all calls and returns in one order, calls first where times are equal.

use crate::history::objects::{Action, Entry, Name, OPEN, ObjectHistory};

/// An operation with its times.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// What.
    pub action: Action,
    /// The first name.
    pub a: Name,
    /// The second.
    pub b: Name,
    /// Of which object.
    pub key: Name,
    /// Who asked.
    pub process: u32,
    /// When it was called.
    pub invoked: u64,
    /// When it returned, if it did.
    pub returned: Option<u64>,
}

/// What each of them takes, with its place in the history and what it takes to find that.
pub const BYTES_PER_INTERVAL: usize =
    size_of::<Interval>() + size_of::<Entry>() + 2 * (8 + size_of::<(u64, bool, u32)>());

/// Puts them into the history, which has none yet.
pub fn place(history: &mut ObjectHistory, intervals: &[Interval]) {
    let mut events: Vec<(u64, bool, u32)> = Vec::with_capacity(intervals.len() * 2);
    for (index, interval) in (0..).zip(intervals) {
        events.push((interval.invoked, false, index));
        events.extend(interval.returned.map(|at| (at, true, index)));
    }
    events.sort();
    let mut places = vec![OPEN; intervals.len()];
    history.entries.reserve(intervals.len());
    history.stamps.reserve(events.len());
    for (position, (stamp, is_return, index)) in (0..).zip(events) {
        history.stamps.push(stamp);
        if is_return {
            history.entries[places[index as usize] as usize].ret = position;
            continue;
        }
        places[index as usize] = history.entries.len() as u32;
        let Interval { action, a, b, key, process, .. } = intervals[index as usize];
        history.entries.push(Entry { action, a, b, key, process, call: position, ret: OPEN });
    }
}
