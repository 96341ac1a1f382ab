//! One run, or one recorded history, as one page: an HTML file that opens from disk and asks nobody for anything.
//!
//! ```text
//!  verdict.json ─▶ result ─┐
//!  trace.kbed   ─▶ codec ──┤                      ┌─ columns  every event, in columns of numbers; texts once
//!                          ├─▶ Report ─▶ html ────┤─ tracks   what is known of every node, and since which event
//!  a history ──▶ recorded ──┘                     └─ page/    the page's own code: plain files, embedded as they are
//! ```
//!
//! **The order of a page.** First what went wrong, in a sentence, with the rule that was broken; then the few operations or
//! events that show it, and how far all was well; then the whole run, in which one can walk about. Nothing is left out: a
//! page has a row for every event of the trace, and where there are too many to draw, it draws how many there are.
//!
//! **Safety.** Whatever a trace says is text. It reaches the page as JSON in which no character can end a script
//! ([`html`]), and is shown by `textContent` alone. The page's policy forbids every source but its own code, which it names
//! by hash; so neither a trace nor anything else can make it run, load or send anything.
//!
//! **What is derived.** A trace says what was sent and what arrived; that a message *never arrived* is seen by there being
//! no arrival. How far a node's log reaches is taken from its notes and from what it says in fetches, so between two of
//! them it is what was last known.
//!
//! **Beside the page.** [`index`] is what is left of a sweep, [`junit`] what build servers read, [`export`] what other tools do. Nothing here reads or writes
//! a file: who has the data hands it in, and gets text back.

pub mod columns;
pub mod export;
pub mod finding;
pub mod html;
pub mod index;
pub mod junit;
pub mod recorded;
pub mod result;
pub mod tracks;

pub use html::page;

use crate::history::objects::Clock;
use crate::time::Instant;
use crate::trace::Event;

/// What a page shows.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What it is about: `restarts_as_leader, seed 1`.
    pub title: String,
    /// What was found.
    pub finding: Finding,
    /// What else there is to know, as pairs of name and value.
    pub facts: Vec<(String, String)>,
    /// What times are.
    pub clock: Clock,
    /// Everything that happened; empty for a history that was recorded elsewhere.
    pub events: &'a [Event],
    /// What clients asked and were told.
    pub operations: Vec<Operation>,
}

/// What was found, the most important first.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The verdict in one word: `passed`, `violated`, `no_progress`, `undecided`, `nothing_to_check`.
    pub verdict: String,
    /// The verdict in one sentence.
    pub sentence: String,
    /// What was broken, and its statement.
    pub rule: Option<(String, String)>,
    /// When.
    pub at: Option<Instant>,
    /// The operations that cannot all be true, by number in [`Report::operations`], each with what it has to do with that.
    pub conflict: Vec<(usize, String)>,
    /// Why no order of these operations works, a sentence for each order that gets as far as any.
    pub orders: Vec<String>,
    /// How far all was well.
    pub prefix: Option<Prefix>,
    /// The events that led there, by number in [`Report::events`], the last of them last.
    pub causes: Vec<usize>,
    /// How often each of them happened in a row; nothing where each is alone.
    pub times: Vec<usize>,
    /// What else helps to understand it, a sentence each, with the event to look at where there is one.
    pub notes: Vec<(String, Option<usize>)>,
    /// The one line that makes it happen again.
    pub replay: Option<String>,
}

/// The longest part, from the beginning, that is as it should be.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// In words: `The first 41 of 52 operations are those of one log.`
    pub sentence: String,
    /// Its last operations in an order in which they can have happened, by number in [`Report::operations`].
    pub order: Vec<usize>,
}

/// Something that a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The client: `c0`.
    pub client: String,
    /// What was asked and answered.
    pub what: String,
    /// When it was asked.
    pub invoked: Instant,
    /// When it was over for the client; `None` if it never was.
    pub returned: Option<Instant>,
    /// How it ended.
    pub ending: Ending,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It happened between its invoke and its return.
    Done,
    /// It did not happen and never will.
    Failed,
    /// Nobody knows.
    Open,
}
