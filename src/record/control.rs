//! Control records: what a leader tells the log itself. (Kafka: `ControlRecordType`, `LeaderChangeMessage.json`, …)
//!
//! ```text
//!  key    version 0 i16 │ type i16
//!  value  version   i16 │ fields of the message, flexible encoding │ tagged fields
//! ```
//!
//! Messages are written at version 0. Reading tolerates the version 1 of LEADER_CHANGE, whose directory ids are
//! skipped, and unknown tagged fields.

use crate::ids::{DirectoryId, Endpoint, Listener, ReplicaId};
use crate::record::compress::Compression;
use crate::record::primitives::{Reader, put_compact_text, put_uvarint};
use crate::record::record::Spans;
use crate::record::{DecodeError, HEADER_BYTES, RecordBatch};
use crate::time::Timestamp;

/// A control record that KRaft writes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum ControlRecord {
    /// First record of every epoch. Written at schema version 0: ids only.
    LeaderChange { leader: ReplicaId, voters: Vec<ReplicaId>, granting: Vec<ReplicaId> },
    /// First record of a snapshot.
    SnapshotHeader { last_contained: Timestamp },
    /// Last record of a snapshot.
    SnapshotFooter,
    /// The finalized `kraft.version`.
    KRaftVersion(i16),
    /// The voter set from here on. (KIP-853.)
    Voters(Vec<VoterRecord>),
    /// A type that we do not know, by its number; carried, never interpreted.
    Unknown(i16),
}

/// One voter of a KRAFT_VOTERS record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterRecord {
    /// Node id.
    pub id: ReplicaId,
    /// Directory id.
    pub directory: DirectoryId,
    /// Every listener of the voter.
    pub endpoints: Vec<Listener>,
    /// Supported range of `kraft.version`, both ends included.
    pub kraft_versions: (i16, i16),
}

impl ControlRecord {
    /// The control records of a control batch, in order. Errors count bytes from the front of the batch.
    pub fn parse_batch(batch: &RecordBatch) -> Result<Vec<ControlRecord>, DecodeError> {
        if !batch.is_control() || batch.compression() != Some(Compression::None) {
            let found = format!("{:#06x}", batch.header.attributes);
            return Err(DecodeError::new(21, "attributes", "an uncompressed control batch", found));
        }
        let mut records = Vec::new();
        let mut spans = Spans::new(&batch.body);
        while let Some(span) = spans.next_span()? {
            let [key, value] = [("control key", span.key), ("control value", span.value)].map(|(what, range)| {
                let range = range.ok_or_else(|| DecodeError::new(HEADER_BYTES, what, "bytes", "null"))?;
                Ok(Reader::new(&batch.body[range.clone()], HEADER_BYTES + range.start))
            });
            records.push(ControlRecord::read(key?, value?)?);
        }
        if records.len() != batch.header.record_count as usize {
            let expected = format!("{} as found", records.len());
            return Err(DecodeError::new(57, "record count", expected, batch.header.record_count));
        }
        Ok(records)
    }

    /// One control record, from the key and the value of a record. Errors count bytes from the front of either.
    pub fn parse(key: &[u8], value: &[u8]) -> Result<ControlRecord, DecodeError> {
        ControlRecord::read(Reader::new(key, 0), Reader::new(value, 0))
    }

    /// The number of the record's type. (Kafka: `ControlRecordType`.)
    pub fn kind(&self) -> i16 {
        match self {
            ControlRecord::LeaderChange { .. } => LEADER_CHANGE,
            ControlRecord::SnapshotHeader { .. } => SNAPSHOT_HEADER,
            ControlRecord::SnapshotFooter => SNAPSHOT_FOOTER,
            ControlRecord::KRaftVersion(_) => KRAFT_VERSION,
            ControlRecord::Voters(_) => KRAFT_VOTERS,
            ControlRecord::Unknown(kind) => *kind,
        }
    }

    /// The record's key, as Kafka writes it.
    pub fn encode_key(&self) -> [u8; 4] {
        let [high, low] = self.kind().to_be_bytes();
        [0, 0, high, low]
    }

    /// The record's value, as Kafka writes it. Of a type that we do not know, nothing but the version.
    pub fn encode_value(&self) -> Vec<u8> {
        let mut out = vec![0, 0];
        match self {
            ControlRecord::LeaderChange { leader, voters, granting } => {
                put_id(&mut out, *leader);
                put_ids(&mut out, voters);
                put_ids(&mut out, granting);
            }
            ControlRecord::SnapshotHeader { last_contained } => out.extend(last_contained.0.to_be_bytes()),
            ControlRecord::SnapshotFooter | ControlRecord::Unknown(_) => {}
            ControlRecord::KRaftVersion(version) => out.extend(version.to_be_bytes()),
            ControlRecord::Voters(voters) => {
                put_uvarint(&mut out, voters.len() as u64 + 1);
                voters.iter().for_each(|voter| voter.put(&mut out));
            }
        }
        out.push(NO_TAGS);
        out
    }

