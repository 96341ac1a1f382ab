//! A quorum of three processes, all of whose connections go through relays, and the faults that it is given while a client writes.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use kraftbed::client::quorum_info::QuorumInfo;
use kraftbed::ids::Endpoint;
use kraftbed::record::RecordBatch;
use kraftbed::server::relay::Relay;
use libtest_mimic::Failed;

use crate::load::Load;
use crate::lookout::Lookout;
use crate::quorum::{Quorum, Start};

/// Three nodes with short timeouts; clients and each other reach them through relays.
pub struct Stage {
    pub quorum: Quorum,
    /// In the order of the nodes.
    relays: Vec<Relay>,
    /// Nodes that do not answer: down or stopped.
    away: Vec<usize>,
}

/// What a client does when a leader keeps the connection and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Its requests time out, and it looks for another leader.
    Leaves,
    /// It asks the same node again and again.
    Waits,
}

/// A fault, and how long the client had to wait for the first record acknowledged after it.
pub type Waited = (&'static str, Duration);

impl Stage {
    /// Starts the quorum and waits for its leader.
    pub fn start(name: &str) -> Result<Stage, Failed> {
        Stage::start_with(name, &[])
    }

    /// The same, with more properties.
    pub fn start_with(name: &str, properties: &[&str]) -> Result<Stage, Failed> {
        let overrides = TUNED.iter().chain(properties).flat_map(|&tuned| ["--override".to_owned(), tuned.to_owned()]);
        let start = Start { arguments: overrides.collect(), ..Start::default() };
        let mut quorum = Quorum::prepare(name, NODES, start);
        let relay = |id| Relay::start(SocketAddr::from((Ipv4Addr::LOCALHOST, quorum.port(id))));
        let relays = ids().map(relay).collect::<std::io::Result<Vec<Relay>>>()?;
        // The quorum knows its voters by their relays, because that is what a node tells clients of the others.
        let voters: Vec<String> = ids().zip(&relays).map(|(id, relay)| format!("{id}@{}", relay.endpoint())).collect();
        for (id, relay) in ids().zip(&relays) {
            let mut properties = File::options().append(true).open(quorum.properties(id))?;
            writeln!(properties, "quorum.voters={}", voters.join(","))?;
            writeln!(properties, "advertised.listeners=PLAINTEXT://{}", relay.endpoint())?;
        }
        ids().for_each(|id| quorum.launch(id));
        ids().for_each(|id| quorum.await_listening(id));
        quorum.await_leader(0);
        Ok(Stage { quorum, relays, away: Vec::new() })
    }

    /// Where clients begin.
    pub fn bootstrap(&self) -> String {
        let all: Vec<String> = self.relays.iter().map(|relay| relay.endpoint().to_string()).collect();
        all.join(",")
    }

    /// Every fault in turn.
    pub fn hurt(&mut self, load: &mut Load, silence: Silence) -> Result<Vec<Waited>, Failed> {
        load.await_ack(20)?;
        let mut waited = vec![
            ("leader killed", self.kill_leader(load)?),
            ("leader stopped", self.stop_leader(load, silence)?),
            ("follower wiped", self.wipe_follower(load)?),
        ];
        waited.extend(self.roll(load)?);
        waited.push(("connections cut", self.cut(load)?));
        Ok(waited)
    }

    /// Kills the leader; once another leads and the client goes on, starts it again.
    pub fn kill_leader(&mut self, load: &mut Load) -> Result<Duration, Failed> {
        let (leader, epoch) = self.leader();
        let since = Instant::now();
        self.down(leader);
        let waited = self.next_ack(load, epoch, since)?;
        self.up(leader);
        Ok(waited)
    }

    /// The same, for a client that does not say what was acknowledged.
    pub fn crash_leader(&mut self) {
        let (leader, epoch) = self.leader();
        self.down(leader);
        self.quorum.await_leader(epoch);
        self.up(leader);
    }

    fn stop_leader(&mut self, load: &mut Load, silence: Silence) -> Result<Duration, Failed> {
        let (leader, epoch) = self.leader();
        let since = Instant::now();
        self.quorum.signal(leader, "STOP");
        self.away.push(leader);
        // The one that was stopped is to find itself deposed, with a request in its socket.
        self.quorum.await_leader(epoch);
        if silence == Silence::Leaves {
            self.next_ack(load, epoch, since)?;
        }
        self.quorum.signal(leader, "CONT");
        self.away.clear();
        let waited = self.next_ack(load, epoch, since)?;
        self.await_caught_up();
        Ok(waited)
    }

    /// What the wiped node vouched for must be known to a majority without it before it comes back: it stays down until a
    /// leader of a later epoch than it ever knew has its first record on both other disks.
    fn wipe_follower(&mut self, load: &mut Load) -> Result<Duration, Failed> {
        let (leader, epoch) = self.leader();
        let victim = ids().find(|&id| id != leader).expect("invariant: three nodes");
        self.down(victim);
        let since = Instant::now();
        let end = self.describe().high_watermark as u64;
        let waited = load.await_ack(end + 1)?.saturating_duration_since(since);
        let known = self.epoch_on_disk(victim)?.max(epoch);
        fs::remove_dir_all(self.quorum.log_directory(victim))?;
        let (leader, _) = self.leader();
        self.terminate(leader)?;
        self.quorum.launch(leader);
        self.quorum.await_listening(leader);
        self.quorum.await_leader(known);
        self.up(victim);
        Ok(waited)
    }

    fn roll(&mut self, load: &mut Load) -> Result<Vec<Waited>, Failed> {
        let mut waited = Vec::new();
        for id in ids() {
            let (leader, epoch) = self.leader();
            let since = Instant::now();
            self.terminate(id)?;
            if id == leader {
                waited.push(("leader restarted", self.next_ack(load, epoch, since)?));
            }
            self.up(id);
        }
        Ok(waited)
    }

    fn cut(&mut self, load: &mut Load) -> Result<Duration, Failed> {
        let before: u64 = self.relays.iter().map(Relay::cut_so_far).sum();
        let since = Instant::now();
        self.relays.iter().for_each(Relay::cut);
        while self.relays.iter().map(Relay::cut_so_far).sum::<u64>() == before {
            if since.elapsed() > CUT_WITHIN {
                return Err(load.lament("bytes on a connection, to cut it in the midst of a frame"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        let end = self.describe().high_watermark as u64;
        Ok(load.await_ack(end + 1)?.saturating_duration_since(since))
    }

    fn next_ack(&self, load: &mut Load, epoch: u32, since: Instant) -> Result<Duration, Failed> {
        self.lookout().next_ack(load, epoch, since)
    }

    fn down(&mut self, id: usize) {
        self.quorum.kill(id);
        self.away.push(id);
    }

    fn terminate(&mut self, id: usize) -> Result<(), Failed> {
        let status = self.quorum.terminate(id);
        match status.success() {
            true => Ok(()),
            false => Err(format!("node {id} was asked to stop and ended with {status}").into()),
        }
    }

    /// Starts a node again and waits until it has caught up.
    fn up(&mut self, id: usize) {
        self.quorum.launch(id);
        self.quorum.await_listening(id);
        self.away.retain(|&away| away != id);
        self.await_caught_up();
    }

    /// Who leads, and in which epoch.
    pub fn leader(&self) -> (usize, u32) {
        self.lookout().leader()
    }

    /// The leader's view of the quorum.
    pub fn describe(&self) -> QuorumInfo {
        self.lookout().describe()
    }

    fn await_caught_up(&self) {
        self.lookout().await_caught_up();
    }

    /// The log, when everything is committed and on every disk.
    pub fn log(&self) -> Result<Vec<RecordBatch>, Failed> {
        assert!(self.away.is_empty(), "all disks are compared");
        self.lookout().log()
    }

    /// The nodes that answer.
    fn lookout(&self) -> Lookout<'_> {
        let present = ids().filter(|id| !self.away.contains(id));
        Lookout { quorum: &self.quorum, endpoints: present.map(|id| (id, self.endpoint(id))).collect() }
    }

    fn endpoint(&self, id: usize) -> Endpoint {
        Endpoint::new("localhost", self.quorum.port(id))
    }

    /// The newest epoch that a node has persisted.
    fn epoch_on_disk(&self, id: usize) -> Result<u32, Failed> {
        let path = self.quorum.log_directory(id).join("__cluster_metadata-0/quorum-state");
        let state: serde_json::Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let epoch = state["leaderEpoch"].as_u64().and_then(|epoch| u32::try_from(epoch).ok());
        epoch.ok_or_else(|| format!("quorum-state of node {id}: {state}").into())
    }
}

fn ids() -> std::ops::RangeInclusive<usize> {
    1..=NODES
}

const NODES: usize = 3;

/// How long a client that writes may be silent.
const CUT_WITHIN: Duration = Duration::from_secs(20);

/// Short timeouts, for short failovers; long enough for a machine that runs two quorums and their clients on two cores.
const TUNED: &[&str] = &[
    "controller.quorum.fetch.timeout.ms=800",
    "controller.quorum.election.timeout.ms=400",
    "controller.quorum.election.backoff.max.ms=200",
];
