//! Specification of `record`: golden scripts, the bytes of a real Kafka, and what happens to mutated ones.

use std::error::Error;
use std::fmt::Write;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command};
use kraftbed::ids::{Epoch, Offset, ReplicaId};
use kraftbed::prng::Prng;
use kraftbed::record::{
    BatchBuilder, Compression, ControlRecord, Defect, HEADER_BYTES, INFLATED_BYTES_MAX, ProducerStamp, RecordBatch,
};
use kraftbed::time::Timestamp;

type Outcome = Result<String, Box<dyn Error>>;

#[test]
fn scripts() {
    let mut paths: Vec<_> =
        std::fs::read_dir("tests/golden/record").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        goldenscript::run(&mut Script::default(), &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Runs scripts over one buffer of bytes.
#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &goldenscript::Context) -> Outcome {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "bytes" | "build" | "leader_change" | "control" => self.make(&command.name, &mut args)?,
            "patch" | "add" | "cut" | "reseal" | "stamp" => self.change(&command.name, &mut args)?,
            "hex" => format!("{}\n", to_hex(&self.bytes)),
            "parse" => describe(&RecordBatch::parse(&self.buffer())?),
            "parse_produced" => describe(&RecordBatch::parse_produced(&self.buffer())?),
            "parse_all" => RecordBatch::parse_all(&self.buffer())?
                .iter()
                .fold(String::new(), |all, batch| all + &summary(batch) + "\n"),
            // What a leader says of it. validate [inflated_max=BYTES]
            "validate" => {
                let bytes_max = args.take_key("inflated_max").map_or(Ok(INFLATED_BYTES_MAX), str::parse)?;
                match RecordBatch::parse_produced(&self.buffer())?.validate_from_client(bytes_max) {
                    Ok(()) => "accepted\n".into(),
                    Err(why) if why.defect != Defect::Malformed => format!("refused, {:?}: {why}\n", why.defect),
                    Err(why) => format!("refused: {why}\n"),
                }
            }
            "controls" => {
                let controls = ControlRecord::parse_batch(&RecordBatch::parse(&self.buffer())?)?;
                controls.iter().fold(String::new(), |mut all, control| {
                    let (key, value) = (to_hex(&control.encode_key()), to_hex(&control.encode_value()));
                    let _ = writeln!(all, "{control:?}\n  key {key} value {value}");
                    all
                })
            }
            name => return Err(format!("unknown command {name}").into()),
        };
        args.reject_next()?;
        Ok(output)
    }
}

