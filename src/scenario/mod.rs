//! Scenario files: what to run, under which faults, and what must come of it.
//!
//! A file is parsed from text into a [`Scenario`] (ranges still ranges, positions kept for errors), and drawn with a
//! seed into a [`Plan`] in which everything is explicit. A plan can be written back as a scenario: the *resolved* one.
//! Nothing here knows the code that will run it, and nothing here opens a file.
//!
//! ```text
//! text ──json──▶ Value ──read, at the least and the most of every range──▶ Scenario (or ScenarioError: file:line:column)
//!                                                                             │ draw(seed)
//! text ◀──write── Plan ◀──read, at the seed's choice within every range───────┘
//! ```
//!
//! There is one reader for all three readings, so what was accepted can be drawn. Which value a seed chooses for a key
//! depends on the seed and the key's path alone (`settings.fetch_timeout`, `steps[2].after`): a key more in a scenario
//! moves no other draw. Draws *during* a run (which link, which sector) are not made here but by whoever runs the plan.
//!
//! The language by example is `scenarios/README.md`, its grammar `scenarios/schema.json`; both are tested against [`keys`].

pub mod decisions;
pub mod describe;
pub mod draw;
pub mod error;
pub mod fault;
pub mod json;
pub mod keys;
pub mod plan;
pub mod reader;
pub mod scenario;
pub mod settings;
pub mod steps;
pub mod swarm;
pub mod text;
pub mod write;

pub use error::{ScenarioError, nearest};
pub use fault::{Family, FaultKind};
pub use plan::Plan;
pub use scenario::Scenario;
