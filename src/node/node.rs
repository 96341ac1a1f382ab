//! The node: frames in, frames and file operations out.

use crate::log::{Layout, Recovered};
use crate::node::{Config, Input, Output};
use crate::prng::Prng;
use crate::raft::Replica;
use crate::time::{Instant, Now};

/// One broker of the quorum.
#[derive(Debug)]
pub struct Node {
    replica: Replica,
}

impl Node {
    /// Starts from what recovery found.
    pub fn recover(
        _config: Config,
        _durable: Recovered,
        _layout: Layout,
        _prng: Prng,
        _now: Now,
        _out: &mut Vec<Output>,
    ) -> Node {
        todo!()
    }
    /// Handles one input; outputs go to `out`, which the caller reuses.
    pub fn step(&mut self, _now: Now, _input: Input, _out: &mut Vec<Output>) {
        todo!()
    }
    /// When `Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.replica.deadline()
    }
    /// The replica, so that a driver can look at it; `node` itself does not.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }
}
