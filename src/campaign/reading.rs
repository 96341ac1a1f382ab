//! Files of histories, read within bounds: so many bytes unpacked, until time is up or a signal comes.
//!
//! What is gzipped is unpacked on the way, so a small file that unpacks to a large one costs no more than the bound. Whoever writes
//! into a pipe may take his time: reading waits for him, and looks at the clock meanwhile.
#![expect(clippy::disallowed_types, reason = "files are read and budgets are in real time")]

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::bufread::MultiGzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::history::engine::Exhausted;

/// Until when.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    start: Instant,
    time_max: Option<Duration>,
    interrupted: Option<&'a AtomicBool>,
}

/// What was read of a file.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Loaded {
    /// All of it.
    Whole(Vec<u8>),
    /// Less, for this reason.
    Part { bytes: Vec<u8>, why: Exhausted },
}

/// A file that cannot be read, or not unpacked.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum LoadError {
    /// It cannot be read.
    Io(io::Error),
    /// It is gzipped, and wrong after so many bytes.
    Packed { unpacked_bytes: usize, error: io::Error },
}

impl Watch<'_> {
    /// From here on.
    pub fn new(time_max: Option<Duration>, interrupted: Option<&AtomicBool>) -> Watch<'_> {
        Watch { start: Instant::now(), time_max, interrupted }
    }

    /// Whether a signal came.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Whether to stop.
    pub fn is_over(&self) -> bool {
        self.is_interrupted() || self.time_max.is_some_and(|max| self.start.elapsed() >= max)
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Io(error) => write!(f, "{error}: expected a file with a history"),
            LoadError::Packed { unpacked_bytes, error } => {
                write!(f, "begins as gzip does, and cannot be unpacked beyond {unpacked_bytes} bytes: {error}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Reads a file, or standard input if its name is `-`; unpacks what is gzipped.
pub fn load(file: &Path, bytes_max: u64, watch: &Watch<'_>) -> Result<Loaded, LoadError> {
    let file = match file.as_os_str() == "-" {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        // A pipe that nobody writes into yet must not hold up the clock.
        false => OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(file),
    };
    let mut file = Patient { file: file.map_err(LoadError::Io)?, watch };
    let mut magic = Vec::new();
    let begun = (&mut file).take(GZIP.len() as u64).read_to_end(&mut magic);
    let is_packed = magic == GZIP;
    let mut bytes = Vec::new();
    let ended = match begun {
        Err(error) => Err(error),
        Ok(_) if is_packed => {
            let packed = BufReader::with_capacity(CHUNK_BYTES, io::Cursor::new(magic).chain(file));
            read_to(&mut bytes, MultiGzDecoder::new(packed), bytes_max, watch)
        }
        Ok(_) => read_to(&mut bytes, io::Cursor::new(magic).chain(file), bytes_max, watch),
    };
    match ended {
        Ok(None) => Ok(Loaded::Whole(bytes)),
        Ok(Some(why)) => Ok(Loaded::Part { bytes, why }),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Loaded::Part { bytes, why: Exhausted::Time }),
        Err(error) if is_packed => Err(LoadError::Packed { unpacked_bytes: bytes.len(), error }),
        Err(error) => Err(LoadError::Io(error)),
    }
}

/// Reads to the end, or until something is exhausted.
fn read_to(
    bytes: &mut Vec<u8>,
    mut from: impl Read,
    bytes_max: u64,
    watch: &Watch<'_>,
) -> io::Result<Option<Exhausted>> {
    while (&mut from).take(CHUNK_BYTES as u64).read_to_end(bytes)? > 0 {
        if bytes.len() as u64 > bytes_max {
            return Ok(Some(Exhausted::Memory));
        }
        if watch.is_over() {
            return Ok(Some(Exhausted::Time));
        }
    }
    Ok(None)
}

/// A file that is waited for while there is time.
struct Patient<'a> {
    file: File,
    watch: &'a Watch<'a>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&PATIENCE)) {
                Ok(0) if self.watch.is_over() => return Err(ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                // What cannot be waited for is read at once.
                Ok(_) | Err(_) => {}
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

/// How gzip begins. (RFC 1952, 2.3.1.)
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much is read between two looks at the clock.
const CHUNK_BYTES: usize = 1 << 16;

/// How long to wait for a pipe between two looks at the clock.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
