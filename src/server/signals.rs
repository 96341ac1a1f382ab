//! SIGTERM and SIGINT as something a poll can wait for.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// A socket that receives a byte for each signal.
#[derive(Debug)]
pub struct Signals {
    source: mio::net::UnixStream,
    /// Set once SIGTERM has come.
    terminated: Arc<AtomicBool>,
}

impl Signals {
    /// From this moment on the two signals no longer end the process: who asks must stop it.
    pub fn catch() -> io::Result<Signals> {
        let (source, wake) = UnixStream::pair()?;
        source.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT] {
            pipe::register(signal, wake.try_clone()?)?;
        }
        let terminated = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM, terminated.clone())?;
        Ok(Signals { source: mio::net::UnixStream::from_std(source), terminated })
    }

    /// The number of the signal that came: SIGTERM if that was among them.
    pub fn number(&self) -> i32 {
        if self.terminated.load(Ordering::Relaxed) { SIGTERM } else { SIGINT }
    }

    /// What to register with a poll.
    pub fn source(&mut self) -> &mut mio::net::UnixStream {
        &mut self.source
    }

    /// How many signals came since the last call.
    pub fn take(&mut self) -> usize {
        let mut count = 0;
        let mut bytes = [0; 64];
        while let Ok(read @ 1..) = self.source.read(&mut bytes) {
            count += read;
        }
        count
    }
}
