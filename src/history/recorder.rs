//! Writes a history down while a run goes on.
//!
//! One recorder serves all clients of a run. Its clock is the run's own (true time in the simulator, one process-wide
//! clock on real sockets), never a client's: an interval that was measured on two clocks proves nothing.
//!
//! **Invariants**: operations stand in the order of their invokes; an operation that has not ended is
//! [`Outcome::Open`], so a history that is cut off at any moment is a legal history.

use std::collections::BTreeMap;

use crate::history::{Ask, ClientId, Operation, Outcome};
use crate::time::Instant;

/// All operations of a run, and which of them are still under way.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    operations: Vec<Operation>,
    running: BTreeMap<(ClientId, u64), usize>,
}

impl Recorder {
    /// An empty history.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// A client has asked. `serial` names the operation among those of this client; the answer is the operation's
    /// index in the history.
    pub fn invoked(&mut self, at: Instant, client: ClientId, serial: u64, ask: Ask) -> usize {
        let index = self.operations.len();
        let before = self.running.insert((client, serial), index);
        assert!(before.is_none(), "client {client} gave operation {serial} twice");
        self.operations.push(Operation { client, ask, invoked: at, returned: None, outcome: Outcome::Open });
        index
    }

    /// A client was told how an operation ended. An open operation keeps no time of return: it may yet happen.
    pub fn returned(&mut self, at: Instant, client: ClientId, serial: u64, outcome: Outcome) -> usize {
        let index = self.running.remove(&(client, serial));
        let index = index.unwrap_or_else(|| panic!("client {client} ended operation {serial}, which is not under way"));
        let operation = &mut self.operations[index];
        operation.returned = (outcome != Outcome::Open).then_some(at);
        operation.outcome = outcome;
        index
    }

    /// Everything that was asked so far, in the order of the invokes.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Everything that was asked.
    pub fn into_operations(self) -> Vec<Operation> {
        self.operations
    }

    /// How many operations are under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Told;

    #[test]
    fn an_open_operation_has_no_return() {
        let mut recorder = Recorder::new();
        let first = recorder.invoked(Instant(1), ClientId(1), 0, Ask::Tail);
        let second = recorder.invoked(Instant(2), ClientId(2), 0, Ask::Append { values: vec![7] });
        recorder.returned(Instant(3), ClientId(1), 0, Outcome::Ok(Told::Tail { end: 4 }));
        recorder.returned(Instant(4), ClientId(2), 0, Outcome::Open);
        assert_eq!((first, second, recorder.running()), (0, 1, 0));
        assert_eq!(recorder.operations()[0].returned, Some(Instant(3)));
        assert_eq!(recorder.operations()[1].returned, None);
    }
}
