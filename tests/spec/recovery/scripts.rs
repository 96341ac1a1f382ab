//! Golden scripts: what each disk operation is on files, and how recovery explains what it finds.
//!
//! | command | does |
//! |---|---|
//! | `format` | formats the directory and shows how |
//! | `open [segment=B] [preallocate=B] [only_voter]` | recovers the directory (formats it silently if need be) and shows repairs and result |
//! | `adopt`, `append BASE..END@EPOCH…`, `truncate END`, `quorum …`, `recovering EPOCH\|none`, `point N`, `close` | plan an operation, show its file operations, and do them |
//! | `only N` | the next operation stops after N file operations |
//! | `kill`, `power keep=all\|none` | forget the incarnation; lose what is unsynced |
//! | `flip FILE AT`, `zeros FILE N`, `put FILE TEXT`, `remove FILE`, `stamp FILE AT epoch=E` | meddle with the platter |
//! | `files`, `locate OFFSET MAX`, `locate_snapshot END@EPOCH POSITION MAX` | show what is there |

use std::error::Error;
use std::path::Path;

use goldenscript::{Command, Context, Runner};
use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::log::recovery::RecoveryOptions;
use kraftbed::log::{
    CLUSTER_METADATA_ID, DiskOp, DiskSeq, EpochStart, FileName, FileOp, Layout, MetaProperties, QuorumState,
    SnapshotId, Stored,
};
use kraftbed::record::{BatchBuilder, RecordBatch};
use kraftbed::time::Timestamp;

use super::disk::{Disk, Loss, options, recover};

type Output = Result<String, Box<dyn Error>>;

#[test]
fn operations_and_recoveries_read_as_specified() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recovery");
    let mut scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    for script in scripts {
        goldenscript::run(&mut Script::default(), &script)
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    }
}

#[derive(Default)]
struct Script {
    disk: Disk,
    layout: Option<Layout>,
    epochs: Vec<EpochStart>,
    seq: u64,
    only: Option<usize>,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Output {
        let mut args = command.consume_args();
        let mut words: Vec<String> = Vec::new();
        while let Some(word) = args.next_pos() {
            words.push(word.to_string());
        }
        let mut keys: Vec<(String, String)> = Vec::new();
        while let Some((key, value)) = args.next_key() {
            keys.push((key.to_string(), value.to_string()));
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (command.name.as_str(), &words[..]) {
            ("format", []) => Ok(self.format()),
            ("open", flags) => self.open(&keys, flags.contains(&"only_voter")),
            ("adopt", []) => self.plan(DiskOp::Adopt),
            ("append", ranges) => self.append(ranges),
            ("truncate", [end]) => {
                let end = Offset(end.parse()?);
                self.epochs.retain(|entry| entry.start < end);
                self.plan(DiskOp::Truncate { end, epochs: self.epochs.clone() })
            }
            ("quorum", []) => self.plan(DiskOp::QuorumState(quorum(&keys)?)),
            ("recovering", ["none"]) => self.plan(DiskOp::Recovering(None)),
            ("recovering", [epoch]) => self.plan(DiskOp::Recovering(Some(Epoch(epoch.parse()?)))),
            ("point", [point]) => self.plan(DiskOp::RecoveryPoint(Offset(point.parse()?))),
            ("close", []) => self.plan(DiskOp::Close),
            ("only", [count]) => {
                self.only = Some(count.parse()?);
                Ok(String::new())
            }
            ("kill", []) => {
                self.layout = None;
                Ok(String::new())
            }
            ("power", []) => self.power(&keys),
            ("locate", [from, max]) => {
                self.locate(&Stored::Log { from: Offset(from.parse()?), bytes_max: max.parse()? })
            }
            ("locate_snapshot", [id, position, max]) => {
                let (end, epoch) = id.split_once('@').ok_or("END@EPOCH")?;
                let id = SnapshotId { end: Offset(end.parse()?), epoch: Epoch(epoch.parse()?) };
                self.locate(&Stored::Snapshot { id, position: position.parse()?, bytes_max: max.parse()? })
            }
            ("files", []) => Ok(self.files()),
            (meddle, [file, rest @ ..]) => self.meddle(meddle, file, rest, &keys),
            (name, _) => Err(format!("unknown command {name}").into()),
        }
    }
}

impl Script {
    fn open(&mut self, keys: &[(String, String)], is_only_voter: bool) -> Output {
        let number = |wanted: &str, default: u64| {
            let found = keys.iter().find(|(key, _)| key == wanted);
            found.map_or(Ok(default), |(_, value)| value.parse())
        };
        let options = RecoveryOptions {
            segment_bytes: number("segment", 1 << 20)?,
            preallocate_bytes: number("preallocate", 0)?,
            is_only_voter,
            ..options()
        };
        let mut out = String::new();
        if self.disk.content(FileName::MetaProperties).is_none() {
            self.format();
        }
        let result = recover(&mut self.disk, &options, |op| out.push_str(&format!("repair: {}\n", shown(op))));
        let (recovered, layout) = match result {
            Ok(recovered) => recovered,
            Err(error) => return Ok(format!("{out}refused: {error}\n")),
        };
        for cut in &recovered.cuts {
            let depth = if cut.below_recovery_point { " (below the recovery point)" } else { "" };
            out.push_str(&format!(
                "cut: {} byte {}, {} bytes, log ends at {}: {}{depth}\n",
                cut.file, cut.at, cut.bytes, cut.end, cut.reason
            ));
        }
        let epochs: Vec<String> =
            recovered.epochs.entries().iter().map(|at| format!("{}@{}", at.start, at.epoch)).collect();
        out.push_str(&format!(
            "recovered: start={} flushed={} end={} epochs=[{}]",
            recovered.start,
            recovered.flushed,
            recovered.end,
            epochs.join(" ")
        ));
        if let Some(quorum) = &recovered.quorum {
            out.push_str(&format!(" quorum-state epoch={} vote={:?}", quorum.epoch, quorum.vote.map(|vote| vote.id.0)));
        }
        if let Some(epoch) = recovered.recovering {
            out.push_str(&format!(" recovering={epoch}"));
        }
        self.epochs = recovered.epochs.entries().to_vec();
        (self.layout, self.seq) = (Some(layout), 0);
        Ok(out)
    }

