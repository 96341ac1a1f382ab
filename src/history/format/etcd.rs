//! Lines of a Jepsen log: `INFO  jepsen.util - 0 :invoke :cas [1 2]`, with tabs. Other lines of the log are passed over.

use crate::history::format::allowance::Allowance;
use crate::history::format::edn::{Cursor, Syntax};
use crate::history::format::jepsen::KINDS;
use crate::history::format::names::Values;
use crate::history::format::number::integer;
use crate::history::format::pair::{Deed, Event, Kind, Recording, UNTIMED};
use crate::history::format::wrong::{Bad, Wrong, line_length};
use crate::history::objects::NIL;

/// What comes before the process.
pub const MARK: &[u8] = b"jepsen.util - ";

/// Reads the events of a file.
pub fn read<'b>(bytes: &'b [u8], allowance: &'b Allowance<'b>) -> Result<Recording, Bad> {
    let mut recording = Recording::default();
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        allowance.check(start, recording.kept_bytes())?;
        let length = line_length(rest);
        if let Some(mark) = mark(&rest[..length]) {
            // The cursor ends with the line, so that nothing runs on into the next.
            let mut cursor = Cursor::new(&bytes[..start + length], start + mark + MARK.len(), Syntax::Edn, allowance);
            recording.events.extend(event(&mut cursor, &mut recording.values)?);
        }
        start += length + 1;
    }
    Ok(recording)
}

/// Where the mark stands in a line.
pub fn mark(line: &[u8]) -> Option<usize> {
    // Nearly always there.
    if line.get(USUAL..USUAL + MARK.len()) == Some(MARK) {
        return Some(USUAL);
    }
    line.windows(MARK.len()).position(|window| window == MARK)
}

fn event(cursor: &mut Cursor<'_>, values: &mut Values) -> Result<Option<Event>, Bad> {
    let first = cursor.peek()?;
    let at = cursor.at();
    let Some(process) = integer(cursor.token()) else {
        // `:nemesis`, which is no client.
        return match first {
            Some(b':') => Ok(None),
            _ => Err(Cursor::new_at(cursor, at).wrong("the number of a process, or a keyword")),
        };
    };
    let wrong = || Bad::expected(at, "the number of a process, below 4294967296", process.to_string());
    let process = u32::try_from(process).map_err(|_| wrong())?;
    cursor.peek()?;
    let kind_at = cursor.at();
    let wrong = || Cursor::new_at(cursor, kind_at).wrong(KINDS);
    let kind = Kind::parse(cursor.clone().token()).ok_or_else(wrong)?;
    cursor.token();
    cursor.peek()?;
    let deed_at = cursor.at();
    let name = cursor.token();
    let unknown = || Wrong::UnknownOperation { name: String::from_utf8_lossy(name).into_owned() };
    let deed = Deed::parse(name).ok_or_else(|| Bad { at: deed_at, wrong: unknown() })?;
    let value = cursor.form(values)?;
    Ok(Some(Event { at: at as u32, process, kind, deed, key: NIL, value, time: UNTIMED }))
}

/// After `INFO  `.
const USUAL: usize = 6;
