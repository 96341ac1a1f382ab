//! What clients are told of keys fits one register for each key, in real time.
//!
//! When the run ends, for every key: there is an order of the operations on it such that every get returns what was put last,
//! every compare-and-set finds that too, and no operation comes before one that had returned when it was asked for. What may
//! or may not have happened (it timed out) has a place in the order, at any time after it was asked, or none.
//!
//! Source: Herlihy and Wing, "Linearizability": a history is linearizable if it is for each object alone. Who decides is
//! [`decide`]: monitors where values are distinct, else a search, whose budget is counted in steps, so that equal seeds end
//! equally. Where it does not last, the run is undecided.

use std::collections::BTreeMap;

use crate::check::{End, Interests, Ledger, Property, Seen, Violation, What};
use crate::history::engine::decide::{self, Verdict, decide};
use crate::history::engine::{Budget, words};
use crate::history::model::Model;
use crate::history::objects::{Action, Clock, Entry, NIL, Name, OPEN, ObjectHistory};
use crate::history::{Ask, Operation, Outcome, Told, value};
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct KvLinearizable {
    history: ObjectHistory,
    /// Operations under way, by their index in the run's history: which entry each is.
    running: BTreeMap<usize, usize>,
    /// Entries that say nothing: what did not happen, and gets without an answer.
    silent: Vec<usize>,
    answers: u64,
    undecided: Option<String>,
}

impl Default for KvLinearizable {
    fn default() -> KvLinearizable {
        KvLinearizable {
            history: ObjectHistory::new(Model::Kv, Clock::Nanoseconds),
            running: BTreeMap::new(),
            silent: Vec::new(),
            answers: 0,
            undecided: None,
        }
    }
}

impl KvLinearizable {
    fn on_invoked(&mut self, at: Instant, index: usize, operation: &Operation) {
        let Some(key) = operation.ask.key() else { return };
        let key = self.history.keys.name(&key.to_string());
        let (action, a, b) = match operation.ask {
            Ask::Put { value, .. } => (Action::Write, self.name(Some(value)), NIL),
            Ask::Cas { from, to, .. } => (Action::Cas, self.name(from), self.name(Some(to))),
            _ => (Action::Read, NIL, NIL),
        };
        let (process, call) = (operation.client.0, self.position(at));
        self.running.insert(index, self.history.entries.len());
        self.history.entries.push(Entry { action, a, b, key, process, call, ret: OPEN });
    }

    fn on_returned(&mut self, at: Instant, index: usize, operation: &Operation) {
        let Some(entry) = self.running.remove(&index) else { return };
        let read = match (&operation.ask, &operation.outcome) {
            (_, Outcome::Open) => return,
            (Ask::Get { .. }, Outcome::Ok(Told::Got { value })) => Some(*value),
            (Ask::Put { .. }, Outcome::Ok(Told::Put { .. })) => None,
            (Ask::Cas { from, .. }, Outcome::Ok(Told::Compared { found, .. })) => (found != from).then_some(*found),
            // It did not happen; or the answer is none, which others report.
            _ => return self.silent.push(entry),
        };
        self.answers += 1;
        // A compare-and-set that found something else has only read it.
        if let Some(value) = read {
            let a = self.name(value);
            self.history.entries[entry] = Entry { action: Action::Read, a, b: NIL, ..self.history.entries[entry] };
        }
        self.history.entries[entry].ret = self.position(at);
    }

    /// Observations come in the order of what happened, so that no two events are at one position.
    fn position(&mut self, at: Instant) -> u32 {
        let position = u32::try_from(self.history.stamps.len()).expect("invariant: a run has fewer than 2³² events");
        self.history.stamps.push(at.0);
        position
    }

    fn name(&mut self, value: Option<u64>) -> Name {
        value.map_or(NIL, |value| self.history.values.name(&value::word(value)))
    }

    fn judge(&mut self) -> Result<(), String> {
        let is_open_get = |entry: &usize| self.history.entries[*entry].action == Action::Read;
        self.silent.extend(self.running.values().filter(|entry| is_open_get(entry)));
        self.silent.sort();
        let silent = std::mem::take(&mut self.silent);
        let mut index = 0..;
        self.history.entries.retain(|_| index.next().is_some_and(|index| silent.binary_search(&index).is_err()));
        let history = &self.history;
        for part in decide::parts(history) {
            match decide(history, &part, &BUDGET).verdict {
                Verdict::Linearizable => {}
                Verdict::NotLinearizable(refutation) => {
                    let core = decide::core_of(history, &refutation, &BUDGET);
                    return Err(words::sentence(history, &part.entries, &core));
                }
                Verdict::Undecided(exhausted) => {
                    let key = history.keys.text(part.key.0);
                    let why = format!("the operations on key {key} are more than {} allow", exhausted.name());
                    self.undecided.get_or_insert(why);
                }
            }
        }
        Ok(())
    }
}

