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
        self.directory = Some(directory);
        Ok(())
    }

    /// Takes what the disk thread has finished; completions go to `done` in order.
    pub fn collect(&mut self, done: &mut Vec<DiskSeq>) -> Result<(), FileError> {
        loop {
            match self.reports.try_recv() {
                Ok(Report::Done(seq)) => done.push(seq),
                Ok(Report::Over(directory)) => self.directory = Some(directory),
                Ok(Report::Failed(error)) => return Err(error),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => panic!("the disk thread must not end before the disk"),
            }
        }
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
