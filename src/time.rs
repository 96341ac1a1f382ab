//! Time as a value: an instant of a node's monotonic clock, a wall-clock timestamp, and the two together.
//!
//! The deterministic zone never asks what time it is; it is told. Drivers make these values: the simulator from virtual
//! time, drift and offset of each node, the server from the operating system.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Nanoseconds of one node's monotonic clock since an origin that only the driver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The origin of the clock.
    pub const ZERO: Instant = Instant(0);

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved back, at most to the origin.
    pub fn saturating_sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(nanos(duration)))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;
    /// The time from the right instant to the left one, which must not be earlier.
    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0 - earlier.0)
    }
}

impl fmt::Display for Instant {
    /// Seconds with as many digits as carry information: `12.5s`, `0.000001s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{seconds}s");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{seconds}.{}s", digits.trim_end_matches('0'))
    }
}

/// Wall-clock milliseconds since 1970, as Kafka stamps records. Never used for a timer or a safety decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Both clocks of a node at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Decides: timers and deadlines.
    pub monotonic: Instant,
    /// Decorates: LEADER_CHANGE, DescribeQuorum, segment age.
    pub wall: Timestamp,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_without_noise() {
        assert_eq!(Instant(12_500_000_000).to_string(), "12.5s");
        assert_eq!(Instant(3_000_000_000).to_string(), "3s");
        assert_eq!(Instant(1_000).to_string(), "0.000001s");
    }
}
