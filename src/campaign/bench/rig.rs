//! A fresh quorum of real nodes, loaded by the program's own producers, with counters of what it cost.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "processes are measured in real time")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::campaign::bench::{BenchError, Checked, Load, Options, Row};
use crate::campaign::check::{self, Verdict};
use crate::campaign::results;
use crate::client::producer::Settings;
use crate::history::{Model, Operation};
use crate::prng::Prng;
use crate::server::load::pace::Pace;
use crate::server::load::payload::{Keys, Source};
use crate::server::load::perf::{self, After, Line};
use crate::server::members::{Members, Plan};

/// A quorum that is measured.
#[derive(Debug)]
pub struct Rig {
    members: Members,
    /// Told apart, so that no two measurements draw the same.
    serial: u64,
}

impl Rig {
    /// Starts `nodes` nodes on empty directories, and waits for a leader.
    pub fn start(options: &Options, nodes: u16) -> Result<Rig, BenchError> {
        let directory = options.directory.join(format!("{nodes}-nodes"));
        let mut members = Members::prepare(Plan {
            nodes,
            base_port: options.base_port,
            advertised: Vec::new(),
            metrics_base_port: Some(options.base_port + METRICS_ABOVE),
            directory,
            overrides: options.overrides.clone(),
        })?;
        for node in members.plan().ids() {
            members.launch(node)?;
        }
        let end = Instant::now() + LEADER_WITHIN;
        let all = members.running();
        while members.leader(&all).is_none() {
            if let Some(ended) = members.ended().into_iter().next() {
                return Err(BenchError::NotReady { why: format!("node {} died: {}", ended.node, ended.last_line) });
            }
            if Instant::now() > end {
                return Err(BenchError::NotReady { why: format!("nobody leads after {LEADER_WITHIN:?}") });
            }
            sleep(POLL);
        }
        Ok(Rig { members, serial: 0 })
    }

    /// Loads the quorum, and says what it did and what it cost.
    pub fn measure(&mut self, options: &Options, record_bytes: usize, load: Load) -> Result<Row, BenchError> {
        self.run(options, record_bytes, load, (options.seconds / 4, After::default()))?;
        let (cpu, syncs) = (self.cpu(), self.syncs());
        let after = After { history: options.check, ..After::default() };
        let summary = self.run(options, record_bytes, load, (options.seconds, after))?;
        Ok(Row {
            nodes: self.members.plan().nodes,
            record_bytes,
            load,
            records: summary.acked,
            seconds: summary.took.as_secs_f64(),
            latencies: summary.latencies,
            requests: summary.counters.requests,
            syncs: self.syncs().saturating_sub(syncs),
            cpu_seconds: self.cpu() - cpu,
            checked: summary.history.map(|history| checked(history.operations(), options)).transpose()?,
        })
    }

    fn run(
        &mut self,
        options: &Options,
        record_bytes: usize,
        load: Load,
        (seconds, after): (Duration, After),
    ) -> Result<perf::Summary, BenchError> {
        self.serial += 1;
        let plan = self.members.plan();
        let mut settings = Settings::new(plan.clients_endpoints(), "kraftbed-bench", TOPIC);
        // Whoever waits for answers has nothing to wait for besides.
        settings.linger = Duration::ZERO;
        settings.batch_bytes = options.batch_bytes;
        let plan = perf::Plan {
            settings,
            clients: load.clients,
            records: u64::MAX >> 1,
            warmup: 0,
            pace: Pace::Unlimited,
            in_flight_records_max: Some((load.in_flight / u64::from(load.clients)).max(1)),
            time_limit: Some(seconds),
            // A history must tell values apart.
            source: if after.history { Source::Named(record_bytes) } else { Source::Letters(record_bytes) },
            keys: Keys::None,
            seed: self.serial,
            interval_ms: 5000,
            after,
        };
        let mut trouble = None;
        let summary = perf::run(&plan, Prng::new(self.serial, 0), &mut |line| {
            if let Line::Trouble(what) = line {
                trouble.get_or_insert(what);
            }
        })?;
        match trouble.filter(|_| summary.failed > 0) {
            Some(why) => Err(BenchError::NotReady { why }),
            None => Ok(summary),
        }
    }

    /// CPU time of all nodes and of this process.
    fn cpu(&self) -> f64 {
        let nodes = self.members.plan().ids().filter_map(|node| self.members.process_id(node));
        nodes.map(cpu_seconds).sum::<f64>() + cpu_seconds(std::process::id())
    }

    /// Syncs of all nodes so far, as they count them.
    fn syncs(&self) -> u64 {
        let ports = self.members.plan().ids().filter_map(|node| self.members.plan().metrics(node));
        ports.filter_map(|endpoint| syncs_of(&endpoint.host, endpoint.port)).sum()
    }
}

/// Judges a history. One that cannot be is kept beside the results, where `check` finds it.
fn checked(history: &[Operation], options: &Options) -> Result<Checked, BenchError> {
    let start = Instant::now();
    let mut verdict = check::log(history, Model::Producer);
    let seconds = start.elapsed().as_secs_f64();
    if let Verdict::NotLinearizable { message, .. } = &mut verdict {
        let free = (1..).map(|number| options.directory.with_extension(format!("history-{number}.jsonl")));
        let file = free.into_iter().find(|file| !file.exists()).expect("invariant: numbers do not end");
        results::write_history(&file, history).map_err(BenchError::History)?;
        *message += &format!(" (history: {})", file.display());
    }
    Ok(Checked { operations: history.len() as u64, seconds, verdict })
}

/// CPU time that a process has used, user and system. (proc(5): `/proc/PID/stat`, fields 14 and 15, in ticks of 10 ms.)
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is the program's name in parentheses, and may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / 100.0
}

fn syncs_of(host: &str, port: u16) -> Option<u64> {
    let mut stream = TcpStream::connect((host, port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let line = page.lines().find_map(|line| line.strip_prefix("kraftbed_fsync_seconds_count "))?;
    line.trim().parse().ok()
}

/// What is written to.
const TOPIC: &str = "__cluster_metadata";

/// Metrics are served on ports so far above the nodes' own.
const METRICS_ABOVE: u16 = 100;

/// How long the first election may take.
const LEADER_WITHIN: Duration = Duration::from_secs(30);

/// How often the quorum is asked for its leader.
const POLL: Duration = Duration::from_millis(50);
