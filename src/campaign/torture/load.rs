//! The load of a round: producers that do not stop while the quorum is hurt, and who remembers what they were told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::producer::{Ended, Fate, Refused, Settings};
use crate::prng::Prng;
use crate::server::clock::Clock;
use crate::server::load::drive::Drive;
use crate::server::load::ledger::Ledger;
use crate::server::load::pace::Pace;
use crate::server::load::payload::{Keys, Payloads, Source};
use crate::time::Instant;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The producers' settings.
    pub settings: Settings,
    /// Producers, each with connections of its own.
    pub clients: u32,
    /// Records a second, all of them together.
    pub rate: u64,
    /// Bytes of a value, at least 16.
    pub value_bytes: usize,
    /// The seed of what the producers draw.
    pub seed: u64,
}

/// What the producers were told in all.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Every batch, by its checksum.
    pub ledger: Ledger,
    /// Records acknowledged.
    pub acked: u64,
    /// Records refused.
    pub failed: u64,
    /// Records whose fate nobody knows.
    pub open: u64,
}

/// A load under way.
#[derive(Debug)]
pub struct Load {
    clock: Clock,
    is_over: Arc<AtomicBool>,
    acks: Receiver<Ack>,
    thread: JoinHandle<io::Result<Told>>,
}

/// A batch was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Ack {
    pushed: Instant,
    at: Instant,
}

impl Load {
    /// Begins.
    pub fn start(plan: Plan) -> io::Result<Load> {
        let drive = Drive::new(&plan.settings, plan.clients, Prng::new(plan.seed, 1))?;
        let (clock, is_over, (told, acks)) = (drive.clock(), Arc::new(AtomicBool::new(false)), channel());
        let flag = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("kraftbed-load".into())
            .spawn(move || Worker::new(&plan, drive, told).work(&flag))?;
        Ok(Load { clock, is_over, acks, thread })
    }

    /// This moment, on the load's clock.
    pub fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// How long after `since` the first batch was acknowledged that was pushed after it, if that happens in time: an
    /// acknowledgement of something older may have been on its way already.
    pub fn next_ack(&self, since: Instant, within: Duration) -> Option<Duration> {
        let end = since + within;
        loop {
            match self.acks.recv_timeout(self.clock.until(end)) {
                Ok(ack) if ack.pushed >= since => return Some(ack.at.since(since)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Sends nothing new, waits until everything has ended, and gives what was told.
    pub fn finish(self) -> io::Result<Told> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the load must not panic")
    }
}

struct Worker {
    drive: Drive,
    talkers: Vec<Talker>,
    acks: Sender<Ack>,
    told: Told,
    start: Instant,
}

/// One producer's records.
struct Talker {
    payloads: Payloads,
    pace: Pace,
    pushed: u64,
}

impl Worker {
    fn new(plan: &Plan, drive: Drive, acks: Sender<Ack>) -> Worker {
        let pace = Pace::PerSecond(plan.rate as f64).part(plan.clients as usize);
        // A batch is found again by its checksum, so no two values may be equal: each names who wrote it.
        let source = Source::Named(plan.value_bytes);
        let talkers = (0..plan.clients).map(|client| {
            let payloads = Payloads::new(source.clone(), Keys::None, plan.seed, client, plan.clients);
            Talker { payloads, pace, pushed: 0 }
        });
        Worker { start: drive.now(), talkers: talkers.collect(), drive, acks, told: Told::default() }
    }

    fn work(mut self, is_over: &AtomicBool) -> io::Result<Told> {
        let mut is_flushing = false;
        loop {
            if is_over.load(Ordering::Relaxed) {
                if !is_flushing {
                    is_flushing = true;
                    self.drive.flush();
                }
            } else {
                (0..self.talkers.len()).for_each(|client| self.push(client));
            }
            self.drive.turn(TURN)?;
            let now = self.drive.now();
            while let Some((client, ended)) = self.drive.next_ended() {
                self.on_ended(client, &ended, now);
            }
            if is_flushing && self.drive.is_idle() {
                return Ok(self.told);
            }
        }
    }

    /// Pushes what is due.
    fn push(&mut self, client: usize) {
        let now = self.drive.now();
        let timestamp = self.drive.timestamp(now);
        let talker = &mut self.talkers[client];
        let due = talker.pace.due_by(self.start, now).min(talker.pushed + BURST_RECORDS);
        while talker.pushed < due {
            let (shape, write) = talker.payloads.next(timestamp);
            match self.drive.push(client, now, &shape, write) {
                Ok(()) => {}
                // What could not be pushed is due again, when there is room.
                Err(Refused::Full | Refused::TooLarge { .. }) => return,
            }
            talker.payloads.advance();
            talker.pushed += 1;
        }
    }

    fn on_ended(&mut self, client: usize, ended: &Ended, now: Instant) {
        self.told.ledger.note(client, ended);
        let records = u64::from(ended.records);
        match ended.fate {
            Fate::Acked { .. } => {
                self.told.acked += records;
                let pushed = ended.runs.first().map_or(Instant::ZERO, |run| run.at);
                // Who does not wait for acknowledgements any more does not want to know.
                let _ = self.acks.send(Ack { pushed, at: now });
            }
            Fate::Failed { .. } => self.told.failed += records,
            Fate::Open { .. } => self.told.open += records,
        }
    }
}

/// How long a turn may wait: the grain of the pace.
const TURN: Duration = Duration::from_millis(1);

/// Records that one client pushes in a turn at most: who was blocked for seconds catches up over some turns.
const BURST_RECORDS: u64 = 500;
