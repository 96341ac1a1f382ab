//! Latencies in microseconds, at a precision of three digits. (HdrHistogram.)

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The latencies of many records.
#[derive(Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

/// What is said of them, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the percentiles are their names")]
pub struct Percentiles {
    pub mean_us: f64,
    pub p50_us: u64,
    pub p75_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub p9999_us: u64,
    pub max_us: u64,
}

impl Latencies {
    /// None so far. Longer ones than an hour count as an hour.
    pub fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3);
        Latencies { histogram: histogram.expect("invariant: the bounds are in order, and three digits are allowed") }
    }

    /// So many records took that long.
    pub fn record(&mut self, latency: Duration, records: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record_n(micros, records);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that a share of the records did not exceed, in microseconds.
    pub fn quantile_us(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// The usual figures.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles {
            mean_us: self.histogram.mean(),
            p50_us: self.quantile_us(0.5),
            p75_us: self.quantile_us(0.75),
            p95_us: self.quantile_us(0.95),
            p99_us: self.quantile_us(0.99),
            p999_us: self.quantile_us(0.999),
            p9999_us: self.quantile_us(0.9999),
            max_us: self.histogram.max(),
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// An hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
