//! The network of a real node: listeners, connections and readiness, on one thread and one `mio` poll.
//!
//! [`Network::wait`] sleeps until something is ready; [`Network::next_event`] then gives events one by one, each frame only
//! when it is asked for, so that a `Hold` between two frames holds the second. One turn gives every connection a bounded
//! share; what is left over makes the next `wait` return at once. Frames are queued by [`Network::send`] and leave
//! together in [`Network::flush`]: one system call per connection and turn.
//!
//! **Invariants**
//! - a connection that the node closed is never heard of again;
//! - a peer that does not read, does not speak or never ends a frame costs bounded memory and no one else's turn;
//! - a connection on which nothing moves for [`Limits::idle_max`] is closed;
//! - a name is looked up by another thread (`server::addresses`); meanwhile its connection waits and nobody else does;
//! - running out of file descriptors pauses accepting and ends nothing. How many connections may stand is the node's
//!   decision, which knows who is a voter.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::ids::{Endpoint, Listener};
use crate::protocol::{ConnectionId, Frame};
use crate::server::addresses::{Addresses, Found, Policy};
use crate::server::binding::{BindError, bind};
use crate::server::connection::{Connection, Incoming, Stage};
use crate::server::hits::Hits;
use crate::time::Instant;

/// All sockets of one node.
#[derive(Debug)]
pub struct Network {
    poll: Poll,
    waker: Arc<Waker>,
    events: Events,
    /// When this turn began.
    now: Instant,
    acceptors: Vec<Acceptor>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Numbers inbound connections from 0.
    next_inbound: u64,
    addresses: Addresses,
    /// Connections whose endpoint is being looked up. The node opens few.
    unresolved: Vec<(ConnectionId, Endpoint)>,
    limits: Limits,
    /// What happened to connections and is to be told before any frame.
    news: VecDeque<Event>,
    /// Connections that may have a frame, each at most once a turn.
    ready: VecDeque<ConnectionId>,
    /// Connections whose share of this turn is used up.
    rested: VecDeque<ConnectionId>,
    /// Connections with frames to send.
    unsent: Vec<ConnectionId>,
    /// Connections that drain before they are dropped, by when they are dropped at the latest.
    closing: VecDeque<(Instant, ConnectionId)>,
    /// When accepting is tried again after the system ran out of descriptors.
    accept_again: Option<Instant>,
    /// When the connections are looked through for idle ones.
    idle_check: Option<Instant>,
    /// Limits that were hit.
    hits: Hits,
    /// Why the last address could not be reached that was tried in vain, and for which connection.
    failure: Option<(ConnectionId, io::Error)>,
}

/// Bounds of a network. (`node::Config` has the same names.)
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest frame accepted, without its length field.
    pub frame_bytes_max: usize,
    /// How long nothing may move on a connection before it is closed. (Kafka: `connections.max.idle.ms`.)
    pub idle_max: Duration,
    /// Whose names are looked up.
    pub names: Policy,
}

/// What the network has to say.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Event {
    /// A connection stands; `listener` is the index it was accepted on, 0 for one that the node asked for.
    Opened { connection: ConnectionId, listener: usize },
    /// A whole frame, without its length field.
    Frame { connection: ConnectionId, frame: Bytes },
    /// The connection is gone, or could not be made.
    Closed { connection: ConnectionId },
    /// The disk thread has something to say.
    Woken,
    /// The operating system asks the process to stop.
    Signalled,
}

#[derive(Debug)]
struct Acceptor {
    socket: TcpListener,
    /// Index of the configured listener; `localhost` makes two acceptors of one listener.
    listener: usize,
}

