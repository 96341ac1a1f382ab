//! The codecs of batch bodies: gzip, snappy, lz4, zstd.
//!
//! A compressed batch has an ordinary header; its body is all records in a row, run through one codec. The log, the wire
//! and the disk never look into it: it is stored and served as it was sent. It is inflated where records are read one by
//! one: by the leader before it lets a client's batch in, by machines, by consumers.
//!
//! What comes from outside may be small and claim to be large. Inflating stops at a limit of the caller's, memory grows
//! with what is really there, and a codec's own buffers are bounded by its format (lz4: 4 MiB blocks; zstd:
//! [`ZSTD_WINDOW_BYTES_MAX`]).
//!
//! ```text
//!  gzip    members of RFC 1952, usually one
//!  snappy  one raw block (librdkafka, Sarama), or the stream of snappy-java ("xerial", the Java client):
//!            82 53 4e 41 50 50 59 00 │ version i32 │ compatible i32 │ (length i32 │ raw block)…
//!  lz4     one frame with independent blocks
//!  zstd    frames of RFC 8878, usually one
//! ```
//!
//! (Kafka: `CompressionType`, `Compression`, `SnappyCompression`, `Lz4BlockInputStream`.)

use std::fmt;
use std::io::Read;
use std::io::Write;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use ruzstd::decoding::FrameDecoder as ZstdDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::record::batch::COMPRESSION;

/// How the body of a batch is compressed: the low three bits of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy; written as the Java client does, read in both framings.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard. Only for Produce from version 7 and Fetch from version 10 on (KIP-110).
    Zstd,
}

impl Compression {
    /// All of them; each at the index that is its number.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// What these attributes name, unless it is a number that nobody has given a meaning.
    pub fn of(attributes: u16) -> Option<Compression> {
        Compression::ALL.get(usize::from(attributes & COMPRESSION)).copied()
    }

    /// The name that Kafka's `compression.type` uses.
    pub fn name(self) -> &'static str {
        ["none", "gzip", "snappy", "lz4", "zstd"][self as usize]
    }

    /// The codec of that name.
    pub fn parse(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The bits of the attributes.
    pub(in crate::record) fn bits(self) -> u16 {
        self as u16
    }
}

/// Why a body could not be inflated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) enum InflateError {
    /// It is larger than the limit, which is given.
    TooLarge(usize),
    /// It is not what the codec writes.
    Damaged(String),
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InflateError::TooLarge(bytes_max) => write!(f, "more than {bytes_max} bytes"),
            InflateError::Damaged(why) => f.write_str(why),
        }
    }
}

/// The records in a compressed body, of which there may be at most `bytes_max` bytes.
pub(in crate::record) fn inflate(codec: Compression, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Bounded { bytes: Vec::new(), bytes_max };
    match codec {
        Compression::None => out.extend(body)?,
        Compression::Gzip => out.pour(MultiGzDecoder::new(body))?,
        Compression::Snappy => inflate_snappy(body, &mut out)?,
        Compression::Lz4 => inflate_lz4(body, &mut out)?,
        Compression::Zstd => inflate_zstd(body, &mut out)?,
    }
    Ok(out.bytes)
}

/// The body that these records become.
pub(in crate::record) fn deflate(codec: Compression, records: &[u8]) -> Vec<u8> {
    const IN_MEMORY: &str = "invariant: writing to memory does not fail";
    match codec {
        Compression::None => records.to_vec(),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(records).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        Compression::Snappy => deflate_xerial(records),
        Compression::Lz4 => {
            // What `Lz4BlockOutputStream` writes: version 1, independent blocks of 64 KiB, no checksums.
            let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(records).expect(IN_MEMORY);
            encoder.finish().expect(IN_MEMORY)
        }
        Compression::Zstd => compress_to_vec(records, CompressionLevel::Fastest),
    }
}

