//! Registers whose written values are distinct: who read a value tells which write it saw.
//!
//! A write and the operations that saw its value form a *cluster*; a compare-and-set that succeeded glues the cluster that it
//! saw to the one that it wrote. What is glued together is a *block*. No other write can stand inside a block, since the value would
//! be gone and never come back. So an order is an order of blocks, and inside a block it is given.
//!
//! Block A must come before block B if something of A returned before something of B was called: if f(A) < s(B), where f is the
//! earliest return of a block and s its latest call. The history is linearizable if and only if every block agrees with real
//! time inside, and no two blocks must each come before the other. (Gibbons and Korach, "Testing shared memories", whose zones
//! are the intervals between f and s. Longer cycles contain one of length two: take the block of the cycle whose f is least.)
//!
//! Refusals ("it held something else") and values written twice are not decided here.

use crate::history::objects::{Action, Entry, Name, OPEN};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zones {
    /// The entries in an order that explains everything. Optional ones that nobody saw are not in it.
    Order(Vec<u32>),
    /// These entries alone cannot be explained; entries that are not among them write other values and cannot help.
    Conflict(Vec<u32>),
}

/// Decides, if the values allow it.
pub fn decide(entries: &[Entry], initial: Name) -> Option<Zones> {
    if let Some(stray) = stray(entries, initial) {
        return Some(Zones::Conflict(vec![stray]));
    }
    if entries.iter().any(|entry| !matches!(entry.action, Action::Read | Action::Write | Action::Cas)) {
        return None;
    }
    let clusters = Clusters::new(entries, initial)?;
    Some(clusters.conflict().map_or_else(|| clusters.order(), Zones::Conflict))
}

/// An answer with a value that nothing ever wrote: wrong, whatever else there is. A value that is appended to may come to hold
/// what nobody wrote.
fn stray(entries: &[Entry], initial: Name) -> Option<u32> {
    if entries.iter().any(|entry| entry.action == Action::Append) {
        return None;
    }
    let mut written = vec![initial];
    written.extend(entries.iter().filter_map(|entry| match entry.action {
        Action::Write => Some(entry.a),
        Action::Cas => Some(entry.b),
        _ => None,
    }));
    written.sort();
    written.dedup();
    let is_stray = |entry: &&Entry| {
        let has_seen = matches!(entry.action, Action::Read | Action::Cas) && entry.ret != OPEN;
        has_seen && written.binary_search(&entry.a).is_err()
    };
    (0..).zip(entries).find_map(|(index, entry)| is_stray(&entry).then_some(index))
}

/// Who wrote a value and who saw it.
struct Clusters<'e> {
    entries: &'e [Entry],
    /// Values with their writers, sorted; the initial value has none.
    writers: Vec<(Name, Option<u32>)>,
    /// First entry that saw each value, and for each entry the next one that saw the same, in the order of calls.
    first_readers: Vec<Option<u32>>,
    next_readers: Vec<Option<u32>>,
    /// The compare-and-set that replaced each value.
    swaps: Vec<Option<u32>>,
    /// Entries that saw what nobody wrote, or replaced what another had replaced.
    stray: Vec<u32>,
    blocks: Vec<Block>,
    /// Clusters that stand in no block: they replace each other in a circle.
    circle: Vec<usize>,
}

/// Clusters glued together.
struct Block {
    clusters: Vec<usize>,
    /// Earliest return; before everything for the block of the initial value.
    f: i64,
    /// Latest call.
    s: i64,
}

