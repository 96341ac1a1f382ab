//! A client of the key-value machine: one operation at a time, each of several requests.
//!
//! | asked | requests | the answer |
//! |---|---|---|
//! | put | Produce | that it was acknowledged |
//! | compare-and-set | Produce, Fetches up to its record | what the machine, fed with those records, found there |
//! | get | ListOffsets(latest), Fetches up to there | what the machine, fed with those records, holds |
//!
//! A Produce answer says where a command is and not what it did. So the client keeps a machine of its own, which applies the
//! log from its beginning: it is the same code as in the nodes, and at equal offsets it has the same state. A get is
//! linearizable because the end of the log is: whatever was acknowledged before the get was asked lies below it.
//!
//! **Invariants**: the machine has applied exactly the commands below `position`; a command's number is used once.

use crate::client::client::OFFSET_OUT_OF_RANGE;
use crate::client::{Ask, Told};
use crate::history;
use crate::history::{ClientId, Outcome, value};
use crate::ids::Offset;
use crate::machine::{Command, KvMachine};
use crate::quirk::{Quirk, Quirks};
use crate::record::RecordBatch;

/// See the module.
#[derive(Clone, Debug)]
pub struct Table {
    client: ClientId,
    value_bytes: usize,
    machine: KvMachine,
    position: Offset,
    commands: u32,
    task: Option<Task>,
    quirks: Quirks,
}

/// The operation under way.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// A put waits for its acknowledgement.
    Put,
    /// A compare-and-set waits for its acknowledgement.
    Cas { key: u32, number: u64 },
    /// It is acknowledged at this offset, and reads up to it.
    Compare { number: u64, at: Offset, found: Option<Found> },
    /// A get waits for the end of the log.
    Get { key: u32 },
    /// It reads up to there.
    Look { key: u32, end: Offset },
}

/// What an own command found, and whether it was there.
#[derive(Clone, Copy, Debug)]
struct Found {
    number: u64,
    value: Option<u64>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Next {
    /// Ask this of the session.
    Ask(Ask),
    /// The operation has ended.
    End(Outcome),
}

impl Table {
    /// A client that has read nothing.
    pub fn new(client: ClientId, value_bytes: usize, quirks: Quirks) -> Table {
        let (machine, position) = (KvMachine::new(quirks), Offset::ZERO);
        Table { client, value_bytes, machine, position, commands: 0, task: None, quirks }
    }

    /// The first request of an operation on a key; `None` for other operations.
    pub fn begin(&mut self, ask: &history::Ask) -> Option<Ask> {
        let command = match *ask {
            history::Ask::Get { key } if self.quirks.has(Quirk::GetsSkipTail) => {
                self.start(Task::Look { key, end: self.position });
                return Some(Ask::Fetch { from: self.position });
            }
            history::Ask::Get { key } => {
                self.start(Task::Get { key });
                return Some(Ask::Tail);
            }
            history::Ask::Put { key, value } => Command::Put { key, value },
            history::Ask::Cas { key, from, to } => Command::Cas { key, from, to },
            history::Ask::Append { .. } | history::Ask::Tail | history::Ask::Read { .. } => return None,
        };
        let number = value::number(self.client, self.commands);
        self.commands = self.commands.checked_add(1).expect("invariant: a client writes fewer than 2³² commands");
        self.start(if matches!(command, Command::Put { .. }) {
            Task::Put
        } else {
            Task::Cas { key: command.key(), number }
        });
        Some(Ask::Produce { values: vec![command.encode(number, self.value_bytes)] })
    }