impl Script {
    fn make(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome {
        match name {
            // The buffer becomes these bytes, given in hex.
            "bytes" => {
                self.bytes = from_hex(args.next_pos().ok_or("bytes in hex")?)?;
            }
            // The buffer becomes a data batch. build VALUE… [at=MS] [producer=ID/EPOCH/SEQUENCE] [with=CODEC]
            "build" => {
                let timestamp = Timestamp(args.take_key("at").unwrap_or("0").parse()?);
                let mut builder = BatchBuilder::new(timestamp);
                if let Some(stamp) = args.take_key("producer") {
                    builder = builder.producer(parse_stamp(stamp)?);
                }
                if let Some(codec) = args.take_key("with") {
                    builder = builder.compression(Compression::parse(codec).ok_or("CODEC")?);
                }
                while let Some(value) = args.next_pos() {
                    builder.push(None, Some(value.as_bytes()));
                }
                self.bytes = whole(&builder.build());
            }
            // The buffer becomes a LEADER_CHANGE batch. leader_change OFFSET@EPOCH leader=ID voters=IDS granting=IDS
            "leader_change" => {
                let (offset, epoch) = args.next_pos().and_then(|at| at.split_once('@')).ok_or("OFFSET@EPOCH")?;
                let ids = |text: Option<&str>| {
                    text.unwrap_or("")
                        .split('/')
                        .map(|id| Ok(ReplicaId(id.parse()?)))
                        .collect::<Result<Vec<_>, Box<dyn Error>>>()
                };
                let record = ControlRecord::LeaderChange {
                    leader: ids(args.take_key("leader"))?[0],
                    voters: ids(args.take_key("voters"))?,
                    granting: ids(args.take_key("granting"))?,
                };
                let at = Timestamp(args.take_key("at").unwrap_or("0").parse()?);
                let batch = BatchBuilder::control(Offset(offset.parse()?), Epoch(epoch.parse()?), at, &[record]);
                self.bytes = whole(&batch);
            }
            // The buffer becomes a control batch of raw records. control KEY/VALUE…, in hex
            "control" => {
                let mut builder = BatchBuilder::new(Timestamp(0));
                while let Some((key, value)) = args.next_pos().and_then(|record| record.split_once('/')) {
                    builder.push(Some(&from_hex(key)?), Some(&from_hex(value)?));
                }
                self.bytes = whole(&builder.build());
                self.bytes[22] = 0x20;
                reseal(&mut self.bytes);
            }
            _ => unreachable!("asked for what is made here"),
        }
        Ok(String::new())
    }

    fn change(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome {
        match name {
            // Replaces bytes from a position on. patch AT HEX
            "patch" => {
                let at: usize = args.next_pos().ok_or("AT")?.parse()?;
                let with = from_hex(args.next_pos().ok_or("HEX")?)?;
                self.bytes[at..at + with.len()].copy_from_slice(&with);
            }
            // Adds bytes at the end.
            "add" => {
                self.bytes.extend(from_hex(args.next_pos().ok_or("HEX")?)?);
            }
            // Makes length and checksum right again, as a forger would.
            "reseal" => {
                reseal(&mut self.bytes);
            }
            // Keeps the first N bytes.
            "cut" => {
                self.bytes.truncate(args.next_pos().ok_or("N")?.parse()?);
            }
            // Puts the batch at a place in the log. stamp OFFSET@EPOCH
            "stamp" => {
                let (offset, epoch) = args.next_pos().and_then(|at| at.split_once('@')).ok_or("OFFSET@EPOCH")?;
                let batch = RecordBatch::parse_produced(&self.buffer())?;
                self.bytes = whole(&batch.stamped(Offset(offset.parse()?), Epoch(epoch.parse()?)));
            }
            _ => unreachable!("asked for what is changed here"),
        }
        Ok(String::new())
    }

    fn buffer(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }
}

fn parse_stamp(text: &str) -> Result<ProducerStamp, Box<dyn Error>> {
    let parts: Vec<&str> = text.split('/').collect();
    let [id, epoch, sequence] = parts[..] else { return Err("ID/EPOCH/SEQUENCE".into()) };
    Ok(ProducerStamp { id: id.parse()?, epoch: epoch.parse()?, base_sequence: sequence.parse()? })
}

fn summary(batch: &RecordBatch) -> String {
    let mut line = format!("{}..{}@{}", batch.base_offset(), batch.end(), batch.leader_epoch());
    let header = &batch.header;
    let _ = write!(line, " crc={:08x} attributes={:#x} records={}", header.crc, header.attributes, header.record_count);
    let _ = write!(line, " at={}..{}", header.base_timestamp.0, header.max_timestamp.0);
    if let Some(producer) = batch.producer() {
        let _ = write!(line, " producer={}/{}/{}", producer.id, producer.epoch, producer.base_sequence);
    }
    line
}

fn describe(batch: &RecordBatch) -> String {
    let mut text = summary(batch) + "\n";
    for record in batch.records() {
        let _ = match record {
            Ok(record) => writeln!(text, "  +{} key={:?} value={:?}", record.offset_delta, record.key, record.value),
            Err(error) => writeln!(text, "  {error}"),
        };
    }
    text
}

fn whole(batch: &RecordBatch) -> Vec<u8> {
    let mut buffers = Vec::new();
    batch.gather(&mut buffers);
    buffers.concat()
}

fn reseal(bytes: &mut [u8]) {
    let length = bytes.len() as u32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits: Vec<char> = text.chars().collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?)).collect()
}

