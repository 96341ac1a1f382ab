//! A recorded run in the formats of other tools, made from its trace alone.
//!
//! | | for | shows |
//! |---|---|---|
//! | [`perfetto`] | ui.perfetto.dev, chrome://tracing | roles, messages, disks, operations and faults over time |
//! | [`shiviz`] | ShiViz | who knew of what: vector clocks, of the last events |
//! | [`jepsen`] | Knossos, Elle, Jepsen's checkers, `kraftbed check` | what clients asked and were told |
//! | [`porcupine`] | Porcupine | the same, with faults and leaders as annotations |
//!
//! Each says less than the trace does, and its own page says what it leaves out.

pub mod jepsen;
pub mod perfetto;
pub mod porcupine;
pub mod processes;
pub mod shiviz;

use crate::trace::Event;

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Trace events in JSON.
    Perfetto,
    /// A log with vector clocks.
    Shiviz,
    /// A history in EDN.
    Jepsen,
    /// A history as calls and returns in JSON.
    Porcupine,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 4] = [Target::Perfetto, Target::Shiviz, Target::Jepsen, Target::Porcupine];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::Perfetto => "perfetto",
            Target::Shiviz => "shiviz",
            Target::Jepsen => "jepsen",
            Target::Porcupine => "porcupine",
        }
    }

    /// What a file of it is called in a result's folder.
    pub fn file(self) -> &'static str {
        match self {
            Target::Perfetto => "perfetto.json",
            Target::Shiviz => "shiviz.log",
            Target::Jepsen => "history.edn",
            Target::Porcupine => "porcupine.json",
        }
    }

    /// A trace in this format.
    pub fn export(self, events: &[Event]) -> String {
        match self {
            Target::Perfetto => perfetto::export(events),
            Target::Shiviz => shiviz::export(events),
            Target::Jepsen => jepsen::export(events),
            Target::Porcupine => porcupine::export(events),
        }
    }
}
