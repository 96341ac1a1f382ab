//! One node's disk: what its processes see (the cache) and what a power loss would leave (the platter).
//!
//! Bytes of a file are durable after a sync of the file, its name after a sync of its directory. Everything else may be
//! lost, sector by sector and name by name, when the power fails; [`crate::sim::image`] picks what. A killed process
//! leaves both cache and platter as they are.
//!
//! **Invariants**
//! - the durable bytes of a file are `File::platter_length` many: those of the cache up to where `File::parted` begins, and
//!   from there on those of `parted`, if there is one.
//! - operations are carried out one after another, in the order of the [`FileQueue`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Index, IndexMut};

use bytes::Bytes;

use crate::log::layout::Directory;
use crate::log::{FileName, FileOp, FileQueue, FileRange, Gone, QueuedOp};

/// The number of a file on one disk; names come and go, and no file gets the number of another.
pub type FileNumber = usize;

/// Bytes of a file, as the cache has them and as the platter has them.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What a reader sees.
    pub cache: Vec<u8>,
    /// Length of the durable bytes.
    pub platter_length: usize,
    /// The end of the durable bytes, where the cache may differ from them.
    pub parted: Option<Parted>,
}

/// Durable bytes that the cache does not vouch for any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// Where in the file they begin.
    from: usize,
    /// All durable bytes from there on.
    bytes: Vec<u8>,
}

/// A change of a directory that is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryChange {
    /// A name appeared.
    Create(FileName, FileNumber),
    /// A name took the place of another.
    Rename(FileName, FileName, FileNumber),
    /// A name went away.
    Remove(FileName),
}

/// A simulated disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// The files that have a name, or would have one after a power loss, and a few that had one not long ago.
    pub files: Files,
    /// Names as a reader sees them.
    pub names: BTreeMap<FileName, FileNumber>,
    /// Names as the platter has them.
    pub durable_names: BTreeMap<FileName, FileNumber>,
    /// Changes of names that no directory sync has covered, oldest first.
    pub pending: Vec<EntryChange>,
    /// Operations of the running process.
    pub queue: FileQueue,
    /// The operation under way.
    pub current: Option<QueuedOp>,
}

impl File {
    /// The durable bytes.
    pub fn durable(&self) -> Cow<'_, [u8]> {
        match &self.parted {
            Some(Parted { from, bytes }) => Cow::Owned([&self.cache[..*from], bytes].concat()),
            None => Cow::Borrowed(&self.cache[..self.platter_length]),
        }
    }

    /// The file when exactly these bytes are both in the cache and durable.
    pub fn settle(&mut self, bytes: Vec<u8>) {
        *self = File { platter_length: bytes.len(), cache: bytes, parted: None };
    }

    /// Whether a power loss could change what a reader sees.
    pub fn is_dirty(&self) -> bool {
        self.parted.is_some() || self.platter_length != self.cache.len()
    }

    /// Keeps the durable bytes apart before cache bytes below `from` change.
    fn part(&mut self, from: usize) {
        let known_from = self.parted.as_ref().map_or(self.platter_length, |parted| parted.from);
        if from < known_from {
            let mut bytes = self.cache[from..known_from].to_vec();
            bytes.extend(self.parted.take().map(|parted| parted.bytes).unwrap_or_default());
            self.parted = Some(Parted { from, bytes });
        }
    }

    fn write(&mut self, at: usize, bytes: &[Bytes]) {
        self.part(at);
        if self.cache.len() < at {
            self.cache.resize(at, 0);
        }
        let mut at = at;
        for part in bytes {
            let overlap = part.len().min(self.cache.len() - at);
            self.cache[at..at + overlap].copy_from_slice(&part[..overlap]);
            self.make_room(part.len() - overlap);
            self.cache.extend_from_slice(&part[overlap..]);
            at += part.len();
        }
    }

    /// Room for more bytes, and an eighth of what is there: most of a world's memory is logs that grow, and doubling would
    /// leave as much of it empty.
    fn make_room(&mut self, more: usize) {
        if self.cache.capacity() - self.cache.len() < more {
            self.cache.reserve_exact(more + self.cache.len() / 8);
        }
    }

    fn resize(&mut self, length: usize) {
        self.part(length);
        self.make_room(length.saturating_sub(self.cache.len()));
        self.cache.resize(length, 0);
    }

    fn sync(&mut self) {
        self.parted = None;
        self.platter_length = self.cache.len();
    }
}