    /// How a request of the operation under way ended, and what follows from it; `None` when none is under way.
    pub fn on_told(&mut self, told: &Told) -> Option<Next> {
        let task = self.task.take()?;
        Some(match (task, told) {
            (Task::Put, Told::Produced { base }) => Next::End(Outcome::Ok(history::Told::Put { offset: base.0 })),
            (Task::Cas { .. }, Told::Produced { base }) if *base < self.position => {
                unreadable(format!("acknowledged at offset {base}, where the log was read before it was asked"))
            }
            (Task::Cas { key, .. }, Told::Produced { base }) if self.quirks.has(Quirk::CasJudgedEarly) => {
                let (offset, found) = (base.0, self.machine.get(key));
                Next::End(Outcome::Ok(history::Told::Compared { offset, found }))
            }
            (Task::Cas { number, .. }, Told::Produced { base }) => {
                self.read_on(Task::Compare { number, at: *base, found: None })
            }
            (Task::Get { key }, Told::Tail { end }) => self.look(Task::Look { key, end: *end }),
            (task, Told::Fetched { batches, .. }) => {
                let task = self.apply(task, batches);
                self.look(task)
            }
            (_, Told::Unreadable { reason }) => unreadable(reason.clone()),
            // It reads below an end that it was told.
            (Task::Look { .. } | Task::Compare { .. }, Told::Failed { error: OFFSET_OUT_OF_RANGE }) => {
                unreadable("an offset that exists is out of range".to_owned())
            }
            // Nothing was changed, so nothing has happened.
            (Task::Get { .. } | Task::Look { .. }, _) => Next::End(Outcome::Failed),
            (Task::Put | Task::Cas { .. }, Told::Failed { .. }) => Next::End(Outcome::Failed),
            // It may be in the log; or it is, and nobody can say what it found there.
            (Task::Put | Task::Cas { .. } | Task::Compare { .. }, _) => Next::End(Outcome::Open),
        })
    }

    fn start(&mut self, task: Task) {
        assert!(self.task.is_none(), "a table has one operation at a time");
        self.task = Some(task);
    }

    /// Ends the operation if enough was read.
    fn look(&mut self, task: Task) -> Next {
        match task {
            Task::Look { key, end } if end <= self.position => {
                Next::End(Outcome::Ok(history::Told::Got { value: self.machine.get(key) }))
            }
            Task::Compare { number, at, found } if at < self.position => match found {
                Some(found) if found.number == number => {
                    Next::End(Outcome::Ok(history::Told::Compared { offset: at.0, found: found.value }))
                }
                _ => unreadable(format!("acknowledged at offset {at}, and something else is there")),
            },
            task => self.read_on(task),
        }
    }

    fn read_on(&mut self, task: Task) -> Next {
        self.task = Some(task);
        Next::Ask(Ask::Fetch { from: self.position })
    }

