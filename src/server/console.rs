//! What a server says to people: records and verdicts of its machine on stdout, log lines on stderr, as Kafka writes both.

use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, Write};
use std::str::FromStr;

use crate::ids::ReplicaId;
use crate::raft::note::Note;
use crate::server::clock::wall;
use crate::time::Timestamp;

/// The two streams of one server.
#[derive(Debug)]
pub struct Console {
    stdout: BufWriter<io::Stdout>,
    log: Log,
    id: ReplicaId,
}

/// The log of a process: lines of this level and above are written to stderr.
#[derive(Clone, Copy, Debug)]
pub struct Log(pub Level);

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// The course of things.
    Info,
    /// Worth a look.
    Warn,
    /// The node stops, or lost something.
    Error,
}

impl Console {
    /// The streams of the node with this id.
    pub fn new(id: ReplicaId, log: Log) -> Console {
        Console { stdout: BufWriter::new(io::stdout()), log, id }
    }

    /// A line for stdout; it appears with the next [`Console::flush`].
    pub fn print(&mut self, line: &str) {
        // A reader of our output that has gone away is no reason to stop a node.
        let _ = writeln!(self.stdout, "{line}");
    }

    /// Makes printed lines visible.
    pub fn flush(&mut self) {
        if !self.stdout.buffer().is_empty() {
            let _ = self.stdout.flush();
        }
    }

    /// A log line of this node.
    pub fn log(&self, level: Level, source: &str, what: impl Display) {
        self.log.line(level, format_args!("{source} id={}", self.id), what);
    }

    /// A log line for what happened inside the replica.
    pub fn note(&self, note: &Note) {
        let level = match note {
            Note::HighWatermark { .. } | Note::StaleAnswer | Note::VoteRefused { .. } => Level::Debug,
            Note::Contradiction { .. } | Note::CheckQuorumFailed { .. } => Level::Warn,
            Note::Recovering { .. } | Note::Unreadable { .. } => Level::Warn,
            _ => Level::Info,
        };
        self.log(level, "RaftManager", Sentence(note));
    }
}

impl Log {
    /// A line in the form of Kafka's log4j configuration, `[date] LEVEL [source] text`, if anybody wants it.
    pub fn line(self, level: Level, source: impl Display, what: impl Display) {
        if level < self.0 {
            return;
        }
        let mut line = String::new();
        let _ = writeln!(line, "[{}] {level} [{source}] {what}", Date(wall()));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        let levels = [Level::Debug, Level::Info, Level::Warn, Level::Error];
        let named = levels.into_iter().find(|level| level.to_string().eq_ignore_ascii_case(text));
        named.ok_or_else(|| "expected debug, info, warn or error".into())
    }
}

/// A note in the words of Kafka's log.
struct Sentence<'a>(&'a Note);

impl Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Note::Became { role, epoch, leader: Some(leader) } => {
                write!(f, "Completed transition to {role:?}(epoch={epoch}, leader={leader})")
            }
            Note::Became { role, epoch, leader: None } => write!(f, "Completed transition to {role:?}(epoch={epoch})"),
            Note::Leads { epoch, start } => {
                write!(f, "High watermark passed the start of epoch {epoch} at offset {start}: this node leads")
            }
            Note::Voted { epoch, candidate } => write!(f, "Voted for replica {} in epoch {epoch}", candidate.id),
            Note::Diverged { keep } => write!(f, "Truncating to offset {keep}: the log diverges from the leader's"),
            Note::CheckQuorumFailed { epoch } => {
                write!(f, "Resigning from epoch {epoch}: a majority of the voters has stopped fetching")
            }
            Note::Contradiction { what } => write!(f, "Dropped a message that contradicts what is known: {what}"),
            Note::Recovering { above } => write!(
                f,
                "Synced records are missing: recovering, without voting, until a leader of an epoch above {above} vouches"
            ),
            Note::Unreadable { from } => {
                write!(f, "The disk did not give back committed records from offset {from} on")
            }
            Note::Recovered => write!(f, "Recovered what was missing: this node votes again"),
            other => write!(f, "{other}"),
        }
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        })
    }
}

/// A timestamp as log4j's `%d` writes it, in UTC.
struct Date(Timestamp);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.0.div_euclid(1000), self.0.0.rem_euclid(1000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{millis:03}")
    }
}

/// Year, month and day of the Gregorian calendar for a number of days since 1970-01-01.
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that leap days come last.)
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_kafka_logs_them() {
        assert_eq!(Date(Timestamp(0)).to_string(), "1970-01-01 00:00:00,000");
        assert_eq!(Date(Timestamp(951_782_400_123)).to_string(), "2000-02-29 00:00:00,123");
        assert_eq!(Date(Timestamp(1_767_225_599_999)).to_string(), "2025-12-31 23:59:59,999");
    }
}
