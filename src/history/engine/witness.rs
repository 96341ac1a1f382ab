//! Witnesses: an order that somebody saw is checked, and not searched for.
//!
//! Who knows in which order the changes took effect, as a simulator does that sees what is committed, leaves nothing to look for:
//! reads are placed in one sweep over the events, each as early as it can be. Since a read's place matters to others only by
//! what it leaves to those that are called after its return, the earliest is as good as any, and a read that finds none has none
//! in this order.
//!
//! An order that holds is a proof, whoever gave it, and is replayed like every other ([`proof`]). One that does not hold proves
//! nothing: history or witness may be wrong, and others decide which.

use crate::history::engine::proof;
use crate::history::engine::search::{Object, Op};
use crate::history::objects::OPEN;

/// An order of all operations in which the changes come as they are given; else an operation that has no place in it. Optional
/// changes that are not given, or that the object could not make, did not happen.
pub fn order(object: &mut impl Object, ops: &[Op], changes: &[u32]) -> Result<Vec<u32>, u32> {
    let placing = Placing::new(object, ops, changes)?;
    let reads = placing.sweep(object)?;
    let order = placing.order(reads);
    assert!(proof::holds(object, ops, &order), "invariant: an order in which all have a place explains the history");
    Ok(order)
}

struct Placing<'o> {
    ops: &'o [Op],
    /// Changes that took effect, in their order.
    changes: Vec<u32>,
    /// What the object is before the first of them, and after each.
    states: Vec<u32>,
    /// Place among them by operation, for changes that took effect.
    places: Vec<u32>,
}

impl<'o> Placing<'o> {
    fn new(object: &mut impl Object, ops: &'o [Op], given: &[u32]) -> Result<Placing<'o>, u32> {
        let start = *object.starts().first().expect("invariant: an object starts somewhere");
        let mut placing = Placing { ops, changes: Vec::new(), states: vec![start], places: vec![NOWHERE; ops.len()] };
        let mut state = start;
        for &op in given {
            match object.step(state, op as usize) {
                Some(after) => {
                    placing.places[op as usize] = placing.changes.len() as u32;
                    placing.changes.push(op);
                    placing.states.push(after);
                    state = after;
                }
                None if ops[op as usize].ret == OPEN => {}
                None => return Err(op),
            }
        }
        let is_missing = |&(place, op): &(&u32, &Op)| *place == NOWHERE && !op.is_read && op.ret != OPEN;
        match placing.places.iter().zip(ops).position(|pair| is_missing(&pair)) {
            Some(missing) => Err(missing as u32),
            None => Ok(placing),
        }
    }

    /// Places every read that returned; they come with the number of changes before them, in the order of their returns.
    fn sweep(&self, object: &mut impl Object) -> Result<Vec<(u32, u32)>, u32> {
        let mut events: Vec<(u32, u32)> = Vec::with_capacity(self.ops.len() * 2);
        for (index, op) in (0u32..).zip(self.ops) {
            if op.is_read && op.ret == OPEN || !op.is_read && self.places[index as usize] == NOWHERE {
                continue;
            }
            events.push((op.call, index));
            events.extend((op.ret != OPEN).then_some((op.ret, index)));
        }
        events.sort();
        // Changes that come before whatever is called from here on.
        let mut floor = 0;
        let mut floors = vec![0; self.ops.len()];
        let mut reads = Vec::new();
        for (position, index) in events {
            let Op { call, is_read, .. } = self.ops[index as usize];
            let place = self.places[index as usize];
            match (is_read, position == call) {
                (true, true) => floors[index as usize] = floor,
                (true, false) => {
                    let from = floors[index as usize];
                    let fits = |&before: &u32| object.step(self.states[before as usize], index as usize).is_some();
                    let before = (from..self.states.len() as u32).find(fits).ok_or(index)?;
                    floor = floor.max(before);
                    reads.push((before, index));
                }
                // Something that comes after it, or that saw it, had returned already.
                (false, true) if place < floor => return Err(index),
                (false, true) => {}
                (false, false) => floor = floor.max(place + 1),
            }
        }
        Ok(reads)
    }

    fn order(&self, mut reads: Vec<(u32, u32)>) -> Vec<u32> {
        reads.sort_by_key(|&(before, _)| before);
        let mut reads = reads.into_iter().peekable();
        let mut order = Vec::with_capacity(self.ops.len());
        for place in 0..=self.changes.len() {
            while let Some((_, read)) = reads.next_if(|&(before, _)| before as usize == place) {
                order.push(read);
            }
            order.extend(self.changes.get(place));
        }
        order
    }
}

/// The place of a change that did not take effect.
const NOWHERE: u32 = u32::MAX;