/// Files by number, oldest first. A file that is replaced again and again leaves its earlier selves behind; every so many
/// files they go.
#[derive(Clone, Debug, Default)]
pub struct Files {
    held: Vec<(FileNumber, File)>,
    created: FileNumber,
    /// How many are many.
    many: usize,
}

impl Files {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (FileNumber, &mut File)> {
        self.held.iter_mut().map(|(number, file)| (*number, file))
    }

    fn create(&mut self) -> FileNumber {
        self.held.push((self.created, File::default()));
        self.created += 1;
        self.created - 1
    }

    fn are_many(&self) -> bool {
        self.held.len() > self.many.max(FILES_FEW)
    }

    fn retain(&mut self, mut is_kept: impl FnMut(FileNumber, &File) -> bool) {
        self.held.retain(|(number, file)| is_kept(*number, file));
        self.many = self.held.len() + FILES_FEW;
    }

    fn place(&self, number: FileNumber) -> usize {
        // Below the first file that went numbers are places, and above the last one they are so counted from the end.
        let from_end = (self.held.len() + number).checked_sub(self.created);
        for guess in [Some(number), from_end].into_iter().flatten() {
            if self.held.get(guess).is_some_and(|(held, _)| *held == number) {
                return guess;
            }
        }
        let found = self.held.binary_search_by_key(&number, |(held, _)| *held);
        found.expect("invariant: what has a name is held")
    }
}

impl Index<FileNumber> for Files {
    type Output = File;

    fn index(&self, number: FileNumber) -> &File {
        &self.held[self.place(number)].1
    }
}

impl IndexMut<FileNumber> for Files {
    fn index_mut(&mut self, number: FileNumber) -> &mut File {
        let place = self.place(number);
        &mut self.held[place].1
    }
}

impl Disk {
    /// Carries out one operation on the cache, or moves cache to platter.
    pub fn carry_out(&mut self, op: &FileOp) {
        match op {
            FileOp::Write { file, at, bytes } => {
                let number = self.create(*file);
                self.files[number].write(*at as usize, bytes);
            }
            FileOp::Preallocate { file, length } => {
                let number = self.create(*file);
                let length = (*length as usize).max(self.files[number].cache.len());
                self.files[number].resize(length);
            }
            FileOp::Truncate { file, length } => {
                if let Some(&number) = self.names.get(file) {
                    self.files[number].resize(*length as usize);
                }
            }
            FileOp::Sync { file } => {
                if let Some(&number) = self.names.get(file) {
                    self.files[number].sync();
                }
            }
            FileOp::SyncDirectory(directory) => self.sync_directory(*directory),
            FileOp::Rename { from, to } => {
                if let Some(number) = self.names.remove(from) {
                    self.names.insert(*to, number);
                    self.pending.push(EntryChange::Rename(*from, *to, number));
                }
            }
            FileOp::Remove { file } => {
                if self.names.remove(file).is_some() {
                    self.pending.push(EntryChange::Remove(*file));
                }
            }
        }
    }

    /// The files a process would find, with their lengths.
    pub fn listing(&self) -> Vec<(FileName, u64)> {
        self.names.iter().map(|(&name, &number)| (name, self.files[number].cache.len() as u64)).collect()
    }

    /// Every file as a process would find it: its path and its bytes.
    pub fn into_contents(mut self) -> Vec<(String, Vec<u8>)> {
        let mut cache_of = |number: FileNumber| std::mem::take(&mut self.files[number].cache);
        self.names.iter().map(|(name, &number)| (name.to_string(), cache_of(number))).collect()
    }

    /// Reads a range as a process would; fewer bytes come back at the end of the file, none for a missing file.
    pub fn read(&self, range: FileRange) -> Bytes {
        self.load(range).unwrap_or_default()
    }

    /// Reads a range of a file that may be gone.
    pub fn load(&self, range: FileRange) -> Result<Bytes, Gone> {
        let &number = self.names.get(&range.file).ok_or(Gone)?;
        let cache = &self.files[number].cache;
        let from = (range.at as usize).min(cache.len());
        let to = from.saturating_add(range.length as usize).min(cache.len());
        Ok(Bytes::copy_from_slice(&cache[from..to]))
    }

