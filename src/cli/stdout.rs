//! Standard output and standard error, as our own commands write to them.
//!
//! Who reads may stop reading (`| head -1`): the rest is then written to nobody, and the command goes on to the end that it
//! would have come to. A disk that is full is a mistake that is told.
//!
//! What is said may hold names and texts of files that others wrote. Characters that a terminal would obey, or that turn the
//! direction of a text, are written as JSON escapes them: harmless in a terminal, and the same string within JSON.

use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::Path;

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
    let _ = writeln!(stderr(), "{}", plain(text));
}

/// Writes a text and the end of its line.
pub fn say(text: impl Display) -> Result<(), Unwritten> {
    let mut out = stdout().lock();
    match writeln!(out, "{}", plain(text)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Unwritten(error)),
        _ => Ok(()),
    }
}

/// The name of a file, in one line.
pub fn name_of(file: &Path) -> String {
    plain(file.display()).replace('\n', "\\n").replace('\t', "\\t")
}

/// A text without what a terminal would obey; lines and tabs stay.
fn plain(text: impl Display) -> String {
    let mut plain = Plain(String::new());
    write!(plain, "{text}").expect("invariant: a string takes everything");
    plain.0
}

struct Plain(String);

impl fmt::Write for Plain {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let is_order = letter.is_control() && !matches!(letter, '\n' | '\t');
            match is_order || TURNS.iter().any(|turns| turns.contains(&letter)) {
                true => write!(self.0, "\\u{:04x}", u32::from(letter))?,
                false => self.0.push(letter),
            }
        }
        Ok(())
    }
}

/// Characters that change the direction of what comes after them, or end a line for some terminals.
const TURNS: [std::ops::RangeInclusive<char>; 4] =
    ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}', '\u{feff}'..='\u{feff}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_orders() {
        assert_eq!(plain("\u{1b}[31mred\u{7f}\u{9b}0m\r\n\tß"), "\\u001b[31mred\\u007f\\u009b0m\\u000d\n\tß");
        assert_eq!(plain("a\u{202e}b\u{2066}"), "a\\u202eb\\u2066");
        assert_eq!(name_of(Path::new("a\nb\u{7}")), "a\\nb\\u0007");
    }
}
