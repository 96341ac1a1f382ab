//! The parts of a history, decided on several threads. What comes of it does not depend on how many there are.
//!
//! Where one part is refuted the history is, so the others need not be decided at any price. But which part is refuted first is a
//! matter of luck, and so would be which one a reader is shown. Therefore all parts get few steps at first, and those that need
//! more get them in a further round, eight times as many each time: all together no more than an eighth of the work is done in vain.
//! The first round that refutes a part ends it, and of those that it refuted the first of the file counts: parts behind it are
//! left alone as soon as it is known, those before it are decided as that round decides them.
//!
//! Memory is shared. A part that has no room beside the others is decided alone, when they are done.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::history::engine::decide::{Decision, Part, Verdict, decide};
use crate::history::engine::{Budget, Exhausted};
use crate::history::objects::ObjectHistory;

/// What deciding a history may take.
pub struct Limits<'l> {
    /// Operations that the search of one part may try.
    pub steps_max: u64,
    /// Bytes of states that all searches together may keep.
    pub bytes_max: u64,
    /// Threads.
    pub threads: usize,
    /// Whether time is up.
    pub is_over: &'l (dyn Fn() -> bool + Sync),
    /// Is told how many parts are decided, of how many.
    pub hear: &'l (dyn Fn(usize, usize) + Sync),
}

/// Decides the parts, up to the first one that is refuted; the decisions are in the order of the parts.
pub fn decide_all(history: &ObjectHistory, parts: &[Part], limits: &Limits<'_>) -> Vec<Decision> {
    let mut decisions: Vec<Option<Decision>> = vec![None; parts.len()];
    let mut pending: Vec<usize> = (0..parts.len()).collect();
    pending.sort_by_key(|&index| std::cmp::Reverse(parts[index].entries.len()));
    let mut steps_max = if parts.len() == 1 { u64::MAX } else { STEPS_FIRST };
    loop {
        let round = Round { history, parts, limits, steps_max: steps_max.min(limits.steps_max) };
        let refuted = round.decide(&pending, &mut decisions);
        if refuted < parts.len() {
            decisions.truncate(refuted + 1);
            break;
        }
        let needs_steps = |decision: &Option<Decision>| {
            matches!(decision, Some(Decision { verdict: Verdict::Undecided(Exhausted::Steps), .. }))
        };
        pending.retain(|&index| needs_steps(&decisions[index]));
        if pending.is_empty() || steps_max >= limits.steps_max || (limits.is_over)() {
            break;
        }
        steps_max = steps_max.saturating_mul(STEPS_FACTOR);
    }
    decisions.into_iter().map(|decision| decision.expect("invariant: all up to the refuted one are decided")).collect()
}

/// All that are not decided yet, with so many steps each.
struct Round<'r> {
    history: &'r ObjectHistory,
    parts: &'r [Part],
    limits: &'r Limits<'r>,
    steps_max: u64,
}

impl Round<'_> {
    /// Decides these parts. Says which of the refuted ones comes first, or more than there are.
    fn decide(&self, pending: &[usize], decisions: &mut [Option<Decision>]) -> usize {
        let threads = self.limits.threads.clamp(1, pending.len().max(1));
        let bytes_max = self.limits.bytes_max / threads as u64;
        let (next, done, refuted) =
            (AtomicUsize::new(0), AtomicUsize::new(self.parts.len() - pending.len()), AtomicUsize::new(usize::MAX));
        let work = || {
            let mut decided = Vec::new();
            while let Some(&index) = pending.get(next.fetch_add(1, Ordering::Relaxed)) {
                decided.extend(self.one(index, bytes_max, &refuted).map(|decision| (index, decision)));
                (self.limits.hear)(done.fetch_add(1, Ordering::Relaxed) + 1, self.parts.len());
            }
            decided
        };
        let mut decided = Vec::new();
        if threads == 1 {
            decided.extend(work());
        } else {
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                for worker in workers {
                    decided.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                }
            });
        }
        decided.sort_by_key(|&(index, _)| index);
        for (index, mut decision) in decided {
            if threads > 1 && decision.verdict == Verdict::Undecided(Exhausted::Memory) {
                let Some(alone) = self.one(index, self.limits.bytes_max, &refuted) else { continue };
                decision = alone;
            }
            decisions[index] = Some(decision);
        }
        refuted.into_inner()
    }

    /// Decides one part, unless one before it is refuted.
    fn one(&self, index: usize, bytes_max: u64, refuted: &AtomicUsize) -> Option<Decision> {
        let is_moot = || refuted.load(Ordering::Relaxed) < index;
        if is_moot() {
            return None;
        }
        let is_over = || is_moot() || (self.limits.is_over)();
        let budget = Budget { steps_max: self.steps_max, bytes_max, is_over: &is_over };
        let decision = decide(self.history, &self.parts[index], &budget);
        if matches!(decision.verdict, Verdict::NotLinearizable(_)) {
            refuted.fetch_min(index, Ordering::Relaxed);
        }
        Some(decision)
    }
}

/// What a search may try at first.
const STEPS_FIRST: u64 = 1_000_000;

/// So many times more it may try in each further round.
const STEPS_FACTOR: u64 = 8;