/// Metadata logs and snapshots that a quorum of Apache Kafka 4.3.1 wrote, and topic logs of its broker.
const FILES: [(&str, &[u8]); 14] = [
    ("v0 node0", include_bytes!("../bytes/kraft-version-0/node0/__cluster_metadata-0/00000000000000000000.log")),
    ("v0 node2", include_bytes!("../bytes/kraft-version-0/node2/__cluster_metadata-0/00000000000000000123.log")),
    ("v1 node0", include_bytes!("../bytes/kraft-version-1/node0/__cluster_metadata-0/00000000000000000000.log")),
    ("v1 node1", include_bytes!("../bytes/kraft-version-1/node1/__cluster_metadata-0/00000000000000000139.log")),
    ("v1 node2", include_bytes!("../bytes/kraft-version-1/node2/__cluster_metadata-0/00000000000000000000.log")),
    (
        "v0 snapshot 34",
        include_bytes!(
            "../bytes/kraft-version-0/node0/__cluster_metadata-0/00000000000000000034-0000000001.checkpoint"
        ),
    ),
    (
        "v0 snapshot 150",
        include_bytes!(
            "../bytes/kraft-version-0/node0/__cluster_metadata-0/00000000000000000150-0000000005.checkpoint"
        ),
    ),
    (
        "v1 snapshot 125",
        include_bytes!(
            "../bytes/kraft-version-1/node0/__cluster_metadata-0/00000000000000000125-0000000004.checkpoint"
        ),
    ),
    (
        "v1 snapshot 170",
        include_bytes!(
            "../bytes/kraft-version-1/node0/__cluster_metadata-0/00000000000000000170-0000000004.checkpoint"
        ),
    ),
    ("topic none", include_bytes!("../bytes/client/segments/t-none.log")),
    ("topic gzip", include_bytes!("../bytes/client/segments/t-gzip.log")),
    ("topic snappy", include_bytes!("../bytes/client/segments/t-snappy.log")),
    ("topic lz4", include_bytes!("../bytes/client/segments/t-lz4.log")),
    ("topic zstd", include_bytes!("../bytes/client/segments/t-zstd.log")),
];

/// Produce requests of real clients: a comment, then the frame in hex. kcat was told to use lz4, and did not since that
/// would have made the batch larger.
const PRODUCED: [(&str, &str, Compression); 10] = [
    ("java", include_str!("../bytes/client/java-none-005-Produce-v13-request.hex"), Compression::None),
    ("java", include_str!("../bytes/client/java-gzip-004-Produce-v13-request.hex"), Compression::Gzip),
    ("java", include_str!("../bytes/client/java-snappy-004-Produce-v13-request.hex"), Compression::Snappy),
    ("java", include_str!("../bytes/client/java-lz4-004-Produce-v13-request.hex"), Compression::Lz4),
    ("java", include_str!("../bytes/client/java-zstd-004-Produce-v13-request.hex"), Compression::Zstd),
    ("kcat", include_str!("../bytes/client/kcat-003-Produce-v7-request.hex"), Compression::None),
    ("kcat", include_str!("../bytes/client/kcat-004-Produce-v7-request.hex"), Compression::Gzip),
    ("kcat", include_str!("../bytes/client/kcat-007-Produce-v7-request.hex"), Compression::Snappy),
    ("kcat", include_str!("../bytes/client/kcat-010-Produce-v7-request.hex"), Compression::None),
    ("kcat", include_str!("../bytes/client/kcat-011-Produce-v7-request.hex"), Compression::Zstd),
];

/// Segments of topics that ProducerPerformance and kcat wrote with each codec.
const SEGMENTS: [(Compression, &[u8]); 5] = [
    (Compression::None, include_bytes!("../bytes/client/segments/t-none.log")),
    (Compression::Gzip, include_bytes!("../bytes/client/segments/t-gzip.log")),
    (Compression::Snappy, include_bytes!("../bytes/client/segments/t-snappy.log")),
    (Compression::Lz4, include_bytes!("../bytes/client/segments/t-lz4.log")),
    (Compression::Zstd, include_bytes!("../bytes/client/segments/t-zstd.log")),
];

