//! Recorded histories as others write them, read into ours. Bytes in; a history, or the line and column of what is wrong.
//!
//! | format | looks like | file |
//! |---|---|---|
//! | [`Format::Edn`] | `{:process 0, :type :invoke, :f :read, :value nil}`, one after another or in a vector (Jepsen, Knossos) | [`jepsen`] |
//! | [`Format::Edn`] | `{:process 0, :type :ok, :f :append, :value ["c0-1"], :offset 7}`: a log, as our export has it | [`logs`] |
//! | [`Format::PorcupineKv`] | the same with `:key`, as Porcupine's key-value histories have it | [`jepsen`] |
//! | [`Format::EtcdLog`] | `INFO  jepsen.util - 0 :invoke :read nil`, the lines of a Jepsen log | [`etcd`] |
//! | [`Format::Columns`] | `client call return key kind a b ambiguous`, eight columns | [`columns`] |
//! | [`Format::Lines`] | `{"client":3,"invoked":10,"returned":20,"f":"append",…}`: our own, a line for each operation | [`lines`] |
//!
//! **Dialects.** The same words mean different things in different files: whether a compare-and-set that failed says that the
//! register differed or says nothing, whether a read of nothing is an observation, what a register holds at first. A [`Dialect`]
//! says which, each format has its usual one, and the result names the one that was used. None is guessed from the answers:
//! a history must not choose its judge. (An export of ours says in its first line that its reads of nothing are observations.)
//!
//! **Order.** Where a file is a sequence of events, their order in the file is their order. Where it gives two times for each
//! operation, times decide, and of events at one time calls come first: intervals are closed. (But see [`intervals`]: one client.)

pub mod allowance;
pub mod columns;
pub mod edn;
pub mod etcd;
pub mod import;
pub mod intervals;
pub mod jepsen;
mod keys;
mod line;
pub mod lines;
pub mod logs;
pub mod names;
mod number;
pub mod pair;
pub mod prefix;
pub mod wrong;

pub use allowance::Allowance;
pub use import::{format_of, import, import_within, is_value};
pub use wrong::{ParseError, Wrong};

use crate::history::objects::{Entry, OPEN, ObjectHistory};
use crate::history::{Model, Operation, Outcome};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Jepsen's and Knossos' maps.
    Edn,
    /// Porcupine's maps with keys.
    PorcupineKv,
    /// Jepsen's log lines.
    EtcdLog,
    /// Eight columns.
    Columns,
    /// Our JSON lines.
    Lines,
}

/// What a compare-and-set that failed says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedCas {
    /// It did not happen, for whatever reason. (Knossos.)
    DidNotHappen,
    /// It found something other than what it expected. (The etcd logs of Porcupine.)
    Refused,
}

/// What a read that found nothing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NilRead {
    /// Nothing: Knossos' registers allow it in any state.
    Silent,
    /// That nothing was there.
    Observes,
}

/// What words mean in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// A compare-and-set that failed.
    pub failed_cas: FailedCas,
    /// A read that found nothing.
    pub nil_read: NilRead,
    /// What a register holds at first, as the file would write it.
    pub initial: String,
}

/// What the caller says of a file; what he does not say is found out, or as its format usually has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How it is written.
    pub format: Option<Format>,
    /// What it is about.
    pub model: Option<Model>,
    /// What a compare-and-set that failed says.
    pub failed_cas: Option<FailedCas>,
    /// What a read that found nothing says.
    pub nil_read: Option<NilRead>,
    /// What a register holds at first.
    pub initial: Option<String>,
}

/// A history that was read.
#[derive(Clone, Debug)]
pub struct Imported {
    /// How it was written.
    pub format: Format,
    /// What words meant; none where none was needed.
    pub dialect: Option<Dialect>,
    /// Operations that were asked for, those included that say nothing.
    pub operations: u64,
    /// Bytes that the operations take, with the texts of their values.
    pub kept_bytes: u64,
    /// The operations.
    pub subject: Subject,
}

/// What was operated on. Our own runs may do both.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Registers, texts, queues, sets, locks.
    pub objects: Option<Box<ObjectHistory>>,
    /// One log; with the operations by key that stand in its lines, as far as they are our own.
    pub log: Vec<Operation>,
    /// Of a log and its producers, or of a log alone.
    pub log_model: Option<Model>,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] = [Format::Edn, Format::PorcupineKv, Format::EtcdLog, Format::Columns, Format::Lines];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Format::Edn => "edn",
            Format::PorcupineKv => "porcupine-kv",
            Format::EtcdLog => "etcd-log",
            Format::Columns => "columns",
            Format::Lines => "jsonl",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What words usually mean in such files.
    pub fn dialect(self) -> Dialect {
        let (failed_cas, nil_read) = match self {
            Format::Edn => (FailedCas::DidNotHappen, NilRead::Silent),
            Format::PorcupineKv | Format::Lines => (FailedCas::DidNotHappen, NilRead::Observes),
            Format::EtcdLog | Format::Columns => (FailedCas::Refused, NilRead::Observes),
        };
        Dialect { failed_cas, nil_read, initial: "nil".to_owned() }
    }
}

impl Imported {
    /// How many answers there are that a verdict could rest on. Where there is none, any verdict would be an empty word.
    pub fn answers(&self) -> u64 {
        let Subject { objects, log, .. } = &self.subject;
        // Our own runs write what was done by key into the log as well.
        let is_alone = |operation: &&Operation| objects.is_none() || operation.ask.key().is_none();
        let is_told = |operation: &&Operation| matches!(operation.outcome, Outcome::Ok(_));
        let of_log = log.iter().filter(is_alone).filter(is_told).count();
        let is_answered = |entry: &&Entry| entry.ret != OPEN;
        let of_objects = objects.as_ref().map_or(0, |history| history.entries.iter().filter(is_answered).count());
        (of_log + of_objects) as u64
    }

    /// What it is about: mostly one thing.
    pub fn models(&self) -> Vec<Model> {
        let objects = self.subject.objects.as_ref().map(|history| history.model);
        self.subject.log_model.into_iter().chain(objects).collect()
    }
}

impl From<ObjectHistory> for Subject {
    fn from(history: ObjectHistory) -> Subject {
        Subject { objects: Some(Box::new(history)), ..Subject::default() }
    }
}

impl std::fmt::Display for Dialect {
    /// As `kraftbed check` is told.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let failed_cas = match self.failed_cas {
            FailedCas::DidNotHappen => "did-not-happen",
            FailedCas::Refused => "refused",
        };
        let nil_read = match self.nil_read {
            NilRead::Silent => "silent",
            NilRead::Observes => "observes",
        };
        write!(f, "--initial {} --failed-cas {failed_cas} --nil-read {nil_read}", self.initial)
    }
}
