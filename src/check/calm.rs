//! In a quiet cluster nothing changes by itself, and everybody answers rightly and at once.
//!
//! When all nodes follow one leader, have the same log and no fault is on, the driver announces the *calm*. From then on:
//! - `leader_is_stable`: no node changes its role, its epoch or its leader. An election in a quiet cluster is a timer
//!   that was not restarted, a quorum that was miscounted, or a replica that campaigns for nothing.
//! - `answers_are_right`: what an examiner asks is answered as Kafka's protocol says, within a few round trips and syncs.
//!   Whoever takes longer waits for a timer that should not be needed.
//! - `handover_is_prompt`: when the leader is then asked to resign or to stop, the best successor campaigns at once and wins
//!   the next epoch, because the others hold back.
//!
//! Source: Raft §5.2 (a leader that is heard stays leader); KIP-98, KIP-320 (sequence numbers, epoch fencing); KAFKA-16536
//! and KAFKA-12158 (timers).

use crate::check::{Drill, End, Handover, Interests, Ledger, Observation, Property, Seen, State, Violation, What};
use crate::ids::ReplicaId;
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
    owed: Option<Owed>,
    handovers: u64,
}

/// What was asked for and has not happened.
#[derive(Clone, Debug)]
struct Owed {
    since: Instant,
    handover: Handover,
    /// Whom the leader named, best first.
    named: Vec<ReplicaId>,
    /// How often it said so.
    told: usize,
    /// Who campaigned first.
    campaigner: Option<usize>,
    /// Whether the first that was named has heard of it.
    has_heard: bool,
    /// Another campaigned first, for the first that was named had not heard of it, as when the leader's connection to it
    /// had died without a word: there may be a contest, and it may take several elections.
    is_contested: bool,
    /// Whether there is another leader.
    is_led: bool,
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
        Interests::CALM | Interests::DRILLED | Interests::HANDED_OVER | Interests::ELECTION | Interests::DOWN
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Calm => {
                self.is_calm = true;
                self.calms += 1;
                return Ok(());
            }
            What::HandedOver(_) | What::Drilled(_) => self.is_calm = false,
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
        "A leader that resigns or stops in a quiet cluster is followed at once, in the next epoch, by the successor that it names first (KIP-595, EndQuorumEpoch)."
    }

    fn interests(&self) -> Interests {
        Interests::HANDED_OVER | Interests::ELECTION | Interests::DOWN | Interests::ASKED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let Observation { at, node, .. } = *seen.observation;
        if let What::HandedOver(handover) = seen.observation.what {
            self.owed = Some(Owed {
                since: at,
                handover,
                named: Vec::new(),
                told: 0,
                campaigner: None,
                has_heard: false,
                is_contested: false,
                is_led: false,
            });
            return Ok(());
        }
        let Some(owed) = &mut self.owed else { return Ok(()) };
        match seen.observation.what {
            What::Asked { request } => {
                owed.hears(request);
                return Ok(());
            }
            What::Answered { request, .. } => {
                owed.has_heard |= matches!(request, Request::EndQuorumEpoch(_)) && owed.is_first(node);
                return Ok(());
            }
            _ => {}
        }
        let lie = match seen.ledger.node(node).and_then(|mirror| mirror.state) {
            Some(state) => owed.sees(at, node, &state),
            None => owed.sees_down(at, node),
        };
        let is_done = owed.is_led && owed.handover.stops.is_none();
        if is_done {
            self.owed = None;
            self.handovers += 1;
        }
        lie.map_or(Ok(()), |lie| self.fails(seen, lie))
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        let Some(Owed { handover, is_led, .. }) = self.owed.as_ref().filter(|_| end.settle.is_some()) else {
            return Ok(());
        };
        let is_led = *is_led;
        let missing = if is_led { "it has not stopped" } else { "nobody has led since" };
        self.fails_in_the_end(
            end,
            None,
            format!("the leader of epoch {} was asked to go, and {missing}", handover.epoch),
        )
    }

    fn exercised(&self) -> u64 {
        self.handovers
    }
}