    /// Feeds the machine with what was not read before, and notes what the own command found.
    fn apply(&mut self, mut task: Task, batches: &[RecordBatch]) -> Task {
        for batch in batches {
            if batch.end() <= self.position {
                continue;
            }
            let from = std::mem::replace(&mut self.position, batch.end());
            if batch.is_control() {
                continue;
            }
            let machine = &mut self.machine;
            // What cannot be read is no command; others report it.
            let _ = batch.each_value(|offset, value| {
                let Some((number, command)) = value.and_then(Command::parse).filter(|_| offset >= from) else { return };
                let value = machine.execute(offset, command);
                if let Task::Compare { at, found, .. } = &mut task
                    && *at == offset
                {
                    *found = Some(Found { number, value });
                }
            });
        }
        task
    }
}

fn unreadable(reason: String) -> Next {
    Next::End(Outcome::Ok(history::Told::Unreadable { reason }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    const PUT: history::Ask = history::Ask::Put { key: 1, value: 5 };
    const CAS: history::Ask = history::Ask::Cas { key: 1, from: Some(5), to: 6 };
    const GET: history::Ask = history::Ask::Get { key: 1 };

    /// A put of another client.
    fn put(value: u64) -> bytes::Bytes {
        Command::Put { key: 1, value }.encode(value::number(ClientId(9), value as u32), 0)
    }

    fn fetched(base: u64, values: &[bytes::Bytes]) -> Told {
        let mut builder = BatchBuilder::new(Timestamp(0));
        values.iter().for_each(|value| builder.push(None, Some(value)));
        let batch = builder.build().stamped(Offset(base), Epoch(1));
        Told::Fetched { from: Offset(base), high_watermark: Some(batch.end()), batches: vec![batch] }
    }

    /// A client whose compare-and-set was asked, and its command.
    fn compares() -> (Table, bytes::Bytes) {
        let mut table = Table::new(ClientId(0), 0, Quirks::NONE);
        let Some(Ask::Produce { values }) = table.begin(&CAS) else { panic!("a command is produced") };
        (table, values[0].clone())
    }

    fn fetches(table: &mut Table, told: &Told, expected: u64) {
        let next = table.on_told(told);
        assert!(matches!(next, Some(Next::Ask(Ask::Fetch { from })) if from.0 == expected), "{next:?}");
    }

    fn ends(table: &mut Table, told: &Told) -> Outcome {
        match table.on_told(told) {
            Some(Next::End(outcome)) => outcome,
            next => panic!("goes on with {next:?}"),
        }
    }

    #[test]
    fn a_compare_and_set_is_told_what_it_found_where_it_stands() {
        let (mut table, command) = compares();
        fetches(&mut table, &Told::Produced { base: Offset(2) }, 0);
        fetches(&mut table, &fetched(0, &[put(5)]), 1);
        // Nothing was committed in time: ask again.
        fetches(&mut table, &Told::Fetched { from: Offset(1), batches: vec![], high_watermark: None }, 1);
        let outcome = ends(&mut table, &fetched(1, &[put(7), command, put(8)]));
        assert_eq!(outcome, Outcome::Ok(history::Told::Compared { offset: 2, found: Some(7) }));
        // What stands behind it was applied too.
        table.begin(&GET).unwrap();
        assert_eq!(
            ends(&mut table, &Told::Tail { end: Offset(4) }),
            Outcome::Ok(history::Told::Got { value: Some(8) })
        );
    }

    #[test]
    fn a_get_sees_all_below_the_end_it_was_told_and_a_batch_once() {
        let mut table = Table::new(ClientId(0), 0, Quirks::NONE);
        table.begin(&GET).unwrap();
        fetches(&mut table, &Told::Tail { end: Offset(3) }, 0);
        fetches(&mut table, &fetched(0, &[put(1), put(2)]), 2);
        // A leader may send the whole batch that holds the offset.
        let outcome = ends(&mut table, &fetched(1, &[put(3), put(4)]));
        assert_eq!(outcome, Outcome::Ok(history::Told::Got { value: Some(4) }));
    }

    #[test]
    fn a_command_that_is_not_where_it_was_acknowledged_is_evidence() {
        let (mut table, _) = compares();
        fetches(&mut table, &Told::Produced { base: Offset(0) }, 0);
        let outcome = ends(&mut table, &fetched(0, &[put(5)]));
        assert!(matches!(outcome, Outcome::Ok(history::Told::Unreadable { .. })), "{outcome:?}");
        table.begin(&CAS).unwrap();
        let outcome = ends(&mut table, &Told::Produced { base: Offset(0) });
        assert!(matches!(outcome, Outcome::Ok(history::Told::Unreadable { .. })), "{outcome:?}");
    }

    #[test]
    fn the_quirks_ask_less_than_they_should() {
        let mut table = Table::new(ClientId(0), 0, Quirks::NONE.with(Quirk::GetsSkipTail));
        assert!(matches!(table.begin(&GET), Some(Ask::Fetch { from: Offset(0) })));
        let nothing = Told::Fetched { from: Offset(0), batches: vec![], high_watermark: Some(Offset(0)) };
        assert_eq!(ends(&mut table, &nothing), Outcome::Ok(history::Told::Got { value: None }));
        let mut table = Table::new(ClientId(0), 0, Quirks::NONE.with(Quirk::CasJudgedEarly));
        table.begin(&CAS).unwrap();
        let told = history::Told::Compared { offset: 7, found: None };
        assert_eq!(ends(&mut table, &Told::Produced { base: Offset(7) }), Outcome::Ok(told));
    }

    #[test]
    fn only_a_refused_command_has_failed() {
        let (failed, open) = (Told::Failed { error: 7 }, Told::Open);
        let mut table = Table::new(ClientId(0), 0, Quirks::NONE);
        for ask in [PUT, CAS] {
            table.begin(&ask).unwrap();
            assert_eq!(ends(&mut table, &failed), Outcome::Failed);
            table.begin(&ask).unwrap();
            assert_eq!(ends(&mut table, &open), Outcome::Open);
        }
        table.begin(&CAS).unwrap();
        fetches(&mut table, &Told::Produced { base: Offset(0) }, 0);
        assert_eq!(ends(&mut table, &failed), Outcome::Open, "it is in the log, whatever it found there");
        table.begin(&GET).unwrap();
        assert_eq!(ends(&mut table, &failed), Outcome::Failed);
    }
}
