//! Listens to what replicas say to each other, so that the judge hears it from the wire and not from the replicas.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use crate::node::overhear::{self, Overheard};
use crate::node::translate::Names;
use crate::protocol::ConnectionId;
use crate::raft::message::{FetchResponse, Fetched, Request, Response, ResponseBody};
use crate::sim::HostId;

/// The requests that were delivered and wait for their answers.
#[derive(Debug)]
pub struct Wiretap {
    names: Names,
    waiting: BTreeMap<(HostId, ConnectionId), VecDeque<Rc<Overheard>>>,
}

/// What a frame that leaves a node says.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A request to a peer.
    Asked(Rc<Overheard>),
    /// An answer to a peer.
    Answered(Rc<Overheard>, Box<Response>),
    /// Something between a node and a client, or the negotiation of versions.
    Nothing,
}

impl Wiretap {
    /// A wiretap on a quorum of these names.
    pub fn new(names: Names) -> Wiretap {
        Wiretap { names, waiting: BTreeMap::new() }
    }

    /// A frame leaves a node.
    pub fn hear(&mut self, host: HostId, connection: ConnectionId, frame: &Bytes) -> Heard {
        if connection.is_outbound() {
            return overhear::request(frame, &self.names).map_or(Heard::Nothing, |asked| Heard::Asked(Rc::new(asked)));
        }
        let Some(waiting) = self.waiting.get_mut(&(host, connection)) else { return Heard::Nothing };
        let Some(asked) = waiting.front().cloned() else { return Heard::Nothing };
        match overhear::answer(frame, &asked, &self.names) {
            Some(response) => {
                waiting.pop_front();
                Heard::Answered(asked, Box::new(response))
            }
            None => Heard::Nothing,
        }
    }

    /// A request of a replica reaches a node.
    pub fn delivered(&mut self, host: HostId, connection: ConnectionId, asked: Rc<Overheard>) {
        self.waiting.entry((host, connection)).or_default().push_back(asked);
    }

    /// How many requests wait for their answers.
    pub fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// A node went down: its connections are no more.
    pub fn forget(&mut self, host: HostId) {
        self.waiting.retain(|&(of, _), _| of != host);
    }

    /// A connection is gone.
    pub fn closed(&mut self, host: HostId, connection: ConnectionId) {
        self.waiting.remove(&(host, connection));
    }
}

impl Heard {
    /// For the trace: `Fetch 5@3`, `Vote granted`, or what the frame's header says.
    pub fn describe(&self, frame: &[u8]) -> String {
        match self {
            Heard::Asked(asked) => describe_request(&asked.request),
            Heard::Answered(asked, response) => describe_response(&asked.request, response),
            Heard::Nothing => overhear::describe(frame).unwrap_or_else(|| format!("{} bytes", frame.len())),
        }
    }

    /// The request, to be delivered with the frame.
    pub fn request(&self) -> Option<Rc<Overheard>> {
        match self {
            Heard::Asked(asked) => Some(Rc::clone(asked)),
            Heard::Answered(..) | Heard::Nothing => None,
        }
    }
}

/// A request as golden scripts write it.
pub fn describe_request(request: &Request) -> String {
    let or_dash = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    match request {
        Request::Vote(vote) => {
            let kind = if vote.pre_vote { "PreVote" } else { "Vote" };
            let (end, epoch) =
                (vote.last_offset.map(|offset| offset.0), vote.last_epoch.map(|epoch| u64::from(epoch.0)));
            format!("{kind}@{} {}@{}", vote.epoch, or_dash(end), or_dash(epoch))
        }
        Request::BeginQuorumEpoch(begin) => format!("BeginQuorumEpoch@{}", begin.epoch),
        Request::EndQuorumEpoch(end) => format!("EndQuorumEpoch@{}", end.epoch),
        Request::Fetch(fetch) => {
            let (end, epoch) = (fetch.offset.map(|offset| offset.0), fetch.last_epoch.map(|epoch| u64::from(epoch.0)));
            format!("Fetch@{} {}@{}", fetch.epoch, or_dash(end), or_dash(epoch))
        }
    }
}

fn describe_response(request: &Request, response: &Response) -> String {
    let name = match request {
        Request::Vote(vote) if vote.pre_vote => "PreVote",
        Request::Vote(_) => "Vote",
        Request::BeginQuorumEpoch(_) => "BeginQuorumEpoch",
        Request::EndQuorumEpoch(_) => "EndQuorumEpoch",
        Request::Fetch(_) => "Fetch",
    };
    let error = if response.error.code() == 0 { String::new() } else { format!(" {:?}", response.error) };
    format!("{name}@{}{error}{}", response.epoch, describe_body(&response.body))
}

fn describe_body(body: &ResponseBody) -> String {
    match body {
        ResponseBody::Vote { granted: true } => " granted".to_owned(),
        ResponseBody::Vote { granted: false } => " refused".to_owned(),
        ResponseBody::BeginQuorumEpoch | ResponseBody::EndQuorumEpoch => String::new(),
        ResponseBody::Fetch(FetchResponse { high_watermark, found, .. }) => {
            let high_watermark = high_watermark.map_or("-".to_owned(), |offset| offset.to_string());
            let found = match found {
                Fetched::Records(batches) => match (batches.first(), batches.last()) {
                    (Some(first), Some(last)) => format!("{}..{}", first.base_offset(), last.end()),
                    _ => "nothing".to_owned(),
                },
                Fetched::Diverging { epoch, end } => format!("diverging {end}@{epoch}"),
                Fetched::Snapshot(id) => format!("snapshot {}@{}", id.end, id.epoch),
            };
            format!(" {found} hw={high_watermark}")
        }
    }
}
