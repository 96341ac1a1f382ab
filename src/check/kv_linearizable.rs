//! What clients are told of keys fits one register for each key, in real time.
//!
//! When the run ends, for every key: there is an order of the operations on it such that every get returns what was put last,
//! every compare-and-set finds that too, and no operation comes before one that had returned when it was asked for. What may
//! or may not have happened (it timed out) has a place in the order, at any time after it was asked, or none.
//!
//! Source: Herlihy and Wing, "Linearizability": a history is linearizable if it is for each object alone.
//!
//! **Who decides.** Machines were given the commands in the order in which they were committed. That order is a witness: if it
//! explains all that clients were told of a key, there is nothing to search for. It is never the judge. Where it explains
//! nothing, [`decide`] looks for another order: monitors where values are distinct, else a search, whose budget is counted in
//! steps, so that equal seeds end equally. (Where it does not last, the run is undecided.) If there is none, clients were lied
//! to. If there is one, what was recorded of commits is wrong or what clients were told is, and that is a violation as well.

use std::collections::BTreeMap;

use crate::check::{End, Interests, Ledger, Property, Seen, Violation, What};
use crate::history::engine::decide::{self, Part, Verdict, by_witness, decide, earliest};
use crate::history::engine::{Budget, words};
use crate::history::format::intervals::{Interval, place};
use crate::history::model::Model;
use crate::history::objects::{Action, Clock, Entry, NIL, Name, OPEN, ObjectHistory};
use crate::history::{Ask, Operation, Outcome, Told, value};
use crate::ids::Offset;
use crate::machine::Command;
use crate::record::RecordBatch;
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct KvLinearizable {
    history: ObjectHistory,
    /// Operations under way, by their index in the run's history: which entry each is.
    running: BTreeMap<usize, usize>,
    /// Entries that say nothing: what did not happen, and gets without an answer.
    silent: Vec<usize>,
    commits: Commits,
    answers: u64,
    undecided: Option<String>,
}

/// In which order changes were committed.
#[derive(Debug, Default)]
struct Commits {
    /// What machines were given so far.
    read: Offset,
    /// Positions of the calls of changes that were committed.
    order: Vec<u32>,
    /// Changes that were asked for and are not committed, by client: entries.
    awaited: BTreeMap<u32, Vec<usize>>,
}

impl Default for KvLinearizable {
    fn default() -> KvLinearizable {
        KvLinearizable {
            history: ObjectHistory::new(Model::Kv, Clock::Nanoseconds),
            running: BTreeMap::new(),
            silent: Vec::new(),
            commits: Commits::default(),
            answers: 0,
            undecided: None,
        }
    }
}

