//! The batches of a log as the judge knows them: ascending marks, whose full pages several logs may share.
//!
//! The books keep the log of every node twice, as it lies in the files and as it was last seen, and what is committed
//! besides. Almost all of that is the same, so it is kept once: marks stand in pages of [`PAGE`], a page that is full never
//! changes, and a log whose page equals that of the committed log takes that one in its place ([`MarkLog::share`]).
//!
//! **Invariants**
//! - marks ascend, and `rest` is shorter than a page.
//! - what a page is shared with never shows: a log that is cut takes its part of the page with it.

use std::iter;
use std::ops::Index;
use std::rc::Rc;

use crate::check::BatchMark;
use crate::ids::Offset;

/// Marks of the batches of one log, from its start.
#[derive(Clone, Debug, Default)]
pub struct MarkLog {
    pages: Vec<Rc<[BatchMark]>>,
    rest: Vec<BatchMark>,
    /// How many pages were compared with those of the log to share with.
    compared: usize,
}

impl MarkLog {
    /// A log without batches.
    pub const EMPTY: &'static MarkLog = &MarkLog { pages: Vec::new(), rest: Vec::new(), compared: 0 };

    /// How many batches.
    #[inline]
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE + self.rest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch of that index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&BatchMark> {
        match self.pages.get(index / PAGE) {
            Some(page) => page.get(index % PAGE),
            None => self.rest.get(index - self.pages.len() * PAGE),
        }
    }

    /// The first batch.
    pub fn first(&self) -> Option<&BatchMark> {
        self.get(0)
    }

    /// The last batch.
    #[inline]
    pub fn last(&self) -> Option<&BatchMark> {
        self.rest.last().or_else(|| self.pages.last()?.last())
    }

    /// All batches.
    pub fn iter(&self) -> impl Iterator<Item = &BatchMark> {
        self.iter_from(0)
    }

    /// The batches from that index on.
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = &BatchMark> {
        let mut next = index;
        iter::from_fn(move || {
            next += 1;
            self.get(next - 1)
        })
    }

    /// How many batches, from the front, the predicate holds for; after the first that it does not hold for it holds for none.
    pub fn partition_point(&self, mut holds: impl FnMut(&BatchMark) -> bool) -> usize {
        let (before, marks) = self.page_of(&mut holds);
        before + marks.partition_point(holds)
    }

    /// The index of the batch that begins at `base`.
    #[inline]
    pub fn find(&self, base: Offset) -> Option<usize> {
        // Mostly the question is about the newest batch, or about one that is not there yet.
        match self.rest.last() {
            Some(last) if last.base == base => return Some(self.len() - 1),
            Some(last) if last.base < base => return None,
            _ => {}
        }
        let (before, marks) = self.page_of(|mark| mark.base < base);
        marks.binary_search_by_key(&base, |mark| mark.base).ok().map(|index| before + index)
    }

    /// See [`MarkLog::find`], for who has a good guess of the index.
    #[inline]
    pub fn find_near(&self, guess: usize, base: Offset) -> Option<usize> {
        match self.get(guess) {
            Some(mark) if mark.base == base => Some(guess),
            _ => self.find(base),
        }
    }

    /// The batch that begins at `base`.
    #[inline]
    pub fn at(&self, base: Offset) -> Option<BatchMark> {
        self.find(base).map(|index| self[index])
    }

    /// The index of the batch that ends at `end`.
    pub fn find_end(&self, end: Offset) -> Option<usize> {
        let (before, marks) = self.page_of(|mark| mark.end < end);
        marks.binary_search_by_key(&end, |mark| mark.end).ok().map(|index| before + index)
    }

    /// The page in which the predicate begins not to hold, and how many batches come before it.
    fn page_of(&self, mut holds: impl FnMut(&BatchMark) -> bool) -> (usize, &[BatchMark]) {
        let full = match self.pages.last() {
            Some(last) if !holds(&last[PAGE - 1]) => self.pages.partition_point(|page| holds(&page[PAGE - 1])),
            _ => self.pages.len(),
        };
        (full * PAGE, self.pages.get(full).map_or(&self.rest[..], |page| &page[..]))
    }

    /// Adds a batch at the end.
    pub fn push(&mut self, mark: BatchMark) {
        self.rest.push(mark);
        if self.rest.len() == PAGE {
            self.pages.push(Rc::from(self.rest.as_slice()));
            self.rest.clear();
        }
    }