impl Network {
    /// A network without listeners.
    pub fn new(limits: Limits) -> io::Result<Network> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Network {
            poll,
            now: Instant::ZERO,
            events: Events::with_capacity(EVENTS_MAX),
            acceptors: Vec::new(),
            connections: BTreeMap::new(),
            next_inbound: 0,
            addresses: Addresses::new(limits.names, Arc::clone(&waker)),
            waker,
            unresolved: Vec::new(),
            limits,
            news: VecDeque::new(),
            ready: VecDeque::new(),
            rested: VecDeque::new(),
            unsent: Vec::new(),
            closing: VecDeque::new(),
            accept_again: None,
            idle_check: None,
            hits: Hits::default(),
            failure: None,
        })
    }

    /// What lets another thread interrupt [`Network::wait`].
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Reports [`Event::Signalled`] when this source becomes readable.
    pub fn watch_signals(&mut self, source: &mut impl Source) -> io::Result<()> {
        self.poll.registry().register(source, SIGNALS, Interest::READABLE)
    }

    /// The configuration mentions this endpoint: its name may be looked up, and is already.
    pub fn trust(&mut self, endpoint: &Endpoint, now: Instant) {
        self.addresses.trust(endpoint);
        self.addresses.of(endpoint, now);
    }

    /// Listens; connections are reported with `index`. A name with several addresses listens on each that this machine has.
    pub fn listen(&mut self, index: usize, listener: &Listener) -> Result<(), BindError> {
        for socket in bind(listener)? {
            let added = self.add_acceptor(socket, index);
            added.map_err(|source| BindError { listener: listener.clone(), source })?;
        }
        Ok(())
    }

    fn add_acceptor(&mut self, mut socket: TcpListener, listener: usize) -> io::Result<()> {
        let token = Token(LISTENERS.0 - self.acceptors.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.acceptors.push(Acceptor { socket, listener });
        Ok(())
    }

    /// Sleeps until something is ready or the timeout has passed. Does not sleep when the last turn left something over.
    pub fn wait(&mut self, timeout: Option<Duration>, now: Instant) -> io::Result<()> {
        for id in std::mem::take(&mut self.rested) {
            self.get_ready(id);
        }
        self.now = now;
        let is_busy = !self.ready.is_empty() || !self.news.is_empty();
        let timeout = if is_busy { Some(Duration::ZERO) } else { timeout };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        let readiness: Vec<Readiness> = self.events.iter().map(Readiness::from).collect();
        for readiness in readiness {
            match readiness.token {
                WAKER => {
                    self.news.push_back(Event::Woken);
                    self.on_names();
                }
                SIGNALS => self.news.push_back(Event::Signalled),
                token if token.0 > LISTENERS.0 - LISTENERS_MAX => self.accept(LISTENERS.0 - token.0, now),
                token => self.on_ready(connection_of(token), readiness),
            }
        }
        self.on_time(now);
        Ok(())
    }

    /// When [`Network::wait`] should return at the latest, for the network's own sake.
    pub fn deadline(&self) -> Option<Instant> {
        self.closing.front().map(|&(at, _)| at).into_iter().chain(self.accept_again).chain(self.idle_check).min()
    }

    /// The next thing that happened; `None` ends the turn.
    pub fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.news.pop_front() {
            return Some(event);
        }
        while let Some(&id) = self.ready.front() {
            // One that is held or choked is queued again when it may go on.
            let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.may_read()) else {
                self.leave_ready();
                continue;
            };
            match connection.read(self.now) {
                Incoming::Frame(frame) => return Some(Event::Frame { connection: id, frame }),
                Incoming::Later => {
                    let has_more = connection.is_readable;
                    self.leave_ready();
                    if has_more {
                        self.rested.push_back(id);
                    }
                }
                Incoming::Over => {
                    self.leave_ready();
                    return Some(self.lose(id));
                }
                Incoming::Nonsense(error) => {
                    self.leave_ready();
                    self.hits.add(
                        "socket.request.max.bytes",
                        self.now,
                        format_args!("closed connection {id}: {error}"),
                    );
                    return Some(self.lose(id));
                }
            }
        }
        None
    }

    /// Limits that were hit.
    pub fn hits(&mut self) -> &mut Hits {
        &mut self.hits
    }

    /// Why a connection could not be made, where that is the last thing that failed.
    pub fn take_failure(&mut self, of: ConnectionId) -> Option<io::Error> {
        self.failure.take_if(|(id, _)| *id == of).map(|(_, error)| error)
    }

    /// How many connections stand or are being made.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Begins to connect; `Opened` or `Closed` follows.
    pub fn connect(&mut self, id: ConnectionId, endpoint: &Endpoint, now: Instant) {
        assert!(id.is_outbound(), "the node numbers its own connections from FIRST_OUTBOUND");
        match self.addresses.of(endpoint, now) {
            Found::Addresses(addresses) => self.try_addresses(id, addresses.into()),
            Found::Later => self.unresolved.push((id, endpoint.clone())),
            Found::Refused => {
                let what = format_args!(
                    "the host of {endpoint} is not looked up, because no voter in the configuration has that name"
                );
                self.hits.add("trusted names", now, what);
                self.news.push_back(Event::Closed { connection: id });
            }
        }
    }

    /// Queues a frame; it leaves with the next [`Network::flush`]. Frames for a connection that is gone are dropped: its
    /// `Closed` is on the way.
    pub fn send(&mut self, id: ConnectionId, frame: Frame) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let was_choked = connection.is_choked();
        if !connection.queue(frame) {
            let what = format_args!("closed connection {id}: the peer does not read what it asked for");
            self.hits.add("outgoing bytes", self.now, what);
            let event = self.lose(id);
            return self.news.push_back(event);
        }
        if !was_choked && connection.is_choked() {
            self.hits.count("outgoing bytes choke");
        }
        self.unsent.push(id);
    }

    /// Closes a connection once what was sent has left; nothing more is heard of it.
    pub fn close(&mut self, id: ConnectionId, now: Instant) {
        self.news.retain(|event| event.connection() != Some(id));
        self.unresolved.retain(|(unresolved, _)| *unresolved != id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if matches!(connection.stage, Stage::Connecting { .. }) || connection.is_drained() {
            return self.forget(id);
        }
        connection.stage = Stage::Closing;
        self.closing.push_back((now + CLOSE_WITHIN, id));
    }

    /// Stops taking frames from a connection.
    pub fn hold(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_held = true;
        }
    }

    /// Takes frames from it again.
    pub fn resume(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_held = false;
            self.rest(id);
        }
    }

    /// Whether everything that was queued has been handed to the operating system.
    pub fn is_drained(&self) -> bool {
        self.connections.values().all(Connection::is_drained)
    }

    /// Sends what is queued, as far as sockets take it.
    pub fn flush(&mut self) {
        let mut unsent = std::mem::take(&mut self.unsent);
        for id in unsent.drain(..) {
            self.write(id);
        }
        self.unsent = unsent;
    }

    fn write(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if matches!(connection.stage, Stage::Connecting { .. }) {
            return;
        }
        let was_choked = !connection.may_read();
        match (connection.write(self.now), &connection.stage) {
            (Ok(()), Stage::Closing) if connection.is_drained() => self.forget(id),
            (Ok(()), _) if was_choked && connection.may_read() => self.rest(id),
            (Ok(()), _) => {}
            (Err(_), Stage::Closing) => self.forget(id),
            (Err(_), _) => {
                let event = self.lose(id);
                self.news.push_back(event);
            }
        }
    }

    fn on_ready(&mut self, id: ConnectionId, readiness: Readiness) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.is_readable |= readiness.is_readable;
        connection.is_writable |= readiness.is_writable;
        if let Stage::Connecting { .. } = connection.stage {
            return self.on_connecting(id);
        }
        if readiness.is_writable {
            self.write(id);
        }
        if readiness.is_readable {
            self.get_ready(id);
        }
    }

    /// Decides whether an attempt has succeeded, failed or is still going on, as `mio::net::TcpStream::connect` advises.
    fn on_connecting(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(&id).expect("invariant: the caller has just found it");
        let Stage::Connecting { others } = &mut connection.stage else { return };
        let failure = connection.socket.take_error().unwrap_or_else(Some);
        let stands = connection.socket.peer_addr().map(drop);
        match (failure, stands) {
            (None, Ok(())) => {
                connection.stage = Stage::Open;
                connection.is_writable = true;
                self.failure = None;
                self.news.push_back(Event::Opened { connection: id, listener: 0 });
                self.get_ready(id);
                self.unsent.push(id);
            }
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {}
            (failure, stands) => {
                let others = std::mem::take(others);
                self.failure = failure.or(stands.err()).map(|error| (id, error));
                self.forget(id);
                self.try_addresses(id, others);
            }
        }
    }

    fn try_addresses(&mut self, id: ConnectionId, mut addresses: VecDeque<SocketAddr>) {
        while let Some(address) = addresses.pop_front() {
            let begun = TcpStream::connect(address)
                .and_then(|socket| self.add(id, socket, Stage::Connecting { others: addresses.clone() }));
            match begun {
                Ok(()) => return,
                Err(error) => self.failure = Some((id, error)),
            }
        }
        self.news.push_back(Event::Closed { connection: id });
    }

    /// Goes on with the connections whose names have been looked up.
    fn on_names(&mut self) {
        if self.addresses.collect(self.now) {
            for (id, endpoint) in std::mem::take(&mut self.unresolved) {
                self.connect(id, &endpoint, self.now);
            }
        }
    }

    fn add(&mut self, id: ConnectionId, mut socket: TcpStream, stage: Stage) -> io::Result<()> {
        // Answers are small and awaited: Nagle's algorithm would only delay them.
        socket.set_nodelay(true)?;
        // A peer whose machine vanished is noticed even where nothing is sent. (Kafka: `Selector.configureSocketChannel`.)
        rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
        self.poll.registry().register(&mut socket, token_of(id), Interest::READABLE | Interest::WRITABLE)?;
        self.connections.insert(id, Connection::new(socket, stage, self.limits.frame_bytes_max, self.now));
        self.idle_check.get_or_insert(self.now + self.limits.idle_max);
        Ok(())
    }

    fn accept(&mut self, acceptor: usize, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Acceptor { socket, listener } = &self.acceptors[acceptor];
            let listener = *listener;
            match socket.accept() {
                Ok((socket, peer)) => self.admit(socket, peer, listener),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer has given up already.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                }
                // Out of descriptors or memory: who waits in the backlog is served when there are some again.
                Err(error) => {
                    self.hits.add("file descriptors", now, format_args!("cannot accept a connection: {error}"));
                    self.accept_again = Some(now + ACCEPT_BACKOFF);
                    return;
                }
            }
        }
        self.accept_again = Some(now);
    }

    fn admit(&mut self, socket: TcpStream, peer: SocketAddr, listener: usize) {
        let id = ConnectionId(self.next_inbound);
        match self.add(id, socket, Stage::Open) {
            Ok(()) => {
                self.next_inbound += 1;
                self.news.push_back(Event::Opened { connection: id, listener });
                self.get_ready(id);
            }
            Err(error) => {
                self.hits.add("file descriptors", self.now, format_args!("lost a connection from {peer}: {error}"))
            }
        }
    }

    fn on_time(&mut self, now: Instant) {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            for acceptor in 0..self.acceptors.len() {
                self.accept(acceptor, now);
            }
        }
        while let Some(&(_, id)) = self.closing.front().filter(|&&(at, _)| at <= now) {
            self.closing.pop_front();
            self.forget(id);
        }
        if self.idle_check.is_some_and(|at| at <= now) {
            self.close_idle(now);
        }
    }

    /// Closes what has been idle for too long, and finds out when to look again. (Kafka: `IdleExpiryManager`.)
    fn close_idle(&mut self, now: Instant) {
        let used = self.connections.iter().map(|(&id, connection)| (id, connection.used_at + self.limits.idle_max));
        let (idle, others): (Vec<_>, Vec<_>) = used.partition(|&(_, until)| until <= now);
        self.idle_check = others.iter().map(|&(_, until)| until).min();
        for (id, _) in idle {
            if self.connections.get(&id).is_some_and(|connection| matches!(connection.stage, Stage::Closing)) {
                self.forget(id);
                continue;
            }
            self.hits.add("connections.max.idle.ms", now, format_args!("closed connection {id}: nothing moved on it"));
            let event = self.lose(id);
            self.news.push_back(event);
        }
    }

    /// Queues a connection to be read from in this turn.
    fn get_ready(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.is_queued {
            connection.is_queued = true;
            connection.begin_turn();
            self.ready.push_back(id);
        }
    }

    /// Queues a connection to be read from in the next turn.
    fn rest(&mut self, id: ConnectionId) {
        self.rested.push_back(id);
    }

    fn leave_ready(&mut self) {
        let left = self.ready.pop_front().and_then(|id| self.connections.get_mut(&id));
        if let Some(connection) = left {
            connection.is_queued = false;
        }
    }

    /// Gives a connection up on its own account; the node must be told.
    fn lose(&mut self, id: ConnectionId) -> Event {
        self.forget(id);
        Event::Closed { connection: id }
    }

    fn forget(&mut self, id: ConnectionId) {
        // Dropping the socket closes it and removes it from the poll.
        self.connections.remove(&id);
    }
}