impl<'e> Clusters<'e> {
    fn new(entries: &'e [Entry], initial: Name) -> Option<Clusters<'e>> {
        let seen = seen_values(entries);
        let is_kept = |entry: &Entry| match entry.action {
            _ if entry.ret != OPEN => true,
            Action::Write => true,
            // One that would change nothing need not have happened.
            Action::Cas => entry.a != entry.b && seen.binary_search(&entry.b).is_ok(),
            _ => false,
        };
        let mut writers = vec![(initial, None)];
        for (index, entry) in (0..).zip(entries).filter(|(_, entry)| is_kept(entry)) {
            match entry.action {
                Action::Write => writers.push((entry.a, Some(index))),
                Action::Cas if entry.a != entry.b => writers.push((entry.b, Some(index))),
                _ => {}
            }
        }
        writers.sort();
        if writers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        let count = writers.len();
        let mut clusters = Clusters {
            entries,
            writers,
            first_readers: vec![None; count],
            next_readers: vec![None; entries.len()],
            swaps: vec![None; count],
            stray: Vec::new(),
            blocks: Vec::new(),
            circle: Vec::new(),
        };
        // Backwards, so that the lists of readers come out forwards.
        for (index, entry) in entries.iter().enumerate().rev().filter(|(_, entry)| is_kept(entry)) {
            clusters.add(index as u32, entry);
        }
        clusters.glue();
        Some(clusters)
    }

    fn cluster(&self, value: Name) -> Option<usize> {
        self.writers.binary_search_by_key(&value, |&(value, _)| value).ok()
    }

    fn add(&mut self, index: u32, entry: &Entry) {
        let is_swap = entry.action == Action::Cas && entry.a != entry.b;
        match (entry.action, self.cluster(entry.a)) {
            (Action::Write, _) => {}
            (_, None) => self.stray.push(index),
            (_, Some(cluster)) if is_swap => {
                if let Some(other) = self.swaps[cluster].replace(index) {
                    self.stray.extend([index, other]);
                    self.stray.extend(self.writers[cluster].1);
                }
            }
            (_, Some(cluster)) => {
                self.next_readers[index as usize] = self.first_readers[cluster].replace(index);
            }
        }
    }

    fn glue(&mut self) {
        let mut is_glued = vec![false; self.writers.len()];
        for root in 0..self.writers.len() {
            let is_root =
                self.writers[root].1.is_none_or(|writer| self.entries[writer as usize].action == Action::Write);
            if !is_root {
                continue;
            }
            let mut block = Block { clusters: Vec::new(), f: i64::from(OPEN), s: -1 };
            if self.writers[root].1.is_none() {
                block.f = -1;
            }
            let mut at = Some(root);
            while let Some(cluster) = at.filter(|&cluster| !std::mem::replace(&mut is_glued[cluster], true)) {
                block.clusters.push(cluster);
                for entry in self.members(cluster).map(|member| &self.entries[member as usize]) {
                    block.s = block.s.max(i64::from(entry.call));
                    block.f = block.f.min(i64::from(entry.ret));
                }
                at = self.swaps[cluster].and_then(|swap| self.cluster(self.entries[swap as usize].b));
            }
            self.blocks.push(block);
        }
        self.circle = (0..self.writers.len()).filter(|&cluster| !is_glued[cluster]).collect();
    }

    /// The writer of a cluster, and who saw its value.
    fn members(&self, cluster: usize) -> impl Iterator<Item = u32> {
        let mut next = self.first_readers[cluster];
        let readers = std::iter::from_fn(move || {
            let reader = next?;
            next = self.next_readers[reader as usize];
            Some(reader)
        });
        self.writers[cluster].1.into_iter().chain(readers)
    }

    fn all_members(&self, blocks: &[&Block]) -> Vec<u32> {
        let clusters = blocks.iter().flat_map(|block| block.clusters.iter());
        clusters.flat_map(|&cluster| self.members(cluster)).collect()
    }

    fn conflict(&self) -> Option<Vec<u32>> {
        if !self.stray.is_empty() {
            // One value is enough: that of the first.
            let value = self.entries[self.stray[0] as usize].a;
            let mut of_it = self.stray.clone();
            of_it.retain(|&index| {
                let entry = &self.entries[index as usize];
                entry.a == value || entry.action == Action::Cas && entry.b == value
            });
            return Some(of_it);
        }
        if !self.circle.is_empty() {
            return Some(self.circle.iter().flat_map(|&cluster| self.members(cluster)).collect());
        }
        let disordered = self.blocks.iter().find(|block| !self.agrees_inside(block));
        if let Some(block) = disordered {
            return Some(self.all_members(&[block]));
        }
        let (left, right) = crossing(&self.blocks)?;
        Some(self.all_members(&[&self.blocks[left], &self.blocks[right]]))
    }

    /// Whether the only order of a block agrees with real time.
    fn agrees_inside(&self, block: &Block) -> bool {
        let mut latest_call = 0;
        for &cluster in &block.clusters {
            // Readers may stand in any order: compare them with what came before the cluster, and its writer.
            let mut latest = latest_call;
            for (place, member) in self.members(cluster).enumerate() {
                let entry = &self.entries[member as usize];
                if entry.ret < latest_call {
                    return false;
                }
                latest = latest.max(entry.call);
                if place == 0 && self.writers[cluster].1.is_some() {
                    latest_call = latest;
                }
            }
            latest_call = latest;
        }
        true
    }

    fn order(&self) -> Zones {
        let mut blocks: Vec<&Block> = self.blocks.iter().collect();
        blocks.sort_by_key(|block| block.f.min(block.s));
        Zones::Order(self.all_members(&blocks))
    }
}

/// Two blocks that must each come before the other.
fn crossing(blocks: &[Block]) -> Option<(usize, usize)> {
    let mut by_f: Vec<usize> = (0..blocks.len()).collect();
    by_f.sort_by_key(|&block| blocks[block].f);
    // Of the blocks up to each place, the two with the latest s.
    let mut latest: Vec<[Option<usize>; 2]> = Vec::with_capacity(blocks.len());
    let mut top = [None, None];
    for &block in &by_f {
        let beats = |other: Option<usize>| other.is_none_or(|other: usize| blocks[block].s > blocks[other].s);
        if beats(top[0]) {
            top = [Some(block), top[0]];
        } else if beats(top[1]) {
            top[1] = Some(block);
        }
        latest.push(top);
    }
    (0..blocks.len()).find_map(|block| {
        let before = by_f.partition_point(|&other| blocks[other].f < blocks[block].s);
        let rivals = latest[before.checked_sub(1)?];
        let rival = rivals.into_iter().flatten().find(|&rival| rival != block)?;
        (blocks[block].f < blocks[rival].s).then_some((block, rival))
    })
}

/// The values that something saw that happened, sorted: what returned, and compare-and-sets without an answer whose own value
/// was seen.
fn seen_values(entries: &[Entry]) -> Vec<Name> {
    let mut doubtful: Vec<(Name, Name)> = Vec::new();
    let mut seen: Vec<Name> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.action != Action::Write) {
        if entry.ret != OPEN {
            seen.push(entry.a);
        } else if entry.action == Action::Cas && entry.a != entry.b {
            doubtful.push((entry.b, entry.a));
        }
    }
    doubtful.sort();
    let mut is_taken = vec![false; doubtful.len()];
    let mut next = 0;
    // A circle of them ends since each is looked at once.
    while let Some(&value) = seen.get(next).filter(|_| !doubtful.is_empty()) {
        let mut of_it = doubtful.partition_point(|&(leaves, _)| leaves < value);
        while doubtful.get(of_it).is_some_and(|&(leaves, _)| leaves == value) && !is_taken[of_it] {
            seen.push(doubtful[of_it].1);
            is_taken[of_it] = true;
            of_it += 1;
        }
        next += 1;
    }
    seen.sort();
    seen.dedup();
    seen
}
