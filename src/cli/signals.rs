//! SIGINT and SIGTERM: a command of many runs ends early and tells what it found.
#![expect(clippy::disallowed_methods, reason = "one thread waits for signals")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::stdout::complain;
use crate::outcome::Exit;

/// Whether a signal came, and which.
#[derive(Clone, Debug, Default)]
pub struct Interrupted {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicI32>,
}

impl Interrupted {
    /// Waits for signals from here on. A second one ends the process at once.
    pub fn catch() -> Result<Interrupted, std::io::Error> {
        let interrupted = Interrupted::default();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let caught = interrupted.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                caught.signal.store(signal, Ordering::Relaxed);
                if caught.flag.swap(true, Ordering::Relaxed) {
                    std::process::exit(128 + signal);
                }
                complain(format_args!("kraftbed: interrupted; what was found so far follows"));
            }
        });
        Ok(interrupted)
    }

    /// Set as soon as a signal comes.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// How the command ends if a signal came.
    pub fn exit(&self) -> Option<Exit> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(Exit::of_signal(signal)),
        }
    }
}
