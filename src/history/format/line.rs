//! One line of our JSON: its keys, each read as what it must be.

use std::borrow::Cow;

use crate::history::format::edn::Cursor;
use crate::history::format::names::{Form, Values};
use crate::history::format::number::natural as natural_of;
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::value;

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::history::format) enum End {
    /// It happened.
    Ok,
    /// It did not.
    Failed,
    /// Nobody knows.
    Open,
    /// It found something else.
    Refused,
    /// Nothing could have answered so.
    Unreadable,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(in crate::history::format) struct Line<'b> {
    /// Of the file, in its first line.
    pub(in crate::history::format) version: Option<u64>,
    /// Whether appends are numbered by their producers: of the file, in its first line.
    pub(in crate::history::format) has_producers: bool,
    /// Who asked.
    pub(in crate::history::format) client: Option<u32>,
    /// When.
    pub(in crate::history::format) invoked: Option<u64>,
    /// When it was answered.
    pub(in crate::history::format) returned: Option<u64>,
    /// What was asked.
    pub(in crate::history::format) f: Option<Cow<'b, str>>,
    /// What it came to.
    pub(in crate::history::format) end_of: Option<End>,
    /// Of which object.
    pub(in crate::history::format) key: Option<Form>,
    /// What was written or found.
    pub(in crate::history::format) value: Option<Form>,
    /// What a compare-and-set expects.
    pub(in crate::history::format) from: Option<Form>,
    /// What it would leave.
    pub(in crate::history::format) to: Option<Form>,
    /// What it found.
    pub(in crate::history::format) found: Option<Form>,
    /// Offsets and values; of an append, values alone.
    pub(in crate::history::format) values: Option<Vec<(u64, u64)>>,
    /// Where a read begins.
    pub(in crate::history::format) from_offset: Option<u64>,
    /// Where it stands.
    pub(in crate::history::format) offset: Option<u64>,
    /// Where the log ends.
    pub(in crate::history::format) end: Option<u64>,
    /// Where a read ends.
    pub(in crate::history::format) next: Option<u64>,
    /// What was wrong with the answer.
    pub(in crate::history::format) reason: Option<Cow<'b, str>>,
}