    /// Whether the file's bytes up to `length` and its name would survive any power loss.
    pub fn is_durable(&self, file: FileName, length: usize) -> bool {
        let number = self.names.get(&file);
        let is_named = number.is_some() && self.durable_names.get(&file) == number;
        is_named && self.files[number.copied().unwrap_or_default()].holds_durably(length)
    }

    /// Whether no operation of the process is waiting or under way.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.queue.is_empty()
    }

    /// The process is gone: what it had not handed to the operating system never happens.
    pub fn forget_queue(&mut self) {
        self.queue = FileQueue::default();
        self.current = None;
    }

    fn create(&mut self, name: FileName) -> FileNumber {
        if let Some(&number) = self.names.get(&name) {
            return number;
        }
        let number = self.files.create();
        self.names.insert(name, number);
        self.pending.push(EntryChange::Create(name, number));
        number
    }

    fn sync_directory(&mut self, directory: Directory) {
        let (covered, rest): (Vec<EntryChange>, Vec<EntryChange>) =
            self.pending.iter().partition(|change| change.directory() == directory);
        for change in covered {
            change.apply(&mut self.durable_names);
        }
        self.pending = rest;
        if self.files.are_many() {
            self.forget_files();
        }
    }

    /// Frees what no name leads to any more. Dirty files stay: what of them survives a power loss is still drawn.
    fn forget_files(&mut self) {
        let named = self.names.values().chain(self.durable_names.values()).copied();
        let pending = self.pending.iter().filter_map(|change| match *change {
            EntryChange::Create(_, number) | EntryChange::Rename(_, _, number) => Some(number),
            EntryChange::Remove(_) => None,
        });
        let named: BTreeSet<FileNumber> = named.chain(pending).collect();
        self.files.retain(|number, file| named.contains(&number) || file.is_dirty());
    }
}

impl File {
    fn holds_durably(&self, length: usize) -> bool {
        if self.platter_length < length || self.cache.len() < length {
            return false;
        }
        match &self.parted {
            Some(Parted { from, bytes }) if *from < length => bytes[..length - from] == self.cache[*from..length],
            Some(_) | None => true,
        }
    }
}

impl EntryChange {
    /// The name that it is about.
    pub fn name(&self) -> FileName {
        match *self {
            EntryChange::Create(name, _) | EntryChange::Rename(_, name, _) | EntryChange::Remove(name) => name,
        }
    }

    /// The directory whose sync makes the change durable.
    pub fn directory(&self) -> Directory {
        self.name().directory()
    }

    /// Makes the change in a table of names.
    pub fn apply(&self, names: &mut BTreeMap<FileName, FileNumber>) {
        match *self {
            EntryChange::Create(name, number) => {
                names.insert(name, number);
            }
            EntryChange::Rename(from, to, number) => {
                names.remove(&from);
                names.insert(to, number);
            }
            EntryChange::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

/// So many new files are not worth looking for nameless ones.
const FILES_FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileName = FileName::QuorumState;

    fn write(disk: &mut Disk, at: u64, bytes: &'static [u8]) {
        disk.carry_out(&FileOp::Write { file: FILE, at, bytes: vec![Bytes::from_static(bytes)] });
    }

    #[test]
    fn bytes_are_durable_after_file_and_directory_sync_only() {
        let mut disk = Disk::default();
        write(&mut disk, 0, b"abc");
        assert!(!disk.is_durable(FILE, 3));
        disk.carry_out(&FileOp::Sync { file: FILE });
        assert!(!disk.is_durable(FILE, 3), "the name is not on the platter");
        disk.carry_out(&FileOp::SyncDirectory(Directory::Partition));
        assert!(disk.is_durable(FILE, 3));
        write(&mut disk, 3, b"d");
        assert!(disk.is_durable(FILE, 3) && !disk.is_durable(FILE, 4));
    }

    #[test]
    fn overwriting_keeps_the_durable_bytes_apart() {
        let mut disk = Disk::default();
        write(&mut disk, 0, b"abc");
        disk.carry_out(&FileOp::Sync { file: FILE });
        disk.carry_out(&FileOp::Truncate { file: FILE, length: 1 });
        write(&mut disk, 1, b"xyz");
        assert_eq!((disk.files[0].cache.as_slice(), disk.files[0].durable()), (&b"axyz"[..], Cow::from(&b"abc"[..])));
    }
}
