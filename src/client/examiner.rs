//! An examiner: asks every node, in a quiet cluster, what its answer to which is known.
//!
//! Workloads are honest clients: they never skip a sequence number, never ask with a stale epoch, never write to a node
//! that does not lead. So they do not notice a broker that would let them. The examiner does all of that, one question
//! after another, and holds each answer against the words of Kafka's protocol. It also measures how long an answer took:
//! in a quiet cluster whoever waits longer than its round trips and syncs waits for a timer, and that is a fault, too.
//!
//! Its values are foreign to every history, so nobody takes them for a workload's.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;

use crate::client::link::{Call, Link, Voice};
use crate::client::probe::Prober;
use crate::client::wire::{Request, Response};
use crate::client::{AskId, Input, Output, consume};
use crate::ids::{Endpoint, Offset};
use crate::protocol::ConnectionId;
use crate::record::{BatchBuilder, ProducerStamp, RecordBatch};
use crate::time::{Instant, Timestamp};

/// What the examiner asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// Everything, of everybody.
    Calm,
    /// One follower, this node, is cut off from all other nodes: the rest goes on.
    FollowerCut(usize),
    /// The leader is cut off from all other nodes: it can neither acknowledge nor confirm anything.
    LeaderCut,
}

/// What the examiner takes for true: the state of a quiet cluster.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Where every node listens, by id; the voters first.
    pub nodes: Vec<Endpoint>,
    /// How many of them vote: those are the brokers that clients are told of.
    pub voters: usize,
    /// Which of them leads.
    pub leader: usize,
    /// Its epoch.
    pub epoch: i32,
    /// The end of the log, all of it committed.
    pub end: Offset,
    /// The topic.
    pub topic: String,
    /// Its id.
    pub topic_id: [u8; 16],
    /// The cluster.
    pub cluster: String,
}

/// An answer, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was asked.
    pub question: &'static str,
    /// Of which node.
    pub node: usize,
    /// How long the answer took.
    pub took: Duration,
    /// What is wrong with it.
    pub lie: Option<String>,
    /// What a Fetch brought: the offset asked for, the batches and the high watermark.
    pub read: Option<(Offset, Vec<RecordBatch>, Offset)>,
}

/// The examiner of one run.
#[derive(Debug)]
pub struct Examiner {
    truth: Truth,
    voice: Voice,
    links: Vec<Link>,
    /// What is asked before everything else.
    prober: Prober,
    /// What is to be asked yet; the front is under way when `asked_at` says so.
    tasks: VecDeque<Task>,
    asked_at: Option<Instant>,
    producers: Vec<i64>,
    /// Behind the last batch that was appended for us.
    end: i64,
    /// Where the batch of each first sequence number went.
    bases: Vec<(i32, i64)>,
}

#[derive(Clone, Debug)]
struct Task {
    question: &'static str,
    node: usize,
    ask: Ask,
    expect: Expect,
}

