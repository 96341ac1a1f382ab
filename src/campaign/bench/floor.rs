//! The pull floor: processes that replicate bytes by pull, with the syncs of a quorum and nothing else.
//!
//! A client streams records of one size to the leader. Whatever has arrived is one batch: it leaves to the followers whose
//! fetches are parked, is written to a preallocated file, and synced. A follower does the same with what it gets and
//! fetches again, which is the acknowledgement. What a majority holds is told to the client, as a count. No elections, no
//! checksums, no requests, no validation.
//!
//! ```text
//!  client ──▶ leader      'C', then length u32 + value, again and again
//!  client ◀── leader      bytes committed, u64
//!  follower ──▶ leader    'F', then its offset u64, again and again
//!  follower ◀── leader    length u32 + bytes
//! ```

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real processes, files, sockets and time")]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustix::fs::{FallocateFlags, fallocate};

use crate::campaign::bench::rig::cpu_seconds;
use crate::campaign::bench::{Load, Row};
use crate::server::load::histogram::Latencies;
use crate::server::members::{SystemError, system};

/// One measurement of the floor.
#[derive(Clone, Debug)]
pub struct Floor<'a> {
    /// Processes, the leader included.
    pub nodes: u16,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// The load; the floor has one client that does the work of all.
    pub load: Load,
    /// How long to measure, after a quarter of that to warm up.
    pub seconds: Duration,
    /// Where the files are.
    pub directory: &'a Path,
}

/// Processes that end with the value.
#[derive(Debug, Default)]
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Floor<'_> {
    /// Starts the processes, loads them, and ends them.
    pub fn measure(&self) -> Result<Row, SystemError> {
        let files: Vec<PathBuf> =
            (0..self.nodes).map(|node| self.directory.join(format!("floor-{node}.tmp"))).collect();
        let measured = self.measure_with(&files).map_err(|source| system("measure the floor", source));
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
        measured
    }

    fn measure_with(&self, files: &[PathBuf]) -> io::Result<Row> {
        let program = std::env::current_exe()?;
        let frame_bytes = self.record_bytes + LENGTH_BYTES;
        let mut processes = Processes::default();
        let mut leader = Command::new(&program)
            .args([
                "bench-floor",
                "lead",
                "--frame-bytes",
                &frame_bytes.to_string(),
                "--nodes",
                &self.nodes.to_string(),
            ])
            .arg("--file")
            .arg(&files[0])
            .stdout(Stdio::piped())
            .spawn()?;
        let said = leader.stdout.take().expect("invariant: it was asked to be piped");
        processes.0.push(leader);
        let mut port = String::new();
        BufReader::new(said).read_line(&mut port)?;
        for file in &files[1..] {
            let mut follower = Command::new(&program);
            follower.args(["bench-floor", "follow", "--port", port.trim(), "--file"]).arg(file);
            processes.0.push(follower.spawn()?);
        }
        let port = port.trim().parse().map_err(|_| io::Error::other("the leader of the floor did not say its port"))?;
        let cpu = |processes: &Processes| -> f64 {
            processes.0.iter().map(|process| cpu_seconds(process.id())).sum::<f64>() + cpu_seconds(std::process::id())
        };
        let mut client = Client::connect(port, frame_bytes, self.load.in_flight)?;
        client.run(self.seconds / 4)?;
        client.forget();
        let before = cpu(&processes);
        let seconds = client.run(self.seconds)?;
        Ok(Row {
            nodes: self.nodes,
            record_bytes: self.record_bytes,
            load: self.load,
            records: client.acked - client.acked_before,
            seconds,
            latencies: client.latencies.percentiles(),
            requests: client.writes,
            syncs: 0,
            cpu_seconds: cpu(&processes) - before,
            checked: None,
        })
    }
}

/// Keeps so many records under way.
struct Client {
    stream: TcpStream,
    frame_bytes: usize,
    /// Whole frames, to be sent a part of.
    frames: Vec<u8>,
    in_flight: u64,
    sent: u64,
    acked: u64,
    acked_before: u64,
    writes: u64,
    /// When records were sent: moments, and the count sent by then.
    moments: VecDeque<(Instant, u64)>,
    latencies: Latencies,
}