    fn read(mut key: Reader<'_>, mut value: Reader<'_>) -> Result<ControlRecord, DecodeError> {
        let key_version = key.i16("control key version")?;
        if key_version < 0 {
            return Err(key.error("control key version", "0 or more", key_version));
        }
        let kind = key.i16("control record type")?;
        if !(LEADER_CHANGE..=KRAFT_VOTERS).contains(&kind) {
            return Ok(ControlRecord::Unknown(kind));
        }
        let version = value.i16("control message version")?;
        let newest = if kind == LEADER_CHANGE { 1 } else { 0 };
        if !(0..=newest).contains(&version) {
            return Err(value.error("control message version", format!("0 to {newest}"), version));
        }
        let record = match kind {
            LEADER_CHANGE => ControlRecord::LeaderChange {
                leader: read_id(&mut value, "leader id")?,
                voters: read_ids(&mut value, version)?,
                granting: read_ids(&mut value, version)?,
            },
            SNAPSHOT_HEADER => {
                ControlRecord::SnapshotHeader { last_contained: Timestamp(value.i64("last contained timestamp")?) }
            }
            SNAPSHOT_FOOTER => ControlRecord::SnapshotFooter,
            KRAFT_VERSION => ControlRecord::KRaftVersion(value.i16("kraft version")?),
            _ => ControlRecord::Voters(read_list(&mut value, "voters", VoterRecord::read)?),
        };
        value.skip_tags()?;
        match value.remaining() {
            0 => Ok(record),
            rest => Err(value.error("control message", "its end", format!("{rest} bytes more"))),
        }
    }
}

impl VoterRecord {
    fn read(value: &mut Reader<'_>) -> Result<VoterRecord, DecodeError> {
        let id = read_id(value, "voter id")?;
        let directory = DirectoryId(value.uuid("voter directory")?);
        let endpoints = read_list(value, "endpoints", |value| {
            let name = value.compact_text("listener name")?.into();
            let endpoint = Endpoint { host: value.compact_text("host")?.into(), port: value.u16("port")? };
            value.skip_tags()?;
            Ok(Listener { name, endpoint })
        })?;
        let kraft_versions = (value.i16("least kraft version")?, value.i16("greatest kraft version")?);
        value.skip_tags()?;
        value.skip_tags()?;
        Ok(VoterRecord { id, directory, endpoints, kraft_versions })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_id(out, self.id);
        out.extend(self.directory.0);
        put_uvarint(out, self.endpoints.len() as u64 + 1);
        for listener in &self.endpoints {
            put_compact_text(out, &listener.name);
            put_compact_text(out, &listener.endpoint.host);
            out.extend(listener.endpoint.port.to_be_bytes());
            out.push(NO_TAGS);
        }
        out.extend(self.kraft_versions.0.to_be_bytes());
        out.extend(self.kraft_versions.1.to_be_bytes());
        out.extend([NO_TAGS, NO_TAGS]);
    }
}

/// A compact array. It grows with what is really there, never with what its length claims.
fn read_list<T>(
    value: &mut Reader<'_>,
    what: &'static str,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = value.compact_length(what)?;
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(read(value)?);
    }
    Ok(list)
}

fn read_id(value: &mut Reader<'_>, what: &'static str) -> Result<ReplicaId, DecodeError> {
    let id = value.i32(what)?;
    ReplicaId::from_i32(id).ok_or_else(|| value.error(what, "0 or more", id))
}

/// The voters of LEADER_CHANGE: ids, from version 1 on with directories.
fn read_ids(value: &mut Reader<'_>, version: i16) -> Result<Vec<ReplicaId>, DecodeError> {
    read_list(value, "voters", |value| {
        let id = read_id(value, "voter id")?;
        if version >= 1 {
            value.uuid("voter directory")?;
        }
        value.skip_tags()?;
        Ok(id)
    })
}

fn put_id(out: &mut Vec<u8>, id: ReplicaId) {
    out.extend(id.as_i32().to_be_bytes());
}

fn put_ids(out: &mut Vec<u8>, ids: &[ReplicaId]) {
    put_uvarint(out, ids.len() as u64 + 1);
    for &id in ids {
        put_id(out, id);
        out.push(NO_TAGS);
    }
}

const LEADER_CHANGE: i16 = 2;
const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
const KRAFT_VERSION: i16 = 5;
const KRAFT_VOTERS: i16 = 6;

/// An empty section of tagged fields.
const NO_TAGS: u8 = 0;
