//! Operations with two times each become a history: all calls and returns in one order.
//!
//! Events of one instant count as concurrent, so calls come first. But a client that does one thing at a time and asks at the
//! instant of an answer asks after it. An order of all events can say so of one client without saying it of others,
//! so where several do that at the same instant it is said of the first of them.

use std::collections::BTreeMap;

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

/// Puts them into the history, which has none yet. Says which entry each became.
pub fn place(history: &mut ObjectHistory, intervals: &[Interval]) -> Vec<u32> {
    let mut events: Vec<Event> = Vec::with_capacity(intervals.len() * 2);
    for (index, interval) in (0..).zip(intervals) {
        events.push((interval.invoked, Rank::Call, index));
        events.extend(interval.returned.map(|at| (at, Rank::Return, index)));
    }
    events.sort();
    rank_instants(&mut events, intervals);
    let mut places = vec![OPEN; intervals.len()];
    history.entries.reserve(intervals.len());
    history.stamps.reserve(events.len());
    for (position, (stamp, rank, index)) in (0..).zip(events) {
        history.stamps.push(stamp);
        if matches!(rank, Rank::AnswerBefore | Rank::Return) {
            history.entries[places[index as usize] as usize].ret = position;
            continue;
        }
        places[index as usize] = history.entries.len() as u32;
        let Interval { action, a, b, key, process, .. } = intervals[index as usize];
        history.entries.push(Entry { action, a, b, key, process, call: position, ret: OPEN });
    }
    places
}

/// When, what, and of which interval.
type Event = (u64, Rank, u32);

/// The order of events of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Call,
    /// Of the one client of which the order is known.
    AnswerBefore,
    CallAfter,
    Return,
}

/// Of each instant, the first client that asked when it had been answered.
fn rank_instants(events: &mut [Event], intervals: &[Interval]) {
    // How many operations that are answered some time each client has under way.
    let mut running: BTreeMap<u32, u32> = BTreeMap::new();
    let process = |event: &Event| intervals[event.2 as usize].process;
    for instant in events.chunk_by_mut(|a, b| a.0 == b.0) {
        let returns = instant.partition_point(|event| event.1 == Rank::Call);
        let (calls, answers) = instant.split_at_mut(returns);
        let has_begun = |event: &Event| intervals[event.2 as usize].invoked < event.0;
        let is_alone = |event: &&mut Event| has_begun(event) && running.get(&process(event)) == Some(&1);
        let mut pairs = answers.iter_mut().filter(is_alone).filter_map(|answer| {
            let mut next = calls.iter().enumerate().filter(|(_, call)| process(call) == process(answer));
            next.next().filter(|_| next.next().is_none()).map(|(place, _)| (answer, place))
        });
        if let Some((answer, place)) = pairs.next() {
            (answer.1, calls[place].1) = (Rank::AnswerBefore, Rank::CallAfter);
        }
        for event in instant.iter() {
            let count = running.entry(process(event)).or_default();
            match event.1 {
                Rank::AnswerBefore | Rank::Return => *count -= 1,
                Rank::Call | Rank::CallAfter => *count += u32::from(intervals[event.2 as usize].returned.is_some()),
            }
        }
        instant.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::model::Model;
    use crate::history::objects::{Clock, NIL};

    /// Calls and returns by interval, in their order.
    fn placed(times: &[(u32, u64, u64)]) -> Vec<(u32, u32)> {
        let interval = |&(process, invoked, returned): &(u32, u64, u64)| Interval {
            action: Action::Read,
            a: NIL,
            b: NIL,
            key: NIL,
            process,
            invoked,
            returned: Some(returned),
        };
        let mut history = ObjectHistory::new(Model::Register, Clock::Nanoseconds);
        let places = place(&mut history, &times.iter().map(interval).collect::<Vec<_>>());
        let of = |&place: &u32| (history.entries[place as usize].call, history.entries[place as usize].ret);
        places.iter().map(of).collect()
    }

    #[test]
    fn who_asks_when_answered_asks_after_it() {
        assert_eq!(placed(&[(0, 1, 5), (0, 5, 9)]), [(0, 1), (2, 3)]);
        // Others of that instant are concurrent with both.
        assert_eq!(placed(&[(0, 1, 5), (1, 2, 5), (0, 5, 9), (2, 5, 6)]), [(0, 3), (1, 5), (4, 7), (2, 6)]);
    }

    #[test]
    fn who_does_several_things_at_a_time_may_have_asked_before() {
        assert_eq!(placed(&[(0, 1, 5), (0, 2, 7), (0, 5, 9)]), [(0, 3), (1, 4), (2, 5)]);
        assert_eq!(placed(&[(0, 1, 5), (0, 5, 8), (0, 5, 9)]), [(0, 3), (1, 4), (2, 5)]);
        assert_eq!(placed(&[(0, 5, 5), (0, 5, 9)]), [(0, 2), (1, 3)]);
    }

    #[test]
    fn of_several_clients_it_is_said_of_the_first() {
        assert_eq!(placed(&[(0, 1, 5), (1, 2, 5), (0, 5, 9), (1, 5, 10)]), [(0, 3), (1, 5), (4, 6), (2, 7)]);
    }
}
