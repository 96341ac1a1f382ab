//! Standard output and standard error, as our own commands write to them.
//!
//! Who reads may stop reading (`| head -1`): the rest is then written to nobody, and the command goes on to the end that it
//! would have come to. A disk that is full is a mistake that is told.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{ErrorKind, Write, stderr, stdout};

/// What was said could not be written.
#[derive(Debug)]
pub struct Unwritten(std::io::Error);

impl Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to standard output: {}", self.0)
    }
}

impl Error for Unwritten {}

/// Writes a line to standard error. Where nobody can hear it, nobody does.
pub fn complain(text: impl Display) {
    let _ = writeln!(stderr(), "{text}");
}

/// Writes a text and the end of its line.
pub fn say(text: impl Display) -> Result<(), Unwritten> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Unwritten(error)),
        _ => Ok(()),
    }
}