impl Client {
    fn connect(port: u16, frame_bytes: usize, in_flight: u64) -> io::Result<Client> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.write_all(b"C")?;
        let value_bytes = u32::try_from(frame_bytes - LENGTH_BYTES).expect("invariant: records are small");
        let mut frame = value_bytes.to_be_bytes().to_vec();
        frame.resize(frame_bytes, 7);
        let frames = frame.repeat(in_flight.min(BURST_BYTES as u64 / frame_bytes as u64 + 1) as usize);
        Ok(Client {
            stream,
            frame_bytes,
            frames,
            in_flight,
            sent: 0,
            acked: 0,
            acked_before: 0,
            writes: 0,
            moments: VecDeque::new(),
            latencies: Latencies::new(),
        })
    }

    fn forget(&mut self) {
        self.latencies.clear();
        self.acked_before = self.acked;
        self.writes = 0;
    }

    fn run(&mut self, time: Duration) -> io::Result<f64> {
        let began = Instant::now();
        while began.elapsed() < time {
            while self.sent < self.acked + self.in_flight {
                let free = self.acked + self.in_flight - self.sent;
                let count = free.min((self.frames.len() / self.frame_bytes) as u64);
                self.sent += count;
                self.moments.push_back((Instant::now(), self.sent));
                self.writes += 1;
                self.stream.write_all(&self.frames[..count as usize * self.frame_bytes])?;
            }
            let mut committed = [0; 8];
            self.stream.read_exact(&mut committed)?;
            self.on_acked(u64::from_be_bytes(committed) / self.frame_bytes as u64);
        }
        Ok(began.elapsed().as_secs_f64())
    }

    fn on_acked(&mut self, acked: u64) {
        let now = Instant::now();
        while let Some(&(at, until)) = self.moments.front() {
            let count = until.min(acked) - self.acked;
            self.latencies.record(now.duration_since(at), count);
            self.acked += count;
            if until > acked {
                break;
            }
            self.moments.pop_front();
        }
    }
}

/// A file that grows in steps before it is written to.
struct Log {
    file: File,
    end: u64,
    allocated: u64,
}

