//! The words everyone speaks: offsets, epochs, replicas, directories, endpoints.
//!
//! Newtypes, so that an epoch is never added to an offset. They know nothing: how they are written on the wire or on
//! disk is the business of `protocol`, `record` and `log`.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::Arc;

/// A position in the log. Ends are exclusive: a log that *ends* at 5 holds records 0 to 4. (Kafka: `long offset`.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset of the first record of a log that was never trimmed.
    pub const ZERO: Offset = Offset(0);

    /// This offset as Kafka writes it.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).expect("invariant: offsets fit in 63 bits")
    }

    /// An offset from Kafka's signed form; negative numbers are Kafka's way to say "none".
    pub fn from_i64(value: i64) -> Option<Offset> {
        u64::try_from(value).ok().map(Offset)
    }
}

impl Add<u64> for Offset {
    type Output = Offset;
    fn add(self, count: u64) -> Offset {
        Offset(self.0 + count)
    }
}

impl AddAssign<u64> for Offset {
    fn add_assign(&mut self, count: u64) {
        self.0 += count;
    }
}

impl Sub for Offset {
    type Output = u64;
    /// The number of records between two offsets; the right one must not be larger.
    fn sub(self, earlier: Offset) -> u64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A leader epoch (the Raft paper calls this the term).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of a quorum that never held an election.
    pub const ZERO: Epoch = Epoch(0);

    /// The epoch after this one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }

    /// This epoch as Kafka writes it.
    pub fn as_i32(self) -> i32 {
        i32::try_from(self.0).expect("invariant: epochs fit in 31 bits")
    }

    /// An epoch from Kafka's signed form; negative numbers mean "none".
    pub fn from_i32(value: i32) -> Option<Epoch> {
        u32::try_from(value).ok().map(Epoch)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `node.id` of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u32);

impl ReplicaId {
    /// This id as Kafka writes it.
    pub fn as_i32(self) -> i32 {
        i32::try_from(self.0).expect("invariant: replica ids fit in 31 bits")
    }

    /// An id from Kafka's signed form; negative numbers mean "none" or "a consumer".
    pub fn from_i32(value: i32) -> Option<ReplicaId> {
        u32::try_from(value).ok().map(ReplicaId)
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A UUID that names one log directory; a wiped disk gets a new one. (KIP-853, `directory.id` in `meta.properties`.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub [u8; 16]);

impl DirectoryId {
    /// Kafka's text form: unpadded URL-safe base64, 22 characters.
    pub fn to_text(self) -> String {
        uuid_to_text(self.0)
    }

    /// Reads Kafka's text form.
    pub fn parse(text: &str) -> Option<DirectoryId> {
        uuid_from_text(text).map(DirectoryId)
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A replica with, where it is known, the directory that makes it that replica. (Kafka: `ReplicaKey`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    /// The node id.
    pub id: ReplicaId,
    /// The directory, unknown for the voters of a static quorum (`kraft.version` 0).
    pub directory: Option<DirectoryId>,
}

impl ReplicaKey {
    /// A key without a directory, as static quorums use.
    pub fn of(id: ReplicaId) -> ReplicaKey {
        ReplicaKey { id, directory: None }
    }

    /// Whether `other` may stand for this recorded key: same id, and the same directory unless none was recorded.
    /// (Kafka: `ReplicaKey` matching in `VoterSet.isVoter`.)
    pub fn admits(&self, other: ReplicaKey) -> bool {
        self.id == other.id && (self.directory.is_none() || self.directory == other.directory)
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint from its parts.
    pub fn new(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    /// Reads `host:port` or `[address]:port`; the host may be empty.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Endpoint::new(host, port.parse().ok()?))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// An endpoint under the name of its listener, such as `CONTROLLER` or `PLAINTEXT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener {
    /// The listener's name, upper case by convention.
    pub name: Arc<str>,
    /// Where it listens.
    pub endpoint: Endpoint,
}

/// Kafka's text form of a UUID: unpadded URL-safe base64. (Kafka: `org.apache.kafka.common.Uuid.toString`.)
pub fn uuid_to_text(uuid: [u8; 16]) -> String {
    let mut text = String::with_capacity(22);
    let mut bits = 0u32;
    let mut pending = 0u32;
    for byte in uuid {
        bits = (bits << 8) | u32::from(byte);
        pending += 8;
        while pending >= 6 {
            pending -= 6;
            text.push(char::from(BASE64_URL[(bits >> pending) as usize & 63]));
        }
    }
    text.push(char::from(BASE64_URL[(bits << (6 - pending)) as usize & 63]));
    text
}

/// Reads Kafka's text form of a UUID; padding is tolerated as Kafka's decoder does.
pub fn uuid_from_text(text: &str) -> Option<[u8; 16]> {
    let text = text.trim_end_matches('=');
    if text.len() != 22 {
        return None;
    }
    let mut uuid = [0u8; 16];
    let (mut bits, mut pending, mut filled) = (0u32, 0u32, 0);
    for character in text.bytes() {
        let value = BASE64_URL.iter().position(|&known| known == character)?;
        bits = (bits << 6) | value as u32;
        pending += 6;
        if pending >= 8 && filled < 16 {
            pending -= 8;
            uuid[filled] = (bits >> pending) as u8;
            filled += 1;
        }
    }
    (filled == 16).then_some(uuid)
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_topic_id_reads_as_kafka_writes_it() {
        let mut uuid = [0u8; 16];
        uuid[15] = 1;
        assert_eq!(uuid_to_text(uuid), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(uuid_from_text("AAAAAAAAAAAAAAAAAAAAAQ"), Some(uuid));
        assert_eq!(
            uuid_from_text("4L6g3nShT-eMCtK--X86sw").map(uuid_to_text).as_deref(),
            Some("4L6g3nShT-eMCtK--X86sw")
        );
        assert_eq!(uuid_from_text("short"), None);
    }

    #[test]
    fn a_key_without_directory_admits_any_directory() {
        let recorded = ReplicaKey::of(ReplicaId(1));
        let moved = ReplicaKey { id: ReplicaId(1), directory: Some(DirectoryId([7; 16])) };
        assert!(recorded.admits(moved));
        assert!(!moved.admits(ReplicaKey { id: ReplicaId(1), directory: Some(DirectoryId([8; 16])) }));
    }
}
