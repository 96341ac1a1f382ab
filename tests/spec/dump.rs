//! `kafka-dump-log.sh`, letter for letter: what Apache Kafka 4.3.1 printed of its own files.
//!
//! `tests/bytes/dumps` holds its output (`DumpLogSegments --deep-iteration`, `--print-data-log`) for files beside it.

use bytes::Bytes;
use kraftbed::log::dump::{Dump, DumpError, File, Options};
use kraftbed::prng::Prng;

const DEEP: Options = Options {
    deep_iteration: true,
    print_data_log: false,
    skip_record_metadata: false,
    index_sanity_check: false,
    verify_index_only: false,
    bytes_max: None,
};
const DATA: Options = Options { print_data_log: true, ..DEEP };

/// A file with its name, as if it lay in the root.
fn file<'a>(path: &'a str, bytes: &'a Bytes) -> File<'a> {
    File { path, absolute: path, bytes }
}

fn dumped(options: Options, dump: impl FnOnce(&mut Dump<&mut Vec<u8>>) -> Result<(), DumpError>) -> (String, String) {
    let mut out = Vec::new();
    let mut all = Dump::new(&mut out, options);
    let result = dump(&mut all);
    let mut errors = all.findings().join("\n");
    if let Err(error) = result {
        errors += &error.to_string();
    }
    (String::from_utf8(out).unwrap(), errors)
}

#[test]
fn a_segment_and_its_indexes_read_as_kafka_prints_them() {
    const DIRECTORY: &str = "tests/bytes/kraft-version-0/node2/__cluster_metadata-0";
    let path = |suffix: &str| format!("{DIRECTORY}/00000000000000000123{suffix}");
    let [log, index, times] = [".log", ".index", ".timeindex"].map(path);
    let bytes = [&log, &index, &times].map(|path| Bytes::from(std::fs::read(path).unwrap()));
    let [log, index, times] =
        [(&log, &bytes[0]), (&index, &bytes[1]), (&times, &bytes[2])].map(|(path, bytes)| file(path, bytes));
    let (out, errors) = dumped(DEEP, |dump| {
        dump.print(&format!("Dumping {}", log.path))?;
        dump.log(log)?;
        dump.print(&format!("Dumping {}", index.path))?;
        dump.index(index, log)?;
        dump.print(&format!("Dumping {}", times.path))?;
        dump.time_index(times, log, index)
    });
    assert_eq!(out, include_str!("../bytes/dumps/kraft-version-0-node2-deep.txt"));
    assert_eq!(errors, format!("Non-consecutive offsets in {}\n  -1 is followed by 123", log.path));
}

#[test]
fn a_snapshot_reads_as_kafka_prints_it() {
    let path = "tests/bytes/kraft-version-1/node0/__cluster_metadata-0/00000000000000000170-0000000004.checkpoint";
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let (out, errors) = dumped(DEEP, |dump| dump.log(file(path, &bytes)));
    assert_eq!(format!("Dumping {path}\n{out}"), include_str!("../bytes/dumps/kraft-version-1-snapshot-deep.txt"));
    assert_eq!(errors, "");
}

#[test]
fn compressed_records_read_as_kafka_prints_them() {
    let segments = [
        (&include_bytes!("../bytes/client/segments/t-gzip.log")[..], include_str!("../bytes/dumps/t-gzip-data.txt")),
        (&include_bytes!("../bytes/client/segments/t-zstd.log")[..], include_str!("../bytes/dumps/t-zstd-data.txt")),
    ];
    for (bytes, printed) in segments {
        let path = "00000000000000000000.log";
        let (out, errors) = dumped(DATA, |dump| dump.log(file(path, &Bytes::from_static(bytes))));
        assert_eq!(format!("Dumping {path}\n{out}"), printed);
        assert_eq!(errors, "");
    }
}

#[test]
fn zeros_behind_the_last_batch_end_a_dump_as_they_end_kafkas() {
    let mut bytes = include_bytes!("../bytes/client/segments/t-none.log").to_vec();
    let (whole, _) = dumped(DEEP, |dump| dump.log(file("0.log", &Bytes::copy_from_slice(&bytes))));
    bytes.resize(bytes.len() + 4096, 0);
    let (out, errors) = dumped(DEEP, |dump| dump.log(file("0.log", &Bytes::from(bytes))));
    assert_eq!(out, whole);
    assert_eq!(errors, "Found record size 0 smaller than minimum record overhead (14) in file 0.log.");
}

#[test]
fn damaged_files_are_dumped_without_a_panic() {
    let mut prng = Prng::new(9, 0);
    let name = |suffix: &str| {
        let path = format!("tests/bytes/kraft-version-1/node0/__cluster_metadata-0/00000000000000000000{suffix}");
        std::fs::read(path).unwrap()
    };
    let files = [name(".log"), name(".index"), name(".timeindex")];
    let mut failed = 0;
    for round in 0..300 {
        let [log, index, times] = files.clone().map(|mut bytes| {
            for _ in 0..prng.below(4) {
                let at = prng.below(bytes.len() as u64) as usize;
                bytes[at] = *prng.pick(&[0, 1, 0x7f, 0x80, 0xff]);
            }
            bytes.truncate(bytes.len() - prng.below(20) as usize);
            Bytes::from(bytes)
        });
        let [log, index, times] =
            [("0.log", &log), ("0.index", &index), ("0.timeindex", &times)].map(|(path, bytes)| file(path, bytes));
        let options = Options { index_sanity_check: round % 5 == 0, ..DATA };
        let (_, errors) = dumped(options, |dump| {
            dump.index(index, log)?;
            dump.time_index(times, log, index)?;
            dump.log(log)
        });
        failed += usize::from(!errors.is_empty());
    }
    assert!(failed > 100, "{failed}");
}
