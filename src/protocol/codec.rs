//! Headers and bodies: frames ⇄ the message structs of `kafka-protocol`.
//!
//! Only Fetch responses are written by hand: the struct wants all record bytes in one piece, and record bodies are
//! shared here. Everything else goes through the crate, after its shape was checked (see [`crate::protocol::schema`]).
//! One more exception guards old clients: a response to ApiVersions always has header 0, so that a client can read the
//! answer to a version that the server does not know.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::protocol::Frame;
use crate::protocol::frame::LENGTH_BYTES;
use crate::protocol::schema::Shape;
use crate::protocol::versions::Api;
use crate::record::{DecodeError, HEADER_BYTES, RecordBatch};

/// The first bytes of a request: which API, which version, and the number its answer must carry. These eight bytes have
/// the same place in every version of the header, so they can be read of any request.
///
/// ```text
///  0      2          4               8
/// ├──────┼──────────┼───────────────┼───────────┤
///  key    version    correlation id  client id …
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStart {
    /// API key, perhaps unknown.
    pub key: i16,
    /// API version, perhaps unsupported.
    pub version: i16,
    /// The number its answer must carry.
    pub correlation: i32,
}

impl RequestStart {
    /// Reads the start of a request frame.
    pub fn parse(frame: &[u8]) -> Result<RequestStart, DecodeError> {
        let Some(start) = frame.first_chunk::<8>() else {
            let found = format!("{} bytes", frame.len());
            return Err(DecodeError::new(0, "request header", "8 bytes", found));
        };
        let [k0, k1, v0, v1, c0, c1, c2, c3] = *start;
        Ok(RequestStart {
            key: i16::from_be_bytes([k0, k1]),
            version: i16::from_be_bytes([v0, v1]),
            correlation: i32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

/// Decodes the body of a request frame whose start names `api` and a version that is served.
pub fn decode_request<T: Decodable>(api: Api, shape: &Shape, version: i16, frame: &Bytes) -> Result<T, DecodeError> {
    let mut rest = frame.clone();
    let header_version = if api.offer().is_flexible(version) { 2 } else { 1 };
    RequestHeader::decode(&mut rest, header_version).map_err(|error| undecodable("request header", 0, &error))?;
    decode_body(shape, version, rest, frame.len())
}

/// Decodes the body of a response frame. `rest` begins after the correlation id.
pub fn decode_response<T: Decodable>(api: Api, shape: &Shape, version: i16, mut rest: Bytes) -> Result<T, DecodeError> {
    let length = rest.len();
    if response_header_version(api, version) == 1 {
        skip_tagged_fields(&mut rest)?;
    }
    decode_body(shape, version, rest, length)
}

/// A request frame.
pub fn encode_request<T: Encodable>(api: Api, version: i16, correlation: i32, client: &StrBytes, body: &T) -> Frame {
    let mut buffer = BytesMut::with_capacity(256);
    buffer.put_i32(0);
    let header = RequestHeader::default()
        .with_request_api_key(api.key())
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client.clone()));
    let header_version = if api.offer().is_flexible(version) { 2 } else { 1 };
    header.encode(&mut buffer, header_version).expect("invariant: headers fit every header version");
    body.encode(&mut buffer, version).expect("invariant: a request is built for its version");
    Frame::of(sealed(buffer, 0))
}

/// A response frame.
pub fn encode_response<T: Encodable>(api: Api, version: i16, correlation: i32, body: &T) -> Frame {
    let mut buffer = begin_response(api, version, correlation);
    body.encode(&mut buffer, version).expect("invariant: a response is built for its version");
    Frame::of(sealed(buffer, 0))
}

/// A Fetch response frame. `batches` are the records of the partition that `place` names by its position among the
/// topics and within its topic; every other partition has empty records. Records are never null: librdkafka stumbles
/// over that (KAFKA-18646).
pub fn encode_fetch_response(
    version: i16,
    correlation: i32,
    response: &FetchResponse,
    place: Option<(usize, usize)>,
    batches: &[RecordBatch],
) -> Frame {
    let buffer = begin_response(Api::Fetch, version, correlation);
    let mut writer = FetchWriter { version, buffer, first: None, shared: Vec::new() };
    writer.response(response, place, batches);
    let FetchWriter { buffer, first, shared, .. } = writer;
    let Some(first) = first else {
        return Frame::of(sealed(buffer, 0));
    };
    let more = shared.iter().map(Bytes::len).sum::<usize>() + buffer.len();
    let mut parts = Vec::with_capacity(shared.len() + 2);
    parts.push(sealed(first, more));
    parts.extend(shared);
    if !buffer.is_empty() {
        parts.push(buffer.freeze());
    }
    Frame { parts }
}

/// Writes into `buffer`; when record bodies come between, what was written becomes a part of the gather list.
struct FetchWriter {
    version: i16,
    buffer: BytesMut,
    /// The first part, whose length field is still to be written.
    first: Option<BytesMut>,
    shared: Vec<Bytes>,
}

impl FetchWriter {
    fn is_flexible(&self) -> bool {
        Api::Fetch.offer().is_flexible(self.version)
    }

    fn response(&mut self, response: &FetchResponse, place: Option<(usize, usize)>, batches: &[RecordBatch]) {
        self.buffer.put_i32(response.throttle_time_ms);
        if self.version >= 7 {
            self.buffer.put_i16(response.error_code);
            self.buffer.put_i32(response.session_id);
        }
        self.count(response.responses.len());
        for (index, topic) in response.responses.iter().enumerate() {
            match self.version {
                ..=12 => self.text(&topic.topic),
                _ => self.buffer.put_slice(topic.topic_id.as_bytes()),
            }
            self.count(topic.partitions.len());
            for (within, partition) in topic.partitions.iter().enumerate() {
                let records = if place == Some((index, within)) { batches } else { &[] };
                self.partition(partition, records);
            }
            self.no_tags();
        }
        if self.version >= 16 && !response.node_endpoints.is_empty() {
            let mut list = BytesMut::with_capacity(64);
            put_varint(&mut list, response.node_endpoints.len() as u32 + 1);
            for endpoint in &response.node_endpoints {
                endpoint.encode(&mut list, self.version).expect("invariant: endpoints exist from version 16");
            }
            put_varint(&mut self.buffer, 1);
            self.tagged(0, &list);
        } else {
            self.no_tags();
        }
    }

    fn partition(&mut self, partition: &PartitionData, batches: &[RecordBatch]) {
        self.buffer.put_i32(partition.partition_index);
        self.buffer.put_i16(partition.error_code);
        self.buffer.put_i64(partition.high_watermark);
        self.buffer.put_i64(partition.last_stable_offset);
        if self.version >= 5 {
            self.buffer.put_i64(partition.log_start_offset);
        }
        // There are no transactions here: null says that nobody asked, an empty list that there are none.
        match (&partition.aborted_transactions, self.is_flexible()) {
            (None, true) => self.buffer.put_u8(0),
            (None, false) => self.buffer.put_i32(-1),
            (Some(list), _) => {
                assert!(list.is_empty(), "aborted transactions do not exist here");
                self.count(0);
            }
        }
        if self.version >= 11 {
            self.buffer.put_i32(partition.preferred_read_replica.0);
        }
        self.records(batches);
        if self.is_flexible() {
            self.partition_tags(partition);
        }
    }

    /// Record bytes: headers are encoded, bodies shared; small ones are copied, which costs less than a part of their own.
    fn records(&mut self, batches: &[RecordBatch]) {
        let size: usize = batches.iter().map(RecordBatch::size_bytes).sum();
        let size = u32::try_from(size).expect("invariant: answers are bounded");
        match self.is_flexible() {
            true => put_varint(&mut self.buffer, size + 1),
            false => self.buffer.put_u32(size),
        }
        let is_copied = |batch: &RecordBatch| batch.body.len() < SHARED_BYTES_MIN;
        let copied = |batch| HEADER_BYTES + if is_copied(batch) { batch.body.len() } else { 0 };
        self.buffer.reserve(batches.iter().map(copied).sum());
        for batch in batches {
            self.buffer.put_slice(&batch.encode_header());
            if is_copied(batch) {
                self.buffer.put_slice(&batch.body);
                continue;
            }
            let part = self.buffer.split();
            match self.first {
                None => self.first = Some(part),
                Some(_) => self.shared.push(part.freeze()),
            }
            self.shared.push(batch.body.clone());
        }
    }

    fn partition_tags(&mut self, partition: &PartitionData) {
        let (diverging, leader, snapshot) =
            (&partition.diverging_epoch, &partition.current_leader, &partition.snapshot_id);
        let is_diverging = diverging.epoch != -1 || diverging.end_offset != -1;
        let has_leader = leader.leader_id.0 != -1 || leader.leader_epoch != -1;
        let has_snapshot = snapshot.end_offset != -1 || snapshot.epoch != -1;
        let count = [is_diverging, has_leader, has_snapshot].into_iter().filter(|&present| present).count();
        put_varint(&mut self.buffer, count as u32);
        if is_diverging {
            self.buffer.put_slice(&[0, 13]);
            self.buffer.put_i32(diverging.epoch);
            self.buffer.put_i64(diverging.end_offset);
            self.buffer.put_u8(0);
        }
        if has_leader {
            self.buffer.put_slice(&[1, 9]);
            self.buffer.put_i32(leader.leader_id.0);
            self.buffer.put_i32(leader.leader_epoch);
            self.buffer.put_u8(0);
        }
        if has_snapshot {
            self.buffer.put_slice(&[2, 13]);
            self.buffer.put_i64(snapshot.end_offset);
            self.buffer.put_i32(snapshot.epoch);
            self.buffer.put_u8(0);
        }
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("invariant: a response repeats what a frame named");
        match self.is_flexible() {
            true => put_varint(&mut self.buffer, count + 1),
            false => self.buffer.put_u32(count),
        }
    }

    fn text(&mut self, text: &str) {
        match self.is_flexible() {
            true => put_varint(&mut self.buffer, text.len() as u32 + 1),
            false => self.buffer.put_u16(text.len() as u16),
        }
        self.buffer.put_slice(text.as_bytes());
    }

    fn tagged(&mut self, number: u32, value: &[u8]) {
        put_varint(&mut self.buffer, number);
        put_varint(&mut self.buffer, value.len() as u32);
        self.buffer.put_slice(value);
    }

    fn no_tags(&mut self) {
        if self.is_flexible() {
            self.buffer.put_u8(0);
        }
    }
}

fn response_header_version(api: Api, version: i16) -> i16 {
    i16::from(api != Api::ApiVersions && api.offer().is_flexible(version))
}

fn begin_response(api: Api, version: i16, correlation: i32) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(256);
    buffer.put_i32(0);
    buffer.put_i32(correlation);
    if response_header_version(api, version) == 1 {
        buffer.put_u8(0);
    }
    buffer
}

/// Writes the length over the first four bytes; `more` bytes follow in other parts.
fn sealed(mut buffer: BytesMut, more: usize) -> Bytes {
    let length = u32::try_from(buffer.len() + more - LENGTH_BYTES).expect("invariant: frames are bounded");
    buffer[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    buffer.freeze()
}

fn decode_body<T: Decodable>(shape: &Shape, version: i16, mut rest: Bytes, length: usize) -> Result<T, DecodeError> {
    let start = length - rest.len();
    shape.check(version, &rest).map_err(|error| DecodeError { at: start + error.at, ..error })?;
    T::decode(&mut rest, version).map_err(|error| undecodable("message", start, &error))
}

fn undecodable(what: &'static str, at: usize, error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::new(at, what, "what its version says", error)
}

fn skip_tagged_fields(rest: &mut Bytes) -> Result<(), DecodeError> {
    let short = || DecodeError::new(0, "header tags", "tagged fields", "the end");
    for _ in 0..take_varint(rest).ok_or_else(short)? {
        take_varint(rest).ok_or_else(short)?;
        let size = take_varint(rest).ok_or_else(short)? as usize;
        if size > rest.len() {
            return Err(short());
        }
        rest.advance(size);
    }
    Ok(())
}

fn take_varint(rest: &mut Bytes) -> Option<u32> {
    let mut value = 0u64;
    for shift in 0..5 {
        let byte = *rest.first()?;
        rest.advance(1);
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return u32::try_from(value).ok();
        }
    }
    None
}

fn put_varint(buffer: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

/// A body of at least so many bytes is shared and not copied.
const SHARED_BYTES_MIN: usize = 1024;
