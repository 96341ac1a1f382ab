//! Timeouts and sizes by name: what each means, its default and its bounds.

use std::time::Duration;

use crate::scenario::plan::Settings;
use crate::scenario::text::show_duration;

/// What the numbers of a setting count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, spelled as a duration.
    Duration,
    /// Nanoseconds, two of them: least and most of something that varies all the time.
    Span,
    /// Bytes.
    Bytes,
    /// Parts per million.
    PartsPerMillion,
}

/// One setting. Numbers are nanoseconds, bytes or parts per million.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Its key under `settings`.
    pub name: &'static str,
    /// What it is, one line.
    pub about: &'static str,
    /// What its numbers count.
    pub unit: Unit,
    /// The default; for a span least and most, otherwise the same twice.
    pub default: (u64, u64),
    /// The bounds of every value, both included.
    pub bounds: (u64, u64),
    /// Reads it from the settings.
    pub read: fn(&Settings) -> (u64, u64),
    /// Writes it into the settings.
    pub write: fn(&mut Settings, (u64, u64)),
}

impl Setting {
    /// A value of this setting in words: `500ms`, `1ms to 5ms`, `65536`.
    pub fn show(&self, value: (u64, u64)) -> String {
        match self.unit {
            Unit::Duration => show_duration(Duration::from_nanos(value.0)),
            Unit::Span => {
                format!("{} to {}", self.show_one(value.0), self.show_one(value.1))
            }
            Unit::Bytes | Unit::PartsPerMillion => value.0.to_string(),
        }
    }

    /// One number of this setting in words.
    pub fn show_one(&self, number: u64) -> String {
        match self.unit {
            Unit::Duration | Unit::Span => show_duration(Duration::from_nanos(number)),
            Unit::Bytes | Unit::PartsPerMillion => number.to_string(),
        }
    }
}

impl Default for Settings {
    /// Kafka's defaults (`QuorumConfig`) for timeouts, a quick machine and sizes for a short run for the rest.
    fn default() -> Settings {
        let mut settings = Settings {
            election_timeout: Duration::ZERO,
            fetch_timeout: Duration::ZERO,
            election_backoff_max: Duration::ZERO,
            request_timeout: Duration::ZERO,
            retry_backoff: Duration::ZERO,
            fetch_max_wait: Duration::ZERO,
            fetch_bytes_max: 0,
            log_tail_bytes: 0,
            segment_bytes: 0,
            preallocate_bytes: 0,
            recovery_point_bytes: 0,
            latency: (Duration::ZERO, Duration::ZERO),
            sync: (Duration::ZERO, Duration::ZERO),
            drift_ppm: 0,
        };
        for setting in SETTINGS {
            (setting.write)(&mut settings, setting.default);
        }
        settings
    }
}

