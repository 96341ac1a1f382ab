//! The operating system's clocks as values: the only place of the server that asks what time it is.
//!
//! The monotonic clock decides (timers, deadlines) and counts from the moment the process made it; the wall clock only
//! decorates. Both are read together, so that a node's `Now` is one moment.
#![expect(clippy::disallowed_types, reason = "the real clock is read here and nowhere else")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::{Instant, Now, Timestamp};

/// The clocks of this process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that reads [`Instant::ZERO`] at this moment.
    pub fn start() -> Clock {
        Clock { origin: std::time::Instant::now() }
    }

    /// Both clocks. `monotonic` never falls (`std::time::Instant` promises it).
    pub fn now(&self) -> Now {
        Now { monotonic: self.monotonic(), wall: wall() }
    }

    /// The monotonic clock alone.
    pub fn monotonic(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// How long until `deadline`; zero when it has passed.
    pub fn until(&self, deadline: Instant) -> Duration {
        deadline.since(self.monotonic())
    }
}

/// Milliseconds since 1970; a clock that is set before that reads 0.
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_falls() {
        let clock = Clock::start();
        let mut last = Instant::ZERO;
        for _ in 0..1000 {
            let now = clock.monotonic();
            assert!(now >= last, "{now} came after {last}");
            last = now;
        }
        assert_eq!(clock.until(Instant::ZERO), Duration::ZERO);
    }
}
