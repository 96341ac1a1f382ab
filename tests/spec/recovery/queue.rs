//! Group commit: what the queue leaves out, and what it never does.

use bytes::Bytes;
use kraftbed::ids::Offset;
use kraftbed::log::layout::Directory;
use kraftbed::log::{DiskSeq, FileName, FileOp, FileQueue, QueuedOp};

const LOG: FileName = FileName::Segment(Offset::ZERO);

fn write(at: u64) -> FileOp {
    FileOp::Write { file: LOG, at, bytes: vec![Bytes::from_static(b"x")] }
}

/// The file operations of one disk operation; the last of them completes it.
pub fn push_all(queue: &mut FileQueue, seq: DiskSeq, ops: &[FileOp]) {
    let last = ops.len().checked_sub(1).expect("a disk operation needs at least one file operation");
    for (index, op) in ops.iter().enumerate() {
        queue.push(QueuedOp { op: op.clone(), completes: (index == last).then_some(seq) });
    }
}

fn append(queue: &mut FileQueue, seq: u64) {
    push_all(queue, DiskSeq(seq), &[write(seq), FileOp::Sync { file: LOG }]);
}

fn drain(queue: &mut FileQueue) -> Vec<String> {
    std::iter::from_fn(|| queue.next()).map(|queued| shown(&queued.op, queued.completes)).collect()
}

fn shown(op: &FileOp, completes: Option<DiskSeq>) -> String {
    let what = match op {
        FileOp::Write { at, .. } => format!("write {at}"),
        FileOp::Sync { .. } => "sync".to_string(),
        FileOp::SyncDirectory(_) => "directory".to_string(),
        _ => "other".to_string(),
    };
    completes.map_or(what.clone(), |seq| format!("{what} ▸{}", seq.0))
}

#[test]
fn adjacent_appends_share_one_sync() {
    let mut queue = FileQueue::default();
    (1..=3).for_each(|seq| append(&mut queue, seq));
    assert_eq!(drain(&mut queue), ["write 1", "write 2", "write 3", "sync ▸3"]);
}

#[test]
fn an_append_that_arrives_during_a_run_waits_for_its_own_sync() {
    let mut queue = FileQueue::default();
    (1..=2).for_each(|seq| append(&mut queue, seq));
    assert_eq!(queue.next().map(|queued| queued.op), Some(write(1)));
    append(&mut queue, 3);
    append(&mut queue, 4);
    assert_eq!(drain(&mut queue), ["write 2", "sync ▸2", "write 3", "write 4", "sync ▸4"]);
}

#[test]
fn nothing_overtakes_an_operation_that_is_not_an_append() {
    let mut queue = FileQueue::default();
    append(&mut queue, 1);
    push_all(&mut queue, DiskSeq(2), &[FileOp::SyncDirectory(Directory::Partition)]);
    append(&mut queue, 3);
    // A new segment's append ends with a directory sync, so its own sync completes nothing and must stay.
    let rolls = [write(4), FileOp::Sync { file: LOG }, FileOp::SyncDirectory(Directory::Partition)];
    push_all(&mut queue, DiskSeq(4), &rolls);
    let expected = ["write 1", "sync ▸1", "directory ▸2", "write 3", "sync ▸3", "write 4", "sync", "directory ▸4"];
    assert_eq!(drain(&mut queue), expected);
}

#[test]
#[should_panic(expected = "disk operations complete in order (R1)")]
fn completions_out_of_order_are_our_bug() {
    let mut queue = FileQueue::default();
    append(&mut queue, 2);
    append(&mut queue, 1);
}
