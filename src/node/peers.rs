//! Connections that this node opens to other replicas: one per destination, one call at a time.
//!
//! The replica says `Send`; this file finds or opens the connection, negotiates versions, and turns what comes back into
//! a `Response` for the replica. A call to a destination whose previous call is still unanswered supersedes it: the
//! connection that carried the old one is closed, so that a Vote never waits behind a parked Fetch and so that R10 may
//! compare connections (R10).
//!
//! **Invariants**
//! - A connection carries at most one unanswered request.
//! - Correlation ids ascend from a number drawn per incarnation, so a late answer of an earlier one matches nothing.

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::node::translate::Names;
use crate::node::{Output, answers, translate};
use crate::protocol::connection::{Common, Outbound};
use crate::protocol::{Api, ConnectionId, codec, schema};
use crate::raft::{CallError, CallId, Destination, Request, Response};

/// A call's outcome, for the replica.
pub type Outcome = (CallId, Result<Response, CallError>);

/// All destinations this node ever sent to, and what is under way.
#[derive(Debug)]
pub struct Peers {
    peers: Vec<Peer>,
    next_connection: ConnectionId,
    correlation: i32,
}

#[derive(Debug)]
struct Peer {
    to: Destination,
    link: Option<(ConnectionId, Outbound)>,
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    body: Request,
    /// Version and correlation id, once it was sent.
    sent: Option<(i16, i32)>,
}

impl Peers {
    /// No connections yet. `correlation` is random, so that numbers of two incarnations do not meet.
    pub fn new(correlation: i32) -> Peers {
        Peers { peers: Vec::new(), next_connection: ConnectionId::FIRST_OUTBOUND, correlation }
    }

    /// Sends a request, now or as soon as its connection is ready.
    pub fn send(
        &mut self,
        to: Destination,
        id: CallId,
        body: Request,
        names: &Names,
        out: &mut Vec<Output>,
    ) -> Option<Outcome> {
        let index = self.find_or_add(&to);
        let peer = &mut self.peers[index];
        // Also when the old call was not sent yet: a connection that has not come up since may never do so.
        let is_superseding = peer.call.is_some();
        if let Some((connection, _)) = peer.link.take_if(|_| is_superseding || peer.to.endpoint != to.endpoint) {
            out.push(Output::Close { connection });
        }
        peer.to = to;
        peer.call = Some(Call { id, body, sent: None });
        match peer.link {
            None => {
                let connection = self.next_connection;
                self.next_connection = ConnectionId(connection.0 + 1);
                peer.link = Some((connection, Outbound::Connecting));
                out.push(Output::Connect { connection, endpoint: peer.to.endpoint.clone() });
                None
            }
            Some((connection, Outbound::Ready(common))) => self.dispatch(index, connection, common, names, out),
            Some(_) => None,
        }
    }

    /// Drops calls that still wait for their connection and that the replica no longer awaits. What they claim was true
    /// when they were asked for, and need not be when they would leave.
    pub fn forget_unsent(&mut self, is_awaited: impl Fn(CallId) -> bool) {
        for peer in &mut self.peers {
            peer.call.take_if(|call| call.sent.is_none() && !is_awaited(call.id));
        }
    }

    /// A connection is up: ask what its other end speaks.
    pub fn on_opened(&mut self, connection: ConnectionId, names: &Names, out: &mut Vec<Output>) {
        let Some(index) = self.carrier(connection) else { return };
        self.negotiate(index, connection, API_VERSIONS_VERSION, names, out);
    }

    /// A connection is gone, and with it the call it carried or was opened for.
    pub fn on_closed(&mut self, connection: ConnectionId) -> Option<Outcome> {
        let index = self.carrier(connection)?;
        self.fail(index)
    }

    /// A frame arrived on a connection that this node opened. Whatever is not the answer expected ends the connection.
    pub fn on_frame(
        &mut self,
        connection: ConnectionId,
        frame: Bytes,
        names: &Names,
        out: &mut Vec<Output>,
    ) -> Option<Outcome> {
        let index = self.carrier(connection)?;
        let (_, state) = self.peers[index].link.as_ref()?;
        let understood = match *state {
            Outbound::Connecting => None,
            Outbound::Negotiating { version, correlation } => {
                self.on_versions(index, connection, (version, correlation), frame, names, out)
            }
            Outbound::Ready(_) => self.on_answer(index, frame, names).map(Some),
        };
        understood.unwrap_or_else(|| {
            out.push(Output::Close { connection });
            self.fail(index)
        })
    }