impl Owed {
    /// The leader says who is to follow.
    fn hears(&mut self, request: &Request) {
        match request {
            Request::EndQuorumEpoch(end) if end.epoch == self.handover.epoch => {
                self.named = end.successors.iter().map(|key| key.id).collect();
                self.told += 1;
            }
            _ => {}
        }
    }

    /// Whether the leader named this node first.
    fn is_first(&self, node: usize) -> bool {
        self.named.first().is_some_and(|named| named.0 as usize == node)
    }

    /// A node has changed its role or its epoch.
    fn sees(&mut self, at: Instant, node: usize, state: &State) -> Option<String> {
        let Handover { epoch: before, prompt, alone_for, elected_within, .. } = self.handover;
        let took = at.since(self.since);
        if matches!(state.role, RoleKind::Prospective | RoleKind::Candidate) {
            let has_another = !self.named.is_empty() && !self.is_first(node);
            self.is_contested |= self.campaigner.is_none() && has_another && !self.has_heard;
            let first = *self.campaigner.get_or_insert(node);
            let is_late = took >= alone_for || self.is_led;
            if let Some(named) = self.named.first().filter(|named| **named != ReplicaId(first as u32) && !is_late) {
                return Some(format!(
                    "epoch {before} was resigned, node {named} is named first, and node {first} campaigns before it"
                ));
            }
            let is_alone = first == node || is_late;
            return (!is_alone).then(|| {
                format!("epoch {before} was resigned, node {first} campaigns, and node {node} does not hold back")
            });
        }
        if state.role != RoleKind::Leader || state.epoch <= before || self.is_led {
            return None;
        }
        self.is_led = true;
        let (id, epoch) = (state.key.id, state.epoch);
        let owed = if self.is_contested { elected_within } else { prompt };
        let is_prompt = took <= owed && (self.is_contested || epoch == before.next());
        let (told, named) = (self.told, self.named.len());
        // A message may have to wait for its connection, but not for long.
        if told < named && took > prompt / 6 {
            return Some(format!("epoch {before} was resigned, and {told} of {named} successors were told"));
        }
        (!is_prompt).then(|| {
            format!("epoch {before} was resigned, node {id} leads epoch {epoch} after {took:?}, {owed:?} is owed")
        })
    }

