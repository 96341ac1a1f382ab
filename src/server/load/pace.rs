//! When records are due: `--throughput` of the load tools, in records a second.
//!
//! Record `i` is due `i / throughput` seconds after the start, whatever became of the ones before: who falls behind catches
//! up, and a latency that is measured from when a record was *due* does not leave out the time in which nothing was sent.
//! (Kafka's `ThroughputThrottler` keeps to the same line, in sleeps of at least 2 ms.)

use crate::time::Instant;

/// How fast records are to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are taken.
    Unlimited,
    /// So many a second.
    PerSecond(f64),
}

impl Pace {
    /// The pace that `--throughput` asks for: unlimited if negative.
    pub fn of(throughput: f64) -> Pace {
        if throughput < 0.0 { Pace::Unlimited } else { Pace::PerSecond(throughput) }
    }

    /// One of `parts` equal parts of the pace.
    pub fn part(self, parts: usize) -> Pace {
        match self {
            Pace::Unlimited => Pace::Unlimited,
            Pace::PerSecond(rate) => Pace::PerSecond(rate / parts as f64),
        }
    }

    /// When record `index` is due, counted from 0 at `start`; at a pace of 0, all but the first are never.
    pub fn due(self, start: Instant, index: u64) -> Instant {
        match self {
            Pace::Unlimited => start,
            Pace::PerSecond(_) if index == 0 => start,
            Pace::PerSecond(rate) => {
                let nanos = index as f64 * 1e9 / rate;
                Instant(start.0.saturating_add(nanos as u64))
            }
        }
    }

    /// How many records are due by `now`.
    pub fn due_by(self, start: Instant, now: Instant) -> u64 {
        match self {
            Pace::Unlimited => u64::MAX,
            Pace::PerSecond(rate) => 1 + (now.since(start).as_nanos() as f64 * rate / 1e9) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_at_even_distances() {
        let pace = Pace::of(1000.0);
        let start = Instant(5_000_000);
        assert_eq!(pace.due(start, 3), Instant(8_000_000));
        assert_eq!(pace.due_by(start, Instant(8_000_001)), 4);
        assert_eq!(pace.part(2).due(start, 3), Instant(11_000_000));
        assert_eq!(Pace::of(-1.0).due_by(start, start), u64::MAX);
        assert_eq!((Pace::of(0.0).due_by(start, Instant(9_000_000)), Pace::of(0.0).due(start, 1).0), (1, u64::MAX));
    }
}