#[derive(Clone, Debug)]
enum Ask {
    Metadata,
    Identity,
    /// So many records of a producer epoch from a sequence number on.
    Produce {
        producer: Producer,
        epoch: i16,
        sequence: i32,
        count: u32,
    },
    /// A batch with a bit flipped.
    Damaged,
    Fetch {
        from: Offset,
        epoch: i32,
        bytes_max: usize,
    },
    /// At the end, for a moment.
    Wait,
    /// A record that is to be on a majority within a moment.
    Hasty,
    /// A record that the leader alone is to have.
    Alone,
    Tail {
        epoch: i32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Producer {
    /// One with the id that was given out first.
    Known,
    /// One that nobody has heard of.
    Unknown,
    /// None.
    None,
}

#[derive(Clone, Debug)]
enum Expect {
    /// The true leader, in its epoch, and every voter.
    Leader,
    /// An id that was not given out before.
    NewIdentity,
    /// Appended, behind everything before.
    Appended,
    /// What was appended under that sequence number, at its place.
    Again,
    /// This error, and no leader but the true one.
    Error(i16),
    /// At least one batch, and no second one that does not fit.
    Records,
    /// No records, and the end of what is committed.
    Nothing,
    /// The end of what is committed.
    End,
    /// Any error: whatever it is, it is no acknowledgement and no confirmation.
    Denied,
}

impl Examiner {
    /// An examiner that has asked nothing yet.
    pub fn new(truth: Truth) -> Examiner {
        Examiner {
            voice: Voice::new("examiner", 0),
            links: Vec::new(),
            prober: Prober::default(),
            tasks: VecDeque::new(),
            asked_at: None,
            producers: Vec::new(),
            bases: Vec::new(),
            end: truth.end.as_i64(),
            truth,
        }
    }

    /// Whether every question was answered.
    pub fn is_done(&self) -> bool {
        self.tasks.is_empty() && self.prober.is_done()
    }

    /// Begins with a paper; what may have changed since the one before comes with it. Connects to every node the first time.
    pub fn begin(&mut self, now: Instant, truth: Truth, paper: Paper, out: &mut Vec<Output>) {
        assert!(self.is_done(), "one paper at a time");
        self.end = truth.end.as_i64();
        self.truth = truth;
        self.tasks = match paper {
            Paper::Calm => tasks(&self.truth),
            Paper::FollowerCut(away) => tasks_without(&self.truth, away),
            Paper::LeaderCut => tasks_to_deny(&self.truth),
        };
        if !self.links.is_empty() {
            return self.ask_next(now, out);
        }
        self.prober.begin(&self.truth, connection(self.truth.nodes.len()), out);
        for (index, endpoint) in self.truth.nodes.iter().enumerate() {
            self.links.push(Link::connect(connection(index), endpoint.clone(), now + PATIENCE, out));
        }
    }

    /// Takes an input and asks what is next; an answer is judged.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) -> Option<Finding> {
        let finding = match input {
            Input::Opened { connection } | Input::Frame { connection, .. } | Input::Closed { connection }
                if self.prober.owns(connection) =>
            {
                self.prober.step(now, input, out)
            }
            Input::Opened { connection } => {
                let node = node_of(connection);
                self.links[node].on_opened(&mut self.voice, now + PATIENCE, out);
                None
            }
            Input::Frame { connection, frame } => {
                let node = node_of(connection);
                match self.links[node].on_frame(&frame, &mut self.voice, now + PATIENCE, out) {
                    Ok(Some((_, response))) => Some(self.on_response(now, &response)),
                    Ok(None) => None,
                    Err(malformed) => Some(self.finding(now, Some(malformed.to_string()))),
                }
            }
            // A node may leave when nothing more is asked.
            Input::Closed { .. } if self.is_done() => None,
            Input::Closed { .. } => Some(self.finding(now, Some("the connection is closed".into()))),
            Input::Ask { .. } | Input::Tick => None,
        };
        self.ask_next(now, out);
        finding
    }

    fn ask_next(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.asked_at.is_some() || !self.prober.is_done() {
            return;
        }
        let Some(task) = self.tasks.front().cloned() else { return };
        if !self.links[task.node].is_ready() {
            return;
        }
        let request = self.request(&task.ask);
        self.asked_at = Some(now);
        let call = Call::Operation(AskId(0));
        self.links[task.node].send(call, &request, &mut self.voice, now + PATIENCE, out);
    }

    fn request(&self, ask: &Ask) -> Request {
        let topic = StrBytes::from_string(self.truth.topic.clone());
        match *ask {
            Ask::Metadata => Request::Metadata { topic },
            Ask::Identity => Request::InitProducerId,
            Ask::Produce { producer, epoch, sequence, count } => {
                let id = match producer {
                    Producer::Known => Some(self.producers.first().copied().unwrap_or_default()),
                    Producer::Unknown => Some(UNKNOWN_PRODUCER),
                    Producer::None => None,
                };
                let stamp = id.map(|id| ProducerStamp { id, epoch, base_sequence: sequence });
                Request::Produce { topic, records: encoded(stamp, count), timeout: PATIENCE, acks: ACKS_ALL }
            }
            Ask::Damaged => {
                let mut records = BytesMut::from(&encoded(None, 1)[..]);
                let last = records.len() - 1;
                records[last] ^= 1;
                Request::Produce { topic, records: records.freeze(), timeout: PATIENCE, acks: ACKS_ALL }
            }
            Ask::Fetch { from, epoch, bytes_max } => {
                Request::Fetch { topic, leader_epoch: epoch, from, wait_max: Duration::ZERO, bytes_max }
            }
            Ask::Wait => {
                let from = Offset::from_i64(self.end).unwrap_or_default();
                Request::Fetch { topic, leader_epoch: self.truth.epoch, from, wait_max: MOMENT, bytes_max: 1 << 16 }
            }
            Ask::Hasty => Request::Produce { topic, records: encoded(None, 1), timeout: MOMENT, acks: ACKS_ALL },
            Ask::Alone => Request::Produce { topic, records: encoded(None, 1), timeout: PATIENCE, acks: ACKS_LEADER },
            Ask::Tail { epoch } => Request::Tail { topic, leader_epoch: epoch },
        }
    }

    fn on_response(&mut self, now: Instant, response: &Response) -> Finding {
        let Some(task) = self.tasks.front().cloned() else {
            return self.finding(now, Some(format!("nothing was asked, and the answer is {response:?}")));
        };
        let judged = self.judge(&task, response);
        let read = match (&task.ask, response, judged.is_ok()) {
            (&Ask::Fetch { from, .. }, Response::Fetch { error: 0, high_watermark, records, .. }, true) => {
                let batches = RecordBatch::parse_all(records).unwrap_or_default();
                Offset::from_i64(*high_watermark).map(|told| (from, batches, told))
            }
            _ => None,
        };
        Finding { read, ..self.finding(now, judged.err()) }
    }

    /// Ends the question under way.
    fn finding(&mut self, now: Instant, lie: Option<String>) -> Finding {
        let took = self.asked_at.take().map(|at| now.since(at)).unwrap_or_default();
        let (question, node) = self.tasks.pop_front().map_or(("nothing", 0), |task| (task.question, task.node));
        Finding { question, node, took, lie, read: None }
    }

    fn judge(&mut self, task: &Task, response: &Response) -> Result<(), String> {
        let found = || format!("the answer is {response:?}");
        match (&task.expect, response) {
            (Expect::Leader, Response::Metadata { error: 0, brokers, leader, epoch }) => {
                let is_true = (*leader, *epoch) == (self.truth.leader as i32, self.truth.epoch);
                let knows_all = self.truth.nodes[..self.truth.voters]
                    .iter()
                    .enumerate()
                    .all(|(id, endpoint)| brokers.iter().any(|(broker, at)| *broker == id as i32 && at == endpoint));
                (is_true && knows_all).then_some(()).ok_or_else(found)
            }
            (Expect::NewIdentity, &Response::InitProducerId { error: 0, id, epoch }) => {
                let is_new = id >= 0 && epoch >= 0 && !self.producers.contains(&id);
                self.producers.push(id);
                is_new.then_some(()).ok_or_else(found)
            }
            (Expect::Appended, &Response::Produce { error: 0, base, .. }) => {
                let Ask::Produce { producer, sequence, count, .. } = task.ask else { return Err(found()) };
                if producer == Producer::Known {
                    self.bases.retain(|&(known, _)| known != sequence);
                    self.bases.push((sequence, base));
                }
                // Nobody else writes.
                let due = std::mem::replace(&mut self.end, base.saturating_add(i64::from(count)));
                (base == due).then_some(()).ok_or_else(|| format!("{}, {due} is the end", found()))
            }
            (Expect::Again, &Response::Produce { error: 0, base, .. }) => {
                let Ask::Produce { sequence, .. } = task.ask else { return Err(found()) };
                let is_same = self.bases.contains(&(sequence, base));
                is_same.then_some(()).ok_or_else(|| format!("{}, places are {:?}", found(), self.bases))
            }
            (Expect::Error(expected), response) => {
                let (error, hint) = match response {
                    Response::Produce { error, hint, .. } | Response::Fetch { error, hint, .. } => {
                        (*error, hint.as_ref())
                    }
                    Response::Tail { error, .. } => (*error, None),
                    _ => return Err(found()),
                };
                let misleads = hint.is_some_and(|hint| hint.leader != self.truth.leader as i32);
                (error == *expected && !misleads).then_some(()).ok_or_else(|| format!("{}, {expected} is due", found()))
            }
            (Expect::Records, Response::Fetch { error: 0, high_watermark, records, .. }) => {
                let &Ask::Fetch { from, bytes_max, .. } = &task.ask else { return Err(found()) };
                consume::check(from, records, *high_watermark, bytes_max)?;
                let floor = self.truth.end.as_i64();
                let is_all = !records.is_empty() && *high_watermark >= floor;
                is_all.then_some(()).ok_or_else(|| format!("{} bytes, high watermark {high_watermark}", records.len()))
            }
            (Expect::Nothing, Response::Fetch { error: 0, high_watermark, records, .. }) => {
                let is_right = records.is_empty() && *high_watermark == self.end;
                is_right.then_some(()).ok_or_else(|| format!("{}, {} is the end", found(), self.end))
            }
            (Expect::End, &Response::Tail { error: 0, end }) => {
                (end == self.end).then_some(()).ok_or_else(|| format!("{}, {} is the end", found(), self.end))
            }
            (Expect::Denied, Response::Produce { error, .. } | Response::Tail { error, .. }) if *error != 0 => Ok(()),
            _ => Err(found()),
        }
    }
}

/// Everything that is asked.
fn tasks(truth: &Truth) -> VecDeque<Task> {
    let mut tasks = VecDeque::new();
    let mut push = |node, question, ask, expect| tasks.push_back(Task { question, node, ask, expect });
    for node in 0..truth.nodes.len() {
        push(node, "Metadata", Ask::Metadata, Expect::Leader);
        push(node, "InitProducerId", Ask::Identity, Expect::NewIdentity);
    }
    let plain = Ask::Produce { producer: Producer::None, epoch: 0, sequence: 0, count: 1 };
    for node in (0..truth.nodes.len()).filter(|&node| node != truth.leader) {
        push(node, "Produce to a follower", plain.clone(), Expect::Error(NOT_LEADER));
        let fetch = Ask::Fetch { from: Offset::ZERO, epoch: -1, bytes_max: 1 };
        push(node, "Fetch from a follower", fetch, Expect::Error(NOT_LEADER));
        push(node, "ListOffsets at a follower", Ask::Tail { epoch: -1 }, Expect::Error(NOT_LEADER));
    }
    let leader = truth.leader;
    push(leader, "Produce of damaged bytes", Ask::Damaged, Expect::Error(CORRUPT_MESSAGE));
    let batch = |sequence, count| Ask::Produce { producer: Producer::Known, epoch: 0, sequence, count };
    push(leader, "the first batch of a producer", batch(0, 1), Expect::Appended);
    push(leader, "the same batch", batch(0, 1), Expect::Again);
    push(leader, "a batch after a gap", batch(7, 1), Expect::Error(OUT_OF_ORDER));
    for (sequence, count) in [(1, 2), (3, 1), (4, 1), (5, 1), (6, 1)] {
        push(leader, "the next batch of a producer", batch(sequence, count), Expect::Appended);
    }
    push(leader, "the fifth last batch", batch(1, 2), Expect::Again);
    push(leader, "the third last batch", batch(4, 1), Expect::Again);
    push(leader, "a batch that is forgotten", batch(0, 1), Expect::Error(DUPLICATE));
    push(leader, "half of a batch", batch(1, 1), Expect::Error(OUT_OF_ORDER));
    let later = |sequence| Ask::Produce { producer: Producer::Known, epoch: 1, sequence, count: 1 };
    push(leader, "a new producer epoch that does not start at 0", later(1), Expect::Error(OUT_OF_ORDER));
    push(leader, "a new producer epoch", later(0), Expect::Appended);
    push(leader, "an older producer epoch", batch(7, 1), Expect::Error(FENCED_PRODUCER));
    let unknown = Ask::Produce { producer: Producer::Unknown, epoch: 0, sequence: 3, count: 1 };
    push(leader, "an unknown producer that does not start at 0", unknown, Expect::Error(OUT_OF_ORDER));
    push(leader, "a batch without a producer", plain, Expect::Appended);
    let fetch = |from, epoch, bytes_max| Ask::Fetch { from, epoch, bytes_max };
    let (end, epoch) = (truth.end, truth.epoch);
    push(leader, "Fetch of an older epoch", fetch(end, epoch - 1, 1), Expect::Error(FENCED_EPOCH));
    push(leader, "Fetch of a later epoch", fetch(end, epoch + 1, 1), Expect::Error(UNKNOWN_EPOCH));
    push(leader, "ListOffsets of an older epoch", Ask::Tail { epoch: epoch - 1 }, Expect::Error(FENCED_EPOCH));
    push(leader, "Fetch beyond the end", fetch(Offset(end.0 + 1000), epoch, 1), Expect::Error(OUT_OF_RANGE));
    for part in 0..READS {
        let from = Offset(end.0 * part / READS);
        push(leader, "Fetch of one batch", fetch(from, epoch, 1), Expect::Records);
        push(leader, "Fetch of a few batches", fetch(from, epoch, 700), Expect::Records);
    }
    push(leader, "Fetch at the end", Ask::Wait, Expect::Nothing);
    push(leader, "ListOffsets", Ask::Tail { epoch }, Expect::End);
    tasks
}

/// What a majority with its leader goes on to answer while one follower is away.
fn tasks_without(truth: &Truth, away: usize) -> VecDeque<Task> {
    let plain = Ask::Produce { producer: Producer::None, epoch: 0, sequence: 0, count: 1 };
    let tail = Ask::Tail { epoch: -1 };
    let leader = truth.leader;
    [
        (leader, "a batch while a follower is away", plain, Expect::Appended),
        (leader, "ListOffsets while a follower is away", tail.clone(), Expect::End),
        (away, "ListOffsets at a follower that is cut off", tail, Expect::Error(NOT_LEADER)),
    ]
    .map(|(node, question, ask, expect)| Task { question, node, ask, expect })
    .into()
}

/// What a leader without a majority must not say yes to: while it still leads, and when it does no more. Only who asks for
/// no majority is served, as long as it leads.
fn tasks_to_deny(truth: &Truth) -> VecDeque<Task> {
    let tail = Ask::Tail { epoch: -1 };
    [
        ("a batch that a leader that is cut off is to have alone", Ask::Alone, Expect::Error(0)),
        ("a batch for a leader that is cut off", Ask::Hasty, Expect::Denied),
        ("ListOffsets at a leader that is cut off", tail.clone(), Expect::Denied),
        ("ListOffsets at a leader that was cut off long ago", tail, Expect::Denied),
    ]
    .map(|(question, ask, expect)| Task { question, node: truth.leader, ask, expect })
    .into()
}

/// A batch of values that are nobody's.
fn encoded(stamp: Option<ProducerStamp>, count: u32) -> Bytes {
    let mut builder = BatchBuilder::new(Timestamp(0));
    if let Some(stamp) = stamp {
        builder = builder.producer(stamp);
    }
    for _ in 0..count {
        builder.push(None, Some(&[0xff; 16]));
    }
    let mut parts = Vec::with_capacity(2);
    builder.build().gather(&mut parts);
    let mut bytes = BytesMut::new();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes.freeze()
}

fn connection(node: usize) -> ConnectionId {
    ConnectionId(ConnectionId::FIRST_OUTBOUND.0 + node as u64)
}

fn node_of(connection: ConnectionId) -> usize {
    (connection.0 - ConnectionId::FIRST_OUTBOUND.0) as usize
}

/// A majority must have a batch before it is acknowledged.
const ACKS_ALL: i16 = -1;

/// The leader's own disk is enough.
const ACKS_LEADER: i16 = 1;

/// How long the examiner would wait at most; the judge is less patient.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a Fetch at the end waits for more.
const MOMENT: Duration = Duration::from_millis(5);

/// At how many places the log is read.
const READS: u64 = 5;

const UNKNOWN_PRODUCER: i64 = 1 << 61;

const OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;
const NOT_LEADER: i16 = 6;
const OUT_OF_ORDER: i16 = 45;
const DUPLICATE: i16 = 46;
const FENCED_PRODUCER: i16 = 47;
const FENCED_EPOCH: i16 = 74;
const UNKNOWN_EPOCH: i16 = 75;