/// The name of the property.
pub const KV_LINEARIZABLE: &str = "kv_linearizable";

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
        if action != Action::Read {
            self.commits.awaited.entry(process).or_default().push(self.history.entries.len());
        }
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

    /// Machines were given these batches: each is looked at once, whichever machine has it first.
    fn on_applied(&mut self, batches: &[RecordBatch]) {
        for batch in batches {
            if batch.base_offset() != self.commits.read {
                continue;
            }
            self.commits.read = batch.end();
            if !batch.is_control() && !self.commits.awaited.is_empty() {
                // Leaders walk what they append, so a batch that cannot be read is none that was committed.
                let _ = batch.each_value(|_, value| {
                    value
                        .and_then(Command::parse)
                        .into_iter()
                        .for_each(|(number, command)| self.commits(number, command));
                });
            }
        }
    }

    /// A command was committed. Of equal ones of a client it is the first that is still awaited: they cannot be told apart.
    fn commits(&mut self, number: u64, command: Command) {
        let key = self.history.keys.name(&command.key().to_string());
        let (action, a, b) = match command {
            Command::Put { value, .. } => (Action::Write, self.name(Some(value)), NIL),
            Command::Cas { from, to, .. } => (Action::Cas, self.name(from), self.name(Some(to))),
        };
        let client = (number >> 32) as u32;
        let Some(awaited) = self.commits.awaited.get_mut(&client) else { return };
        let is_it = |&entry: &usize| {
            let entry = &self.history.entries[entry];
            (entry.action, entry.a, entry.b, entry.key) == (action, a, b, key)
        };
        if let Some(place) = awaited.iter().position(is_it) {
            self.commits.order.push(self.history.entries[awaited.remove(place)].call);
        }
        if awaited.is_empty() {
            self.commits.awaited.remove(&client);
        }
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

    /// Events of one instant are ordered as in a history that was written down, so that both are judged alike.
    fn join_instants(&mut self) {
        let stamps = std::mem::take(&mut self.history.stamps);
        let entries = std::mem::take(&mut self.history.entries);
        let interval = |&Entry { action, a, b, key, process, call, ret }: &Entry| Interval {
            action,
            a,
            b,
            key,
            process,
            invoked: stamps[call as usize],
            returned: stamps.get(ret as usize).copied(),
        };
        let intervals: Vec<Interval> = entries.iter().map(interval).collect();
        let places = place(&mut self.history, &intervals);
        for call in &mut self.commits.order {
            let known = entries.binary_search_by_key(call, |entry| entry.call);
            *call = known.map_or(OPEN, |index| self.history.entries[places[index] as usize].call);
        }
    }

    fn judge(&mut self, committed: Offset) -> Result<(), String> {
        let is_open_get = |entry: &usize| self.history.entries[*entry].action == Action::Read;
        self.silent.extend(self.running.values().filter(|entry| is_open_get(entry)));
        self.silent.sort();
        let silent = std::mem::take(&mut self.silent);
        let mut index = 0..;
        self.history.entries.retain(|_| index.next().is_some_and(|index| silent.binary_search(&index).is_err()));
        self.join_instants();
        // A witness that has not seen all of it is none.
        let has_seen_all = self.commits.read > Offset::ZERO && self.commits.read >= committed;
        let orders = self.orders();
        let parts = decide::parts(&self.history);
        for (index, part) in parts.iter().enumerate() {
            let calls = orders.get(&part.key.0).map_or(&[][..], |calls| calls);
            let misfit = match has_seen_all.then(|| by_witness(&self.history, &part.entries, &numbers(part, calls))) {
                Some(Ok(_)) => continue,
                Some(Err(misfit)) => Some(misfit),
                None => None,
            };
            self.decide(&parts, index, misfit)?;
        }
        Ok(())
    }

    /// The calls of the changes of each key, in the order in which they were committed.
    fn orders(&self) -> BTreeMap<Name, Vec<u32>> {
        let mut orders: BTreeMap<Name, Vec<u32>> = BTreeMap::new();
        for call in &self.commits.order {
            let entries = &self.history.entries;
            let entry = entries.binary_search_by_key(call, |entry| entry.call).map(|index| &entries[index]);
            if let Some(entry) = entry.ok().filter(|entry| !entry.is_observation()) {
                orders.entry(entry.key).or_default().push(*call);
            }
        }
        orders
    }

    /// Decides about a key, of which the witness has no order, or one in which this has no place.
    fn decide(&mut self, parts: &[Part], index: usize, misfit: Option<Entry>) -> Result<(), String> {
        let (history, part) = (&self.history, &parts[index]);
        let key = || history.keys.text(part.key.0);
        match (decide(history, part, &BUDGET).verdict, misfit) {
            (Verdict::Linearizable, None) => Ok(()),
            (Verdict::Linearizable, Some(misfit)) => Err(format!(
                "key {}: in the order in which commands were committed there is no place for {}, and in another order there is: \
                 what machines were given and what clients were told do not belong together",
                key(),
                words::describe(history, &misfit)
            )),
            (Verdict::NotLinearizable(refutation), _) => {
                let (first, refutation) = earliest(history, parts, (index, &refutation), &BUDGET);
                let core = decide::core_of(history, &refutation, &BUDGET);
                Err(words::sentence(history, &parts[first].entries, &core))
            }
            (Verdict::Undecided(exhausted), _) => {
                let why = format!("{} exhausted on the operations of key {}", exhausted.name(), key());
                self.undecided.get_or_insert(why);
                Ok(())
            }
        }
    }
}

/// The entries of a part that have these calls.
fn numbers(part: &Part, calls: &[u32]) -> Vec<u32> {
    let number = |call: &u32| part.entries.binary_search_by_key(call, |entry| entry.call);
    calls.iter().map(|call| number(call).expect("invariant: a key's entries are in its part") as u32).collect()
}

