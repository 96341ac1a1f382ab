//! A server's load on itself: `serve --self-load`, what Kafka's raft test server does while it leads.
//!
//! The load is a producer like any other, with the node's own frames for a wire: its connections exist only here, and the
//! node cannot tell them from a client's. It begins when the node leads and ends when it does not. What is asked of it
//! beyond what can be committed is not made: five batches are under way at most, and nothing is pushed that has no room,
//! so an overload costs no memory and no election. (Kafka: `TestRaftServer.RaftWorkloadGenerator`.)

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::client::producer::{Fate, Producer, Settings};
use crate::client::{Input, Output};
use crate::ids::Endpoint;
use crate::node;
use crate::prng::Prng;
use crate::protocol::{ConnectionId, Frame};
use crate::record::Shape;
use crate::server::load::histogram::Latencies;
use crate::server::load::pace::Pace;
use crate::server::load::stats::fixed;
use crate::time::{Instant, Now};

/// What is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Records a second, above 0.
    pub throughput: u32,
    /// Bytes of a record's value, all zeros.
    pub record_bytes: usize,
}

/// The load, whether the node leads or not.
#[derive(Debug)]
pub struct SelfLoad {
    plan: Plan,
    topic: String,
    /// Of the current leadership.
    producer: Option<Producer>,
    prng: Prng,
    /// Connections are never numbered twice, or an answer of an earlier leadership could be taken for one of this.
    next_connection: ConnectionId,
    start: Instant,
    pushed: u64,
    /// What the node is to be told.
    inputs: VecDeque<node::Input>,
    /// Connections on which the node takes nothing for the moment.
    held: Vec<ConnectionId>,
    outputs: Vec<Output>,
    window_start: Instant,
    window_bytes: u64,
    window: Latencies,
}

impl SelfLoad {
    /// A load that waits for the node to lead the quorum of that topic.
    pub fn new(plan: Plan, topic: &str, prng: Prng) -> SelfLoad {
        assert!(plan.throughput > 0, "a load of nothing is none");
        SelfLoad {
            plan,
            topic: topic.to_owned(),
            producer: None,
            prng,
            next_connection: ConnectionId::FIRST_OUTBOUND,
            start: Instant::ZERO,
            pushed: 0,
            inputs: VecDeque::new(),
            held: Vec::new(),
            outputs: Vec::new(),
            window_start: Instant::ZERO,
            window_bytes: 0,
            window: Latencies::new(),
        }
    }

    /// The node leads: the load begins anew, at its pace from this moment on.
    pub fn claim(&mut self, now: Instant) {
        self.resign();
        let mut settings = Settings::new(vec![Endpoint::new("myself", 0)], "self-load", &self.topic);
        settings.batch_bytes = BATCH_BYTES.max(self.plan.record_bytes + RECORD_OVERHEAD_MAX);
        settings.request_bytes_max = settings.batch_bytes;
        settings.buffer_bytes_max = settings.batch_bytes * (settings.in_flight_max + 2);
        settings.linger = Duration::ZERO;
        settings.first_connection = self.next_connection;
        self.producer = Some(Producer::new(settings, Prng::new(self.prng.word(), 0)));
        (self.start, self.pushed, self.window_start) = (now, 0, now);
        (self.window_bytes, self.held) = (0, Vec::new());
        self.window.clear();
    }

    /// The node leads no more: what was not answered is forgotten.
    pub fn resign(&mut self) {
        self.producer = None;
    }

    /// Makes the records that are due and for which there is room.
    pub fn work(&mut self, now: Now) {
        let Some(producer) = &mut self.producer else { return };
        let at = now.monotonic;
        let due = Pace::PerSecond(f64::from(self.plan.throughput)).due_by(self.start, at);
        let limit = due.min(self.pushed + RECORDS_PER_TURN);
        let shape = Shape { timestamp: now.wall, key: None, value_bytes: self.plan.record_bytes };
        while self.pushed < limit && producer.push(at, &shape, |place| place.fill(0)).is_ok() {
            self.pushed += 1;
        }
        if producer.is_due(at) || producer.deadline().is_some_and(|deadline| deadline <= at) {
            self.step(at, Input::Tick);
        }
    }