/// All settings, in the order in which they are written.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "election_timeout",
        about: "how long a voter without a leader waits, and up to as much again",
        read: |settings| duration(settings.election_timeout),
        write: |settings, (nanos, _)| settings.election_timeout = Duration::from_nanos(nanos),
        ..timeout(1000)
    },
    Setting {
        name: "fetch_timeout",
        about: "how long a follower waits for its leader's answer",
        read: |settings| duration(settings.fetch_timeout),
        write: |settings, (nanos, _)| settings.fetch_timeout = Duration::from_nanos(nanos),
        ..timeout(2000)
    },
    Setting {
        name: "election_backoff_max",
        about: "longest wait of a successor that the leader did not prefer",
        read: |settings| duration(settings.election_backoff_max),
        write: |settings, (nanos, _)| settings.election_backoff_max = Duration::from_nanos(nanos),
        ..timeout(1000)
    },
    Setting {
        name: "request_timeout",
        about: "how long a request to a peer may take",
        read: |settings| duration(settings.request_timeout),
        write: |settings, (nanos, _)| settings.request_timeout = Duration::from_nanos(nanos),
        ..timeout(2000)
    },
    Setting {
        name: "retry_backoff",
        about: "pause before a peer that failed is asked again",
        read: |settings| duration(settings.retry_backoff),
        write: |settings, (nanos, _)| settings.retry_backoff = Duration::from_nanos(nanos),
        ..timeout(20)
    },
    Setting {
        name: "fetch_max_wait",
        about: "how long a fetch asks to be parked",
        read: |settings| duration(settings.fetch_max_wait),
        write: |settings, (nanos, _)| settings.fetch_max_wait = Duration::from_nanos(nanos),
        ..timeout(500)
    },
    Setting {
        name: "fetch_bytes_max",
        about: "bytes of records in one answer to a fetch",
        read: |settings| bytes(settings.fetch_bytes_max as u64),
        write: |settings, (bytes, _)| settings.fetch_bytes_max = bytes as usize,
        ..size(1 << 20, 1 << 10)
    },
    Setting {
        name: "log_tail_bytes",
        about: "bytes of the log kept in memory; what is older is read from disk",
        read: |settings| bytes(settings.log_tail_bytes as u64),
        write: |settings, (bytes, _)| settings.log_tail_bytes = bytes as usize,
        ..size(32 << 20, 1 << 10)
    },
    Setting {
        name: "segment_bytes",
        about: "size at which a segment rolls",
        read: |settings| bytes(settings.segment_bytes),
        write: |settings, (bytes, _)| settings.segment_bytes = bytes,
        ..size(1 << 20, 1 << 10)
    },
    Setting {
        name: "preallocate_bytes",
        about: "zeros kept ahead of the end of the active segment",
        read: |settings| bytes(settings.preallocate_bytes),
        write: |settings, (bytes, _)| settings.preallocate_bytes = bytes,
        ..size(16 << 10, 0)
    },
    Setting {
        name: "recovery_point_bytes",
        about: "bytes flushed between two writes of the recovery point",
        read: |settings| bytes(settings.recovery_point_bytes as u64),
        write: |settings, (bytes, _)| settings.recovery_point_bytes = bytes as usize,
        ..size(1 << 20, 256)
    },
    Setting {
        name: "latency",
        about: "one-way delay of the network without faults, least and most",
        read: |settings| span(settings.latency),
        write: |settings, ends| settings.latency = (Duration::from_nanos(ends.0), Duration::from_nanos(ends.1)),
        ..varying(200, 2_000)
    },
    Setting {
        name: "sync",
        about: "duration of a sync without faults, least and most",
        read: |settings| span(settings.sync),
        write: |settings, ends| settings.sync = (Duration::from_nanos(ends.0), Duration::from_nanos(ends.1)),
        ..varying(100, 5_000)
    },
    Setting {
        name: "drift_ppm",
        about: "largest drift of a clock, parts per million",
        unit: Unit::PartsPerMillion,
        default: (10_000, 10_000),
        bounds: (0, 200_000),
        read: |settings| (u64::from(settings.drift_ppm), u64::from(settings.drift_ppm)),
        write: |settings, (ppm, _)| settings.drift_ppm = ppm as u32,
    },
];

/// A timeout with this default in milliseconds: a millisecond to an hour.
const fn timeout(millis: u64) -> Setting {
    let default = millis * MILLISECOND;
    Setting { unit: Unit::Duration, default: (default, default), bounds: (MILLISECOND, HOUR), ..BLANK }
}

/// A size with this default and least value in bytes: up to a gibibyte.
const fn size(default: u64, least: u64) -> Setting {
    Setting { unit: Unit::Bytes, default: (default, default), bounds: (least, 1 << 30), ..BLANK }
}

/// A delay that varies between these by default, in microseconds.
const fn varying(least: u64, most: u64) -> Setting {
    Setting { unit: Unit::Span, default: (least * 1_000, most * 1_000), bounds: (0, 60_000 * MILLISECOND), ..BLANK }
}

const BLANK: Setting = Setting {
    name: "",
    about: "",
    unit: Unit::Bytes,
    default: (0, 0),
    bounds: (0, 0),
    read: |_| (0, 0),
    write: |_, _| {},
};

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

fn duration(duration: Duration) -> (u64, u64) {
    span((duration, duration))
}

fn span((least, most): (Duration, Duration)) -> (u64, u64) {
    (least.as_nanos() as u64, most.as_nanos() as u64)
}

fn bytes(bytes: u64) -> (u64, u64) {
    (bytes, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_keeps_what_is_written() {
        for setting in SETTINGS {
            let mut settings = Settings::default();
            assert_eq!((setting.read)(&settings), setting.default, "{}", setting.name);
            (setting.write)(&mut settings, setting.bounds);
            let (least, most) = (setting.read)(&settings);
            assert_eq!(least, setting.bounds.0, "{}", setting.name);
            assert_eq!(most == setting.bounds.1, setting.unit == Unit::Span, "{}", setting.name);
            assert!(setting.bounds.0 <= setting.default.0 && setting.default.1 <= setting.bounds.1, "{}", setting.name);
        }
    }
}
