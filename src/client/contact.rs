//! A client's standing with its cluster: whom it has connections to, who leads, and the search for whoever does.
//!
//! What is asked of the leader, in which order and how often, is the business of its owners ([`session`] and
//! [`producer`]); how one gets to the point where it can be asked is the same for both, and is here.
//!
//! **Invariants**: at most one connection to an endpoint; an endpoint whose connection was lost rests before it is tried
//! again; at most one search for the leader is under way.
//!
//! [`session`]: crate::client::session
//! [`producer`]: crate::client::producer

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use crate::client::Output;
use crate::client::cluster::Cluster;
use crate::client::link::{Call, Link, Voice};
use crate::client::outcome::{Certain, outcome_of};
use crate::client::wire::{Api, Hint, Malformed, Request, Response};
use crate::ids::Endpoint;
use crate::protocol::ConnectionId;
use crate::time::Instant;

/// Connections, and who leads.
#[derive(Clone, Debug)]
pub struct Contact {
    topic: StrBytes,
    request_timeout: Duration,
    voice: Voice,
    cluster: Cluster,
    links: BTreeMap<ConnectionId, Link>,
    next_connection: ConnectionId,
    /// Endpoints whose connection was lost, and until when they are left alone.
    resting: BTreeMap<Endpoint, Instant>,
    refresh: Refresh,
}

/// The search for the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    Idle,
    Resting(Instant),
    Connecting(ConnectionId),
    Asked(ConnectionId),
}

impl Contact {
    /// Knows nobody yet but `cluster`'s bootstrap endpoints. Its connections are numbered from `first` on.
    pub fn new(cluster: Cluster, voice: Voice, topic: &str, request_timeout: Duration, first: ConnectionId) -> Contact {
        Contact {
            topic: StrBytes::from_string(topic.to_owned()),
            request_timeout,
            voice,
            cluster,
            links: BTreeMap::new(),
            next_connection: first,
            resting: BTreeMap::new(),
            refresh: Refresh::Idle,
        }
    }

    /// The topic whose leader is looked for.
    pub fn topic(&self) -> &StrBytes {
        &self.topic
    }

    /// Who leads, as far as is known.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The leader did not answer, or said that it is none.
    pub fn doubt(&mut self) {
        self.cluster.doubt();
    }

    /// A refusal that names the leader; whether the leader is known again.
    pub fn follow(&mut self, hint: Option<Hint>) -> bool {
        self.cluster.follow(hint)
    }

    /// When to step the owner at the latest, for the sake of connections and the search.
    pub fn deadline(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(Link::deadline);
        let refresh = match self.refresh {
            Refresh::Resting(until) => Some(until),
            Refresh::Idle | Refresh::Connecting(_) | Refresh::Asked(_) => None,
        };
        links.chain(refresh).chain(self.resting.values().copied()).min()
    }

