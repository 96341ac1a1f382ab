//! I12: no node panics, whatever its peers, clients and disk do.
//!
//! Source: the implicit check of Kafka's `RaftEventSimulationTest` (exceptions in `poll`
//! fail the test). Every `assert!` of the node is thereby a property of its own.

use crate::check::{Interests, Property, Seen, Violation, What};

/// See the module.
#[derive(Debug, Default)]
pub struct NeverPanics {
    starts: u64,
}

impl Property for NeverPanics {
    fn name(&self) -> &'static str {
        "never_panics"
    }

    fn statement(&self) -> &'static str {
        "No node panics on any input from peers, clients or its disk (I12)."
    }

    fn interests(&self) -> Interests {
        Interests::STARTED | Interests::PANICKED
    }

    fn observe(&mut self, seen: &Seen<'_>) -> Result<(), Violation> {
        let What::Panicked { message } = seen.observation.what else {
            self.starts += 1;
            return Ok(());
        };
        self.fails(seen, format!("node {} panicked: {message}", seen.observation.node))
    }

    fn exercised(&self) -> u64 {
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::Stage;

    #[test]
    fn a_panic_is_a_violation() {
        let mut stage = Stage::of(NeverPanics::default(), 1);
        stage.start(0).unwrap();
        let violation = stage.see(0, What::Panicked { message: "truncating committed records" }).unwrap_err();
        assert_eq!(violation.message, "node 0 panicked: truncating committed records");
    }
}
