//! One node's clocks: how fast they run and how far the wall clock is off.
//!
//! Drift acts on both clocks, offset and jumps on the wall clock only. A paused process does not run, but its clocks do:
//! when it continues, time has passed.

use crate::time::{Instant, Now, Timestamp};

/// The clocks of one node, as functions of true time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Parts per million that both clocks run fast (positive) or slow (negative).
    drift_ppm: i64,
    /// Milliseconds that the wall clock is ahead.
    wall_offset_ms: i64,
}

impl Clock {
    /// A clock that drifts.
    pub fn new(drift_ppm: i64) -> Clock {
        assert!(drift_ppm.abs() < MILLION, "a clock that stands still or runs backwards");
        Clock { drift_ppm, wall_offset_ms: 0 }
    }

    /// Whether it runs fast or slow.
    pub fn drifts(&self) -> bool {
        self.drift_ppm != 0
    }

    /// Moves the wall clock.
    pub fn jump(&mut self, milliseconds: i64) {
        self.wall_offset_ms += milliseconds;
    }

    /// What the node reads at a true time.
    pub fn read(&self, at: Instant) -> Now {
        let monotonic = match self.drift_ppm {
            0 => at,
            ppm => Instant((i128::from(at.0) * i128::from(MILLION + ppm) / i128::from(MILLION)) as u64),
        };
        let wall = Timestamp(EPOCH_MS + (monotonic.0 / 1_000_000) as i64 + self.wall_offset_ms);
        Now { monotonic, wall }
    }

    /// The earliest true time at which the node's monotonic clock shows at least `deadline`.
    pub fn true_time(&self, deadline: Instant) -> Instant {
        if self.drift_ppm == 0 {
            return deadline;
        }
        let rate = i128::from(MILLION + self.drift_ppm);
        let at = (i128::from(deadline.0) * i128::from(MILLION) + rate - 1) / rate;
        Instant(u64::try_from(at).unwrap_or(u64::MAX))
    }
}

const MILLION: i64 = 1_000_000;

/// Where wall clocks start: 2023-11-14, a round number of milliseconds.
const EPOCH_MS: i64 = 1_700_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_time_is_the_earliest_that_shows_the_deadline() {
        for ppm in [-200_000, -37, 0, 41, 300_000] {
            let clock = Clock::new(ppm);
            for deadline in [0, 1, 999, 1_000_003, 7_777_777_777] {
                let at = clock.true_time(Instant(deadline));
                assert!(clock.read(at).monotonic.0 >= deadline, "{ppm} ppm shows {deadline} too late");
                assert!(at.0 == 0 || clock.read(Instant(at.0 - 1)).monotonic.0 < deadline, "{ppm} ppm, {deadline}");
            }
        }
    }
}
