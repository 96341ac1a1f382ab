//! Directories that a real Kafka wrote (`tests/bytes/kraft-version-*`, Apache Kafka 4.3.1), whole and damaged.
#![expect(clippy::disallowed_methods, reason = "reads the fixtures")]

use std::path::Path;

use kraftbed::ids::{Epoch, Offset, ReplicaId};
use kraftbed::log::{FileName, QuorumState};
use kraftbed::prng::Prng;
use kraftbed::record::ControlRecord;

use super::disk::{Disk, options, recover};

fn fixture(path: &str) -> Disk {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bytes").join(path);
    let mut disk = Disk::default();
    for folder in ["", "__cluster_metadata-0/"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("the fixtures are there") {
            let name = format!("{folder}{}", entry.expect("readable").file_name().to_string_lossy());
            if let Some(file) = FileName::parse(&name) {
                assert_eq!(file.to_string(), name);
                disk.put(file, std::fs::read(root.join(&name)).expect("readable"));
            }
        }
    }
    disk
}

const FIXTURES: [&str; 6] = [
    "kraft-version-0/node0",
    "kraft-version-0/node1",
    "kraft-version-0/node2",
    "kraft-version-1/node0",
    "kraft-version-1/node1",
    "kraft-version-1/node2",
];

#[test]
fn directories_of_a_real_kafka_are_read_whole() {
    let mut seen = Vec::new();
    for path in FIXTURES {
        let mut disk = fixture(path);
        let (recovered, layout) =
            recover(&mut disk, &options(), |_| ()).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(recovered.cuts.is_empty(), "{path}: {:?}", recovered.cuts);
        let quorum = recovered.quorum.expect("Kafka wrote a quorum-state");
        assert_eq!(quorum.leader, Some(ReplicaId(1)));
        assert_eq!(quorum.epoch, Epoch(5));
        assert_eq!(QuorumState::parse(quorum.to_text().as_bytes()), Ok(quorum.clone()));
        assert_eq!(layout.end(), recovered.end);
        let leaders =
            recovered.controls.iter().filter(|(_, control)| matches!(control, ControlRecord::LeaderChange { .. }));
        seen.push(format!(
            "{path}: {}..{} in epochs {:?}, {} leaders, quorum-state version {}",
            recovered.start,
            recovered.end,
            recovered.epochs.entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect::<Vec<_>>(),
            leaders.count(),
            quorum.version
        ));
    }
    assert_eq!(seen, EXPECTED);
}

const EXPECTED: [&str; 6] = [
    "kraft-version-0/node0: 0..171 in epochs [(1, 0), (3, 41), (4, 64), (5, 97)], 4 leaders, quorum-state version 0",
    "kraft-version-0/node1: 0..171 in epochs [(1, 0), (3, 41), (4, 64), (5, 97)], 4 leaders, quorum-state version 0",
    "kraft-version-0/node2: 123..171 in epochs [(5, 123)], 0 leaders, quorum-state version 0",
    "kraft-version-1/node0: 0..186 in epochs [(1, 0), (2, 56), (3, 79), (4, 113)], 4 leaders, quorum-state version 1",
    "kraft-version-1/node1: 139..186 in epochs [(4, 139)], 0 leaders, quorum-state version 1",
    "kraft-version-1/node2: 0..186 in epochs [(1, 0), (2, 56), (3, 79), (4, 113)], 4 leaders, quorum-state version 1",
];

/// The quorum-state of a real node comes out byte for byte.
#[test]
fn quorum_state_is_written_as_kafka_writes_it() {
    for path in FIXTURES {
        let disk = fixture(path);
        let text = disk.content(FileName::QuorumState).expect("Kafka wrote a quorum-state");
        assert_eq!(QuorumState::parse(text).expect("readable").to_text().as_bytes(), text);
    }
}

/// Our index of a real log begins as Kafka's does, byte for byte. (A restart made Kafka count its 4096 bytes anew, so
/// its third entry stands elsewhere; ours is a function of the batches alone.)
#[test]
fn offset_index_is_rebuilt_as_kafka_wrote_it() {
    let mut disk = fixture("kraft-version-0/node0");
    let index = FileName::Index(Offset::ZERO);
    let written = disk.content(index).expect("Kafka wrote an index")[..16].to_vec();
    disk.put(index, vec![]);
    recover(&mut disk, &options(), |_| ()).expect("readable");
    let ours = disk.content(index).expect("an index that is there is mended");
    assert_eq!((&ours[..16], ours.len()), (&written[..], 24));
}

/// Flips, cuts and splices of every file: recovery refuses or explains, and its second run agrees with its first.
#[test]
fn damaged_directories_never_panic() {
    let mut prng = Prng::new(3, 0);
    let disks: Vec<Disk> = FIXTURES.into_iter().map(fixture).collect();
    for _ in 0..1500 {
        let mut disk = prng.pick(&disks).clone();
        // Files that Kafka's directories do not have, or not here.
        disk.put(FileName::RecoveryPoint, b"0\n1\n__cluster_metadata 0 100\n".to_vec());
        if prng.chance(1, 3) {
            disk.put(FileName::Recovering, b"0\n7\n".to_vec());
        }
        for _ in 0..prng.range(1..4) {
            let (file, length) = *prng.pick(&disk.listing());
            let mut content = disk.content(file).unwrap_or_default().to_vec();
            let at = prng.below(length + 1) as usize;
            match prng.below(5) {
                0 if at < content.len() => content[at] ^= 1 << prng.below(8),
                1 => content.truncate(at),
                2 => drop(content.splice(at..at, (0..prng.below(40)).map(|_| 0))),
                3 => {
                    let from = prng.below(length + 1) as usize;
                    let piece: Vec<u8> = content[from.min(at)..from.max(at)].to_vec();
                    content.splice(at..at, piece);
                }
                _ => {
                    let end = content.len().min(at + prng.below(9) as usize);
                    content[at..end].fill(prng.word() as u8);
                }
            }
            disk.put(file, content);
        }
        let Ok((first, _)) = recover(&mut disk, &options(), |_| ()) else { continue };
        let (second, _) = recover(&mut disk, &options(), |op| panic!("{op:?}")).expect("repaired");
        assert_eq!((first.end, first.epochs, first.tail), (second.end, second.epochs, second.tail));
    }
}