    /// A connection that was asked for stands.
    pub fn on_opened(&mut self, now: Instant, connection: ConnectionId, out: &mut Vec<Output>) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.on_opened(&mut self.voice, now + self.request_timeout, out);
        }
    }

    /// Takes a frame: the answer to a call of the owner's, or nothing that concerns it. After a malformed one the owner
    /// must close the connection.
    pub fn on_frame(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        frame: &Bytes,
        out: &mut Vec<Output>,
    ) -> Result<Option<(Call, Response)>, Malformed> {
        // A frame may have been on its way while we closed.
        let Some(link) = self.links.get_mut(&connection) else { return Ok(None) };
        link.on_frame(frame, &mut self.voice, now + self.request_timeout, out)
    }

    /// The call whose answer is due next on a connection.
    pub fn oldest_call(&self, connection: ConnectionId) -> Option<Call> {
        self.links.get(&connection).and_then(Link::oldest)
    }

    /// A Metadata answer; whether the leader is known from it. If not, the owner says when to [`Contact::search_again`].
    pub fn on_metadata(&mut self, error: i16, brokers: Vec<(i32, Endpoint)>, leader: i32, epoch: i32) -> bool {
        let leader = if outcome_of(Api::Metadata, error) == Certain::Ok { leader } else { -1 };
        self.cluster.learn(brokers, leader, epoch);
        self.refresh = Refresh::Idle;
        self.cluster.leader().is_some()
    }

    /// Nobody is asked for the leader before `at`.
    pub fn search_again(&mut self, at: Instant) {
        self.refresh = Refresh::Resting(at);
    }

    /// A connection is gone: its endpoint rests, and if it was the leader's, the leader is in doubt. The calls that will
    /// have no answer, oldest first.
    pub fn on_lost(&mut self, connection: ConnectionId, rest_until: Instant) -> Vec<Call> {
        let Some(link) = self.links.remove(&connection) else { return Vec::new() };
        self.resting.insert(link.endpoint().clone(), rest_until);
        self.cluster.doubt_endpoint(link.endpoint());
        if self.refresh == Refresh::Connecting(connection) {
            self.refresh = Refresh::Idle;
        }
        let calls: Vec<Call> = link.into_outstanding().collect();
        if calls.contains(&Call::Refresh) {
            self.refresh = Refresh::Idle;
        }
        calls
    }

    /// Whether this connection is known.
    pub fn has(&self, connection: ConnectionId) -> bool {
        self.links.contains_key(&connection)
    }

    /// Connections on which something was due by now.
    pub fn late(&self, now: Instant) -> Vec<ConnectionId> {
        let is_late = |link: &Link| link.deadline().is_some_and(|deadline| deadline <= now);
        self.links.iter().filter(|(_, link)| is_late(link)).map(|(&id, _)| id).collect()
    }

    /// Lets what has rested long enough go on.
    pub fn wake(&mut self, now: Instant) {
        self.resting.retain(|_, until| *until > now);
        if matches!(self.refresh, Refresh::Resting(until) if until <= now) {
            self.refresh = Refresh::Idle;
        }
    }

    /// The connection to the leader once it can be used; until then, what must be done to get there is done.
    pub fn reach_leader(&mut self, now: Instant, out: &mut Vec<Output>) -> Option<ConnectionId> {
        let Some(leader) = self.cluster.leader().cloned() else {
            self.look_for_leader(now, out);
            return None;
        };
        let connection = self.connection_to(&leader, now, out)?;
        self.links[&connection].is_ready().then_some(connection)
    }

    /// Connections that can be used, in their order.
    pub fn ready(&self) -> Vec<ConnectionId> {
        self.links.iter().filter(|(_, link)| link.is_ready()).map(|(&id, _)| id).collect()
    }

    /// Sends a request that the broker may hold for `held` before it answers.
    pub fn send(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        call: Call,
        request: &Request,
        held: Duration,
        out: &mut Vec<Output>,
    ) {
        let deadline = now + self.request_timeout + held;
        let link = self.links.get_mut(&connection).expect("invariant: requests are sent on connections that stand");
        link.send(call, request, &mut self.voice, deadline, out);
    }

    fn look_for_leader(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.refresh == Refresh::Idle {
            for _ in 0..self.cluster.endpoint_count() {
                let endpoint = self.cluster.next_endpoint();
                if let Some(connection) = self.connection_to(&endpoint, now, out) {
                    self.refresh = Refresh::Connecting(connection);
                    break;
                }
            }
        }
        let Refresh::Connecting(connection) = self.refresh else { return };
        if self.links[&connection].is_ready() {
            let request = Request::Metadata { topic: self.topic.clone() };
            self.send(now, connection, Call::Refresh, &request, Duration::ZERO, out);
            self.refresh = Refresh::Asked(connection);
        }
    }

    /// The connection to an endpoint, made if there is none; `None` while the endpoint rests.
    fn connection_to(&mut self, endpoint: &Endpoint, now: Instant, out: &mut Vec<Output>) -> Option<ConnectionId> {
        if let Some((&connection, _)) = self.links.iter().find(|(_, link)| link.endpoint() == endpoint) {
            return Some(connection);
        }
        if self.resting.contains_key(endpoint) {
            return None;
        }
        let connection = self.next_connection;
        self.next_connection = ConnectionId(connection.0 + 1);
        let link = Link::connect(connection, endpoint.clone(), now + self.request_timeout, out);
        self.links.insert(connection, link);
        Some(connection)
    }
}