    /// Drops all batches but the first `kept`.
    pub fn truncate(&mut self, kept: usize) {
        if kept >= self.pages.len() * PAGE {
            return self.rest.truncate(kept - self.pages.len() * PAGE);
        }
        let cut = Rc::clone(&self.pages[kept / PAGE]);
        self.pages.truncate(kept / PAGE);
        self.rest.clear();
        self.rest.extend_from_slice(&cut[..kept % PAGE]);
        self.compared = self.compared.min(self.pages.len());
    }

    /// Keeps pages that are equal to those of the other log only once.
    pub fn share(&mut self, other: &MarkLog) {
        while self.compared < self.pages.len().min(other.pages.len()) {
            let (own, others) = (&mut self.pages[self.compared], &other.pages[self.compared]);
            if own == others {
                *own = Rc::clone(others);
            }
            self.compared += 1;
        }
    }

    /// How many marks are kept for this log alone.
    pub fn unshared(&self) -> usize {
        let alone = self.pages.iter().filter(|page| Rc::strong_count(page) == 1).count();
        alone * PAGE + self.rest.len()
    }
}

impl Index<usize> for MarkLog {
    type Output = BatchMark;

    fn index(&self, index: usize) -> &BatchMark {
        self.get(index).expect("invariant: an index below the length")
    }
}

impl Extend<BatchMark> for MarkLog {
    fn extend<T: IntoIterator<Item = BatchMark>>(&mut self, marks: T) {
        marks.into_iter().for_each(|mark| self.push(mark));
    }
}

impl FromIterator<BatchMark> for MarkLog {
    fn from_iter<T: IntoIterator<Item = BatchMark>>(marks: T) -> MarkLog {
        let mut log = MarkLog::default();
        log.extend(marks);
        log
    }
}

/// Marks of a full page.
const PAGE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::mark;
    use crate::prng::Prng;

    /// Batches of two records each.
    fn of_epoch(epoch: u32) -> impl Fn(usize) -> BatchMark {
        move |index| mark(index as u64 * 2, index as u64 * 2 + 2, epoch)
    }

    #[test]
    fn a_log_in_pages_is_like_a_plain_one() {
        let mut prng = Prng::new(1, 1);
        let (mut plain, mut log, mut other) = (Vec::new(), MarkLog::default(), MarkLog::default());
        other.extend((0..4 * PAGE).map(of_epoch(1)));
        for _ in 0..300 {
            if prng.chance(1, 4) {
                let kept = prng.range(0..plain.len() as u64 + 1) as usize;
                plain.truncate(kept);
                log.truncate(kept);
            }
            let epoch = 1 + u32::from(prng.chance(1, 8));
            let count = prng.range(0..PAGE as u64) as usize;
            let new: Vec<BatchMark> = (plain.len()..plain.len() + count).map(of_epoch(epoch)).collect();
            plain.extend_from_slice(&new);
            log.extend(new);
            log.share(&other);
            assert!(log.iter().eq(&plain), "shared or not, the marks are the same");
            assert_eq!((log.len(), log.first(), log.last()), (plain.len(), plain.first(), plain.last()));
            let at = Offset(prng.range(0..plain.len() as u64 * 2 + 3));
            let found = |mark: Option<usize>| mark.map(|index| log[index]);
            assert_eq!(log.find_near(plain.len() / 2, at), log.find(at));
            assert_eq!(log.at(at), plain.iter().find(|mark| mark.base == at).copied());
            assert_eq!(found(log.find_end(at)), plain.iter().find(|mark| mark.end == at).copied());
            assert_eq!(log.partition_point(|mark| mark.end <= at), plain.partition_point(|mark| mark.end <= at));
        }
    }

    #[test]
    fn equal_pages_are_kept_once_and_others_are_not() {
        let committed: MarkLog = (0..3 * PAGE).map(of_epoch(1)).collect();
        let mut same: MarkLog = (0..3 * PAGE + 5).map(of_epoch(1)).collect();
        let mut other: MarkLog = (0..PAGE).map(of_epoch(1)).chain((PAGE..2 * PAGE).map(of_epoch(2))).collect();
        same.share(&committed);
        other.share(&committed);
        assert_eq!((same.unshared(), other.unshared()), (5, PAGE));
        other.truncate(PAGE + 1);
        other.extend((PAGE + 1..2 * PAGE).map(of_epoch(3)));
        assert_eq!((other[PAGE].epoch, committed[PAGE].epoch), (of_epoch(2)(0).epoch, of_epoch(1)(0).epoch));
    }
}
