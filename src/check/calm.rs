//! In a quiet cluster nothing changes by itself, and everybody answers rightly and at once.
//!
//! When all nodes follow one leader, have the same log and no fault is on, the driver announces the *calm*. From then on:
//! - `leader_is_stable`: no node changes its role, its epoch or its leader. An election in a quiet cluster is a timer
//!   that was not restarted, a quorum that was miscounted, or a replica that campaigns for nothing.
//! - `answers_are_right`: what an examiner asks is answered as Kafka's protocol says, within a few round trips and syncs.
//!   Whoever takes longer waits for a timer that should not be needed.
//! - `handover_is_prompt`: when the leader is then asked to resign, the best successor campaigns at once and wins the next
//!   epoch, because the others hold back.
//!
//! Source: Raft §5.2 (a leader that is heard stays leader); KIP-98, KIP-320 (sequence numbers, epoch fencing); KAFKA-16536
//! and KAFKA-12158 (timers).

use std::time::Duration;

use crate::check::{End, Interests, Ledger, Property, Seen, Violation, What};
use crate::ids::Epoch;
use crate::raft::message::{FetchRequest, FetchResponse, Fetched, Request, Response, ResponseBody};
use crate::raft::view::RoleKind;
use crate::record::RecordBatch;
use crate::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub struct LeaderIsStable {
    is_calm: bool,
    calms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct HandoverIsPrompt {
    /// Since when, after which epoch, and within what time.
    owed: Option<(Instant, Epoch, Duration)>,
    handovers: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct AnswersAreRight {
    is_calm: bool,
    is_over: bool,
    answers: u64,
}

impl Property for LeaderIsStable {
    fn name(&self) -> &'static str {
        "leader_is_stable"
    }

    fn statement(&self) -> &'static str {
        "In a quiet cluster no node changes its role, its epoch or its leader (kraft-protocol.md 9.6)."
    }

    fn interests(&self) -> Interests {
        Interests::CALM | Interests::HANDED_OVER | Interests::ELECTION | Interests::DOWN
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Calm => {
                self.is_calm = true;
                self.calms += 1;
                return Ok(());
            }
            What::HandedOver { .. } => self.is_calm = false,
            _ => {}
        }
        if !self.is_calm {
            return Ok(());
        }
        let node = seen.observation.node;
        let state = seen.ledger.node(node).and_then(|mirror| mirror.state);
        let became = state.map_or("down".to_owned(), |state| format!("{} in epoch {}", state.role.name(), state.epoch));
        self.fails(seen, format!("nothing happened, and node {node} is {became}"))
    }

    fn exercised(&self) -> u64 {
        self.calms
    }
}

impl Property for HandoverIsPrompt {
    fn name(&self) -> &'static str {
        "handover_is_prompt"
    }

    fn statement(&self) -> &'static str {
        "A leader that resigns in a quiet cluster is followed at once, in the next epoch, by a successor that it names (KIP-595, EndQuorumEpoch)."
    }

    fn interests(&self) -> Interests {
        Interests::HANDED_OVER | Interests::ELECTION
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let at = seen.observation.at;
        if let What::HandedOver { epoch, prompt } = seen.observation.what {
            self.owed = Some((at, epoch, prompt));
            return Ok(());
        }
        let Some((since, before, prompt)) = self.owed else { return Ok(()) };
        let state = seen.ledger.node(seen.observation.node).and_then(|mirror| mirror.state);
        let Some(state) = state.filter(|state| state.role == RoleKind::Leader && state.epoch > before) else {
            return Ok(());
        };
        self.owed = None;
        self.handovers += 1;
        let took = at.since(since);
        if took > prompt || state.epoch != before.next() {
            let (node, epoch) = (state.key.id, state.epoch);
            return self.fails(
                seen,
                format!(
                    "epoch {before} was resigned, node {node} leads epoch {epoch} after {took:?}, {prompt:?} is owed"
                ),
            );
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.handovers
    }
}

