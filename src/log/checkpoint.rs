//! The small text files beside the log, in Kafka's formats: checkpoints, `meta.properties`, `partition.metadata`, and our
//! own `recovering` marker.
//!
//! ```text
//!  leader-epoch-checkpoint   recovery-point-offset-checkpoint   recovering   partition.metadata
//!  0            version      0                                  0            version: 0
//!  2            lines        1                                  7  epoch     topic_id: AAAAAAAAAAAAAAAAAAAAAQ
//!  1 0          epoch start  __cluster_metadata 0 128
//!  3 41
//! ```
//!
//! All are replaced atomically, so a power loss leaves the old text or the new one; anything else is a durable fault, and
//! the errors here say at which byte.

use crate::ids::{DirectoryId, Epoch, Offset, ReplicaId, uuid_from_text, uuid_to_text};
use crate::log::{EpochIndex, EpochStart, MetaProperties};

/// Text that is not what its file should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The byte in the file.
    pub at: u64,
    /// Expected and found, in words.
    pub reason: String,
}

/// The content of `leader-epoch-checkpoint`.
pub(in crate::log) fn write_epochs(epochs: &EpochIndex) -> String {
    let mut text = format!("0\n{}\n", epochs.entries().len());
    for entry in epochs.entries() {
        text.push_str(&format!("{} {}\n", entry.epoch, entry.start));
    }
    text
}

/// Reads `leader-epoch-checkpoint`.
pub(in crate::log) fn read_epochs(bytes: &[u8]) -> Result<EpochIndex, TextError> {
    let mut lines = Lines::of(bytes)?;
    lines.version()?;
    let count = lines.number("a count of lines", i32::MAX as u64)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let line = lines.next("an epoch and its first offset")?;
        let entry = line.text.split_once(' ').and_then(|(epoch, start)| {
            let epoch = Epoch::from_i32(epoch.parse().ok()?)?;
            Some(EpochStart { epoch, start: Offset::from_i64(start.parse().ok()?)? })
        });
        entries.push(entry.ok_or_else(|| line.error("an epoch and its first offset"))?);
    }
    lines.end()?;
    EpochIndex::from_entries(entries).ok_or_else(|| TextError {
        at: 0,
        reason: "expected epochs and offsets that ascend, found some that do not".to_string(),
    })
}

/// The content of `recovery-point-offset-checkpoint`.
pub(in crate::log) fn write_recovery_point(point: Offset) -> String {
    format!("0\n1\n{TOPIC} 0 {point}\n")
}

/// Reads `recovery-point-offset-checkpoint`: the offset of our partition, `None` if it lists only others.
pub fn read_recovery_point(bytes: &[u8]) -> Result<Option<Offset>, TextError> {
    let mut lines = Lines::of(bytes)?;
    lines.version()?;
    let count = lines.number("a count of lines", i32::MAX as u64)?;
    let mut point = None;
    for _ in 0..count {
        let line = lines.next("a topic, a partition and an offset")?;
        let fields: Vec<&str> = line.text.split(' ').collect();
        let [topic, partition, offset] = fields[..] else {
            return Err(line.error("a topic, a partition and an offset"));
        };
        let offset = offset.parse().ok().and_then(Offset::from_i64).ok_or_else(|| line.error("an offset"))?;
        if (topic, partition) == (TOPIC, "0") {
            point = Some(offset);
        }
    }
    lines.end()?;
    Ok(point)
}

/// The content of the `recovering` marker.
pub(in crate::log) fn write_marker(epoch: Epoch) -> String {
    format!("0\n{epoch}\n")
}

/// Reads the `recovering` marker.
pub(in crate::log) fn read_marker(bytes: &[u8]) -> Result<Epoch, TextError> {
    let mut lines = Lines::of(bytes)?;
    lines.version()?;
    let epoch = lines.number("an epoch", i32::MAX as u64)?;
    lines.end()?;
    Ok(Epoch(epoch as u32))
}

/// The content of `partition.metadata`; the id of `__cluster_metadata` is the UUID 1.
pub(in crate::log) fn write_partition_metadata(topic_id: [u8; 16]) -> String {
    format!("version: 0\ntopic_id: {}", uuid_to_text(topic_id))
}

/// Reads `partition.metadata`: the topic's id, and the byte at which its line begins. (Kafka: `PartitionMetadataFile`.)
pub(in crate::log) fn read_partition_metadata(bytes: &[u8]) -> Result<([u8; 16], u64), TextError> {
    let mut lines = Lines::of(bytes)?;
    let version = lines.next("version: 0")?;
    if version.text != "version: 0" {
        return Err(version.error("version: 0"));
    }
    let line = lines.next("topic_id: and a UUID in base64")?;
    let topic_id = line.text.strip_prefix("topic_id: ").and_then(uuid_from_text);
    let topic_id = topic_id.ok_or_else(|| line.error("topic_id: and a UUID in base64"))?;
    lines.end()?;
    Ok((topic_id, line.at as u64))
}

