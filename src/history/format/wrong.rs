//! What can be wrong with a file, and where.

use std::fmt::{self, Write};

use crate::history::Model;
use crate::history::engine::Exhausted;

/// A file that is no history, or not one that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Wrong {
    /// Something else was due.
    Expected { expected: &'static str, found: String },
    /// Text that is not UTF-8.
    NotText,
    /// Forms within forms, beyond all measure.
    Nested,
    /// More than 4 GiB.
    TooLarge,
    /// There is nothing in it.
    Empty,
    /// No format looks like this.
    UnknownFormat { found: String },
    /// An operation without this.
    Missing { what: &'static str },
    /// An operation that nobody here knows.
    UnknownOperation { name: String },
    /// A version of our own format that is not known here.
    UnknownVersion { version: u64 },
    /// An operation of one thing in a history of another.
    NotOfModel { name: String, model: Model },
    /// Operations of different things, and nobody said which is meant.
    Mixed { name: String, other: String },
    /// A process asks again before it was answered.
    AsksTwice { process: u32, line: usize },
    /// An answer to nothing.
    NeverAsked { process: u32 },
    /// An answer to something else.
    OtherAnswer { asked: String, answered: String },
    /// A return before its call.
    Backwards,
    /// A value of a log that was appended before.
    AppendedTwice { value: String },
    /// Values of unknown outcome may stand below this offset in too many ways.
    TooManyHoles { end: u64 },
    /// The text "nil" where texts grow: it could not be told from nothing.
    TextNil,
    /// What may stand once only stands there again.
    Twice { what: String },
    /// It was done to another value than was asked.
    OtherValue { asked: String, answered: String, line: usize },
    /// What registers hold at first is no value.
    Initial { text: String },
    /// Nothing is wrong as far as it was read, which is not to the end.
    Exhausted(Exhausted),
}

/// What is wrong, and how many bytes into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Byte offset.
    pub at: usize,
    /// What.
    pub wrong: Wrong,
}

impl ParseError {
    /// What was exhausted, where the file was only not read to its end.
    pub fn exhausted(&self) -> Option<Exhausted> {
        match self.wrong {
            Wrong::Exhausted(what) => Some(what),
            _ => None,
        }
    }
}

impl Bad {
    /// Something else was due there.
    pub fn expected(at: usize, expected: &'static str, found: impl Into<String>) -> Bad {
        Bad { at, wrong: Wrong::Expected { expected, found: found.into() } }
    }

    /// The error with its line and column.
    pub fn located(self, bytes: &[u8]) -> ParseError {
        let before = &bytes[..self.at.min(bytes.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let column = before[start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        ParseError { line: line_of(bytes, self.at), column, wrong: self.wrong }
    }
}

/// The line of a byte, from 1.
pub fn line_of(bytes: &[u8], at: usize) -> usize {
    newlines(&bytes[..at.min(bytes.len())]) + 1
}

/// How many bytes there are until a line ends, eight at a time.
pub fn line_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        // A byte that is zero borrows; what comes after the first may be wrong, and does not count.
        let differs = u64::from_le_bytes(*word) ^ 0x0a0a_0a0a_0a0a_0a0a;
        let ends = differs.wrapping_sub(0x0101_0101_0101_0101) & !differs & 0x8080_8080_8080_8080;
        if ends != 0 {
            return place * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    let before = words.len() * 8;
    before + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

/// How many lines end in these bytes.
pub fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.wrong)
    }
}

/// A text of a file in an error: one line, and no longer than it takes to find it.
struct Short<'t>(&'t str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, letter) in self.0.chars().enumerate() {
            match letter {
                _ if count == LETTERS_MAX => return f.write_str("…"),
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// How many letters of a text an error shows.
const LETTERS_MAX: usize = 100;

impl std::error::Error for ParseError {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Expected { expected, found } => write!(f, "expected {expected}, found {}", Short(found)),
            Wrong::NotText => f.write_str("this is not UTF-8"),
            Wrong::Nested => write!(f, "more than {} forms within each other", crate::history::format::edn::DEPTH_MAX),
            Wrong::TooLarge => f.write_str("a history has at most 4 GiB"),
            Wrong::Empty => f.write_str("the file is empty; --format says that no operations are meant"),
            Wrong::UnknownFormat { found } => write!(
                f,
                "no known format looks like this: expected Jepsen's or Knossos' EDN, lines of a Jepsen log, Porcupine's key-value maps, \
                 eight columns, or JSON lines; found {}",
                Short(found)
            ),
            Wrong::Missing { what } => write!(f, "an operation without {what}"),
            Wrong::UnknownOperation { name } => write!(f, "the operation {} is not known", Short(name)),
            Wrong::UnknownVersion { version } => write!(f, "version {version} of JSON lines is not known"),
            Wrong::NotOfModel { name, model } => write!(f, "{} is no operation of a {model}", Short(name)),
            Wrong::Mixed { name, other } => {
                write!(f, "{} and {other} are operations of different things: --model says which is meant", Short(name))
            }
            Wrong::AsksTwice { process, line } => {
                write!(f, "process {process} asks before it was answered what it asked in line {line}")
            }
            Wrong::NeverAsked { process } => write!(f, "process {process} is answered, and had asked nothing"),
            Wrong::OtherAnswer { asked, answered } => write!(f, "{answered} does not answer {asked}"),
            Wrong::Backwards => f.write_str("the operation returned before it was called"),
            Wrong::AppendedTwice { value } => {
                write!(
                    f,
                    "value {value} is appended twice: it must be unique, or one offset could not be told from another"
                )
            }
            Wrong::TooManyHoles { end } => {
                write!(
                    f,
                    "too many values of unknown outcome may stand below offset {end} to tell which the hash means"
                )
            }
            Wrong::Twice { what } => Short(what).fmt(f),
            Wrong::OtherValue { asked, answered, line } => {
                let (asked, answered) = (Short(asked), Short(answered));
                write!(f, "expected {asked}, as was asked in line {line}, or nil; found {answered}")
            }
            Wrong::Initial { text } => {
                write!(
                    f,
                    "--initial: expected one value as the history would write it, such as 0, nil or \"a\"; found {}",
                    Short(text)
                )
            }
            Wrong::Exhausted(what) => write!(f, "{} exhausted here", what.name()),
            Wrong::TextNil => f.write_str("the text \"nil\" cannot be told from nothing"),
        }
    }
}
