//! Fails on purpose, so that a harness that sees nothing is noticed.
//!
//! Whether it fails is drawn by whoever makes the run (once in a hundred seeds under the plant `canary`); the judge only
//! sings. A sweep in which the canary never fails has a broken judge, campaign or exit code.

use crate::check::{End, Interests, Ledger, Property, Seen, Violation};

/// What the canary is to do in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// Nothing.
    #[default]
    Silent,
    /// Fail when the run ends.
    Sings,
}

/// See the module.
#[derive(Debug)]
pub struct CanaryProperty {
    canary: Canary,
    ends: u64,
}

impl CanaryProperty {
    /// The canary of one run.
    pub fn new(canary: Canary) -> CanaryProperty {
        CanaryProperty { canary, ends: 0 }
    }
}

impl Property for CanaryProperty {
    fn name(&self) -> &'static str {
        "canary"
    }

    fn statement(&self) -> &'static str {
        "Fails for one seed in a hundred when planted, to prove that failures are seen (TigerBeetle's canary)."
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn observe(&mut self, _seen: &Seen<'_>) -> Result<(), Violation> {
        Ok(())
    }

    fn finish(&mut self, end: &End<'_>, _ledger: &Ledger) -> Result<(), Violation> {
        self.ends += 1;
        match self.canary {
            Canary::Silent => Ok(()),
            Canary::Sings => self.fails_in_the_end(end, None, "the canary sings: this failure is planted".into()),
        }
    }

    fn exercised(&self) -> u64 {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sings_only_when_told() {
        let finish = |canary| CanaryProperty::new(canary).finish(&End::default(), &Ledger::default());
        assert_eq!(finish(Canary::Silent), Ok(()));
        assert_eq!(finish(Canary::Sings).unwrap_err().property, "canary");
    }
}
