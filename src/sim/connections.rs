//! The connections of a world: those that something may still happen on, and no others.
//!
//! A connection has a place as long as an end of it is open, a parcel is on its way, or the queue knows it; then its place
//! goes to the next one. So a world of any length holds as many connections as it uses at one time.
//!
//! **Invariants**
//! - `awaited` is the number of happenings in the queue that name the connection, datagrams included.
//! - what a table of a host names has an open end there, so nobody but the queue could mistake a new connection for an old.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use crate::protocol::ConnectionId;
use crate::sim::HostId;
use crate::sim::network::Parcel;
use crate::time::Instant;

/// Connections by place.
#[derive(Debug, Default)]
pub struct Connections {
    places: Vec<Option<Connection>>,
    free: Vec<u32>,
    opened: u64,
}

/// Two hosts that talk, or want to.
#[derive(Debug)]
pub struct Connection {
    /// Who opened it, and who was to accept it.
    pub ends: [End; 2],
    /// Lane 0 leads from the opener to the acceptor.
    pub lanes: [Lane; 2],
    /// Whether the opener knows that it was accepted.
    pub is_accepted: bool,
    /// Happenings in the queue that name it.
    pub awaited: u32,
    /// How many were opened before it.
    serial: u64,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Whose side.
    pub host: HostId,
    /// Its number there.
    pub id: ConnectionId,
    /// Whether that host has it.
    pub is_open: bool,
    /// The reader asked for a pause of deliveries.
    pub is_held: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Lane {
    /// Nothing arrives before this.
    pub last: Instant,
    /// What is on its way.
    pub in_flight: VecDeque<Parcel>,
    /// Arrivals that wait for a link to be mended, a host to continue, or a reader to resume.
    pub blocked: usize,
    /// Whether the patience with a cut is running out.
    pub is_timing_out: bool,
}

impl Connections {
    /// Gives a new connection a place.
    pub fn open(&mut self, ends: [End; 2]) -> u32 {
        let lanes = [Lane::default(), Lane::default()];
        let connection = Some(Connection { ends, lanes, is_accepted: false, awaited: 0, serial: self.opened });
        self.opened += 1;
        match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = connection;
                place
            }
            None => {
                self.places.push(connection);
                self.places.len() as u32 - 1
            }
        }
    }

    /// A happening that named the connection has happened.
    pub fn served(&mut self, place: u32) {
        self[place].awaited -= 1;
        self.release(place);
    }

    /// Takes the place back, if nothing can happen on the connection any more.
    pub fn release(&mut self, place: u32) {
        let connection = &self[place];
        let is_open = connection.ends.iter().any(|end| end.is_open);
        let is_empty = connection.lanes.iter().all(|lane| lane.in_flight.is_empty() && lane.blocked == 0);
        if connection.awaited == 0 && !is_open && is_empty {
            self.places[place as usize] = None;
            self.free.push(place);
        }
    }

    /// The places of all connections, in the order in which these were opened.
    pub fn in_order(&self) -> Vec<u32> {
        let held = (0..).zip(&self.places).filter_map(|(place, held)| Some((held.as_ref()?.serial, place)));
        let mut held: Vec<(u64, u32)> = held.collect();
        held.sort();
        held.into_iter().map(|(_, place)| place).collect()
    }

    /// How many have a place.
    pub fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl Index<u32> for Connections {
    type Output = Connection;

    fn index(&self, place: u32) -> &Connection {
        self.places[place as usize].as_ref().expect("invariant: who is named is held")
    }
}

impl IndexMut<u32> for Connections {
    fn index_mut(&mut self, place: u32) -> &mut Connection {
        self.places[place as usize].as_mut().expect("invariant: who is named is held")
    }
}