    fn format(&mut self) -> String {
        let meta = MetaProperties {
            cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
            node_id: ReplicaId(1),
            directory_id: DirectoryId([7; 16]),
        };
        let ops = Layout::format(&meta, CLUSTER_METADATA_ID);
        ops.iter().for_each(|op| self.disk.apply(op));
        ops.iter().map(|op| format!("{}\n", shown(op))).collect()
    }

    fn plan(&mut self, op: DiskOp) -> Output {
        let layout = self.layout.as_mut().ok_or("no incarnation")?;
        self.seq += 1;
        let mut ops = Vec::new();
        layout.plan(DiskSeq(self.seq), op, &mut ops);
        let done = self.only.take().unwrap_or(ops.len());
        let mut out = String::new();
        for (index, op) in ops.iter().enumerate() {
            if index < done {
                self.disk.apply(op);
            }
            let mark = if index < done { "" } else { "never done: " };
            let completes = if index + 1 == ops.len() { format!(" ▸{}", self.seq) } else { String::new() };
            out.push_str(&format!("{mark}{}{completes}\n", shown(op)));
        }
        Ok(out)
    }

    fn append(&mut self, ranges: &[&str]) -> Output {
        let (mut batches, mut first_of_epoch) = (Vec::new(), Vec::new());
        for range in ranges {
            let (offsets, epoch) = range.split_once('@').ok_or("BASE..END@EPOCH")?;
            let (base, end) = offsets.split_once("..").ok_or("BASE..END@EPOCH")?;
            let batch = batch(base.parse()?, end.parse()?, Epoch(epoch.parse()?));
            if self.epochs.last().is_none_or(|last| last.epoch < batch.leader_epoch()) {
                let begun = EpochStart { epoch: batch.leader_epoch(), start: batch.base_offset() };
                self.epochs.push(begun);
                first_of_epoch.push(begun);
            }
            batches.push(batch);
        }
        self.plan(DiskOp::Append { batches, first_of_epoch })
    }

    fn power(&mut self, keys: &[(String, String)]) -> Output {
        self.layout = None;
        let keep = keys.iter().find(|(key, _)| key == "keep").map(|(_, value)| value.as_str());
        self.disk.lose_power(&mut match keep {
            Some("all") => Loss::Nothing,
            Some("none") => Loss::Everything,
            _ => return Err("keep=all or keep=none".into()),
        });
        Ok(String::new())
    }

