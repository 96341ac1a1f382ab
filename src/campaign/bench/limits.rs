//! What the machine does at most, measured in the same minute as everything that is compared with it.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real files, sockets and time are measured")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use crate::server::load::histogram::Latencies;
use crate::server::members::{SystemError, system};

/// The machine's limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Median time of an append of 128 bytes with fdatasync, to a preallocated file, one writer.
    pub fdatasync_p50_us: u64,
    /// How many of them a second.
    pub fdatasync_per_second: f64,
    /// Median round trip of 64 bytes over loopback, two threads.
    pub loopback_round_trip_p50_us: u64,
    /// Writing 256 MiB in steps of 1 MiB, one fdatasync at the end, MiB a second.
    pub sequential_write_mb_per_second: f64,
}

/// Measures them, within about three seconds.
pub fn measure(directory: &Path) -> Result<Limits, SystemError> {
    let file = directory.join("limits.tmp");
    let measured = measure_file(&file).and_then(|(p50, rate, sequential)| {
        let round_trip = round_trip()?;
        Ok(Limits {
            fdatasync_p50_us: p50,
            fdatasync_per_second: rate,
            loopback_round_trip_p50_us: round_trip,
            sequential_write_mb_per_second: sequential,
        })
    });
    let _ = std::fs::remove_file(&file);
    measured.map_err(|source| system(file.display().to_string(), source))
}

fn measure_file(path: &Path) -> io::Result<(u64, f64, f64)> {
    let file = File::options().create(true).truncate(true).write(true).open(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, SEQUENTIAL_BYTES)?;
    file.sync_all()?;
    let (mut times, began, mut at) = (Latencies::new(), Instant::now(), 0);
    while began.elapsed() < WINDOW {
        let before = Instant::now();
        file.write_all_at(&[7; 128], at)?;
        file.sync_data()?;
        times.record(before.elapsed(), 1);
        at += 128;
    }
    let rate = times.count() as f64 / began.elapsed().as_secs_f64();
    let (chunk, began) = (vec![7; 1 << 20], Instant::now());
    for at in (0..SEQUENTIAL_BYTES).step_by(chunk.len()) {
        file.write_all_at(&chunk, at)?;
    }
    file.sync_data()?;
    let sequential = (SEQUENTIAL_BYTES >> 20) as f64 / began.elapsed().as_secs_f64();
    Ok((times.quantile_us(0.5), rate, sequential))
}

fn round_trip() -> io::Result<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let echo = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut bytes = [0; 64];
        while stream.read_exact(&mut bytes).is_ok() {
            stream.write_all(&bytes)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut times, began, mut bytes) = (Latencies::new(), Instant::now(), [0; 64]);
    while began.elapsed() < WINDOW {
        let before = Instant::now();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        times.record(before.elapsed(), 1);
    }
    drop(stream);
    echo.join().expect("the echo must not panic")?;
    Ok(times.quantile_us(0.5))
}

/// How long each is measured.
const WINDOW: Duration = Duration::from_secs(1);

/// Bytes written in sequence, 256 MiB.
const SEQUENTIAL_BYTES: u64 = 256 << 20;