/// The content of `meta.properties`, without the date that Java puts into its second line.
pub(in crate::log) fn write_meta(meta: &MetaProperties) -> String {
    let (node, directory, cluster) = (meta.node_id, meta.directory_id, escape(&meta.cluster_id));
    format!("#\nnode.id={node}\ndirectory.id={directory}\nversion=1\ncluster.id={cluster}\n")
}

/// Reads `meta.properties`, version 1 or 0. (Kafka: `MetaProperties`.)
pub(in crate::log) fn read_meta(bytes: &[u8]) -> Result<MetaProperties, TextError> {
    let mut lines = Lines::of(bytes)?;
    let mut properties = Vec::new();
    while let Some(line) = lines.try_next() {
        let text = line.text.trim_start();
        if text.is_empty() || text.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = text.split_once('=').ok_or_else(|| line.error("key=value"))?;
        properties.push((key.trim_end(), value.trim_start(), line));
    }
    let find = |wanted: &str| properties.iter().find(|(key, ..)| *key == wanted);
    let require = |wanted: &str| {
        find(wanted).ok_or_else(|| TextError {
            at: bytes.len() as u64,
            reason: format!("expected {wanted}, found the end of the file"),
        })
    };
    let (_, version, line) = require("version")?;
    let id_key = match *version {
        "0" => "broker.id",
        "1" => "node.id",
        _ => return Err(line.error("version=0 or version=1")),
    };
    let (_, id, line) = require(id_key)?;
    let id = id.parse().ok().and_then(ReplicaId::from_i32).ok_or_else(|| line.error("a node id"))?;
    let (_, directory, line) = require("directory.id")?;
    let directory_id = DirectoryId::parse(directory).ok_or_else(|| line.error("a UUID in base64"))?;
    let (_, cluster, line) = require("cluster.id")?;
    let cluster_id = unescape(cluster).ok_or_else(|| line.error("text as java.util.Properties escapes it"))?;
    Ok(MetaProperties { cluster_id: cluster_id.into(), node_id: id, directory_id })
}

/// Escapes a value as `java.util.Properties.store` does.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, character) in value.chars().enumerate() {
        match character {
            ' ' if index > 0 => text.push(' '),
            ' ' | '\\' | ':' | '=' | '#' | '!' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    text
}

/// Undoes [`escape`], as `java.util.Properties.load` does; `None` for half an escape.
fn unescape(value: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?);
                    continue;
                }
                other => other,
            },
            other => other,
        };
        units.extend(plain.encode_utf16(&mut [0; 2]).iter());
    }
    String::from_utf16(&units).ok()
}

/// The lines of a file, each with its position.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

/// One line, without its end.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Result<Lines<'a>, TextError> {
        let text = std::str::from_utf8(bytes).map_err(|error| TextError {
            at: error.valid_up_to() as u64,
            reason: "expected text, found bytes that are not UTF-8".to_string(),
        })?;
        Ok(Lines { text, at: 0 })
    }

    fn try_next(&mut self) -> Option<Line<'a>> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let text = rest.split('\n').next().unwrap_or(rest);
        let line = Line { text: text.strip_suffix('\r').unwrap_or(text), at: self.at };
        self.at = (self.at + text.len() + 1).min(self.text.len());
        Some(line)
    }

    fn next(&mut self, expected: &str) -> Result<Line<'a>, TextError> {
        let at = self.at as u64;
        self.try_next()
            .ok_or_else(|| TextError { at, reason: format!("expected {expected}, found the end of the file") })
    }

    fn version(&mut self) -> Result<(), TextError> {
        self.number("version 0", 0).map(|_| ())
    }

    fn number(&mut self, expected: &str, max: u64) -> Result<u64, TextError> {
        let line = self.next(expected)?;
        let number = line.text.parse().ok().filter(|&number| number <= max);
        number.ok_or_else(|| line.error(expected))
    }

    fn end(&mut self) -> Result<(), TextError> {
        self.try_next().map_or(Ok(()), |line| Err(line.error("the end of the file")))
    }
}

impl Line<'_> {
    fn error(&self, expected: &str) -> TextError {
        let found: String = self.text.chars().take(FOUND_CHARACTERS_MAX).collect();
        TextError { at: self.at as u64, reason: format!("expected {expected}, found {found:?}") }
    }
}

/// The replicated topic; its partition is 0. (Kafka: `Topic.CLUSTER_METADATA_TOPIC_NAME`.)
const TOPIC: &str = "__cluster_metadata";

/// How much of a line that makes no sense is repeated in the error.
const FOUND_CHARACTERS_MAX: usize = 60;
