//! What a node counts for those who watch it. Nothing here is ever read by a decision.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::Api;

/// Counts since the node started.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    requests: BTreeMap<(Api, i16), u64>,
    limits: BTreeMap<&'static str, u64>,
    commits: Histogram,
}

impl Tally {
    /// A request was answered, with this error.
    pub fn count_request(&mut self, api: Api, error: i16) {
        *self.requests.entry((api, error)).or_default() += 1;
    }

    /// The limit of that name was hit.
    pub fn count_limit(&mut self, limit: &'static str) {
        *self.limits.entry(limit).or_default() += 1;
    }

    /// A batch was committed, that long after it was asked for.
    pub fn count_commit(&mut self, latency: Duration) {
        self.commits.add(latency);
    }

    /// Answered requests by API and error.
    pub fn requests(&self) -> impl Iterator<Item = (Api, i16, u64)> {
        self.requests.iter().map(|(&(api, error), &count)| (api, error, count))
    }

    /// How often each limit was hit, by name.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.limits.iter().map(|(&limit, &count)| (limit, count))
    }

    /// From a Produce to its commit.
    pub fn commits(&self) -> &Histogram {
        &self.commits
    }
}

/// Durations, counted in buckets whose bounds double from 16 µs to 16.8 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The last one has no bound.
    buckets: [u64; BOUNDS + 1],
    sum: Duration,
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        let micros = duration.as_micros().max(1);
        let bucket = (0..BOUNDS).find(|&index| micros <= bound(index).as_micros()).unwrap_or(BOUNDS);
        self.buckets[bucket] += 1;
        self.sum += duration;
    }

    /// How many lasted at most that long, for each bound.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        (0..BOUNDS).map(|index| (bound(index), self.buckets[..=index].iter().sum()))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

fn bound(index: usize) -> Duration {
    Duration::from_micros(16 << index)
}

/// Bounded buckets.
const BOUNDS: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_from_its_own_on() {
        let mut histogram = Histogram::default();
        for micros in [0, 16, 17, 1_000_000, 1_000_000_000] {
            histogram.add(Duration::from_micros(micros));
        }
        let up_to: Vec<_> = histogram.up_to().collect();
        assert_eq!(up_to[..2], [(Duration::from_micros(16), 2), (Duration::from_micros(32), 3)]);
        assert_eq!(up_to[20], (Duration::from_micros(16_777_216), 4));
        assert_eq!((histogram.count(), histogram.sum()), (5, Duration::from_micros(1_001_000_033)));
    }
}
