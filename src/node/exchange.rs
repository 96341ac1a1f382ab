//! What passes between a node and the parts of it that answer requests: who asks, what is known, what becomes of it.
//!
//! [`crate::node::api`] hands a request with its [`Context`] to the file that knows the API; back comes [`Served`], and
//! when the replica had to be asked, later a [`Reply`].

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, FetchResponse, ListOffsetsResponse, ProduceResponse};

use crate::ids::{Endpoint, ReplicaId};
use crate::node::Config;
use crate::node::translate::{LeaderAt, Names};
use crate::protocol::connection::Slot;
use crate::protocol::{Api, ConnectionId, Frame, codec, schema};
use crate::raft::{Input, Published, Replica};
use crate::record::DecodeError;
use crate::time::Now;

/// Where a request came from and how its answer is addressed.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// On which connection.
    pub connection: ConnectionId,
    /// Its place in the order of answers there.
    pub slot: Slot,
    /// The listener it came in on, by index.
    pub listener: usize,
    /// Which API.
    pub api: Api,
    /// Which version; it is served.
    pub version: i16,
    /// The number its answer must carry.
    pub correlation: i32,
}

/// All that a request is answered from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// Limits and listeners.
    pub config: &'a Config,
    /// The texts of this node.
    pub names: &'a Names,
    /// The replica.
    pub replica: &'a Replica,
    /// Who asked.
    pub caller: Caller,
}

/// What the replica's answer will be written into.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Question {
    /// A peer's RPC.
    Raft,
    /// The response so far, and the place of our partition in it; `is_silent` for `acks=0`.
    Produce { response: ProduceResponse, place: (usize, usize), is_silent: bool },
    /// The same for a consumer's Fetch.
    Fetch { response: FetchResponse, place: (usize, usize) },
    /// The same for ListOffsets.
    ListOffsets { response: ListOffsetsResponse, place: (usize, usize) },
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// This answer, with the error it tells, for who counts: that of the whole or the first one in it, 0 for none.
    Frame(Frame, i16),
    /// The same, and the connection is closed after it, if nobody waits for another answer on it: who asked would ask the
    /// same node again and again.
    Last(Frame, i16),
    /// None, and none is expected.
    Silent,
    /// None is possible (`acks=0`) though something is wrong: the connection is closed, so that the client looks anew
    /// for the leader. (Kafka: `KafkaApis.sendResponse` with `CloseConnectionResponse`.)
    Close,
}

/// How far a request got.
#[derive(Debug)]
pub enum Served {
    /// Answered.
    Reply(Reply),
    /// The replica decides.
    Wait(Question, Input),
}

impl Served {
    /// Answered with this frame, which tells this error.
    pub fn frame(frame: Frame, error: i16) -> Served {
        Served::Reply(Reply::Frame(frame, error))
    }

    /// With `acks=0` nothing is answered, so all that is left to say of an error is to close the connection.
    pub fn silenced(self) -> Served {
        match self {
            Served::Reply(_) => Served::Reply(Reply::Close),
            served => served,
        }
    }
}

impl Context<'_> {
    /// Where that replica listens for whoever asked: on the listener of the same name if it has one.
    pub fn endpoint_of(&self, published: &Published<'_>, id: ReplicaId) -> Option<Endpoint> {
        let listener = self.config.advertised.get(self.caller.listener);
        if id == self.config.raft.id {
            return listener.map(|listener| listener.endpoint.clone());
        }
        let voter = published.voters.find(id);
        let same =
            voter.and_then(|voter| voter.endpoints.iter().find(|at| listener.is_some_and(|l| l.name == at.name)));
        let any = voter.and_then(|voter| voter.endpoints.first());
        let known = same.or(any).map(|at| &at.endpoint);
        known.or_else(|| published.leader_endpoint.filter(|_| published.leader == Some(id))).cloned()
    }

    /// The leader as of the last durable point, with its endpoint, if both are known.
    pub fn leader_at(&self, published: &Published<'_>) -> Option<LeaderAt> {
        let id = published.leader?;
        self.endpoint_of(published, id).map(|endpoint| LeaderAt { id, endpoint })
    }

    /// Encodes a response to the caller.
    pub fn respond<T: kafka_protocol::protocol::Encodable>(&self, body: &T) -> Frame {
        codec::encode_response(self.caller.api, self.caller.version, self.caller.correlation, body)
    }

    /// Decodes the caller's request.
    pub fn decode<T: kafka_protocol::protocol::Decodable>(
        &self,
        shape: &schema::Shape,
        frame: &Bytes,
    ) -> Result<T, DecodeError> {
        codec::decode_request(self.caller.api, shape, self.caller.version, frame)
    }
}

/// The leader's id on the wire, −1 for nobody.
pub fn leader_id(published: &Published<'_>) -> BrokerId {
    BrokerId(published.leader.map_or(-1, ReplicaId::as_i32))
}
