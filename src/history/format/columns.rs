//! Eight columns: `client call return key kind a b ambiguous`, of registers by key; `client call return kind value offset hash
//! ambiguous`, of a log.
//!
//! ```text
//! 9 4 14 5 r -1000000 0 0       a read of key 5 found nothing
//! 5 0 19 9 w 0 0 0              0 was written to key 9
//! 3 2 6  0 f 0 2 0              compare-and-set from 0 to 2 found another value (c: it was set; u: nobody knows)
//! 7 1 -1 2 r -1000000 9 1       nobody knows (return -1, ambiguous 1), and the read says nothing (b = 9)
//! 5 0 6  a 1 0 0 0              value 1 was appended at offset 0
//! 7 3 28 t 4 7 7053042428 0     the log ended at 7, and so its first seven values hash
//! ```
//!
//! Times are places in one order of events.

use crate::history::Model;
use crate::history::format::allowance::Allowance;
use crate::history::format::edn::{Cursor, Syntax};
use crate::history::format::intervals::{BYTES_PER_INTERVAL, Interval, place};
use crate::history::format::names::{NOTHING, Values};
use crate::history::format::number::integer;
use crate::history::format::pair::{Keys, initial_of};
use crate::history::format::prefix::{BYTES_PER_ROW, Deed, Row, operations};
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::format::{Dialect, Subject};
use crate::history::objects::{Action, Clock, ObjectHistory};

/// Reads a file; also how many operations were asked for.
pub fn read<'b>(
    bytes: &'b [u8],
    model: Option<Model>,
    dialect: &Dialect,
    allowance: &'b Allowance<'b>,
) -> Result<(Subject, u64), Bad> {
    let mut cursor = Cursor::new(bytes, 0, Syntax::Edn, allowance);
    let (mut registers, mut rows) = (Registers::new(), Vec::new());
    let mut count = 0;
    while cursor.peek()?.is_some() {
        count += 1;
        cursor.allow(rows.len() * BYTES_PER_ROW + registers.kept_bytes())?;
        let at = cursor.at();
        let [client, call, back] = [number(&mut cursor)?, number(&mut cursor)?, number(&mut cursor)?];
        let process =
            u32::try_from(client).map_err(|_| Bad::expected(at, "the number of a client", client.to_string()))?;
        let invoked = u64::try_from(call).map_err(|_| Bad::expected(at, "the place of a call", call.to_string()))?;
        let returned = u64::try_from(back).ok();
        if returned.is_some_and(|returned| returned < invoked) {
            return Err(Bad { at, wrong: Wrong::Backwards });
        }
        let times = Times { process, invoked, returned };
        cursor.peek()?;
        let (column, token) = (cursor.at(), cursor.token());
        let is_log = matches!(token, b"a" | b"t");
        if is_log && registers.intervals.is_empty() && registers.is_unused() {
            rows.push(log_row(&mut cursor, at, token, &times)?);
        } else if !is_log && rows.is_empty() {
            registers.row(&mut cursor, column, token, &times)?;
        } else {
            let (name, other) = (String::from_utf8_lossy(token).into_owned(), "the lines before".to_owned());
            return Err(Bad { at: column, wrong: Wrong::Mixed { name, other } });
        }
    }
    if !rows.is_empty() {
        let log_model = Some(of_model(model, &[Model::Log, Model::Producer], "append")?);
        let log = operations(&rows, allowance)?;
        return Ok((Subject { log, log_model, ..Subject::default() }, count));
    }
    let model = of_model(model, &[Model::CasRegister, Model::Register, Model::Kv], "write")?;
    Ok((registers.history(model, dialect)?.into(), count))
}

/// When an operation was, and whose.
struct Times {
    process: u32,
    invoked: u64,
    returned: Option<u64>,
}

struct Registers {
    history: ObjectHistory,
    values: Values,
    keys: Keys,
    intervals: Vec<Interval>,
}

impl Registers {
    fn new() -> Registers {
        Registers {
            history: ObjectHistory::new(Model::CasRegister, Clock::Events),
            values: Values::default(),
            keys: Keys::default(),
            intervals: Vec::new(),
        }
    }

    fn kept_bytes(&self) -> usize {
        self.values.kept_bytes() + self.intervals.len() * BYTES_PER_INTERVAL
    }

