//! What the operations of a history mean: the objects that deciders know.
//!
//! | model | operations | file |
//! |---|---|---|
//! | `register` | read, write | [`register`] |
//! | `cas-register` | and compare-and-set | [`register`] |
//! | `kv` | get, put, append, compare-and-set, by key | [`register`]; where texts grow, [`text`] |
//! | `mutex` | acquire, release | [`register`] |
//! | `queue` | enqueue, dequeue | [`collection`] |
//! | `set` | add, remove, contains, read | [`collection`] |
//! | `log`, `producer` | append, tail, read, with offsets | [`crate::history::engine::log`] |

pub mod collection;
pub mod register;
pub mod text;

use std::fmt;

use crate::history::objects::Name;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// Read and write.
    Register,
    /// Read, write, compare-and-set.
    CasRegister,
    /// Registers or texts by key.
    Kv,
    /// Appends, tails and reads of one log, with offsets.
    Log,
    /// First in, first out.
    Queue,
    /// Elements that are in it or not.
    Set,
    /// Held by one at a time; whoever lets go need not be who took it.
    Lock,
    /// A log whose producers number what they append: each once, and in order.
    Producer,
}

impl Model {
    /// All of them.
    pub const ALL: [Model; 8] = [
        Model::Register,
        Model::CasRegister,
        Model::Kv,
        Model::Log,
        Model::Queue,
        Model::Set,
        Model::Lock,
        Model::Producer,
    ];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Model::Register => "register",
            Model::CasRegister => "cas-register",
            Model::Kv => "kv",
            Model::Log => "log",
            Model::Queue => "queue",
            Model::Set => "set",
            Model::Lock => "mutex",
            Model::Producer => "producer",
        }
    }

    /// The model of that name.
    pub fn parse(name: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|model| model.name() == name)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an object holds before the first operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// This value; of a queue or a set, nothing, whatever the value.
    Holds(Name),
    /// Anything.
    Unknown,
}