    /// When to call [`SelfLoad::work`] next, unless something happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.next_open_input().is_some() {
            return Some(Instant::ZERO);
        }
        let producer = self.producer.as_ref()?;
        let due = Pace::PerSecond(f64::from(self.plan.throughput)).due(self.start, self.pushed);
        // A record that is overdue waits for room, which an answer makes.
        let due = Some(due).filter(|_| !producer.is_exhausted());
        due.into_iter().chain(producer.deadline()).min()
    }

    /// Whether a connection is one of the load's.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        (FIRST_INBOUND.0..ConnectionId::FIRST_OUTBOUND.0).contains(&connection.0)
    }

    /// What the node is to be told next.
    pub fn next_input(&mut self) -> Option<node::Input> {
        self.next_open_input().and_then(|index| self.inputs.remove(index))
    }

    /// The first input that may be told, whatever is held.
    fn next_open_input(&self) -> Option<usize> {
        let is_held = |input: &node::Input| matches!(input, node::Input::Frame { connection, .. } if self.held.contains(connection));
        self.inputs.iter().position(|input| !is_held(input))
    }

    /// The node answers. Says what is to be printed.
    pub fn on_frame(&mut self, now: Instant, connection: ConnectionId, frame: &Frame) -> Option<String> {
        let (connection, frame) = (outbound(connection), frame.payload());
        self.step(now, Input::Frame { connection, frame });
        self.count(now)
    }

    /// The node closes a connection.
    pub fn on_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.step(now, Input::Closed { connection: outbound(connection) });
    }

    /// The node takes nothing of a connection until it says so.
    pub fn hold(&mut self, connection: ConnectionId) {
        self.held.push(connection);
    }

    /// It takes frames again.
    pub fn resume(&mut self, connection: ConnectionId) {
        self.held.retain(|&held| held != connection);
    }

    fn step(&mut self, now: Instant, input: Input) {
        let Some(producer) = &mut self.producer else { return };
        producer.step(now, input, &mut self.outputs);
        let mut opened = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Connect { connection, .. } => {
                    self.next_connection = ConnectionId(connection.0 + 1);
                    self.inputs.push_back(node::Input::Opened { connection: inbound(connection), listener: 0 });
                    opened.push(connection);
                }
                Output::Frame { connection, frame } => {
                    let frame: Bytes = frame.payload();
                    self.inputs.push_back(node::Input::Frame { connection: inbound(connection), frame });
                }
                Output::Close { connection } => {
                    self.inputs.push_back(node::Input::Closed { connection: inbound(connection) });
                }
                Output::Told { .. } => unreachable!("a producer reports batches, not operations"),
            }
        }
        for connection in opened {
            self.step(now, Input::Opened { connection });
        }
    }

    /// Counts what has ended; every five seconds there is a line about it.
    fn count(&mut self, now: Instant) -> Option<String> {
        let producer = self.producer.as_mut()?;
        while let Some(ended) = producer.next_ended() {
            if !matches!(ended.fate, Fate::Acked { .. }) {
                continue;
            }
            for run in &ended.runs {
                self.window_bytes += run.value_bytes;
                self.window.record(now.since(run.at), u64::from(run.records));
            }
        }
        let elapsed = now.since(self.window_start);
        if elapsed < PRINT_INTERVAL || self.window.count() == 0 {
            return None;
        }
        let line = line(self.window_bytes as f64 / elapsed.as_secs_f64(), &self.window);
        (self.window_start, self.window_bytes) = (now, 0);
        self.window.clear();
        Some(line)
    }
}

/// The line of Kafka's raft test server. (`WriteStats.printSummary`.)
fn line(bytes_per_second: f64, latencies: &Latencies) -> String {
    let millis = |share: f64| fixed(latencies.quantile_us(share) as f64 / 1000.0, 1);
    format!(
        "Throughput (bytes/second): {}, Latency (ms): {} p75 {} p99 {} p999",
        fixed(bytes_per_second, 2),
        millis(0.75),
        millis(0.99),
        millis(0.999)
    )
}

/// The load's connection as the node numbers it: from the other side.
fn inbound(connection: ConnectionId) -> ConnectionId {
    ConnectionId(FIRST_INBOUND.0 + (connection.0 - ConnectionId::FIRST_OUTBOUND.0))
}

fn outbound(connection: ConnectionId) -> ConnectionId {
    ConnectionId(ConnectionId::FIRST_OUTBOUND.0 + (connection.0 - FIRST_INBOUND.0))
}

/// Sockets are numbered from 0 and never come here.
const FIRST_INBOUND: ConnectionId = ConnectionId(1 << 62);

/// Bytes of a batch: what one flush is worth, and a hundredth of what a follower fetches at once.
const BATCH_BYTES: usize = 256 << 10;

/// What a batch of one record has besides its value.
const RECORD_OVERHEAD_MAX: usize = 128;

/// Records made between two looks at the sockets.
const RECORDS_PER_TURN: u64 = 16_384;

/// How often a line is printed. (Kafka: `printIntervalMs`.)
const PRINT_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_line_is_kafkas() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_micros(1_520), 900);
        latencies.record(Duration::from_micros(20_000), 100);
        let expected = "Throughput (bytes/second): 1279488.00, Latency (ms): 1.5 p75 20.0 p99 20.0 p999";
        assert_eq!(line(1_279_488.0, &latencies), expected);
    }

    #[test]
    fn an_overloaded_load_makes_no_more_than_it_has_room_for() {
        let plan = Plan { throughput: 1_000_000_000, record_bytes: 1000 };
        let mut load = SelfLoad::new(plan, "t", Prng::new(1, 0));
        assert_eq!(load.deadline(), None, "nothing is due before the node leads");
        load.claim(Instant(1));
        for second in 1..100 {
            let monotonic = Instant(second * 1_000_000_000);
            load.work(Now { monotonic, wall: Timestamp(0) });
        }
        assert!(load.pushed < 2000, "{} records of 1000 bytes, and nobody answers", load.pushed);
    }
}
