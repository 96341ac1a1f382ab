//! What `ProducerPerformance` prints, letter for letter: the line of a window, the line of the whole.
//!
//! Latencies are whole milliseconds, cut off as Java cuts them off, and at most half a million of them are kept as a
//! sample. Finer figures are the [`histogram`](crate::server::load::histogram)'s. Numbers are rounded as Java's `Formatter`
//! rounds them: half up, on the shortest decimals that stand for the number.

use crate::time::Instant;

/// The statistics of a run, or of its steady part.
#[derive(Clone, Debug)]
pub struct Stats {
    start_ms: u64,
    interval_ms: u64,
    sampling: u64,
    sample: Vec<u32>,
    records: u64,
    bytes: u64,
    latency_ms_max: u64,
    latency_ms_sum: u64,
    window: Window,
    part: Part,
    is_silent: bool,
}

/// What a line speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    Whole,
    /// What came after the warm-up.
    Steady,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start_ms: u64,
    records: u64,
    bytes: u64,
    latency_ms_max: u64,
    latency_ms_sum: u64,
}

impl Stats {
    /// Statistics of `records` records that begin at this moment, with a line every `interval_ms`.
    pub fn new(now: Instant, records: u64, interval_ms: u64, part: Part) -> Stats {
        assert!(records > 0, "statistics of no records");
        let start_ms = millis(now);
        Stats {
            start_ms,
            interval_ms,
            sampling: records / records.min(SAMPLE_MAX),
            sample: Vec::new(),
            records: 0,
            bytes: 0,
            latency_ms_max: 0,
            latency_ms_sum: 0,
            window: Window { start_ms, ..Window::default() },
            part,
            is_silent: false,
        }
    }

    /// No lines of windows from here on; those of the steady part have taken over.
    pub fn silence(&mut self) {
        self.is_silent = true;
    }

    /// So many records of so many bytes together, pushed at `at`, are acknowledged. Says what is to be printed.
    pub fn record(&mut self, now: Instant, at: Instant, mut records: u64, mut bytes: u64, lines: &mut Vec<String>) {
        let (now_ms, latency_ms) = (millis(now), millis(now) - millis(at));
        if now_ms - self.window.start_ms >= self.interval_ms && records > 0 {
            // Java looks at the clock after each record, so the first one of many ends the window.
            let share = bytes / records;
            self.add(latency_ms, 1, share);
            (records, bytes) = (records - 1, bytes - share);
            if self.part == Part::Steady && self.records == self.window.records {
                lines.push("In steady state.".to_owned());
            }
            if !self.is_silent {
                lines.push(self.window_line(now_ms));
            }
            self.window = Window { start_ms: now_ms, ..Window::default() };
        }
        self.add(latency_ms, records, bytes);
    }

    /// How many records were acknowledged.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of their values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long it took so far, ms.
    pub fn elapsed_ms(&self, now: Instant) -> u64 {
        millis(now) - self.start_ms
    }

    /// The last line.
    pub fn total_line(&self, now: Instant) -> String {
        let elapsed = self.elapsed_ms(now) as f64;
        let mut sample = self.sample.clone();
        sample.sort();
        let percentile = |share: f64| sample.get((share * sample.len() as f64) as usize).copied().unwrap_or(0);
        format!(
            "{}{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency, {} ms 50th, {} ms 95th, \
             {} ms 99th, {} ms 99.9th.",
            self.records,
            if self.part == Part::Steady { " steady state" } else { "" },
            fixed(1000.0 * self.records as f64 / elapsed, 6),
            fixed(1000.0 * self.bytes as f64 / elapsed / MEGABYTE, 2),
            fixed(self.latency_ms_sum as f64 / self.records as f64, 2),
            fixed(self.latency_ms_max as f64, 2),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
        )
    }

    fn add(&mut self, latency_ms: u64, records: u64, bytes: u64) {
        let sampled = |count: u64| count.div_ceil(self.sampling);
        let count = sampled(self.records + records) - sampled(self.records);
        let latency = u32::try_from(latency_ms).unwrap_or(u32::MAX);
        self.sample.resize(self.sample.len() + usize::try_from(count).unwrap_or(0), latency);
        self.records += records;
        self.bytes += bytes;
        self.latency_ms_sum += latency_ms * records;
        self.window.records += records;
        self.window.bytes += bytes;
        self.window.latency_ms_sum += latency_ms * records;
        if records > 0 {
            self.latency_ms_max = self.latency_ms_max.max(latency_ms);
            self.window.latency_ms_max = self.window.latency_ms_max.max(latency_ms);
        }
    }