impl Property for KvLinearizable {
    fn name(&self) -> &'static str {
        KV_LINEARIZABLE
    }

    fn statement(&self) -> &'static str {
        "For each key there is an order of its operations, in real time, that explains every answer (Herlihy and Wing, linearizability)."
    }

    fn interests(&self) -> Interests {
        Interests::INVOKED | Interests::RETURNED | Interests::APPLIED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let at = seen.observation.at;
        match seen.observation.what {
            What::Invoked { index, operation } => self.on_invoked(at, index, operation),
            What::Returned { index, operation } => self.on_returned(at, index, operation),
            What::Applied { batches, .. } => self.on_applied(batches),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, ledger: &Ledger) -> Result<(), Violation> {
        self.judge(ledger.committed_end()).or_else(|lie| self.fails_in_the_end(end, None, lie))
    }

    fn undecided(&self) -> Option<&str> {
        self.undecided.as_deref()
    }

    fn entries(&self) -> usize {
        self.running.len() + self.commits.awaited.values().map(Vec::len).sum::<usize>()
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
    use crate::check::fixture::{Stage, mark, tail};
    use crate::history::ClientId;
    use crate::ids::Epoch;
    use crate::raft::note::Note;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    /// Operations that a client has, one after another unless told otherwise.
    struct Keys {
        stage: Stage,
        operations: Vec<Operation>,
    }

    impl Keys {
        fn new() -> Keys {
            Keys { stage: Stage::of(KvLinearizable::default(), 3), operations: Vec::new() }
        }

        /// A client asks that has asked for nothing else.
        fn asks(&mut self, ask: Ask) -> usize {
            self.asks_as(ClientId(self.operations.len() as u32), ask)
        }

        fn asks_as(&mut self, client: ClientId, ask: Ask) -> usize {
            let index = self.operations.len();
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

        /// Machines are given what these operations asked for, in this order.
        fn are_committed(&mut self, base: u64, order: &[usize]) {
            let mut builder = BatchBuilder::new(Timestamp(0));
            for &index in order {
                let command = match self.operations[index].ask {
                    Ask::Put { key, value } => Command::Put { key, value },
                    Ask::Cas { key, from, to } => Command::Cas { key, from, to },
                    _ => unreachable!("a command"),
                };
                builder.push(None, Some(&command.encode(value::number(self.operations[index].client, 0), 0)));
            }
            let batch = builder.build().stamped(Offset(base), Epoch(1));
            let end = batch.end();
            // Every machine is given it.
            for node in 0..3 {
                self.stage.see(node, What::Applied { batches: std::slice::from_ref(&batch), end, machine: 0 }).unwrap();
            }
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

    #[test]
    fn the_order_of_commits_explains_what_overlaps() {
        let mut keys = Keys::new();
        let [first, second] = [3, 4].map(|value| keys.asks(Ask::Put { key: 1, value }));
        let swap = keys.asks(Ask::Cas { key: 1, from: Some(4), to: 5 });
        let refused = keys.asks(Ask::Cas { key: 1, from: Some(4), to: 6 });
        keys.are_committed(0, &[second, swap, refused, first]);
        for put in [first, second] {
            keys.is_told(put, Outcome::Ok(Told::Put { offset: 0 }));
        }
        keys.is_told(refused, Outcome::Ok(Told::Compared { offset: 2, found: Some(5) }));
        keys.get(Some(3));
        keys.end().unwrap();
    }

    #[test]
    fn an_order_of_commits_that_explains_nothing_where_another_does() {
        let mut keys = Keys::new();
        keys.put(3);
        keys.put(4);
        keys.get(Some(4));
        keys.are_committed(0, &[1, 0]);
        let message = keys.end().unwrap_err().message;
        assert!(
            message.starts_with("key 1: in the order in which commands were committed there is no place for "),
            "{message}"
        );
        // Where no order explains it, that is what is wrong.
        let mut keys = Keys::new();
        keys.put(3);
        keys.put(4);
        keys.get(Some(3));
        keys.are_committed(0, &[0, 1]);
        assert!(keys.end().unwrap_err().message.ends_with("and nothing wrote 3 since"));
    }

    #[test]
    fn a_witness_that_has_not_seen_everything_is_not_heard() {
        let mut keys = Keys::new();
        keys.put(3);
        keys.are_committed(1, &[0]);
        keys.get(Some(3));
        keys.end().unwrap();
    }

    #[test]
    fn a_witness_that_has_not_seen_the_end_is_not_heard() {
        let mut keys = Keys::new();
        keys.put(3);
        keys.put(4);
        keys.stage.leads(0, 1).unwrap();
        for node in 0..3 {
            keys.stage.node(node).write(&[mark(0, 1, 1), mark(1, 2, 1)]).sync();
        }
        keys.stage.node(0).high_watermark(2);
        keys.stage.note(0, Note::HighWatermark { to: Offset(2) }).unwrap();
        keys.are_committed(0, &[0]);
        keys.get(Some(4));
        keys.end().unwrap();
    }

    #[test]
    fn of_equal_puts_of_a_client_the_first_is_committed_first() {
        let mut keys = Keys::new();
        let again = Ask::Put { key: 1, value: 3 };
        let first = keys.asks_as(ClientId(7), again.clone());
        keys.is_told(first, Outcome::Open);
        keys.put(4);
        let second = keys.asks_as(ClientId(7), again);
        keys.is_told(second, Outcome::Ok(Told::Put { offset: 2 }));
        keys.are_committed(0, &[first, 1, second]);
        keys.get(Some(3));
        keys.end().unwrap();
    }
}
