//! Replays an order: does it respect real time, and could the object have gone through it?
//!
//! This is the definition of linearizability, and shares nothing with the search but the objects' steps.

use crate::history::engine::search::{Object, Op};
use crate::history::objects::OPEN;

/// Whether the order holds every operation that returns once, each other one at most once, no operation after one that was
/// called when it had returned already, and only steps that the object can make from one of its starts.
pub fn holds(object: &mut impl Object, ops: &[Op], order: &[u32]) -> bool {
    let mut seen = vec![false; ops.len()];
    let mut latest_call = 0;
    for &op in order {
        let Some(&Op { call, ret, .. }) = ops.get(op as usize) else { return false };
        if std::mem::replace(&mut seen[op as usize], true) || ret < latest_call {
            return false;
        }
        latest_call = latest_call.max(call);
    }
    let is_complete = ops.iter().zip(&seen).all(|(op, seen)| *seen || op.ret == OPEN);
    is_complete && object.starts().into_iter().any(|start| replay(object, start, order))
}

fn replay(object: &mut impl Object, start: u32, order: &[u32]) -> bool {
    order.iter().try_fold(start, |state, &op| object.step(state, op as usize)).is_some()
}