/// Bytes that may become no more than a limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Bounded {
    fn room(&self) -> usize {
        self.bytes_max - self.bytes.len()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), InflateError> {
        if bytes.len() > self.room() {
            return Err(InflateError::TooLarge(self.bytes_max));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads to the end of `from`, or to the limit.
    fn pour(&mut self, from: impl Read) -> Result<(), InflateError> {
        let read = from.take(self.room() as u64 + 1).read_to_end(&mut self.bytes);
        read.map_err(|error| InflateError::Damaged(error.to_string()))?;
        match self.bytes.len() > self.bytes_max {
            true => Err(InflateError::TooLarge(self.bytes_max)),
            false => Ok(()),
        }
    }
}

fn inflate_snappy(body: &[u8], out: &mut Bounded) -> Result<(), InflateError> {
    if !body.starts_with(&XERIAL_MAGIC) {
        return inflate_block(body, out);
    }
    let mut rest = body;
    while !rest.is_empty() {
        // Streams may follow each other, as snappy-java's reader allows.
        if rest.starts_with(&XERIAL_MAGIC) {
            rest = rest.get(XERIAL_HEADER_BYTES..).ok_or_else(|| damaged("a stream's header is cut short"))?;
            continue;
        }
        let (length, after) = rest.split_first_chunk().ok_or_else(|| damaged("a block's length is cut short"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let block = length.and_then(|length| after.split_at_checked(length));
        let (block, after) = block.ok_or_else(|| damaged("a block is longer than what is there"))?;
        inflate_block(block, out)?;
        rest = after;
    }
    Ok(())
}

/// One raw block of snappy. The length that it claims is believed only as far as its bytes can reach.
fn inflate_block(block: &[u8], out: &mut Bounded) -> Result<(), InflateError> {
    let claimed = snap::raw::decompress_len(block).map_err(|error| InflateError::Damaged(error.to_string()))?;
    if claimed > out.room() {
        return Err(InflateError::TooLarge(out.bytes_max));
    }
    if claimed > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(damaged("a block claims more bytes than it can hold"));
    }
    let from = out.bytes.len();
    out.bytes.resize(from + claimed, 0);
    let inflated = snap::raw::Decoder::new().decompress(block, &mut out.bytes[from..]);
    inflated.map_err(|error| InflateError::Damaged(error.to_string()))?;
    Ok(())
}

fn deflate_xerial(records: &[u8]) -> Vec<u8> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend(XERIAL_VERSION.to_be_bytes());
    out.extend(XERIAL_VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(XERIAL_BLOCK_BYTES) {
        let block = encoder.compress_vec(chunk).expect("invariant: a block of 32 KiB is not too large for snappy");
        out.extend((block.len() as u32).to_be_bytes());
        out.extend(block);
    }
    out
}

fn inflate_lz4(mut body: &[u8], out: &mut Bounded) -> Result<(), InflateError> {
    // Java's reader refuses blocks that depend on one another, so a log that held some could not be read by all.
    let is_kafkas = body.starts_with(&LZ4_MAGIC) && body.get(4).is_some_and(|flags| flags & LZ4_INDEPENDENT != 0);
    if !is_kafkas {
        return Err(damaged("not a frame with independent blocks"));
    }
    out.pour(FrameDecoder::new(&mut body))?;
    match body.len() {
        0 => Ok(()),
        rest => Err(InflateError::Damaged(format!("{rest} bytes after the frame"))),
    }
}

fn inflate_zstd(mut body: &[u8], out: &mut Bounded) -> Result<(), InflateError> {
    loop {
        let mut decoder = ZstdDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        let stream = StreamingDecoder::new_with_decoder(&mut body, &mut decoder);
        out.pour(stream.map_err(|error| InflateError::Damaged(error.to_string()))?)?;
        let (claimed, found) = (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
        if claimed.is_some() && claimed != found {
            return Err(damaged("the checksum of the content does not match"));
        }
        if body.is_empty() {
            return Ok(());
        }
    }
}

fn damaged(why: &str) -> InflateError {
    InflateError::Damaged(why.into())
}

/// Bytes of records that any body may hold when inflated, 32 MiB: what readers of the log accept, and what a node lets in
/// at most. A batch of 8 MiB that is compressed four to one reaches it.
pub const INFLATED_BYTES_MAX: usize = 32 << 20;

/// The largest window that zstd itself reads without being told to (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`), reached by level 22.
/// It is reserved, not filled: memory is touched only as far as there is content.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;

/// How a stream of snappy-java begins.
const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic, version, and the oldest version that can read it.
const XERIAL_HEADER_BYTES: usize = 16;
const XERIAL_VERSION: u32 = 1;
/// snappy-java's default block.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// An element of three bytes copies at most 64.
const SNAPPY_RATIO_MAX: usize = 22;
const LZ4_MAGIC: [u8; 4] = 0x184d_2204u32.to_le_bytes();
/// The bit of a frame's flags that says that its blocks do not depend on one another.
const LZ4_INDEPENDENT: u8 = 0x20;
