//! Clients as processes that do one thing at a time, which is what checkers of histories demand.
//!
//! A client of ours may have several operations under way, and goes on after one whose end nobody knows. A process may do
//! neither: it asks, is answered, asks again; and once nobody knows, it never acts again. So a client is as many processes
//! as it takes: one more whenever all of its own are busy or gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Ask, ClientId, Operation, Outcome, Told};
use crate::trace::{Event, EventKind};

/// What an event of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was asked.
    Asked,
    /// It was over for the client, however it ended.
    Over,
}

/// An event of an operation, and of which process it is.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Which of the two.
    pub moment: Moment,
    /// The process.
    pub process: usize,
    /// The number of the operation.
    pub index: usize,
    /// What was asked, and what was answered where it is over.
    pub operation: &'a Operation,
    /// The event itself.
    pub event: &'a Event,
}

/// The processes of a run.
#[derive(Debug, Default)]
pub struct Processes {
    /// Those of a client that have nothing to do.
    idle: BTreeMap<ClientId, BTreeSet<usize>>,
    /// Operations under way, and who does them.
    busy: BTreeMap<usize, usize>,
    next: usize,
}

impl Processes {
    /// Processes for the clients of a trace, the first of each having the client's number.
    pub fn new(events: &[Event]) -> Processes {
        let mut processes = Processes::default();
        for event in events {
            if let EventKind::Operation { operation, .. } = &event.kind {
                let client = operation.client;
                processes.idle.entry(client).or_default().insert(client.0 as usize);
                processes.next = processes.next.max(client.0 as usize + 1);
            }
        }
        processes
    }

    /// What an event says of an operation, if anything. Events are shown in their order.
    pub fn step<'a>(&mut self, event: &'a Event) -> Option<Step<'a>> {
        let EventKind::Operation { index, operation } = &event.kind else { return None };
        let index = *index;
        let idle = self.idle.entry(operation.client).or_default();
        if let Some(process) = self.busy.remove(&index) {
            // A write that got no answer that it can have had is not over, either.
            let is_over = match (&operation.outcome, &operation.ask) {
                (Outcome::Open, _) => false,
                (Outcome::Ok(told), Ask::Put { .. } | Ask::Cas { .. }) => {
                    matches!(told, Told::Put { .. } | Told::Compared { .. })
                }
                _ => true,
            };
            if is_over {
                idle.insert(process);
            }
            return Some(Step { moment: Moment::Over, process, index, operation, event });
        }
        let process = match idle.pop_first() {
            Some(process) => process,
            None => self.another(),
        };
        self.busy.insert(index, process);
        Some(Step { moment: Moment::Asked, process, index, operation, event })
    }

    /// A process that nobody has been.
    pub fn another(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The operations that are under way, by number, with their processes.
    pub fn under_way(&self) -> impl Iterator<Item = (usize, usize)> {
        self.busy.iter().map(|(index, process)| (*index, *process))
    }
}
