//! The replica: step, deadline, view, published; the epoch rules common to all roles.

use crate::log::Recovered;
use crate::prng::Prng;
use crate::raft::{Config, Effect, Input, Published, View};
use crate::time::{Instant, Now};

/// One KRaft replica.
#[derive(Debug)]
pub struct Replica {}

impl Replica {
    /// Starts from what recovery found; the first effects go to `out`.
    pub fn recover(_config: Config, _durable: Recovered, _prng: Prng, _now: Now, _out: &mut Vec<Effect>) -> Replica {
        todo!()
    }
    /// Handles one input.
    pub fn step(&mut self, _now: Now, _input: Input, _out: &mut Vec<Effect>) {
        todo!()
    }
    /// When `Tick` is due; `None` when nothing will happen by itself.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }
    /// State as of the last durable point: all that a frame may reveal.
    pub fn published(&self) -> Published<'_> {
        todo!()
    }
    /// Everything, for checkers and reports; `node` may not call it.
    pub fn view(&self) -> View<'_> {
        todo!()
    }
}
