//! One node's data directory on a real file system: locked, listed, read, and changed one [`FileOp`] at a time.
//!
//! Nothing here decides anything: which file, which bytes and which sync were chosen by `log::layout` and
//! `log::recovery`. A [`DataDirectory`] is owned by one thread at a time and moves between the node's thread and the
//! disk thread (`server::disk`), so there is no lock.
//!
//! **Invariants**
//! - one process at a time: `.lock` is held as long as the value lives;
//! - a handle in the cache is the file that its name means (renames, removals drop it);
//! - the first error ends it: after a failed sync the kernel may have dropped the dirty pages, so nothing is retried (R9).
#![expect(clippy::disallowed_methods, reason = "real files are opened here and nowhere else in the server")]

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::log::layout::Directory;
use crate::log::{FileName, FileOp, FileRange};
use crate::server::clock::Clock;

/// A directory of `log.dirs`, open and locked.
#[derive(Debug)]
pub struct DataDirectory {
    root: PathBuf,
    open: Vec<OpenFile>,
    clock: Clock,
    /// How long syncs took that nobody has asked about yet.
    sync_times: Vec<Duration>,
    _lock: File,
}

/// What could not be done to which path.
#[derive(Debug)]
pub struct FileError {
    /// The operation, a verb: `sync`, `write`.
    pub operation: &'static str,
    /// What it was done to.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// A cached handle. `position` is where the next write without a seek would land.
#[derive(Debug)]
struct OpenFile {
    name: FileName,
    file: File,
    position: u64,
}

impl DataDirectory {
    /// Creates the directory if it is not there, and locks it against a second process.
    pub fn open(root: &Path) -> Result<DataDirectory, FileError> {
        fs::create_dir_all(root).map_err(|source| failed("create directory", root, source))?;
        let lock_path = root.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|source| failed("open", &lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let held = io::Error::new(io::ErrorKind::ResourceBusy, "another process is using this log directory");
                return Err(failed("lock", &lock_path, held));
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path, source)),
        }
        let partition = root.join(PARTITION_DIRECTORY);
        if !partition.is_dir() {
            fs::create_dir(&partition).map_err(|source| failed("create directory", &partition, source))?;
            sync_directory(root)?;
        }
        Ok(DataDirectory {
            root: root.to_path_buf(),
            open: Vec::new(),
            clock: Clock::start(),
            sync_times: Vec::new(),
            _lock: lock,
        })
    }

    /// The directory's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Kafka's files in it and their lengths, in the order of their names; files that are not ours are passed over.
    pub fn list(&self) -> Result<Vec<(FileName, u64)>, FileError> {
        let mut listing = Vec::new();
        for below in ["", PARTITION_DIRECTORY] {
            let directory = self.root.join(below);
            let entries = fs::read_dir(&directory).map_err(|source| failed("list", &directory, source))?;
            for entry in entries {
                let entry = entry.map_err(|source| failed("list", &directory, source))?;
                let relative = Path::new(below).join(entry.file_name());
                let Some(name) = relative.to_str().and_then(FileName::parse) else { continue };
                let length = entry.metadata().map_err(|source| failed("stat", &entry.path(), source))?.len();
                listing.push((name, length));
            }
        }
        listing.sort();
        Ok(listing)
    }

    /// Reads a range; fewer bytes come back at the end of the file, `None` when there is no such file.
    pub fn read(&self, range: FileRange) -> Result<Option<Bytes>, FileError> {
        read_range(&self.root, range)
    }

    /// Carries out one operation. Durable afterwards is only what a sync made so.
    pub fn perform(&mut self, operation: &FileOp) -> Result<(), FileError> {
        match operation {
            FileOp::Write { file, at, bytes } => self.write(*file, *at, bytes),
            FileOp::Preallocate { file, length } => self.preallocate(*file, *length),
            FileOp::Truncate { file, length } => self.set_length("truncate", *file, *length),
            FileOp::Sync { file } => {
                let (path, begun) = (self.path(*file), self.clock.monotonic());
                // fdatasync: it writes the length too when a reader needs it, and spares the journal the times.
                self.handle(*file)?.file.sync_data().map_err(|source| failed("sync", &path, source))?;
                self.sync_times.push(self.clock.monotonic().since(begun));
                Ok(())
            }
            FileOp::SyncDirectory(directory) => {
                let path = match directory {
                    Directory::Root => self.root.clone(),
                    Directory::Partition => self.root.join(PARTITION_DIRECTORY),
                };
                sync_directory(&path)
            }
            FileOp::Rename { from, to } => {
                self.forget(*from);
                self.forget(*to);
                let path = self.path(*from);
                fs::rename(&path, self.path(*to)).map_err(|source| failed("rename", &path, source))
            }
            FileOp::Remove { file } => {
                self.forget(*file);
                let path = self.path(*file);
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, source)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// How long each sync took since the last call.
    pub fn take_sync_times(&mut self) -> impl Iterator<Item = Duration> {
        self.sync_times.drain(..)
    }

    fn write(&mut self, name: FileName, at: u64, bytes: &[Bytes]) -> Result<(), FileError> {
        let path = self.path(name);
        let open = self.handle(name)?;
        write_gathered(open, at, bytes).map_err(|source| {
            // Where a failed write left the cursor is anybody's guess.
            open.position = u64::MAX;
            failed("write", &path, source)
        })
    }

    /// Reserves blocks up to `length`. A write into them changes neither the file's length nor the disk's map of free
    /// blocks, which makes its sync cheaper by a third; and a full disk shows here, before anything is written.
    fn preallocate(&mut self, name: FileName, length: u64) -> Result<(), FileError> {
        let path = self.path(name);
        let reserve = |file: &File| {
            let from = file.metadata()?.len();
            match length.checked_sub(from) {
                None | Some(0) => Ok(()),
                Some(more) => match rustix::fs::fallocate(file, FallocateFlags::empty(), from, more) {
                    // Where a file system cannot reserve, zeros that take no space are as good for who reads them.
                    Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(length),
                    reserved => reserved.map_err(io::Error::from),
                },
            }
        };
        reserve(&self.handle(name)?.file).map_err(|source| failed("preallocate", &path, source))
    }

    fn set_length(&mut self, verb: &'static str, name: FileName, length: u64) -> Result<(), FileError> {
        let path = self.path(name);
        self.handle(name)?.file.set_len(length).map_err(|source| failed(verb, &path, source))
    }

    /// The file's handle, opened (and created) when it is not cached; the least recently used one makes room.
    fn handle(&mut self, name: FileName) -> Result<&mut OpenFile, FileError> {
        if let Some(found) = self.open.iter().position(|open| open.name == name) {
            self.open[found..].rotate_left(1);
        } else {
            let path = self.path(name);
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|source| failed("open", &path, source))?;
            if self.open.len() == OPEN_FILES_MAX {
                self.open.remove(0);
            }
            self.open.push(OpenFile { name, file, position: 0 });
        }
        Ok(self.open.last_mut().expect("invariant: the file asked for is the last one"))
    }

    fn forget(&mut self, name: FileName) {
        self.open.retain(|open| open.name != name);
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.root.join(name.to_string())
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads a range of a file below `root` through a handle of its own, so that reading never waits for who writes.
pub fn read_range(root: &Path, range: FileRange) -> Result<Option<Bytes>, FileError> {
    let path = root.join(range.file.to_string());
    let mut file = match File::open(&path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| failed("open", &path, source))?,
    };
    let length = file.metadata().map_err(|source| failed("stat", &path, source))?.len();
    // The length comes from the caller, so what is allocated is bounded by what is there.
    let wanted = length.saturating_sub(range.at).min(range.length);
    let wanted = usize::try_from(wanted).expect("invariant: a range to read fits into memory");
    let mut bytes = BytesMut::zeroed(wanted);
    let filled = file
        .seek(SeekFrom::Start(range.at))
        .and_then(|_| fill(&mut file, &mut bytes))
        .map_err(|source| failed("read", &path, source))?;
    bytes.truncate(filled);
    Ok(Some(bytes.freeze()))
}

/// Reads until the buffer is full or the file ends, and says how much came.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all parts at `at`; the parts go to the kernel as they are.
fn write_gathered(open: &mut OpenFile, at: u64, parts: &[Bytes]) -> io::Result<()> {
    if open.position != at {
        open.file.seek(SeekFrom::Start(at))?;
        open.position = at;
    }
    let mut slices: Vec<IoSlice<'_>> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match open.file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                open.position += count as u64;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn sync_directory(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|opened| opened.sync_all()).map_err(|source| failed("sync", path, source))
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError { operation, path: path.to_path_buf(), source }
}

/// Held by the process that uses a directory. (Kafka: `LogManager.LockFileName`.)
const LOCK_FILE: &str = ".lock";

/// Where the one partition lives, below `log.dirs`.
const PARTITION_DIRECTORY: &str = "__cluster_metadata-0";

/// Handles kept open at once; a node writes to about five files.
const OPEN_FILES_MAX: usize = 8;
