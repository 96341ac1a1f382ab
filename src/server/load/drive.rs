//! Producers on real sockets: one poll for all of them, and what became of their batches.
//!
//! A turn sends what is queued, waits, and hands every producer what arrived. Whoever drives the drive pushes records in
//! between, and says how long a turn may wait.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::client::producer::{Counters, Ended, Producer, Refused, Settings, exception};
use crate::client::{Input, Output};
use crate::ids::Endpoint;
use crate::prng::Prng;
use crate::protocol::ConnectionId;
use crate::record::Shape;
use crate::server::addresses::Policy;
use crate::server::client::IDLE_MAX;
use crate::server::clock::Clock;
use crate::server::network::{Event, Limits, Network};
use crate::server::signals::Signals;
use crate::time::{Instant, Timestamp};

/// Producers and their sockets.
#[derive(Debug)]
pub struct Drive {
    producers: Vec<Producer>,
    network: Network,
    signals: Option<Signals>,
    clock: Clock,
    /// The wall clock when the monotonic one read zero, so that records can be stamped from one reading.
    wall_origin_ms: i64,
    /// Reused by every step.
    outputs: Vec<Output>,
    stops_asked: usize,
    /// Whither the connections lead.
    endpoints: BTreeMap<ConnectionId, Endpoint>,
    lost: Lost,
    /// From when on troubles may be told again.
    quiet_until: Instant,
}

/// Connections lost, or not established, since it was last said.
#[derive(Debug, Default)]
struct Lost {
    count: usize,
    /// Whither the last of them led, and why it is gone.
    last: String,
}

impl Lost {
    fn add(&mut self, endpoint: Option<Endpoint>, why: &str) {
        if let Some(endpoint) = endpoint {
            self.count += 1;
            self.last = format!("{endpoint}: {why}");
        }
    }
}

impl Drive {
    /// `clients` producers of the same settings, each with connections of its own.
    pub fn new(settings: &Settings, clients: u32, mut prng: Prng) -> io::Result<Drive> {
        let limits = Limits { frame_bytes_max: FRAME_BYTES_MAX, idle_max: IDLE_MAX, names: Policy::All };
        let producer = |client: u64| {
            let first_connection = ConnectionId(settings.first_connection.0 + (client << CLIENT_SHIFT));
            Producer::new(Settings { first_connection, ..settings.clone() }, Prng::new(prng.word(), client))
        };
        let producers = (0..u64::from(clients)).map(producer).collect();
        let clock = Clock::start();
        let now = clock.now();
        let since = i64::try_from(now.monotonic.since(Instant::ZERO).as_millis()).unwrap_or(0);
        Ok(Drive {
            producers,
            network: Network::new(limits)?,
            signals: None,
            clock,
            wall_origin_ms: now.wall.0 - since,
            outputs: Vec::new(),
            stops_asked: 0,
            endpoints: BTreeMap::new(),
            lost: Lost::default(),
            quiet_until: Instant::ZERO,
        })
    }

    /// From here on SIGTERM and SIGINT are counted instead of ending the process.
    pub fn catch_signals(&mut self) -> io::Result<()> {
        let mut signals = Signals::catch()?;
        self.network.watch_signals(signals.source())?;
        self.signals = Some(signals);
        Ok(())
    }

    /// How often the process was asked to stop.
    pub fn stops_asked(&self) -> usize {
        self.stops_asked
    }

    /// The clock that everything is measured by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// This moment.
    pub fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// A moment as records are stamped with it.
    pub fn timestamp(&self, at: Instant) -> Timestamp {
        let since = i64::try_from(at.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.wall_origin_ms.saturating_add(since))
    }

    /// Gives a producer a record.
    #[inline]
    pub fn push(
        &mut self,
        client: usize,
        now: Instant,
        shape: &Shape<'_>,
        fill: impl FnMut(&mut [u8]),
    ) -> Result<(), Refused> {
        self.producers[client].push(now, shape, fill)
    }

    /// Whether a producer has something to send that a step would send.
    #[inline]
    pub fn is_due(&self, client: usize, now: Instant) -> bool {
        self.producers[client].is_due(now)
    }