impl Log {
    fn create(path: &Path) -> io::Result<Log> {
        Ok(Log { file: File::options().create(true).truncate(true).write(true).open(path)?, end: 0, allocated: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if end > self.allocated {
            let step = (end - self.allocated).next_multiple_of(ALLOCATED_BYTES);
            fallocate(&self.file, FallocateFlags::empty(), self.allocated, step)?;
            self.allocated += step;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end = end;
        Ok(())
    }
}

/// A follower, until its leader is gone.
pub fn follow(port: u16, file: &Path) -> io::Result<()> {
    let mut log = Log::create(file)?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.write_all(b"F")?;
    let mut bytes = Vec::new();
    loop {
        stream.write_all(&log.end.to_be_bytes())?;
        let mut length = [0; LENGTH_BYTES];
        if stream.read_exact(&mut length).is_err() {
            return Ok(());
        }
        bytes.resize(u32::from_be_bytes(length) as usize, 0);
        stream.read_exact(&mut bytes)?;
        log.append(&bytes)?;
    }
}

/// The leader: says its port on stdout, waits for its followers and one client, and serves until that one is gone.
pub fn lead(file: &Path, nodes: u16, frame_bytes: usize) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let mut leader = Leader {
        log: Log::create(file)?,
        frame_bytes,
        tail: VecDeque::new(),
        fresh: Vec::new(),
        end: 0,
        told: 0,
        peers: Vec::new(),
    };
    let mut poll = Poll::new()?;
    while leader.peers.len() < usize::from(nodes) {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let token = Token(leader.peers.len());
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let follower = (kind[0] == b'F').then_some(Follower { offset: 0, is_waiting: false });
        leader.peers.push(Peer { stream, follower, input: Vec::new(), output: Vec::new(), sent: 0 });
    }
    let mut events = Events::with_capacity(64);
    while leader.turn()? {
        poll.poll(&mut events, None)?;
    }
    Ok(())
}

struct Leader {
    log: Log,
    frame_bytes: usize,
    /// Batches that a follower may not have: offset and bytes.
    tail: VecDeque<(u64, Vec<u8>)>,
    fresh: Vec<u8>,
    end: u64,
    /// Bytes that the client knows as committed.
    told: u64,
    peers: Vec<Peer>,
}

struct Peer {
    stream: mio::net::TcpStream,
    /// `None` for the client.
    follower: Option<Follower>,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
}

#[derive(Clone, Copy)]
struct Follower {
    /// Everything below is durable there.
    offset: u64,
    is_waiting: bool,
}

impl Leader {
    /// Takes in what has arrived, sends, syncs, and tells; `false` when somebody is gone.
    fn turn(&mut self) -> io::Result<bool> {
        for index in 0..self.peers.len() {
            if !self.peers[index].read()? {
                return Ok(false);
            }
            self.take_in(index);
        }
        let batch = std::mem::take(&mut self.fresh);
        if !batch.is_empty() {
            let base = self.end;
            self.end += batch.len() as u64;
            self.tail.push_back((base, batch));
        }
        self.serve();
        self.tell()?;
        if self.log.end < self.end {
            let (_, batch) = self.tail.back().expect("invariant: what is not in the file was just pushed");
            self.log.append(batch)?;
            self.tell()?;
        }
        Ok(true)
    }

    fn take_in(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        match &mut peer.follower {
            Some(follower) => {
                if let Some((offset, _)) = peer.input.split_first_chunk() {
                    *follower = Follower { offset: u64::from_be_bytes(*offset), is_waiting: true };
                    peer.input.drain(..8);
                }
            }
            None => {
                let whole = peer.input.len() / self.frame_bytes * self.frame_bytes;
                self.fresh.extend(peer.input.drain(..whole));
            }
        }
    }

    /// Answers the fetches that wait, and forgets what everybody has.
    fn serve(&mut self) {
        let end = self.end;
        for peer in &mut self.peers {
            let Some(follower) = &mut peer.follower else { continue };
            if !follower.is_waiting || follower.offset == end {
                continue;
            }
            follower.is_waiting = false;
            let wanted = self.tail.iter().filter(|(base, _)| *base >= follower.offset);
            let at = peer.output.len();
            peer.output.extend_from_slice(&[0; LENGTH_BYTES]);
            for (_, batch) in wanted {
                let has_some = peer.output.len() > at + LENGTH_BYTES;
                if has_some && peer.output.len() - at + batch.len() > FETCH_BYTES {
                    break;
                }
                peer.output.extend_from_slice(batch);
            }
            let length = u32::try_from(peer.output.len() - at - LENGTH_BYTES).expect("invariant: a fetch is small");
            peer.output[at..at + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        }
        let needed = self.peers.iter().filter_map(|peer| peer.follower).map(|follower| follower.offset).min();
        let needed = needed.unwrap_or(self.log.end).min(self.log.end);
        while self.tail.front().is_some_and(|(base, batch)| base + batch.len() as u64 <= needed) {
            self.tail.pop_front();
        }
    }

    /// Tells the client what a majority holds, and lets everything leave.
    fn tell(&mut self) -> io::Result<()> {
        let mut held: Vec<u64> =
            self.peers.iter().filter_map(|peer| peer.follower).map(|follower| follower.offset).collect();
        held.push(self.log.end);
        held.sort_by(|one, other| other.cmp(one));
        let committed = held[held.len() / 2];
        if committed > self.told {
            self.told = committed;
            let client = self.peers.iter_mut().find(|peer| peer.follower.is_none());
            let client = client.expect("invariant: a client is among the peers");
            client.output.extend_from_slice(&committed.to_be_bytes());
        }
        self.peers.iter_mut().try_for_each(Peer::write)
    }
}

impl Peer {
    /// Reads what there is; `false` at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut total = 0;
        while total < TURN_BYTES {
            let at = self.input.len();
            self.input.resize(at + READ_BYTES, 0);
            let read = self.stream.read(&mut self.input[at..]);
            self.input.truncate(at + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(count) => total += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Who is gone is noticed when it is read from.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => break,
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Bytes that a client writes at once.
const BURST_BYTES: usize = 64 << 10;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Bytes read from one peer in a turn.
const TURN_BYTES: usize = 1 << 20;

/// Bytes of an answer to a fetch, 1 MiB.
const FETCH_BYTES: usize = 1 << 20;

/// Bytes that a file grows by, 16 MiB.
const ALLOCATED_BYTES: u64 = 16 << 20;
