//! Deciders: could one copy of the thing, used by one client at a time, have given these answers?
//!
//! A history falls into parts, one for each key, and is linearizable if each of them is (Herlihy and Wing, locality). [`decide`]
//! picks the cheapest decider that is exact for what a part contains. A *monitor* decides a special kind in near-linear time and
//! names the operations that conflict; the *search* decides everything, under a budget.
//!
//! | file | decides | in |
//! |---|---|---|
//! | [`log`] | a log whose operations carry offsets, while it happens, and says what is wrong in Kafka's words | O(n log n) |
//! | [`sweep`] | the same of a finished history: yes or no | O(n) |
//! | [`finished`] | a finished history of a log by both, and of its producers by [`producer`] | O(n) |
//! | [`zones`] | registers whose written values are distinct | O(n log n) |
//! | [`queue`] | queues whose elements are distinct | O(n log n) |
//! | [`search`] | all objects | exponential in what is under way at once |
//! | [`witness`] | whether an order of the changes that somebody saw explains all of it | O(n log n) |
//!
//! No verdict leaves without proof: an order is replayed ([`proof`]), and what cannot be explained is shrunk to the few operations
//! that already cannot ([`core`]), of which all orders are told ([`orders`]).

pub mod bits;
pub mod core;
pub mod decide;
pub mod finished;
pub mod gaps;
pub mod log;
pub mod log_core;
pub mod orders;
pub mod producer;
pub mod proof;
pub mod queue;
pub mod search;
pub mod sweep;
pub mod told;
pub mod witness;
pub mod words;
pub mod zones;

/// What a decider may spend on one part.
#[derive(Clone, Copy)]
pub struct Budget<'b> {
    /// Operations that a search may try.
    pub steps_max: u64,
    /// Bytes of states that a search may keep.
    pub bytes_max: u64,
    /// Whether time is up, as the caller's clock has it. A history knows no clock.
    pub is_over: &'b (dyn Fn() -> bool + Sync),
}

impl Budget<'static> {
    /// Without any bound.
    pub const BOUNDLESS: Budget<'static> = Budget { steps_max: u64::MAX, bytes_max: u64::MAX, is_over: &|| false };
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// [`Budget::steps_max`].
    Steps,
    /// [`Budget::bytes_max`].
    Memory,
    /// [`Budget::is_over`].
    Time,
    /// More than [`search::WIDTH_MAX`] operations are under way at once, or never returned.
    Width,
}

impl Exhausted {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Exhausted::Steps => "steps",
            Exhausted::Memory => "memory",
            Exhausted::Time => "time",
            Exhausted::Width => "width",
        }
    }
}
