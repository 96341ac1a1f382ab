//! I5: a node's high watermark only grows, stays inside its log, and comes from a leader.
//!
//! *Delta check*, per incarnation: a known high watermark never falls (it may become unknown, and known again higher).
//! *State checks*: it is at most the end of the node's own log; and a node that does not lead has none above the largest
//! that a leader ever computed. The same holds for every high watermark that is said on the wire.
//!
//! Source: Kafka's `MonotonicHighWatermark`, which looks at one leader only; KAFKA-16530.

use crate::check::{Interests, Observation, Property, Seen, Violation, What};
use crate::ids::Offset;
use crate::raft::message::{Request, ResponseBody, SaidHighWatermark};
use crate::raft::note::Note;
use crate::raft::view::RoleKind;

/// See the module.
#[derive(Debug, Default)]
pub struct HighWatermarkMovesForward {
    reached: Vec<Offset>,
    led: Offset,
    moves: u64,
}

impl HighWatermarkMovesForward {
    fn on_look(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let node = seen.observation.node;
        if self.reached.len() <= node {
            self.reached.resize(node + 1, Offset::ZERO);
        }
        if seen.kinds.overlap(Interests::STARTED) {
            self.reached[node] = Offset::ZERO;
        }
        let Some(state) = seen.ledger.node(node).and_then(|mirror| mirror.state) else { return Ok(()) };
        let Some(to) = state.high_watermark else { return Ok(()) };
        self.moves += 1;
        let before = std::mem::replace(&mut self.reached[node], to);
        if to < before {
            return self.fails(seen, format!("high watermark of node {node} fell from {before} to {to}"));
        }
        if to > state.log_end {
            let end = state.log_end;
            return self.fails(seen, format!("high watermark of node {node} is {to}, its log ends at {end}"));
        }
        if matches!(state.role, RoleKind::Leader | RoleKind::Resigned) {
            self.led = self.led.max(to);
        }
        self.was_led(seen, to)
    }

    /// A leader that commits and resigns in one step ends it without a high watermark, and has told it all the same.
    fn on_noted(&mut self, seen: &Seen<'_>, to: Offset) {
        let state = seen.ledger.node(seen.observation.node).and_then(|mirror| mirror.state);
        if state.is_some_and(|state| matches!(state.role, RoleKind::Leader | RoleKind::Resigned)) {
            self.led = self.led.max(to);
        }
    }

    fn was_led(&self, seen: &Seen<'_>, to: Offset) -> Result<(), Violation> {
        let (node, led) = (seen.observation.node, self.led);
        match to > led {
            true => {
                self.fails(seen, format!("node {node} has high watermark {to}, no leader ever had more than {led}"))
            }
            false => Ok(()),
        }
    }
}

/// The high watermark that a frame names.
fn said(observation: &Observation<'_>) -> Option<Offset> {
    match observation.what {
        What::Asked { request: Request::Fetch(fetch) } => match fetch.high_watermark {
            SaidHighWatermark::Known(to) => to,
            SaidHighWatermark::Unsaid => None,
        },
        What::Answered { response, .. } => match &response.body {
            ResponseBody::Fetch(fetch) => fetch.high_watermark,
            _ => None,
        },
        _ => None,
    }
}

impl Property for HighWatermarkMovesForward {
    fn name(&self) -> &'static str {
        "high_watermark_moves_forward"
    }

    fn statement(&self) -> &'static str {
        "A high watermark never falls, never passes the log it belongs to, nor the largest that a leader computed (I5)."
    }

    fn interests(&self) -> Interests {
        let looks = Interests::HIGH_WATERMARK | Interests::STARTED | Interests::CURSORS;
        looks | Interests::ASKED | Interests::ANSWERED | Interests::NOTED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Asked { .. } | What::Answered { .. } => {
                said(seen.observation).map_or(Ok(()), |to| self.was_led(seen, to))
            }
            What::Noted(note) => {
                if let Note::HighWatermark { to } = note {
                    self.on_noted(seen, *to);
                }
                Ok(())
            }
            _ => self.on_look(seen),
        }
    }

    fn exercised(&self) -> u64 {
        self.moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{Stage, mark};

    fn led() -> Stage {
        let mut stage = Stage::of(HighWatermarkMovesForward::default(), 3);
        for node in 0..3 {
            stage.node(node).write(&[mark(0, 3, 1), mark(3, 6, 1)]);
        }
        stage.node(0).high_watermark(3);
        stage.leads(0, 1).unwrap();
        stage
    }

    #[test]
    fn followers_come_behind_their_leader() {
        let mut stage = led();
        stage.node(1).high_watermark(3);
        stage.follows(1, 0, 1).unwrap();
        stage.node(1).high_watermark = None;
        stage.step(1).unwrap();
    }

    #[test]
    fn a_high_watermark_does_not_fall_but_a_restart_forgets_it() {
        let mut stage = led();
        stage.down(0).unwrap();
        stage.node(0).high_watermark(0);
        stage.start(0).unwrap();
        let mut stage = led();
        stage.node(0).high_watermark(0);
        assert_eq!(stage.step(0).unwrap_err().message, "high watermark of node 0 fell from 3 to 0");
    }

    #[test]
    fn nobody_but_a_leader_raises_it() {
        let mut stage = led();
        stage.node(1).high_watermark(6);
        assert!(stage.follows(1, 0, 1).unwrap_err().message.ends_with("no leader ever had more than 3"));
    }

    #[test]
    fn a_leader_that_resigns_in_the_same_step_has_raised_it() {
        let mut stage = led();
        stage.node(0).high_watermark = None;
        stage.is(0, RoleKind::Resigned, 1).unwrap();
        stage.note(0, Note::HighWatermark { to: Offset(6) }).unwrap();
        stage.node(1).high_watermark(6);
        stage.follows(1, 0, 1).unwrap();
    }

    #[test]
    fn it_stays_inside_the_log() {
        let mut stage = led();
        stage.node(0).high_watermark(7);
        assert!(stage.step(0).unwrap_err().message.ends_with("its log ends at 6"));
    }
}