    fn locate(&self, what: &Stored) -> Output {
        let layout = self.layout.as_ref().ok_or("no incarnation")?;
        Ok(match layout.locate(what) {
            Some(range) => format!("{} at {}, {} bytes", range.file, range.at, range.length),
            None => "not in this log".to_string(),
        })
    }

    fn files(&self) -> String {
        let mut out = String::new();
        for (file, length) in self.disk.listing() {
            let content = self.disk.content(file).unwrap_or_default();
            match std::str::from_utf8(content) {
                Ok(text) if length > 0 && !matches!(file, FileName::Segment(_)) => {
                    out.push_str(&format!("{file}: {text:?}\n"));
                }
                _ => out.push_str(&format!("{file}: {length} bytes\n")),
            }
        }
        out
    }

    fn meddle(&mut self, how: &str, file: &str, rest: &[&str], keys: &[(String, String)]) -> Output {
        let path = file.parse().map(|base: u64| FileName::Segment(Offset(base)).to_string());
        let file = FileName::parse(&path.unwrap_or(file.to_string())).ok_or("no file of ours")?;
        let mut content = self.disk.content(file).unwrap_or_default().to_vec();
        match (how, rest) {
            ("flip", [at]) => content[at.parse::<usize>()?] ^= 1,
            ("zeros", [count]) => content.resize(content.len() + count.parse::<usize>()?, 0),
            ("cut", [length]) => content.truncate(length.parse()?),
            ("put", [text]) => content = text.as_bytes().to_vec(),
            ("stamp", [at]) => {
                let epoch = keys.iter().find(|(key, _)| key == "epoch").ok_or("epoch=E")?;
                let at = at.parse::<usize>()? + 12;
                content[at..at + 4].copy_from_slice(&epoch.1.parse::<u32>()?.to_be_bytes());
            }
            ("remove", []) => {
                self.disk.remove(file);
                return Ok(String::new());
            }
            _ => return Err(format!("unknown command {how}").into()),
        }
        self.disk.put(file, content);
        Ok(String::new())
    }
}

fn quorum(keys: &[(String, String)]) -> Result<QuorumState, Box<dyn Error>> {
    let find = |wanted: &str| keys.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.parse::<u32>());
    let version = find("version").transpose()?.unwrap_or(0) as u8;
    let directory = (version == 1).then_some(DirectoryId([7; 16]));
    Ok(QuorumState {
        epoch: Epoch(find("epoch").transpose()?.ok_or("epoch=E")?),
        leader: find("leader").transpose()?.map(ReplicaId),
        vote: find("vote").transpose()?.map(|id| ReplicaKey { id: ReplicaId(id), directory }),
        version,
        voters: vec![ReplicaId(1), ReplicaId(2), ReplicaId(3)],
    })
}

/// One batch; every record carries ten bytes.
fn batch(base: u64, end: u64, epoch: Epoch) -> RecordBatch {
    let mut builder = BatchBuilder::new(Timestamp(1_700_000_000_000 + base as i64));
    (base..end).for_each(|offset| builder.push(None, Some(format!("{offset:010}").as_bytes())));
    builder.build().stamped(Offset(base), epoch)
}

fn shown(op: &FileOp) -> String {
    match op {
        FileOp::Write { file, at, bytes } => {
            let length: usize = bytes.iter().map(|part| part.len()).sum();
            match (file, bytes.len()) {
                (FileName::Temporary(_), 1) => {
                    format!("write {file} {:?}", String::from_utf8_lossy(&bytes[0]))
                }
                (_, parts) => format!("write {file} at {at}, {length} bytes in {parts} parts"),
            }
        }
        FileOp::Preallocate { file, length } => format!("preallocate {file} to {length}"),
        FileOp::Truncate { file, length } => format!("truncate {file} to {length}"),
        FileOp::Sync { file } => format!("sync {file}"),
        FileOp::SyncDirectory(directory) => format!("sync directory {directory:?}"),
        FileOp::Rename { from, to } => format!("rename {from} to {to}"),
        FileOp::Remove { file } => format!("remove {file}"),
    }
}
