//! Limits that were hit: counted all, told now and then.
//!
//! Whoever runs into a limit can do so ten thousand times a second. Each time counts for the metrics, but people are told
//! at most once a second per limit, with the number of those that were passed over.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use crate::time::Instant;

/// How often each limit was hit, and what is to be told of it.
#[derive(Debug, Default)]
pub struct Hits {
    hits: BTreeMap<&'static str, Hit>,
    warnings: Vec<String>,
}

#[derive(Debug, Default)]
struct Hit {
    count: u64,
    /// Hits that were told of.
    told: u64,
    quiet_until: Instant,
}

impl Hits {
    /// The limit of that name was hit.
    pub fn add(&mut self, limit: &'static str, now: Instant, what: impl Display) {
        let hit = self.hits.entry(limit).or_default();
        hit.count += 1;
        if now < hit.quiet_until {
            return;
        }
        let passed_over = hit.count - hit.told - 1;
        (hit.told, hit.quiet_until) = (hit.count, now + QUIET);
        let more = if passed_over == 0 { String::new() } else { format!(" ({passed_over} more since the last time)") };
        self.warnings.push(format!("{what} [{limit}]{more}"));
    }

    /// The limit of that name was hit, as happens every day: nobody is told.
    pub fn count(&mut self, limit: &'static str) {
        let hit = self.hits.entry(limit).or_default();
        (hit.count, hit.told) = (hit.count + 1, hit.told + 1);
    }

    /// How often each limit was hit, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.hits.iter().map(|(limit, hit)| (*limit, hit.count))
    }

    /// What people should read, and forgets it.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

/// How long a limit is not told of again, 1 s.
const QUIET: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_few_are_told() {
        let mut hits = Hits::default();
        for millis in [0, 1, 999, 1000, 1001] {
            hits.add("a", Instant::ZERO + Duration::from_millis(millis), format_args!("at {millis}"));
        }
        hits.add("b", Instant::ZERO, "once");
        assert_eq!(hits.take_warnings(), ["at 0 [a]", "at 1000 [a] (2 more since the last time)", "once [b]"]);
        assert_eq!(hits.take_warnings(), [""; 0]);
        assert_eq!(hits.counts().collect::<Vec<_>>(), [("a", 5), ("b", 1)]);
    }
}