impl<'b> Line<'b> {
    /// Reads it, from brace to brace.
    pub(in crate::history::format) fn read(cursor: &mut Cursor<'b>, values: &mut Values) -> Result<Line<'b>, Bad> {
        let mut line = Line::default();
        let mut seen = 0u32;
        cursor.pass();
        while let Some(next) = cursor.peek()?.filter(|&next| next != b'}') {
            if next != b'"' {
                return Err(cursor.wrong("a key in quotes, or `}`"));
            }
            let at = cursor.at();
            let key = cursor.string()?;
            if cursor.peek()? != Some(b':') {
                return Err(cursor.wrong("`:` and a value"));
            }
            cursor.pass();
            let place = line.read_value(&key, cursor, values)?;
            if seen & 1 << place != 0 && place != UNKNOWN {
                return Err(Bad {
                    at,
                    wrong: Wrong::Twice { what: format!("the key \"{key}\" is twice in the line") },
                });
            }
            seen |= 1 << place;
        }
        if cursor.peek()?.is_none() {
            return Err(cursor.wrong("a key in quotes, or `}`"));
        }
        cursor.pass();
        Ok(line)
    }

    /// Reads what comes after a key; the answer is the number of that key.
    fn read_value(&mut self, key: &str, cursor: &mut Cursor<'b>, values: &mut Values) -> Result<u32, Bad> {
        let of = |place: u32, done: Result<(), Bad>| done.map(|()| place);
        match key {
            "client" => of(0, client(cursor).map(|client| self.client = client)),
            "invoked" => of(1, natural(cursor).map(|at| self.invoked = at)),
            "returned" => of(2, natural(cursor).map(|at| self.returned = at)),
            "f" => of(3, string(cursor).map(|f| self.f = Some(f))),
            "outcome" => of(4, End::read(cursor).map(|end| self.end_of = Some(end))),
            "key" => of(5, cursor.form(values).map(|form| self.key = Some(form))),
            "value" => of(6, cursor.form(values).map(|form| self.value = Some(form))),
            "from" => {
                self.from_offset = natural(&mut cursor.clone()).ok().flatten();
                of(7, cursor.form(values).map(|form| self.from = Some(form)))
            }
            "to" => of(8, cursor.form(values).map(|form| self.to = Some(form))),
            "found" => of(9, cursor.form(values).map(|form| self.found = Some(form))),
            "values" => of(10, log_values(cursor, values).map(|values| self.values = Some(values))),
            "offset" => of(11, natural(cursor).map(|offset| self.offset = offset)),
            "end" => of(12, natural(cursor).map(|end| self.end = end)),
            "next" => of(13, natural(cursor).map(|next| self.next = next)),
            "reason" => of(14, string(cursor).map(|reason| self.reason = Some(reason))),
            "kraftbed_history" => of(15, natural(cursor).map(|version| self.version = version)),
            "index" => of(16, cursor.skip()),
            "producers" => of(17, truth(cursor).map(|truth| self.has_producers = truth)),
            _ => of(UNKNOWN, cursor.skip()),
        }
    }

    /// Appends of several values, tails, reads from an offset on.
    pub(in crate::history::format) fn is_of_log(&self) -> bool {
        match self.f.as_deref() {
            Some("append") => self.values.is_some(),
            Some("tail") => true,
            Some("read") => self.from.is_some(),
            _ => false,
        }
    }
}

impl End {
    fn read(cursor: &mut Cursor<'_>) -> Result<End, Bad> {
        cursor.peek()?;
        let at = cursor.at();
        match &*string(cursor)? {
            "ok" => Ok(End::Ok),
            "failed" => Ok(End::Failed),
            "open" => Ok(End::Open),
            "refused" => Ok(End::Refused),
            "unreadable" => Ok(End::Unreadable),
            other => Err(Bad::expected(at, "ok, failed, open, refused or unreadable", format!("\"{other}\""))),
        }
    }
}

/// A number that is not negative, or `null`.
fn natural(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Bad> {
    cursor.peek()?;
    let at = cursor.at();
    let token = cursor.token();
    match natural_of(token) {
        Some(number) => Ok(Some(number)),
        None if token == b"null" => Ok(None),
        None => Err(Cursor::new_at(cursor, at).wrong("a whole number below 2^64, or null")),
    }
}

fn truth(cursor: &mut Cursor<'_>) -> Result<bool, Bad> {
    cursor.peek()?;
    let at = cursor.at();
    match cursor.token() {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(Cursor::new_at(cursor, at).wrong("true or false")),
    }
}

fn client(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Bad> {
    cursor.peek()?;
    let at = cursor.at();
    let wrong = || Cursor::new_at(cursor, at).wrong("the number of a client, below 4294967296");
    match natural(&mut cursor.clone())? {
        Some(number) => {
            let client = u32::try_from(number).map_err(|_| wrong())?;
            cursor.token();
            Ok(Some(client))
        }
        None => Err(wrong()),
    }
}

fn string<'b>(cursor: &mut Cursor<'b>) -> Result<Cow<'b, str>, Bad> {
    match cursor.peek()? {
        Some(b'"') => cursor.string(),
        _ => Err(cursor.wrong("a string")),
    }
}

/// `["c0-1", 7]`, or `[[4, "c0-1"], [5, 7]]`.
fn log_values(cursor: &mut Cursor<'_>, known: &Values) -> Result<Vec<(u64, u64)>, Bad> {
    let mut values = Vec::new();
    if cursor.peek()? != Some(b'[') {
        return Err(cursor.wrong("an array of values"));
    }
    cursor.pass();
    while let Some(next) = cursor.peek()?.filter(|&next| next != b']') {
        cursor.allow(known.kept_bytes() + values.len() * 2 * size_of::<(u64, u64)>())?;
        if next != b'[' {
            values.push((0, log_value(cursor)?));
            continue;
        }
        cursor.pass();
        let wrong = cursor.wrong("an offset");
        let offset = natural(cursor)?.ok_or(wrong)?;
        let value = log_value(cursor)?;
        if cursor.peek()? != Some(b']') {
            return Err(cursor.wrong("`]` after an offset and a value"));
        }
        cursor.pass();
        values.push((offset, value));
    }
    if cursor.peek()?.is_none() {
        return Err(cursor.wrong("a value, or `]`"));
    }
    cursor.pass();
    Ok(values)
}

fn log_value(cursor: &mut Cursor<'_>) -> Result<u64, Bad> {
    const EXPECTED: &str = "a number, or a value such as \"c3-17\"";
    let next = cursor.peek()?;
    let at = cursor.at();
    let wrong = |cursor: &Cursor<'_>| Cursor::new_at(cursor, at).wrong(EXPECTED);
    match next {
        Some(b'"') => {
            let name = cursor.string()?;
            value::parse(&name).ok_or_else(|| wrong(cursor))
        }
        _ => natural(cursor).ok().flatten().ok_or_else(|| wrong(cursor)),
    }
}

/// The number of all keys that are passed over.
const UNKNOWN: u32 = 31;
