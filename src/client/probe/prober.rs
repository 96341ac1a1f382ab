//! Sends probes, one at a time to each node, and judges what comes back.
//!
//! **Invariants**: a connection carries one probe at a time; a connection that is lost takes the probe under way with it,
//! and that is a finding.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::client::examiner::{Finding, Truth};
use crate::client::probe::{Probe, descriptions, elections, fetches, partitions};
use crate::client::{Input, Output};
use crate::protocol::{Api, ConnectionId, Frame, codec};
use crate::time::Instant;

/// The probes of one run.
#[derive(Debug, Default)]
pub struct Prober {
    lanes: Vec<Lane>,
    first: u64,
}

/// A node, and what it is to be asked yet.
#[derive(Debug, Default)]
struct Lane {
    is_open: bool,
    probes: VecDeque<Probe>,
    asked_at: Option<Instant>,
}

impl Prober {
    /// Asks everything of everybody, on connections from `first` on.
    pub fn begin(&mut self, truth: &Truth, first: ConnectionId, out: &mut Vec<Output>) {
        self.first = first.0;
        self.lanes = truth.nodes.iter().map(|_| Lane::default()).collect();
        for probe in probes(truth) {
            self.lanes[probe.node].probes.push_back(probe);
        }
        for (index, endpoint) in truth.nodes.iter().enumerate() {
            let connection = ConnectionId(self.first + index as u64);
            out.push(Output::Connect { connection, endpoint: endpoint.clone() });
        }
    }

    /// Whether everything was answered.
    pub fn is_done(&self) -> bool {
        self.lanes.iter().all(|lane| lane.probes.is_empty())
    }

    /// Whether a connection is one of its own.
    pub fn owns(&self, connection: ConnectionId) -> bool {
        connection.0 >= self.first && connection.0 - self.first < self.lanes.len() as u64
    }

    /// Takes an input on a connection of its own.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) -> Option<Finding> {
        let (connection, frame) = match input {
            Input::Opened { connection } => {
                let node = self.node_of(connection);
                self.lanes[node].is_open = true;
                self.ask_next(now, connection, out);
                return None;
            }
            Input::Frame { connection, frame } => (connection, Some(frame)),
            Input::Closed { connection } => (connection, None),
            Input::Ask { .. } | Input::Tick => return None,
        };
        let node = self.node_of(connection);
        let lane = &mut self.lanes[node];
        lane.is_open &= frame.is_some();
        let probe = lane.probes.pop_front()?;
        let took = lane.asked_at.take().map(|at| now.since(at)).unwrap_or_default();
        let judged = frame.map_or(Err("the connection is closed".to_owned()), |frame| (probe.judge)(frame, took));
        // A node that leaves would have to be asked on another connection: what it owes is lost, and one finding is enough.
        if !lane.is_open {
            lane.probes.clear();
        }
        self.ask_next(now, connection, out);
        let (question, took) = (probe.question, took.saturating_sub(probe.wait));
        Some(Finding { question, node, took, lie: judged.err(), read: None })
    }

    fn ask_next(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        let node = self.node_of(connection);
        let lane = &mut self.lanes[node];
        let Some(probe) = lane.probes.front().filter(|_| lane.is_open) else { return };
        lane.asked_at = Some(now);
        out.push(Output::Frame { connection, frame: probe.frame.clone() });
    }

    fn node_of(&self, connection: ConnectionId) -> usize {
        (connection.0 - self.first) as usize
    }
}

/// A table of questions, as it is written down.
pub(super) struct Table<'a> {
    /// What is true.
    pub truth: &'a Truth,
    probes: Vec<Probe>,
}

impl Table<'_> {
    /// A question whose answer `is_right` knows.
    pub fn ask<Q: Encodable, A: Decodable + HeaderVersion + Debug>(
        &mut self,
        (node, question): (usize, &'static str),
        (api, version): (Api, i16),
        body: &Q,
        is_right: impl Fn(&A) -> bool + 'static,
    ) {
        self.ask_patiently((node, question, Duration::ZERO), (api, version), body, is_right);
    }

    /// A question whose answer is to come after that time, and not much sooner.
    pub fn ask_patiently<Q: Encodable, A: Decodable + HeaderVersion + Debug>(
        &mut self,
        (node, question, wait): (usize, &'static str, Duration),
        (api, version): (Api, i16),
        body: &Q,
        is_right: impl Fn(&A) -> bool + 'static,
    ) {
        let correlation = self.probes.len() as i32;
        let frame = encoded(api, version, correlation, body);
        let judge = move |frame: Bytes, took: Duration| {
            let answer: A = read(frame, version, correlation)?;
            if !is_right(&answer) {
                return Err(format!("the answer is {answer:?}"));
            }
            // Clocks drift.
            match took >= wait * 4 / 5 {
                true => Ok(()),
                false => Err(format!("it asked to wait for {wait:?}, and was answered after {took:?}")),
            }
        };
        self.probes.push(Probe { question, node, wait, frame, judge: Box::new(judge) });
    }
}

fn encoded<Q: Encodable>(api: Api, version: i16, correlation: i32, body: &Q) -> Frame {
    let client = StrBytes::from_static_str("prober");
    if version != UNKNOWN_VERSION {
        return codec::encode_request(api, version, correlation, &client, body);
    }
    // Nobody can encode it: an older one that claims to be newer. The version stands behind the length and the key.
    let mut bytes = BytesMut::from(&codec::encode_request(api, 0, correlation, &client, body).parts[0][..]);
    bytes[6..8].copy_from_slice(&version.to_be_bytes());
    Frame::of(bytes.freeze())
}

fn read<A: Decodable + HeaderVersion>(mut frame: Bytes, version: i16, correlation: i32) -> Result<A, String> {
    let malformed = |error: &dyn std::fmt::Display| format!("the answer is malformed: {error}");
    // A version of ApiVersions that nobody knows is answered in the format of version 0. (KIP-511.)
    let is_refused = version == UNKNOWN_VERSION;
    let version = if is_refused { 0 } else { version };
    let header_version = A::header_version(version);
    let header = ResponseHeader::decode(&mut frame, header_version).map_err(|error| malformed(&error))?;
    let answer = A::decode(&mut frame, version).map_err(|error| malformed(&error))?;
    let is_whole = frame.is_empty() && header.correlation_id == correlation;
    is_whole.then_some(answer).ok_or_else(|| format!("the answer is to request {}", header.correlation_id))
}

/// Every probe, those of one node in the order in which it is to be asked.
fn probes(truth: &Truth) -> Vec<Probe> {
    let mut table = Table { truth, probes: Vec::new() };
    for node in 0..truth.nodes.len() {
        elections::ask(&mut table, node);
        fetches::ask(&mut table, node);
        partitions::ask(&mut table, node);
        descriptions::ask(&mut table, node);
    }
    table.probes
}

/// A version of ApiVersions that no broker knows.
pub(super) const UNKNOWN_VERSION: i16 = 99;