impl Event {
    /// The connection it is about.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Event::Opened { connection, .. } | Event::Frame { connection, .. } | Event::Closed { connection } => {
                Some(*connection)
            }
            Event::Woken | Event::Signalled => None,
        }
    }
}

/// What the poll said of one socket.
#[derive(Clone, Copy, Debug)]
struct Readiness {
    token: Token,
    is_readable: bool,
    is_writable: bool,
}

impl From<&mio::event::Event> for Readiness {
    /// An error or a hang-up is something to read: reading says what it is.
    fn from(event: &mio::event::Event) -> Readiness {
        let is_over = event.is_error() || event.is_read_closed() || event.is_write_closed();
        Readiness {
            token: event.token(),
            is_readable: event.is_readable() || is_over,
            is_writable: event.is_writable() || event.is_write_closed(),
        }
    }
}

fn token_of(id: ConnectionId) -> Token {
    Token(usize::try_from(id.0).expect("invariant: the server runs where usize has 64 bits"))
}

fn connection_of(token: Token) -> ConnectionId {
    ConnectionId(token.0 as u64)
}

/// The disk thread's waker.
const WAKER: Token = Token(usize::MAX);

/// The signals' pipe.
const SIGNALS: Token = Token(usize::MAX - 1);

/// The first listener; the next ones count down. Connections never come near: they count up from 0 and from half way.
const LISTENERS: Token = Token(usize::MAX - 2);

/// Listening sockets at most, by tokens reserved.
const LISTENERS_MAX: usize = 1000;

/// Readiness events taken from the operating system at once.
const EVENTS_MAX: usize = 1024;

/// How long a connection that was closed may take to drain, 5 s.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Connections accepted by one listener before everybody else has a turn, 64.
const ACCEPTS_PER_TURN: usize = 64;

/// How long nothing is accepted after the system ran out of descriptors, 100 ms.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