impl Property for KvLinearizable {
    fn name(&self) -> &'static str {
        "kv_linearizable"
    }

    fn statement(&self) -> &'static str {
        "For each key there is an order of its operations, in real time, that explains every answer (Herlihy and Wing, linearizability)."
    }

    fn interests(&self) -> Interests {
        Interests::INVOKED | Interests::RETURNED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let at = seen.observation.at;
        match seen.observation.what {
            What::Invoked { index, operation } => self.on_invoked(at, index, operation),
            What::Returned { index, operation } => self.on_returned(at, index, operation),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        self.judge().or_else(|lie| self.fails_in_the_end(end, None, lie))
    }

    fn undecided(&self) -> Option<&str> {
        self.undecided.as_deref()
    }

    fn entries(&self) -> usize {
        self.running.len()
    }

    fn exercised(&self) -> u64 {
        self.answers
    }
}

/// What a decision about one key may take. A search of a run takes some thousand steps.
const BUDGET: Budget<'static> = Budget { steps_max: 20_000_000, bytes_max: 256 << 20, is_over: &|| false };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Observation;
    use crate::check::fixture::{Stage, tail};
    use crate::history::ClientId;

    /// Operations that a client has, one after another unless told otherwise.
    struct Keys {
        stage: Stage,
        operations: Vec<Operation>,
    }

    impl Keys {
        fn new() -> Keys {
            Keys { stage: Stage::of(KvLinearizable::default(), 3), operations: Vec::new() }
        }

        fn asks(&mut self, ask: Ask) -> usize {
            let index = self.operations.len();
            let client = ClientId(index as u32);
            self.operations.push(Operation { client, ask, ..tail(Outcome::Open) });
            let operation = &self.operations[index];
            self.stage.see(Observation::NO_NODE, What::Invoked { index, operation }).unwrap();
            index
        }

        fn is_told(&mut self, index: usize, outcome: Outcome) {
            self.operations[index].outcome = outcome;
            let operation = &self.operations[index];
            self.stage.see(Observation::NO_NODE, What::Returned { index, operation }).unwrap();
        }

        fn does(&mut self, ask: Ask, told: Told) {
            let index = self.asks(ask);
            self.is_told(index, Outcome::Ok(told));
        }

        fn put(&mut self, value: u64) {
            self.does(Ask::Put { key: 1, value }, Told::Put { offset: 0 });
        }

        fn get(&mut self, value: Option<u64>) {
            self.does(Ask::Get { key: 1 }, Told::Got { value });
        }

        fn cas(&mut self, from: Option<u64>, to: u64, found: Option<u64>) {
            self.does(Ask::Cas { key: 1, from, to }, Told::Compared { offset: 0, found });
        }

        fn end(mut self) -> Result<u64, Violation> {
            self.stage.finish(End::default())?;
            Ok(self.stage.exercised())
        }
    }

    #[test]
    fn answers_of_one_register() {
        let mut keys = Keys::new();
        keys.get(None);
        keys.cas(None, 3, None);
        keys.put(4);
        keys.put(3);
        keys.cas(Some(4), 5, Some(3));
        keys.cas(Some(3), 5, Some(3));
        keys.get(Some(5));
        keys.does(Ask::Get { key: 2 }, Told::Got { value: None });
        assert_eq!(keys.end().unwrap(), 8);
    }

    #[test]
    fn what_timed_out_may_have_happened_late_or_never_and_what_was_refused_never() {
        let mut keys = Keys::new();
        let put = keys.asks(Ask::Put { key: 1, value: 7 });
        keys.is_told(put, Outcome::Open);
        let get = keys.asks(Ask::Get { key: 1 });
        keys.is_told(get, Outcome::Failed);
        keys.asks(Ask::Get { key: 1 });
        keys.asks(Ask::Cas { key: 1, from: Some(9), to: 8 });
        keys.put(9);
        keys.get(Some(9));
        keys.get(Some(7));
        keys.end().unwrap();
        let mut keys = Keys::new();
        let put = keys.asks(Ask::Put { key: 1, value: 7 });
        keys.is_told(put, Outcome::Failed);
        keys.get(Some(7));
        assert!(keys.end().unwrap_err().message.ends_with("which nothing ever wrote"));
    }

    #[test]
    fn a_stale_get() {
        let mut keys = Keys::new();
        keys.put(3);
        keys.put(4);
        keys.get(Some(3));
        let message = keys.end().unwrap_err().message;
        assert!(message.starts_with("key 1: read of 3 by client 2 at "), "{message}");
        assert!(message.ends_with("and nothing wrote 3 since"), "{message}");
    }

    #[test]
    fn two_that_succeeded_where_one_could() {
        let mut keys = Keys::new();
        keys.put(3);
        keys.cas(Some(3), 4, Some(3));
        keys.cas(Some(3), 5, Some(3));
        assert!(keys.end().unwrap_err().message.starts_with("key 1: compare-and-set from 3 to 5"));
    }
}