    /// A node has stopped.
    fn sees_down(&mut self, at: Instant, node: usize) -> Option<String> {
        if self.handover.stops != Some(node) {
            return None;
        }
        self.handover.stops = None;
        let (took, owed) = (at.since(self.since), self.handover.prompt * 2);
        let is_prompt = self.is_led && took <= owed;
        (!is_prompt).then(|| {
            format!("node {node} was asked to stop and did after {took:?}, {owed:?} and another leader are owed")
        })
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
        Interests::CALM | Interests::DRILLED | Interests::EXAMINED | Interests::ANSWERED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen.observation.what {
            What::Calm => self.is_calm = true,
            // Every drill has questions of its own.
            What::Drilled(Drill::FollowerCut { .. } | Drill::LeaderCut { .. }) => self.is_over = false,
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
    use std::time::Duration;

    use super::*;
    use crate::check::fixture::{Stage, answer, end};
    use crate::check::{Examined, Settle};
    use crate::ids::Epoch;

    fn led(property: impl Property + 'static) -> Stage {
        let mut stage = Stage::of(property, 3);
        stage.leads(0, 2).unwrap();
        stage.follows(1, 0, 2).unwrap();
        stage
    }

    /// The leader of epoch 2 is asked to resign; so many milliseconds are owed.
    fn handover(prompt: u64, alone_for: u64) -> Handover {
        let [prompt, alone_for, elected_within] = [prompt, alone_for, 2 * prompt].map(Duration::from_millis);
        Handover { epoch: Epoch(2), stops: None, prompt, alone_for, elected_within }
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
    fn a_leader_that_goes_has_one_successor_soon() {
        let millis = Duration::from_millis;
        // A stage's clock moves by one millisecond with every observation.
        let asked = |prompt: u64, stops: Option<usize>| {
            let mut stage = led(HandoverIsPrompt::default());
            stage.follows(2, 0, 2).unwrap();
            let handover = Handover { stops, ..handover(prompt, 3) };
            stage.see(Observation::NO_NODE, What::HandedOver(handover)).unwrap();
            stage.is(1, RoleKind::Prospective, 2).unwrap();
            stage
        };
        let mut stage = asked(2, None);
        stage.leads(1, 3).unwrap();
        stage.is(2, RoleKind::Prospective, 3).unwrap();
        assert!(asked(1, None).leads(1, 3).unwrap_err().message.contains("node 1 leads epoch 3 after 2ms"));
        assert!(asked(2, None).leads(1, 4).is_err());
        assert!(asked(9, None).is(2, RoleKind::Prospective, 2).unwrap_err().message.contains("does not hold back"));
        let settled = End { settle: Some(Settle { began: Instant::ZERO, leader_within: millis(9) }), ..End::default() };
        assert!(asked(2, None).finish(settled).unwrap_err().message.contains("nobody has led since"));
        let mut stage = asked(2, Some(0));
        stage.leads(1, 3).unwrap();
        assert!(stage.finish(settled).unwrap_err().message.contains("it has not stopped"));
        stage.down(0).unwrap();
        stage.finish(settled).unwrap();
        assert!(asked(2, Some(0)).down(0).is_err());
    }

    #[test]
    fn who_could_not_be_told_in_time_may_have_to_contest_it() {
        let contested = |hears: usize, waits: usize| {
            let mut stage = led(HandoverIsPrompt::default());
            stage.follows(2, 0, 2).unwrap();
            stage.see(Observation::NO_NODE, What::HandedOver(handover(18, 1))).unwrap();
            let request = end(2, &[1, 2]);
            (0..2).for_each(|_| stage.ask(0, &request).unwrap());
            let told = answer(2, Some(0), ResponseBody::EndQuorumEpoch);
            stage.answer(hears, &request, &told).unwrap();
            stage.is(2, RoleKind::Prospective, 2).unwrap();
            stage.is(1, RoleKind::Candidate, 3).unwrap();
            (0..waits).for_each(|_| stage.ask(0, &request).unwrap());
            stage.leads(2, 4)
        };
        contested(2, 0).unwrap();
        contested(2, 30).unwrap();
        assert!(contested(2, 31).unwrap_err().message.contains("after 37ms, 36ms is owed"));
        assert!(contested(1, 0).unwrap_err().message.contains("node 2 leads epoch 4"));
    }

    #[test]
    fn every_successor_is_told() {
        let led_after = |told: usize, waits: usize| {
            let mut stage = led(HandoverIsPrompt::default());
            stage.see(Observation::NO_NODE, What::HandedOver(handover(18, 9))).unwrap();
            (0..told).for_each(|_| stage.ask(0, &end(2, &[1, 2])).unwrap());
            (0..waits).for_each(|_| stage.follows(2, 0, 2).unwrap());
            stage.leads(1, 3)
        };
        led_after(2, 4).unwrap();
        led_after(1, 0).unwrap();
        assert!(led_after(1, 4).unwrap_err().message.ends_with("1 of 2 successors were told"));
    }

    #[test]
    fn the_successor_that_is_named_first_is_the_first_to_campaign() {
        let asked = |named: u32| {
            let mut stage = led(HandoverIsPrompt::default());
            stage.follows(2, 0, 2).unwrap();
            stage.see(Observation::NO_NODE, What::HandedOver(handover(9, 9))).unwrap();
            stage.ask(0, &end(2, &[named, 3 - named])).unwrap();
            stage.is(1, RoleKind::Prospective, 2)
        };
        asked(1).unwrap();
        assert!(asked(2).unwrap_err().message.contains("node 2 is named first, and node 1 campaigns before it"));
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
