//! A client's process that writes until it is told to stop, and what it says was acknowledged.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

/// What a client says of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in the log, at this offset.
    Acked { value: u64, offset: u64 },
    /// The client gave up.
    Failed { value: u64, why: String },
}

/// A line: about a record, or about anything else.
type Heard = Result<Told, String>;

/// What a line says of a record, if it is about one.
pub type Understand = Box<dyn FnMut(&str) -> Option<Told> + Send>;

/// How a client is spoken to.
pub struct Speech {
    pub understand: Understand,
    pub stream: Stream,
    pub end: End,
}

/// Where a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// How a client hears that it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its stdin ends.
    OfStdin,
    /// The same, and until then it is fed a value a line, so many a second; with zeros before it, because who reads lines
    /// in large pieces would hear of each only when many have come.
    OfFeed { rate: u32 },
    /// SIGTERM.
    Term,
}

/// A client that writes.
pub struct Load {
    process: Child,
    stdin: Option<ChildStdin>,
    feeder: Option<thread::JoinHandle<()>>,
    /// Tells the feeder to stop by its end.
    feeding: Option<std::sync::mpsc::Sender<()>>,
    heard: Receiver<(Instant, Heard)>,
    told: Vec<(Instant, Told)>,
    /// Lines about anything else.
    chatter: Vec<String>,
    /// The other stream, whole, once the process has ended.
    aside: Option<thread::JoinHandle<String>>,
    end: End,
}

impl Speech {
    /// That of our programs: `acked VALUE OFFSET` or `failed VALUE WHY` a line, until stdin ends.
    pub fn of_programs() -> Speech {
        Speech { understand: Box::new(understand), stream: Stream::Stdout, end: End::OfStdin }
    }
}

impl Load {
    /// Starts the client.
    pub fn start(mut command: Command, mut speech: Speech) -> Result<Load, Failed> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let stdin = process.stdin.take();
        let out = process.stdout.take().expect("invariant: it was piped");
        let err = process.stderr.take().expect("invariant: it was piped");
        let (tell, heard) = channel();
        let mut hear = move |stream: Box<dyn Read + Send>| {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let heard = (speech.understand)(&line).ok_or(line);
                let _ = tell.send((Instant::now(), heard));
            }
        };
        let (spoken, other): (Box<dyn Read + Send>, Box<dyn Read + Send>) = match speech.stream {
            Stream::Stdout => (Box::<ChildStdout>::new(out), Box::new(err)),
            Stream::Stderr => (Box::new(err), Box::new(out)),
        };
        thread::Builder::new().spawn(move || hear(spoken))?;
        let aside = thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            let _ = BufReader::new(other).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })?;
        let end = speech.end;
        let mut load = Load {
            process,
            stdin,
            feeder: None,
            feeding: None,
            heard,
            told: Vec::new(),
            chatter: Vec::new(),
            aside: Some(aside),
            end,
        };
        if let End::OfFeed { rate } = end {
            load.feed(rate)?;
        }
        Ok(load)
    }

    /// Waits for an acknowledgement of at least this offset; when it came.
    pub fn await_ack(&mut self, offset: u64) -> Result<Instant, Failed> {
        let reaches = |told: &Told| matches!(told, Told::Acked { offset: at, .. } if *at >= offset);
        if let Some((when, _)) = self.told.iter().find(|(_, told)| reaches(told)) {
            return Ok(*when);
        }
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.heard.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok((when, heard)) => {
                    let is_it = heard.as_ref().is_ok_and(reaches);
                    self.keep(when, heard);
                    if is_it {
                        return Ok(when);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.lament(&ack(offset, "in time"))),
                Err(RecvTimeoutError::Disconnected) => return Err(self.lament(&ack(offset, "before the client ended"))),
            }
        }
    }

    /// Lets the client finish what it has taken on, and gives everything that it said.
    pub fn finish(mut self) -> Result<Vec<Told>, Failed> {
        drop(self.stdin.take());
        drop(self.feeding.take());
        if self.end == End::Term {
            Command::new("kill").arg(self.process.id().to_string()).status()?;
        }
        let limit = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait()? {
                break status;
            }
            if Instant::now() > limit {
                return Err(self.lament("an end after it was told to stop"));
            }
            thread::sleep(Duration::from_millis(10));
        };
        self.keep_the_rest();
        // A JVM that was asked to stop ends with 128 + 15 after its shutdown hooks.
        let is_well = status.success() || self.end == End::Term && status.code() == Some(143);
        match is_well {
            true => Ok(self.told.drain(..).map(|(_, told)| told).collect()),
            false => Err(format!("the client ended with {status}: {}", self.said_aside()).into()),
        }
    }

    fn feed(&mut self, rate: u32) -> Result<(), Failed> {
        let (feeding, stop) = channel::<()>();
        let mut stdin = self.stdin.take().expect("invariant: it was piped");
        let feeder = move || {
            for value in 0_u64.. {
                if stop.recv_timeout(Duration::from_secs(1) / rate) == Err(RecvTimeoutError::Disconnected)
                    || stdin.write_all(format!("{value:0>100}\n").as_bytes()).is_err()
                {
                    return;
                }
            }
        };
        self.feeding = Some(feeding);
        self.feeder = Some(thread::Builder::new().spawn(feeder)?);
        Ok(())
    }

    /// A failure that tells what the client said; the client is ended.
    pub fn lament(&mut self, expected: &str) -> Failed {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.keep_the_rest();
        let last: Vec<String> = self.told.iter().rev().take(3).map(|(_, told)| format!("{told:?}")).collect();
        let failed = self.told.iter().find(|(_, told)| matches!(told, Told::Failed { .. }));
        format!(
            "expected {expected}; {} records were told of, the last of them {}, the first failure {:?}; it said: {}",
            self.told.len(),
            last.join(", "),
            failed.map(|(_, told)| told.clone()),
            self.said_aside()
        )
        .into()
    }

    fn keep(&mut self, when: Instant, heard: Heard) {
        match heard {
            Ok(told) => self.told.push((when, told)),
            Err(line) => self.chatter.push(line),
        }
    }

    /// What comes until the client's stream ends.
    fn keep_the_rest(&mut self) {
        let rest: Vec<(Instant, Heard)> = self.heard.iter().collect();
        rest.into_iter().for_each(|(when, heard)| self.keep(when, heard));
    }

    /// The end of what the client said beside what it told of records.
    fn said_aside(&mut self) -> String {
        let said = self.aside.take().and_then(|aside| aside.join().ok()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().chain(self.chatter.iter().map(String::as_str)).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn understand(line: &str) -> Option<Told> {
    let (what, rest) = line.split_once(' ')?;
    let (value, rest) = rest.split_once(' ')?;
    let value = value.parse().ok()?;
    match what {
        "acked" => Some(Told::Acked { value, offset: rest.parse().ok()? }),
        "failed" => Some(Told::Failed { value, why: rest.to_owned() }),
        _ => None,
    }
}

fn ack(offset: u64, when: &str) -> String {
    format!("an acknowledgement of offset {offset} or more {when}")
}

/// How long a client may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