    /// What a person should know of connections and of the topic, once a second at most.
    pub fn take_trouble(&mut self) -> Option<String> {
        let now = self.clock.monotonic();
        if now < self.quiet_until {
            return None;
        }
        let refusal = self.producers.iter_mut().filter_map(Producer::take_refusal).last();
        let settings = self.producers.first()?.settings();
        let Lost { count, last } = std::mem::take(&mut self.lost);
        let of_topic = refusal.map(|error| {
            let (class, _) = exception::exception_of(error);
            format!("topic {}: {class}", settings.topic)
        });
        let of_connections = match count {
            0 => None,
            1 => Some(format!("no connection to {last}")),
            _ => Some(format!("{count} connections lost or not established, the last of them to {last}")),
        };
        let what: Vec<String> = of_topic.into_iter().chain(of_connections).collect();
        if what.is_empty() {
            return None;
        }
        self.quiet_until = now + TROUBLE_INTERVAL;
        Some(format!("[Producer clientId={}] {}; trying again", settings.client_id, what.join("; ")))
    }

    /// Lets all producers send what they have, however little.
    pub fn flush(&mut self) {
        for producer in &mut self.producers {
            producer.flush();
        }
    }

    /// Whether everything pushed has ended and been reported.
    pub fn is_idle(&self) -> bool {
        self.producers.iter().all(Producer::is_idle)
    }

    /// Sends, waits for at most `patience` and takes in what arrived; shorter if a producer has something to do.
    pub fn turn(&mut self, patience: Duration) -> io::Result<()> {
        let now = self.clock.monotonic();
        for client in 0..self.producers.len() {
            let producer = &self.producers[client];
            if producer.is_due(now) || producer.deadline().is_some_and(|deadline| deadline <= now) {
                self.step(client, now, Input::Tick);
            }
        }
        self.network.flush();
        if self.network.is_drained() {
            self.producers.iter_mut().for_each(Producer::on_drained);
        }
        let deadlines = self.producers.iter().filter_map(Producer::deadline).chain(self.network.deadline());
        let deadline = if patience.is_zero() { None } else { deadlines.min() };
        let patience = deadline.map_or(patience, |deadline| self.clock.until(deadline).min(patience));
        self.network.wait(Some(patience), now)?;
        while let Some(event) = self.network.next_event() {
            let now = self.clock.monotonic();
            match event {
                Event::Opened { connection, .. } => self.step(client_of(connection), now, Input::Opened { connection }),
                Event::Frame { connection, frame } => {
                    self.step(client_of(connection), now, Input::Frame { connection, frame });
                }
                Event::Closed { connection } => {
                    let failure = self.network.take_failure(connection).map(|error| error.to_string());
                    let endpoint = self.endpoints.remove(&connection);
                    self.lost.add(endpoint, failure.as_deref().unwrap_or("it was closed"));
                    self.step(client_of(connection), now, Input::Closed { connection });
                }
                Event::Signalled => self.stops_asked += self.signals.as_mut().map_or(0, Signals::take),
                Event::Woken => {}
            }
        }
        // What an answer made room for leaves at once, not after the next burst.
        self.network.flush();
        Ok(())
    }

    /// The next batch that has ended, and whose it was.
    pub fn next_ended(&mut self) -> Option<(usize, Ended)> {
        self.producers.iter_mut().enumerate().find_map(|(client, producer)| Some((client, producer.next_ended()?)))
    }

    /// What all producers have done together.
    pub fn counters(&self) -> Counters {
        self.producers.iter().map(Producer::counters).fold(Counters::default(), |sum, one| Counters {
            requests: sum.requests + one.requests,
            retries: sum.retries + one.retries,
            batch_bytes: sum.batch_bytes + one.batch_bytes,
            disconnects: sum.disconnects + one.disconnects,
        })
    }

    fn step(&mut self, client: usize, now: Instant, input: Input) {
        self.producers[client].step(now, input, &mut self.outputs);
        for output in self.outputs.drain(..) {
            match output {
                Output::Connect { connection, endpoint } => {
                    self.network.connect(connection, &endpoint, now);
                    self.endpoints.insert(connection, endpoint);
                }
                Output::Frame { connection, frame } => self.network.send(connection, frame),
                Output::Close { connection } => {
                    self.network.close(connection, now);
                    self.lost.add(self.endpoints.remove(&connection), "no answer that could be understood, in time");
                }
                Output::Told { .. } => unreachable!("a producer reports batches, not operations"),
            }
        }
    }
}

/// Whose connection it is.
fn client_of(connection: ConnectionId) -> usize {
    ((connection.0 - ConnectionId::FIRST_OUTBOUND.0) >> CLIENT_SHIFT) as usize
}

/// Connections of one client: 2³² of them, then come those of the next.
const CLIENT_SHIFT: u32 = 32;

/// How often troubles are told.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(1);

/// Largest frame that a broker may send, 100 MiB.
const FRAME_BYTES_MAX: usize = 100 << 20;