    fn is_unused(&self) -> bool {
        self.history.dropped.silent == 0
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, column: usize, key: &[u8], times: &Times) -> Result<(), Bad> {
        let key = integer(key).ok_or_else(|| Cursor::new_at(cursor, column).wrong("a key, `a` or `t`"))?;
        cursor.peek()?;
        let (kind_at, kind) = (cursor.at(), cursor.token());
        let [a, b, is_ambiguous] = [number(cursor)?, number(cursor)?, number(cursor)?];
        let is_open = is_ambiguous != 0 || times.returned.is_none();
        let mut name = |number: i64| match number {
            NIL_NUMBER => NOTHING,
            number => self.values.token(&number.to_string()),
        };
        let (action, a, b) = match kind {
            b"r" if is_open || b == SILENT => {
                self.history.dropped.silent += 1;
                return Ok(());
            }
            b"r" => (Action::Read, name(a), NOTHING),
            b"w" => (Action::Write, name(a), NOTHING),
            b"c" | b"u" => (Action::Cas, name(a), name(b)),
            // It saw something, but nobody knows whether at all.
            b"f" if is_open => {
                self.history.dropped.silent += 1;
                return Ok(());
            }
            b"f" => (Action::Refused, name(a), NOTHING),
            _ => return Err(Cursor::new_at(cursor, kind_at).wrong("one of r, w, c, f, u")),
        };
        let (a, b) = (self.values.name_of(a), self.values.name_of(b));
        let key = self.values.token(&key.to_string());
        let key = self.keys.key(self.values.name_of(key), &self.values, &mut self.history.keys);
        let returned = times.returned.filter(|_| !is_open && kind != b"u");
        self.intervals.push(Interval { action, a, b, key, process: times.process, invoked: times.invoked, returned });
        Ok(())
    }

    fn history(mut self, model: Model, dialect: &Dialect) -> Result<ObjectHistory, Bad> {
        self.history.model = model;
        self.history.initial = initial_of(model, dialect, Syntax::Edn, &mut self.values)?;
        place(&mut self.history, &self.intervals);
        self.history.values = self.values.names;
        Ok(self.history)
    }
}

fn log_row(cursor: &mut Cursor<'_>, at: usize, kind: &[u8], times: &Times) -> Result<Row, Bad> {
    cursor.peek()?;
    let value_at = cursor.at();
    let value = number(cursor)?;
    cursor.peek()?;
    let offset_at = cursor.at();
    let [offset, hash] = [number(cursor)?, number(cursor)?];
    let is_ambiguous = number(cursor)? != 0;
    let value = u64::try_from(value).map_err(|_| Bad::expected(value_at, "a value", value.to_string()))?;
    let is_told = !is_ambiguous && times.returned.is_some();
    if is_told && offset < 0 {
        return Err(Bad::expected(offset_at, "an offset", offset.to_string()));
    }
    let offset = u64::try_from(offset).ok().filter(|_| is_told);
    let deed =
        if kind == b"a" { Deed::Append { value, offset } } else { Deed::Tail { end: offset, hash: hash as u64 } };
    Ok(Row {
        at,
        client: times.process,
        invoked: times.invoked,
        returned: times.returned.filter(|_| offset.is_some()),
        deed,
    })
}

fn number(cursor: &mut Cursor<'_>) -> Result<i64, Bad> {
    cursor.peek()?;
    let at = cursor.at();
    let token = cursor.token();
    // A hash has all 64 bits, and is written either way.
    let unsigned = || std::str::from_utf8(token).ok()?.parse::<u64>().ok().map(|number| number as i64);
    integer(token).or_else(unsigned).ok_or_else(|| Cursor::new_at(cursor, at).wrong("a number"))
}

fn of_model(given: Option<Model>, can_be: &[Model], name: &str) -> Result<Model, Bad> {
    let model = given.unwrap_or(can_be[0]);
    match can_be.contains(&model) {
        true => Ok(model),
        false => Err(Bad { at: 0, wrong: Wrong::NotOfModel { name: name.to_owned(), model } }),
    }
}

/// Stands for nothing.
const NIL_NUMBER: i64 = -1_000_000;

/// The `b` of a read that says nothing.
const SILENT: i64 = 9;
