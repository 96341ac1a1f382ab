//! The disk of a real node: operations in their order (R1), flushed on the node's own thread or on the one disk thread.
//!
//! A lone operation is carried out inline: on few cores a hop between threads costs as much as half a flush, and the
//! frames of the step have left already. When a second operation waits, everything that waits goes to the disk thread as
//! one job, so that sockets are served while it syncs; what comes in meanwhile becomes the next job (group commit
//! without a linger timer).
//!
//! The [`DataDirectory`] travels with the job: whoever has it may write, so there is no lock and no way to overtake.
//!
//! **Invariants**
//! - operations complete in the order they were pushed;
//! - after the first error nothing more is carried out (R9).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::{io, mem, thread};

use bytes::Bytes;
use mio::Waker;

use crate::log::{DiskSeq, FileQueue, FileRange, QueuedOp};
use crate::node::tally::Histogram;
use crate::server::files::{DataDirectory, FileError, read_range};

/// A node's disk. Operations are pushed, then [`Disk::work`] is called once the frames of the turn have left.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    queue: FileQueue,
    /// Disk operations in `queue`, each of which is one or more file operations.
    waiting: usize,
    /// `None` while the disk thread has it.
    directory: Option<DataDirectory>,
    /// `None` only while the value is dropped.
    jobs: Option<Sender<Job>>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    syncs: Histogram,
}

/// Work for the disk thread.
#[derive(Debug)]
struct Job {
    directory: DataDirectory,
    operations: Vec<QueuedOp>,
}

/// What the disk thread has to say.
#[derive(Debug)]
enum Report {
    /// This operation and all before it are durable.
    Done(DiskSeq),
    /// The job is over and the directory is free again.
    Over(DataDirectory),
    /// An operation failed; the thread has stopped.
    Failed(FileError),
}

impl Disk {
    /// Takes over a recovered directory. `waker` interrupts the node's poll when the disk thread has something to say.
    pub fn start(directory: DataDirectory, waker: Arc<Waker>) -> io::Result<Disk> {
        let (jobs, jobs_to_do) = channel();
        let (reports_from, reports) = channel();
        let thread = thread::Builder::new()
            .name("kraftbed-disk".into())
            .spawn(move || serve_jobs(&jobs_to_do, &reports_from, &waker))?;
        Ok(Disk {
            root: directory.root().to_path_buf(),
            queue: FileQueue::default(),
            waiting: 0,
            directory: Some(directory),
            jobs: Some(jobs),
            reports,
            thread: Some(thread),
            syncs: Histogram::default(),
        })
    }

    /// Puts an operation behind all others.
    pub fn push(&mut self, operation: QueuedOp) {
        self.waiting += usize::from(operation.completes.is_some());
        self.queue.push(operation);
    }

    /// Whether [`Disk::work`] would do something at this moment.
    pub fn has_work(&self) -> bool {
        self.directory.is_some() && !self.queue.is_empty()
    }

    /// Carries out what waits, or hands it to the disk thread; completions go to `done` in order.
    pub fn work(&mut self, done: &mut Vec<DiskSeq>) -> Result<(), FileError> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let Some(mut directory) = self.directory.take() else { return Ok(()) };
        let is_alone = mem::take(&mut self.waiting) <= 1;
        if !is_alone {
            let operations = std::iter::from_fn(|| self.queue.next()).collect();
            let jobs = self.jobs.as_ref().expect("invariant: the disk thread lives as long as the disk");
            jobs.send(Job { directory, operations }).expect("the disk thread must not end before the disk");
            return Ok(());
        }
        while let Some(operation) = self.queue.next() {
            directory.perform(&operation.op)?;
            done.extend(operation.completes);
        }
        self.take_back(directory);
        Ok(())
    }

    /// Takes what the disk thread has finished; completions go to `done` in order.
    pub fn collect(&mut self, done: &mut Vec<DiskSeq>) -> Result<(), FileError> {
        loop {
            match self.reports.try_recv() {
                Ok(Report::Done(seq)) => done.push(seq),
                Ok(Report::Over(directory)) => self.take_back(directory),
                Ok(Report::Failed(error)) => return Err(error),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => panic!("the disk thread must not end before the disk"),
            }
        }
    }

    fn take_back(&mut self, mut directory: DataDirectory) {
        directory.take_sync_times().for_each(|time| self.syncs.add(time));
        self.directory = Some(directory);
    }

    /// How long syncs took.
    pub fn syncs(&self) -> &Histogram {
        &self.syncs
    }

    /// Reads a range, outside the order of operations; `None` when there is no such file.
    pub fn read(&self, range: FileRange) -> Result<Option<Bytes>, FileError> {
        read_range(&self.root, range)
    }

    /// Where the files are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Disk {
    /// Waits for the disk thread, so that the directory is unlocked and quiet afterwards.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it was noticed.
            let _ = thread.join();
        }
    }
}