#[test]
fn files_of_a_real_kafka_come_back_byte_for_byte() {
    for (name, file) in FILES {
        let batches =
            RecordBatch::parse_all(&Bytes::from_static(file)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again: Vec<u8> = batches.iter().flat_map(whole).collect();
        assert!(again == file, "{name} is not written as it was read");
        for batch in &batches {
            assert_eq!(batch.records().filter(Result::is_ok).count(), batch.header.record_count as usize, "{name}");
        }
    }
}

#[test]
fn control_records_of_a_real_kafka_come_back_byte_for_byte() {
    let mut kinds = Vec::new();
    for (name, file) in FILES {
        let batches = RecordBatch::parse_all(&Bytes::from_static(file)).unwrap();
        for batch in batches.iter().filter(|batch| batch.is_control()) {
            let controls = ControlRecord::parse_batch(batch).unwrap_or_else(|error| panic!("{name}: {error}"));
            for (control, record) in controls.iter().zip(batch.records()) {
                let record = record.unwrap();
                assert_eq!(record.key.as_deref(), Some(&control.encode_key()[..]), "{name}: {control:?}");
                assert_eq!(record.value.as_deref(), Some(&control.encode_value()[..]), "{name}: {control:?}");
                kinds.push(control.kind());
            }
            let header = &batch.header;
            let again =
                BatchBuilder::control(header.base_offset, header.leader_epoch, header.base_timestamp, &controls);
            assert_eq!(whole(&again), whole(batch), "{name}");
        }
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, [2, 3, 4, 5, 6]);
}

#[test]
fn batches_of_real_clients_are_accepted_whatever_their_codec() {
    for (client, file, codec) in PRODUCED {
        let batch = produced(file);
        assert_eq!(batch.compression(), Some(codec), "{client}");
        assert_eq!(batch.validate_from_client(INFLATED_BYTES_MAX), Ok(()), "{client} {codec:?}");
        assert_eq!(batch.records().filter(Result::is_ok).count(), batch.header.record_count as usize);
    }
}

fn produced(file: &str) -> RecordBatch {
    let frame = from_hex(file.lines().nth(1).unwrap().trim()).unwrap();
    (0..frame.len()).find_map(|at| find_produced(&frame[at..])).expect("a Produce holds a batch")
}

fn find_produced(bytes: &[u8]) -> Option<RecordBatch> {
    let length = u32::from_be_bytes(bytes.get(8..12)?.try_into().unwrap()) as usize;
    RecordBatch::parse_produced(&Bytes::copy_from_slice(bytes.get(..12 + length)?)).ok()
}

#[test]
fn bodies_are_slices_of_the_buffer_they_came_in() {
    let buffer = Bytes::from_static(FILES[0].1);
    let mut at = 0;
    for batch in RecordBatch::parse_all(&buffer).unwrap() {
        at += HEADER_BYTES;
        assert_eq!(batch.body.as_ptr(), buffer[at..].as_ptr());
        assert_eq!(batch.stamped(Offset(1), Epoch(1)).body.as_ptr(), buffer[at..].as_ptr());
        at += batch.body.len();
    }
}

#[test]
fn mutated_bytes_are_refused_or_read_but_never_panic() {
    let mut prng = Prng::new(3, 0);
    let mut refused = 0;
    for round in 0..6_000 {
        let (_, file) = FILES[round % FILES.len()];
        let mut bytes = file[..prng.range(0..file.len() as u64 + 1) as usize].to_vec();
        let from = prng.below(bytes.len() as u64 + 1) as usize;
        bytes.drain(..from.min(bytes.len()) * (round % 3) / 2);
        mutate(&mut bytes, &mut prng);
        refused += usize::from(RecordBatch::parse_all(&Bytes::from(bytes)).is_err());
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn mutated_records_behind_a_right_checksum_never_panic() {
    let mut prng = Prng::new(4, 0);
    let (mut walked, mut refused, mut controls) = (0, 0, 0);
    for round in 0..20_000 {
        let (_, file) = FILES[round % FILES.len()];
        let batches = RecordBatch::parse_all(&Bytes::from_static(file)).unwrap();
        let mut bytes = whole(prng.pick(&batches));
        let mut body = bytes.split_off(61);
        mutate(&mut body, &mut prng);
        if prng.chance(1, 4) {
            bytes[prng.range(21..61) as usize] = prng.word() as u8;
        }
        bytes.extend(body);
        reseal(&mut bytes);
        let Ok(batch) = RecordBatch::parse(&Bytes::from(bytes)) else { continue };
        refused += usize::from(batch.validate_from_client(INFLATED_BYTES_MAX).is_err());
        walked += batch.records().filter(Result::is_ok).count();
        controls += ControlRecord::parse_batch(&batch).map_or(0, |records| records.len());
    }
    assert!(walked > 1_000 && refused > 1_000 && controls > 500, "{walked} {refused} {controls}");
}

#[test]
fn segments_of_a_real_kafka_are_read_whatever_their_codec() {
    for (codec, file) in SEGMENTS {
        let batches = RecordBatch::parse_all(&Bytes::from_static(file)).unwrap();
        assert!(batches.iter().any(|batch| batch.compression() == Some(codec)));
        for batch in batches {
            let records: Vec<_> = batch.records().map(Result::unwrap).collect();
            assert_eq!(records.len(), batch.header.record_count as usize, "{codec:?}");
            assert!(records.iter().all(|record| record.value.is_some()), "{codec:?}");
        }
    }
}

#[test]
fn what_is_compressed_comes_back() {
    let mut prng = Prng::new(6, 0);
    for codec in Compression::ALL {
        for bytes in [0u64, 1, 100, 40_000, 200_000] {
            let patterns: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8 ^ prng.below(2) as u8).collect();
            let noise: Vec<u8> = (0..bytes).map(|_| prng.word() as u8).collect();
            let mut builder = BatchBuilder::new(Timestamp(1)).compression(codec);
            builder.push(None, Some(&patterns));
            builder.push(Some(b"key"), Some(&noise));
            let batch = builder.build();
            assert_eq!(batch.validate_from_client(INFLATED_BYTES_MAX), Ok(()), "{codec:?} {bytes}");
            let values: Vec<_> = batch.records().map(|record| record.unwrap().value.unwrap()).collect();
            assert!(values == [&patterns[..], &noise[..]], "{codec:?} {bytes}");
        }
    }
}

#[test]
fn mutated_compressed_bodies_never_panic_and_stay_within_the_limit() {
    let mut prng = Prng::new(5, 0);
    let (mut accepted, mut refused, mut too_large) = (0, 0, 0);
    let batches: Vec<RecordBatch> =
        SEGMENTS.iter().flat_map(|(_, file)| RecordBatch::parse_all(&Bytes::from_static(file)).unwrap()).collect();
    for _ in 0..20_000 {
        let mut bytes = whole(&prng.pick(&batches).stamped(Offset::ZERO, Epoch::ZERO));
        let mut body = bytes.split_off(61);
        mutate(&mut body, &mut prng);
        if prng.chance(1, 8) {
            bytes[22] = prng.below(8) as u8;
        }
        bytes.extend(body);
        reseal(&mut bytes);
        let Ok(batch) = RecordBatch::parse(&Bytes::from(bytes)) else { continue };
        match batch.validate_from_client(2 << 10) {
            Ok(()) => accepted += 1,
            Err(why) if why.defect == Defect::TooLarge => too_large += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 100 && refused > 10_000 && too_large > 10, "{accepted} {refused} {too_large}");
}

/// Flips bits, overwrites with extreme bytes, cuts, or copies one part over another.
fn mutate(bytes: &mut Vec<u8>, prng: &mut Prng) {
    for _ in 0..prng.range(1..4) {
        let length = bytes.len() as u64;
        if length == 0 {
            return;
        }
        let at = prng.below(length) as usize;
        match prng.below(5) {
            0 => bytes[at] ^= 1 << prng.below(8),
            1 => bytes[at] = *prng.pick(&[0x00, 0x01, 0x7f, 0x80, 0xff]),
            2 => bytes.truncate(at),
            3 => bytes[at..].iter_mut().take(5).for_each(|byte| *byte = 0xff),
            _ => {
                let part = bytes[at..].iter().take(20).copied().collect::<Vec<_>>();
                let to = prng.below(length) as usize;
                bytes.splice(to..to, part);
            }
        }
    }
}