impl Property for AnswersAreRight {
    fn name(&self) -> &'static str {
        "answers_are_right"
    }

    fn statement(&self) -> &'static str {
        "In a quiet cluster every request is answered as Kafka's protocol says, and without waiting for a timer (KIP-98, KIP-320)."
    }

    fn interests(&self) -> Interests {
        Interests::CALM | Interests::EXAMINED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Calm => self.is_calm = true,
            What::Examined { finding: None, .. } => self.is_over = true,
            What::Examined { finding: Some(finding), prompt } => {
                self.answers += 1;
                let (question, node, took) = (finding.question, finding.node, finding.took);
                if let Some(lie) = &finding.lie {
                    return self.fails(seen, format!("node {node} was asked: {question}; {lie}"));
                }
                if took > prompt {
                    let message = format!("node {node} was asked: {question}; it took {took:?}, {prompt:?} is owed");
                    return self.fails(seen, message);
                }
            }
            What::Answered { request: Request::Fetch(asked), response } => {
                if let Some(lie) = is_too_large(asked, response) {
                    return self.fails(seen, lie);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        if self.is_calm && !self.is_over && end.settle.is_some() {
            return self.fails_in_the_end(end, None, format!("no answer to question {}", self.answers + 1));
        }
        Ok(())
    }

    fn exercised(&self) -> u64 {
        self.answers
    }
}

/// One batch always fits; more of them only as far as was asked for. (KIP-74.)
fn is_too_large(asked: &FetchRequest, response: &Response) -> Option<String> {
    let ResponseBody::Fetch(FetchResponse { found: Fetched::Records(batches), .. }) = &response.body else {
        return None;
    };
    let bytes: usize = batches.iter().map(RecordBatch::size_bytes).sum();
    let is_too_large = batches.len() > 1 && bytes > asked.max_bytes;
    is_too_large.then(|| format!("a replica that asked for {} bytes is given {bytes}", asked.max_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::Stage;
    use crate::check::{Examined, Observation, Settle};

    fn led(property: impl Property + 'static) -> Stage {
        let mut stage = Stage::of(property, 3);
        stage.leads(0, 2).unwrap();
        stage.follows(1, 0, 2).unwrap();
        stage
    }

    #[test]
    fn elections_belong_to_storms() {
        let mut stage = led(LeaderIsStable::default());
        stage.is(1, RoleKind::Prospective, 2).unwrap();
        stage.follows(1, 0, 2).unwrap();
        stage.see(Observation::NO_NODE, What::Calm).unwrap();
        stage.follows(1, 0, 2).unwrap();
        assert!(stage.is(1, RoleKind::Prospective, 2).unwrap_err().message.contains("node 1 is prospective"));
    }

    #[test]
    fn answers_are_right_prompt_and_complete() {
        let settled = || End {
            settle: Some(Settle { began: Instant::ZERO, leader_within: Duration::from_secs(1) }),
            ..End::default()
        };
        let prompt = Duration::from_millis(2);
        let right = Examined { question: "Metadata", node: 1, took: Duration::from_millis(1), lie: None };
        let mut stage = led(AnswersAreRight::default());
        stage.see(Observation::NO_NODE, What::Calm).unwrap();
        stage.see(Observation::NO_NODE, What::Examined { finding: Some(&right), prompt }).unwrap();
        assert!(stage.finish(settled()).unwrap_err().message.contains("question 2"));
        stage.see(Observation::NO_NODE, What::Examined { finding: None, prompt }).unwrap();
        stage.finish(settled()).unwrap();
        let late = Examined { took: Duration::from_millis(3), ..right.clone() };
        assert!(stage.see(Observation::NO_NODE, What::Examined { finding: Some(&late), prompt }).is_err());
        let wrong = Examined { lie: Some("names nobody".into()), ..right };
        assert!(stage.see(Observation::NO_NODE, What::Examined { finding: Some(&wrong), prompt }).is_err());
    }
}