fn serve_jobs(jobs: &Receiver<Job>, reports: &Sender<Report>, waker: &Waker) {
    // Nobody listens any more when the node is gone, so what cannot be said need not be said.
    let tell = |report| {
        let _ = reports.send(report);
        let _ = waker.wake();
    };
    for Job { mut directory, operations } in jobs {
        for operation in operations {
            if let Err(error) = directory.perform(&operation.op) {
                return tell(Report::Failed(error));
            }
            if let Some(seq) = operation.completes {
                tell(Report::Done(seq));
            }
        }
        tell(Report::Over(directory));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a real directory is looked at")]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;
    use crate::ids::{DirectoryId, Offset, ReplicaId};
    use crate::log::recovery::RecoveryOptions;
    use crate::log::{CLUSTER_METADATA_ID, Demand, FileName, FileOp, Layout, MetaProperties, Recovery};

    /// A directory of its own for each test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Scratch {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("kraftbed-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const SEGMENT: FileName = FileName::Segment(Offset::ZERO);

    fn write(at: u64, parts: &[&'static [u8]]) -> QueuedOp {
        let bytes = parts.iter().map(|part| Bytes::from_static(part)).collect();
        QueuedOp { op: FileOp::Write { file: SEGMENT, at, bytes }, completes: None }
    }

    fn sync(completes: u64) -> QueuedOp {
        QueuedOp { op: FileOp::Sync { file: SEGMENT }, completes: Some(DiskSeq(completes)) }
    }

    fn disk(scratch: &Scratch) -> (Disk, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        (Disk::start(DataDirectory::open(&scratch.0).unwrap(), waker).unwrap(), poll)
    }

    fn content(disk: &Disk) -> Option<Bytes> {
        disk.read(FileRange { file: SEGMENT, at: 0, length: 1 << 40 }).unwrap()
    }

    #[test]
    fn a_lone_operation_is_durable_when_work_returns() {
        let scratch = Scratch::new();
        let (mut disk, _poll) = disk(&scratch);
        assert_eq!(content(&disk), None);
        let mut done = Vec::new();
        for operation in [write(0, &[b"one", b"", b"two"]), sync(1)] {
            disk.push(operation);
        }
        disk.work(&mut done).unwrap();
        assert_eq!((done, disk.has_work()), (vec![DiskSeq(1)], false));
        assert_eq!(content(&disk).as_deref(), Some(&b"onetwo"[..]));
    }

    #[test]
    fn two_operations_go_to_the_disk_thread_and_come_back_in_order() {
        let scratch = Scratch::new();
        let (mut disk, mut poll) = disk(&scratch);
        for operation in [write(0, &[b"one"]), sync(1), write(3, &[b"two"]), sync(2)] {
            disk.push(operation);
        }
        let mut done = Vec::new();
        disk.work(&mut done).unwrap();
        assert!(!disk.has_work(), "nothing can be done while the thread has the directory");
        disk.push(write(6, &[b"three"]));
        disk.push(sync(3));
        let mut events = Events::with_capacity(8);
        while disk.directory.is_none() {
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert!(!events.is_empty(), "the disk thread wakes the node");
            disk.collect(&mut done).unwrap();
        }
        assert_eq!(done.last(), Some(&DiskSeq(2)), "what came later was not part of the job");
        disk.work(&mut done).unwrap();
        assert_eq!((done.last(), done.is_sorted()), (Some(&DiskSeq(3)), true));
        assert_eq!(content(&disk).as_deref(), Some(&b"onetwothree"[..]));
    }

    #[test]
    fn nothing_is_done_after_the_first_failure() {
        let scratch = Scratch::new();
        let (mut disk, _poll) = disk(&scratch);
        let missing = FileOp::Rename { from: FileName::QuorumState, to: FileName::Recovering };
        disk.push(QueuedOp { op: missing, completes: Some(DiskSeq(1)) });
        let mut done = Vec::new();
        let error = disk.work(&mut done).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot rename ") && error.to_string().contains("quorum-state"),
            "{error}"
        );
        disk.push(sync(2));
        disk.work(&mut done).unwrap();
        assert_eq!(done, [], "R9");
    }

    #[test]
    fn a_formatted_directory_is_recovered_and_locked() {
        let scratch = Scratch::new();
        let mut directory = DataDirectory::open(&scratch.0).unwrap();
        let refused = DataDirectory::open(&scratch.0).unwrap_err();
        assert!(refused.to_string().contains("another process is using this log directory"), "{refused}");
        let meta = MetaProperties {
            cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
            node_id: ReplicaId(1),
            directory_id: DirectoryId([7; 16]),
        };
        for operation in Layout::format(&meta, CLUSTER_METADATA_ID) {
            directory.perform(&operation).unwrap();
        }
        fs::write(scratch.0.join("lost+found"), b"not ours").unwrap();
        let names: Vec<FileName> = directory.list().unwrap().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&FileName::MetaProperties) && names.contains(&FileName::PartitionMetadata), "{names:?}");
        let options = RecoveryOptions {
            topic_id: CLUSTER_METADATA_ID,
            tail_bytes_max: 1 << 20,
            producers_max: 1000,
            segment_bytes: 1 << 20,
            preallocate_bytes: 0,
            is_only_voter: true,
        };
        let mut recovery = Recovery::new(&directory.list().unwrap(), options);
        let (recovered, _) = loop {
            match recovery.demand().unwrap() {
                Demand::Read(range) => recovery.supply(directory.read(range).unwrap().unwrap_or_default()),
                Demand::File(operation) => directory.perform(&operation).unwrap(),
                Demand::Finished => break recovery.finish(),
            }
        };
        assert_eq!((recovered.meta, recovered.end), (meta, Offset::ZERO));
        drop(directory);
        DataDirectory::open(&scratch.0).expect("the lock ends with its holder");
    }
}
