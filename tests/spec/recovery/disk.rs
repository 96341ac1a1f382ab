//! A disk in memory that forgets as a real one may: file contents and directory entries, each with a cache and a platter.
//!
//! It is the naive twin of the simulator's disk: inodes are vectors, what is unsynced is a list of changes, and a power
//! loss keeps any subset of them, sector by sector.

use std::collections::BTreeMap;

use bytes::Bytes;
use kraftbed::log::layout::Directory;
use kraftbed::log::recovery::RecoveryOptions;
use kraftbed::log::{
    CLUSTER_METADATA_ID, Demand, FileName, FileOp, FileRange, Layout, Recovered, Recovery, RecoveryError,
};
use kraftbed::prng::Prng;

/// Bytes that reach the platter together or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<FileName, usize>,
    durable_names: BTreeMap<FileName, usize>,
    unsynced_names: Vec<Entry>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cache: Vec<u8>,
    platter: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    /// A part of a write that lies in one sector.
    Sector {
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
}

#[derive(Clone, Debug)]
enum Entry {
    Create(FileName, usize),
    Remove(FileName),
    Rename(FileName, FileName, usize),
}

/// What a power loss does with everything that was not synced.
#[derive(Clone, Debug)]
pub enum Loss {
    Nothing,
    Everything,
    /// Each sector, length and directory entry by itself.
    Any(Box<Prng>),
}

impl Loss {
    fn keeps(&mut self) -> bool {
        match self {
            Loss::Nothing => true,
            Loss::Everything => false,
            Loss::Any(prng) => prng.chance(1, 2),
        }
    }
}

impl Disk {
    pub fn listing(&self) -> Vec<(FileName, u64)> {
        self.names.iter().map(|(&name, &inode)| (name, self.inodes[inode].cache.len() as u64)).collect()
    }

    /// The cached content of a file.
    pub fn content(&self, file: FileName) -> Option<&[u8]> {
        self.names.get(&file).map(|&inode| &self.inodes[inode].cache[..])
    }

    /// Puts a file on the platter, as an operator or a failing disk would.
    pub fn put(&mut self, file: FileName, bytes: Vec<u8>) {
        let inode = Inode { cache: bytes.clone(), platter: bytes, unsynced: vec![] };
        self.inodes.push(inode);
        self.names.insert(file, self.inodes.len() - 1);
        self.durable_names.insert(file, self.inodes.len() - 1);
    }

    pub fn remove(&mut self, file: FileName) {
        self.names.remove(&file);
        self.durable_names.remove(&file);
    }

    pub fn read(&self, range: FileRange) -> Bytes {
        let content = self.content(range.file).unwrap_or_default();
        let from = usize::try_from(range.at).unwrap().min(content.len());
        let to = from.saturating_add(usize::try_from(range.length).unwrap()).min(content.len());
        Bytes::copy_from_slice(&content[from..to])
    }

    pub fn apply(&mut self, op: &FileOp) {
        match op {
            FileOp::Write { file, at, bytes } => {
                let bytes: Vec<u8> = bytes.iter().flatten().copied().collect();
                let inode = self.open_or_create(*file);
                inode.write(usize::try_from(*at).unwrap(), &bytes);
            }
            FileOp::Preallocate { file, length } => {
                let inode = self.open_or_create(*file);
                assert!(*length >= inode.cache.len() as u64, "space is reserved ahead, not cut");
                inode.resize(usize::try_from(*length).unwrap());
            }
            FileOp::Truncate { file, length } => {
                let inode = self.names.get(file).map(|&inode| &mut self.inodes[inode]);
                inode.expect("only files that exist are cut").resize(usize::try_from(*length).unwrap());
            }
            FileOp::Sync { file } => {
                let inode = self.names.get(file).map(|&inode| &mut self.inodes[inode]);
                inode.unwrap_or_else(|| panic!("only files that exist are synced, not {file}")).sync();
            }
            FileOp::SyncDirectory(directory) => self.sync_directory(*directory),
            FileOp::Rename { from, to } => {
                let inode = self.names.remove(from).expect("only files that exist are renamed");
                self.names.insert(*to, inode);
                self.unsynced_names.push(Entry::Rename(*from, *to, inode));
            }
            FileOp::Remove { file } => {
                if self.names.remove(file).is_some() {
                    self.unsynced_names.push(Entry::Remove(*file));
                }
            }
        }
    }

    /// Takes the cache away and keeps what `loss` lets through.
    pub fn lose_power(&mut self, loss: &mut Loss) {
        for entry in std::mem::take(&mut self.unsynced_names) {
            if loss.keeps() {
                entry.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for inode in &mut self.inodes {
            for change in std::mem::take(&mut inode.unsynced) {
                if loss.keeps() {
                    change.apply(&mut inode.platter);
                }
            }
            inode.cache = inode.platter.clone();
        }
    }

    fn open_or_create(&mut self, file: FileName) -> &mut Inode {
        let inode = *self.names.entry(file).or_insert_with(|| {
            self.inodes.push(Inode::default());
            self.unsynced_names.push(Entry::Create(file, self.inodes.len() - 1));
            self.inodes.len() - 1
        });
        &mut self.inodes[inode]
    }

    fn sync_directory(&mut self, directory: Directory) {
        for entry in std::mem::take(&mut self.unsynced_names) {
            match entry.name().directory() == directory {
                true => entry.apply(&mut self.durable_names),
                false => self.unsynced_names.push(entry),
            }
        }
    }
}

impl Inode {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let mut from = 0;
        while from < bytes.len() {
            let sector_end = ((at + from) / SECTOR_BYTES + 1) * SECTOR_BYTES;
            let to = bytes.len().min(sector_end - at);
            let change = Change::Sector { at: at + from, bytes: bytes[from..to].to_vec() };
            change.apply(&mut self.cache);
            self.unsynced.push(change);
            from = to;
        }
    }

    fn resize(&mut self, length: usize) {
        self.cache.resize(length, 0);
        self.unsynced.push(Change::Length(length));
    }

    fn sync(&mut self) {
        self.unsynced.clear();
        self.platter.clone_from(&self.cache);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Sector { at, bytes } => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Length(length) => content.resize(*length, 0),
        }
    }
}

impl Entry {
    fn name(&self) -> FileName {
        match self {
            Entry::Create(name, _) | Entry::Remove(name) | Entry::Rename(name, ..) => *name,
        }
    }

    fn apply(&self, names: &mut BTreeMap<FileName, usize>) {
        match self {
            Entry::Create(name, inode) => drop(names.insert(*name, *inode)),
            Entry::Remove(name) => drop(names.remove(name)),
            Entry::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(*to, *inode);
            }
        }
    }
}

pub fn options() -> RecoveryOptions {
    RecoveryOptions {
        topic_id: CLUSTER_METADATA_ID,
        tail_bytes_max: 1 << 20,
        producers_max: 1_000,
        segment_bytes: 1 << 20,
        preallocate_bytes: 0,
        is_only_voter: false,
    }
}

/// Runs a recovery to its end; `repairs` sees every repair before it is carried out.
pub fn recover(
    disk: &mut Disk,
    options: &RecoveryOptions,
    mut repairs: impl FnMut(&FileOp),
) -> Result<(Recovered, Layout), RecoveryError> {
    let mut recovery = Recovery::new(&disk.listing(), options.clone());
    loop {
        match recovery.demand()? {
            Demand::Read(range) => recovery.supply(disk.read(range)),
            Demand::File(op) => {
                repairs(&op);
                disk.apply(&op);
            }
            Demand::Finished => return Ok(recovery.finish()),
        }
    }
}
