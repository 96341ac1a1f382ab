//! What reading may take: bytes to keep, and time.
//!
//! Bytes are counted, not measured: the text of the file, and what is made of it at its size in memory. So the same file under the
//! same bound ends at the same place, everywhere. A history knows no clock; whoever has one says when time is up.

use std::cell::Cell;

use crate::history::engine::Exhausted;
use crate::history::format::wrong::{Bad, Wrong};

/// The bounds of reading.
pub struct Allowance<'a> {
    kept_bytes_max: usize,
    is_over: &'a dyn Fn() -> bool,
    /// Checks until the clock is looked at again.
    checks: Cell<u32>,
}

impl<'a> Allowance<'a> {
    /// Without any bound.
    pub fn boundless() -> Allowance<'static> {
        Allowance { kept_bytes_max: usize::MAX, is_over: &|| false, checks: Cell::new(0) }
    }

    /// So many bytes, until that is true.
    pub fn new(kept_bytes_max: u64, is_over: &'a dyn Fn() -> bool) -> Allowance<'a> {
        let kept_bytes_max = usize::try_from(kept_bytes_max).unwrap_or(usize::MAX);
        Allowance { kept_bytes_max, is_over, checks: Cell::new(0) }
    }

    /// What is left of it beside something of that size.
    pub fn beside(&self, bytes: usize) -> Allowance<'a> {
        Allowance { kept_bytes_max: self.kept_bytes_max.saturating_sub(bytes), ..Allowance::new(0, self.is_over) }
    }

    /// Whether so many bytes may be kept, and time is left, as far as the file was read.
    #[inline]
    pub fn check(&self, at: usize, kept_bytes: usize) -> Result<(), Bad> {
        if kept_bytes > self.kept_bytes_max {
            return Err(Bad { at, wrong: Wrong::Exhausted(Exhausted::Memory) });
        }
        match self.checks.get() {
            0 => self.checks.set(CHECKS_PER_LOOK),
            checks => {
                self.checks.set(checks - 1);
                return Ok(());
            }
        }
        match (self.is_over)() {
            true => Err(Bad { at, wrong: Wrong::Exhausted(Exhausted::Time) }),
            false => Ok(()),
        }
    }
}

/// A clock is looked at once in so many checks.
const CHECKS_PER_LOOK: u32 = 1024;
