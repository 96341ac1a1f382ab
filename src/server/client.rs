//! A Kafka client on real sockets: the session of the simulator, driven like the node is, one call at a time.

use std::io;
use std::time::Duration;

use crate::client::{Ask, AskId, Config, Input, Output, Session, Told};
use crate::prng::Prng;
use crate::server::addresses::Policy;
use crate::server::clock::Clock;
use crate::server::network::{Event, Limits, Network};
use crate::time::Instant;

/// A session with its sockets.
#[derive(Debug)]
pub struct Client {
    session: Session,
    network: Network,
    clock: Clock,
    next: AskId,
    /// Reused by every step.
    outputs: Vec<Output>,
}

impl Client {
    /// A client that has connected to nobody yet.
    pub fn new(config: Config, prng: Prng) -> io::Result<Client> {
        Client::with_clock(config, prng, Clock::start())
    }

    /// The same, with a clock that others go by, too.
    pub fn with_clock(config: Config, prng: Prng, clock: Clock) -> io::Result<Client> {
        let limits = Limits { frame_bytes_max: FRAME_BYTES_MAX, idle_max: IDLE_MAX, names: Policy::All };
        Ok(Client {
            session: Session::new(config, prng),
            network: Network::new(limits)?,
            clock,
            next: AskId(0),
            outputs: Vec::new(),
        })
    }

    /// This moment, by the client's clock.
    pub fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// Asks, and waits until the session says what came of it: its operation timeout bounds the wait.
    pub fn ask(&mut self, ask: Ask) -> io::Result<Told> {
        let id = self.next;
        self.next = AskId(id.0 + 1);
        let mut told = self.step(Input::Ask { id, ask });
        loop {
            if let Some((_, answer)) = told.into_iter().find(|(answered, _)| *answered == id) {
                return Ok(answer);
            }
            told = self.turn()?;
        }
    }

    fn turn(&mut self) -> io::Result<Vec<(AskId, Told)>> {
        self.network.flush();
        let deadline = self.session.deadline().into_iter().chain(self.network.deadline()).min();
        let patience = deadline.map_or(PATIENCE, |deadline| self.clock.until(deadline).min(PATIENCE));
        self.network.wait(Some(patience), self.clock.monotonic())?;
        let mut told = Vec::new();
        while let Some(event) = self.network.next_event() {
            told.extend(match event {
                Event::Opened { connection, .. } => self.step(Input::Opened { connection }),
                Event::Frame { connection, frame } => self.step(Input::Frame { connection, frame }),
                Event::Closed { connection } => self.step(Input::Closed { connection }),
                Event::Woken | Event::Signalled => Vec::new(),
            });
        }
        if self.session.deadline().is_some_and(|deadline| deadline <= self.clock.monotonic()) {
            told.extend(self.step(Input::Tick));
        }
        Ok(told)
    }

    fn step(&mut self, input: Input) -> Vec<(AskId, Told)> {
        let now: Instant = self.clock.monotonic();
        self.session.step(now, input, &mut self.outputs);
        let mut told = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Connect { connection, endpoint } => self.network.connect(connection, &endpoint, now),
                Output::Frame { connection, frame } => self.network.send(connection, frame),
                Output::Close { connection } => self.network.close(connection, now),
                Output::Told { id, told: answer } => told.push((id, answer)),
            }
        }
        told
    }
}

/// Largest frame that a broker may send, 100 MiB.
const FRAME_BYTES_MAX: usize = 100 << 20;

/// How long nothing may move on a connection, 9 min. (Kafka's clients: `connections.max.idle.ms`.)
pub(super) const IDLE_MAX: Duration = Duration::from_secs(540);

/// How long one wait may take; a session always has a deadline before that.
const PATIENCE: Duration = Duration::from_secs(1);