    /// The other end says what it speaks. `None`: that was no such answer.
    fn on_versions(
        &mut self,
        index: usize,
        connection: ConnectionId,
        asked: (i16, i32),
        frame: Bytes,
        names: &Names,
        out: &mut Vec<Output>,
    ) -> Option<Option<Outcome>> {
        let (version, correlation) = asked;
        let rest = after_correlation(&frame, correlation)?;
        let error = i16::from_be_bytes(*rest.first_chunk()?);
        // A version that the other end does not know is answered in the format of version 0.
        let format = if error == UNSUPPORTED_VERSION { 0 } else { version };
        let shape = &schema::API_VERSIONS_RESPONSE;
        let theirs: ApiVersionsResponse = codec::decode_response(Api::ApiVersions, shape, format, rest).ok()?;
        match error {
            0 => {
                let common = Common::of(&theirs);
                self.peers[index].link = Some((connection, Outbound::Ready(common)));
                let is_waiting = self.peers[index].call.is_some();
                Some(is_waiting.then(|| self.dispatch(index, connection, common, names, out)).flatten())
            }
            UNSUPPORTED_VERSION if version > 0 => {
                let range = theirs.api_keys.iter().find(|range| range.api_key == Api::ApiVersions.key());
                let lower = range.map_or(0, |range| range.max_version).clamp(0, version - 1);
                self.negotiate(index, connection, lower, names, out);
                Some(None)
            }
            _ => None,
        }
    }

    /// The answer to the call that this connection carries. `None`: that was no such answer.
    fn on_answer(&mut self, index: usize, frame: Bytes, names: &Names) -> Option<Outcome> {
        let peer = &mut self.peers[index];
        let call = peer.call.as_ref()?;
        let (version, correlation) = call.sent?;
        let rest = after_correlation(&frame, correlation)?;
        let (api, epoch) = (translate::api_of(&call.body), translate::epoch_of(&call.body));
        let answer = answers::answer(api, version, rest, epoch, names).ok()?;
        let call = peer.call.take().expect("invariant: the call was there a moment ago");
        Some((call.id, Ok(answer)))
    }

    fn negotiate(
        &mut self,
        index: usize,
        connection: ConnectionId,
        version: i16,
        names: &Names,
        out: &mut Vec<Output>,
    ) {
        let correlation = self.next_correlation();
        let body = match version {
            ..=2 => ApiVersionsRequest::default(),
            _ => ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION"))),
        };
        let frame = codec::encode_request(Api::ApiVersions, version, correlation, &names.client, &body);
        self.peers[index].link = Some((connection, Outbound::Negotiating { version, correlation }));
        out.push(Output::Frame { connection, frame });
    }

    /// Sends the call that waits for this connection, or says that no version can carry it.
    fn dispatch(
        &mut self,
        index: usize,
        connection: ConnectionId,
        common: Common,
        names: &Names,
        out: &mut Vec<Output>,
    ) -> Option<Outcome> {
        let correlation = self.next_correlation();
        let peer = &mut self.peers[index];
        let call = peer.call.as_mut().expect("invariant: only a waiting call is dispatched");
        let version = common.version(translate::api_of(&call.body));
        let frame = version.and_then(|version| translate::call(&call.body, version, correlation, names));
        match (version, frame) {
            (Some(version), Some(frame)) => {
                call.sent = Some((version, correlation));
                out.push(Output::Frame { connection, frame });
                None
            }
            _ => {
                let call = peer.call.take().expect("invariant: the call was there a moment ago");
                Some((call.id, Err(CallError::Unsupported)))
            }
        }
    }

    /// Forgets the connection; the call under way, if there is one, is lost.
    fn fail(&mut self, index: usize) -> Option<Outcome> {
        let peer = &mut self.peers[index];
        peer.link = None;
        peer.call.take().map(|call| (call.id, Err(CallError::Disconnected)))
    }

    fn carrier(&self, connection: ConnectionId) -> Option<usize> {
        self.peers.iter().position(|peer| peer.link.as_ref().is_some_and(|(link, _)| *link == connection))
    }

    /// Replicas are known by id, wherever they listen; bootstrap servers by where they listen.
    fn find_or_add(&mut self, to: &Destination) -> usize {
        let known = self.peers.iter().position(|peer| match (peer.to.replica, to.replica) {
            (Some(known), Some(wanted)) => known.id == wanted.id,
            (None, None) => peer.to.endpoint == to.endpoint,
            _ => false,
        });
        known.unwrap_or_else(|| {
            self.peers.push(Peer { to: to.clone(), link: None, call: None });
            self.peers.len() - 1
        })
    }

    fn next_correlation(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        self.correlation
    }
}

/// Asked first: voters that probe each other for features need 4.
const API_VERSIONS_VERSION: i16 = 4;

/// Kafka's UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

fn after_correlation(frame: &Bytes, expected: i32) -> Option<Bytes> {
    let found = i32::from_be_bytes(*frame.first_chunk()?);
    (found == expected).then(|| frame.slice(4..))
}