    fn window_line(&self, now_ms: u64) -> String {
        let window = &self.window;
        let elapsed = (now_ms - window.start_ms) as f64;
        format!(
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency.",
            window.records,
            fixed(1000.0 * window.records as f64 / elapsed, 1),
            fixed(1000.0 * window.bytes as f64 / elapsed / MEGABYTE, 2),
            fixed(window.latency_ms_sum as f64 / window.records as f64, 1),
            fixed(window.latency_ms_max as f64, 1),
        )
    }
}

/// A moment in whole milliseconds.
pub fn millis(at: Instant) -> u64 {
    at.0 / 1_000_000
}

/// A number with so many decimals, as Java's `%.2f` writes it.
pub fn fixed(number: f64, decimals: usize) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Infinity" } else { "Infinity" }.to_owned();
    }
    // The shortest decimals that read back as the number.
    let shortest = format!("{}", number.abs());
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    let mut digits: Vec<u8> =
        whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(decimals)).collect();
    if fraction.as_bytes().get(decimals).is_some_and(|&digit| digit >= b'5') {
        let mut at = digits.len();
        while at > 0 && digits[at - 1] == b'9' {
            digits[at - 1] = b'0';
            at -= 1;
        }
        match at {
            0 => digits.insert(0, b'1'),
            _ => digits[at - 1] += 1,
        }
    }
    let mut text = String::from_utf8(digits).expect("invariant: digits are ASCII");
    if decimals > 0 {
        text.insert(text.len() - decimals, '.');
    }
    if number < 0.0 {
        text.insert(0, '-');
    }
    text
}

/// Latencies kept at most.
const SAMPLE_MAX: u64 = 500_000;

/// Kafka's tools say MB and mean 2²⁰ bytes.
const MEGABYTE: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        // What `String.format("%.1f %.2f %f", d, d, d)` gave on a JDK 17.
        for (number, expected) in [
            (0.25, "0.3 0.25 0.250000"),
            (0.15, "0.2 0.15 0.150000"),
            (1.005, "1.0 1.01 1.005000"),
            (2.675, "2.7 2.68 2.675000"),
            (1_234_567.890_5, "1234567.9 1234567.89 1234567.890500"),
            (99.95, "100.0 99.95 99.950000"),
            (0.0005, "0.0 0.00 0.000500"),
            (1e21, "1000000000000000000000.0 1000000000000000000000.00 1000000000000000000000.000000"),
            (f64::NAN, "NaN NaN NaN"),
            (f64::INFINITY, "Infinity Infinity Infinity"),
        ] {
            assert_eq!([1, 2, 6].map(|decimals| fixed(number, decimals)).join(" "), expected);
        }
    }

    #[test]
    fn windows_end_with_the_first_record_after_five_seconds() {
        let mut stats = Stats::new(at(0), 2000, 5000, Part::Whole);
        let mut lines = Vec::new();
        stats.record(at(2000), at(1990), 900, 90_000, &mut lines);
        assert_eq!(lines, [""; 0]);
        stats.record(at(5000), at(4975), 100, 10_000, &mut lines);
        assert_eq!(
            lines,
            ["901 records sent, 180.2 records/sec (0.02 MB/sec), 10.0 ms avg latency, 25.0 ms max latency."]
        );
        assert_eq!(
            stats.total_line(at(8000)),
            "1000 records sent, 125.000000 records/sec (0.01 MB/sec), 11.50 ms avg latency, 25.00 ms max latency, \
             10 ms 50th, 25 ms 95th, 25 ms 99th, 25 ms 99.9th."
        );
    }

    #[test]
    fn nothing_acknowledged_is_said_as_java_says_it() {
        let stats = Stats::new(at(0), 10, 5000, Part::Whole);
        assert_eq!(
            stats.total_line(at(1000)),
            "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency, 0.00 ms max latency, 0 ms 50th, \
             0 ms 95th, 0 ms 99th, 0 ms 99.9th."
        );
    }

    #[test]
    fn the_steady_part_announces_itself() {
        let mut stats = Stats::new(at(1000), 10, 5000, Part::Steady);
        let mut lines = Vec::new();
        stats.record(at(6000), at(5999), 1, 10, &mut lines);
        assert_eq!(lines[0], "In steady state.");
        assert_eq!(lines[1], "1 records sent, 0.2 records/sec (0.00 MB/sec), 1.0 ms avg latency, 1.0 ms max latency.");
        assert!(stats.total_line(at(7000)).starts_with("1 steady state records sent, 0.166667 records/sec"));
    }

    #[test]
    fn the_sample_is_bounded() {
        let mut stats = Stats::new(at(0), 10_000_000, u64::MAX, Part::Whole);
        for _ in 0..1000 {
            stats.record(at(1), at(0), 10_000, 0, &mut Vec::new());
        }
        assert_eq!(stats.sample.len(), 500_000);
    }
}
