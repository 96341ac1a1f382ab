//! Who may be connected: a bounded number of strangers, and always the voters.
//!
//! A flood of connections must not keep the voters from one another. So beyond `connections_max` there are seats that only
//! voters may keep. Whoever takes one is on trial: the first request other than ApiVersions shows what it is, and a
//! stranger loses the seat. When all are taken, a newcomer takes the place of whoever has been on trial for longest; a
//! voter shows itself within two round trips, so it need not be patient, only quick.
//!
//! There is no authentication here: a voter is who asks what only voters ask.
//!
//! **Invariants**
//! - at most `connections_max` + `connections_reserved` connections stand;
//! - a connection that carried a voter's request is never closed for another one.

use std::collections::BTreeMap;

use crate::protocol::ConnectionId;

/// Who sits where.
#[derive(Debug)]
pub struct Seats {
    regular_max: usize,
    reserved_max: usize,
    taken: BTreeMap<ConnectionId, Seat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    Regular,
    /// A reserved seat, not yet earned.
    Trial,
    Voter,
}

/// What a request says of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Only voters ask this.
    Voter,
    /// Everybody asks this first.
    Anybody,
    /// No voter would ask this.
    Stranger,
}

impl Seats {
    /// All free.
    pub fn new(regular_max: usize, reserved_max: usize) -> Seats {
        Seats { regular_max, reserved_max, taken: BTreeMap::new() }
    }

    /// Somebody comes. Who must go for it is returned: perhaps the newcomer itself.
    pub fn take(&mut self, newcomer: ConnectionId) -> Option<ConnectionId> {
        if self.count(Seat::Regular) < self.regular_max {
            self.taken.insert(newcomer, Seat::Regular);
            return None;
        }
        let mut leaves = None;
        if self.count(Seat::Trial) + self.count(Seat::Voter) >= self.reserved_max {
            // Connections are numbered as they come, so the first is the oldest.
            let oldest = self.taken.iter().find(|(_, seat)| **seat == Seat::Trial).map(|(&id, _)| id);
            let Some(oldest) = oldest else { return Some(newcomer) };
            self.taken.remove(&oldest);
            leaves = Some(oldest);
        }
        self.taken.insert(newcomer, Seat::Trial);
        leaves
    }

    /// Somebody asks; whether it may stay.
    #[must_use]
    pub fn on_request(&mut self, connection: ConnectionId, asker: Asker) -> bool {
        if self.taken.get(&connection) != Some(&Seat::Trial) {
            return true;
        }
        let earned = match asker {
            Asker::Anybody => return true,
            Asker::Voter => Seat::Voter,
            Asker::Stranger if self.count(Seat::Regular) < self.regular_max => Seat::Regular,
            Asker::Stranger => return false,
        };
        self.taken.insert(connection, earned);
        true
    }

    /// Somebody is gone.
    pub fn leave(&mut self, connection: ConnectionId) {
        self.taken.remove(&connection);
    }

    fn count(&self, kind: Seat) -> usize {
        self.taken.values().filter(|seat| **seat == kind).count()
    }
}
