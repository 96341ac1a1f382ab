//! Jepsen's, Knossos' and Porcupine's histories in EDN: a map for each event, in a vector, a list, or one after another.
//!
//! Only the events of clients count: a process that is no number (`:nemesis`) is no client.

use crate::history::format::Format;
use crate::history::format::allowance::Allowance;
use crate::history::format::edn::{Cursor, Syntax};
use crate::history::format::logs::{Asked, LogEvent};
use crate::history::format::names::{Form, NOTHING, Values};
use crate::history::format::number::{integer, natural};
use crate::history::format::pair::{Deed, Event, Kind, Recording, UNTIMED};
use crate::history::format::wrong::{Bad, Wrong};
use crate::history::objects::{NIL, Name};

/// Reads the events of a file.
pub fn read<'b>(bytes: &'b [u8], allowance: &'b Allowance<'b>) -> Result<(Format, Recording), Bad> {
    let mut cursor = Cursor::new(bytes, 0, Syntax::Edn, allowance);
    let mut recording = Recording::default();
    let mut has_keys = false;
    let mut closes: Vec<u8> = Vec::new();
    loop {
        cursor.allow(recording.kept_bytes())?;
        match cursor.peek()? {
            None if closes.is_empty() => break,
            Some(b'[') if closes.len() < 2 => {
                cursor.pass();
                closes.push(b']');
            }
            Some(b'(') if closes.len() < 2 => {
                cursor.pass();
                closes.push(b')');
            }
            Some(close) if closes.last() == Some(&close) => {
                cursor.pass();
                closes.pop();
            }
            Some(b'#') => cursor.pass_tag(),
            Some(b'{') => {
                let at = cursor.at();
                let map = Map::read(&mut cursor, &mut recording.values)?;
                has_keys |= map.key != NIL;
                map.keep(at, &mut recording)?;
            }
            None => return Err(cursor.wrong("the end of the vector of operations")),
            Some(_) => {
                return Err(cursor.wrong("an operation such as {:process 0, :type :invoke, :f :read, :value nil}"));
            }
        }
    }
    Ok((if has_keys { Format::PorcupineKv } else { Format::Edn }, recording))
}

/// One event as it is written.
struct Map<'b> {
    process: Option<u32>,
    /// Whether a process is a keyword.
    is_nobodys: bool,
    client: Option<u32>,
    kind: Option<Kind>,
    f: Option<(usize, &'b [u8])>,
    key: Name,
    value: Form,
    error: Form,
    offset: Option<u64>,
    next: Option<u64>,
    time: u64,
}

impl<'b> Map<'b> {
    fn read(cursor: &mut Cursor<'b>, values: &mut Values) -> Result<Map<'b>, Bad> {
        let mut map = Map {
            process: None,
            is_nobodys: false,
            client: None,
            kind: None,
            f: None,
            key: NIL,
            value: NOTHING,
            error: NOTHING,
            offset: None,
            next: None,
            time: UNTIMED,
        };
        let mut seen = Seen::default();
        cursor.pass();
        while let Some(next) = cursor.peek()?.filter(|&next| next != b'}') {
            let name_at = cursor.at();
            let name = if next == b':' { cursor.token() } else { b"" };
            seen.add(name, name_at)?;
            map.read_value(name, cursor, values)?;
        }
        if cursor.peek()?.is_none() {
            return Err(cursor.wrong("the end of the operation's map"));
        }
        cursor.pass();
        Ok(map)
    }

    fn read_value(&mut self, name: &[u8], cursor: &mut Cursor<'b>, values: &mut Values) -> Result<(), Bad> {
        let peeked = cursor.peek()?;
        let at = cursor.at();
        let wrong = |cursor: &Cursor<'b>, expected| Err(Cursor::new_at(cursor, at).wrong(expected));
        match name {
            b":value" => self.value = cursor.form(values)?,
            b":process" => match integer(cursor.token()) {
                Some(number) => self.process = Some(process(at, number)?),
                None if peeked == Some(b':') => self.is_nobodys = true,
                None => return wrong(cursor, "the number of a process, or a keyword"),
            },
            b":client" => match integer(cursor.token()) {
                Some(number) => self.client = Some(process(at, number)?),
                None => return wrong(cursor, "the number of a client"),
            },
            b":type" => match Kind::parse(cursor.token()) {
                Some(kind) => self.kind = Some(kind),
                None => return wrong(cursor, KINDS),
            },
            b":f" => match cursor.token() {
                [] => return wrong(cursor, "the name of an operation, such as :read"),
                token => self.f = Some((at, token)),
            },
            b":key" => {
                let form = cursor.form(values)?;
                self.key = values.name_of(form);
            }
            b":time" => {
                self.time = integer(cursor.token()).and_then(|time| u64::try_from(time).ok()).unwrap_or(UNTIMED);
            }
            b":offset" => self.offset = natural(cursor.token()),
            b":next" => self.next = natural(cursor.token()),
            // What was found instead, or a reason.
            b":error" if matches!(peeked, Some(b'[' | b'"')) => self.error = cursor.form(values)?,
            b"" => {
                cursor.skip()?;
                cursor.peek()?;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    }

    /// Puts it into the recording, if it is a client's.
    fn keep(self, at: usize, recording: &mut Recording) -> Result<(), Bad> {
        if self.is_nobodys {
            recording.is_ours |= self.f.is_some_and(|(_, name)| name == OURS);
            return Ok(());
        }
        let missing = |what| Bad { at, wrong: Wrong::Missing { what } };
        let (name_at, name) = self.f.ok_or_else(|| missing(":f"))?;
        let process = self.process.ok_or_else(|| missing(":process"))?;
        let kind = self.kind.ok_or_else(|| missing(":type"))?;
        let Map { key, value, time, error, .. } = self;
        let asked = Asked::parse(name);
        if let Some(asked) = asked.filter(|asked| *asked != Asked::Append || key == NIL) {
            let (client, place) = (self.client.unwrap_or(process), self.offset.or(self.next));
            let at = at as u32;
            recording.logs.push(LogEvent { at, process, client, kind, asked, value, place, error, time });
            if asked != Asked::Append {
                recording.has_log = true;
                return Ok(());
            }
        }
        let unknown = || Wrong::UnknownOperation { name: String::from_utf8_lossy(name).into_owned() };
        let deed = Deed::parse(name).ok_or_else(|| Bad { at: name_at, wrong: unknown() })?;
        if let (Deed::Cas, Kind::Fail, Some((what, found))) = (deed, kind, recording.values.pair(error))
            && recording.values.spelled(what) == FOUND
        {
            recording.found.push((at as u32, found));
        }
        recording.events.push(Event { at: at as u32, process, kind, deed, key, value, time });
        Ok(())
    }
}

/// The number of a process, or a client.
fn process(at: usize, number: i64) -> Result<u32, Bad> {
    let wrong = || Bad::expected(at, "the number of a process, below 4294967296", number.to_string());
    u32::try_from(number).map_err(|_| wrong())
}

/// The keys of a map so far.
#[derive(Default)]
struct Seen<'b> {
    known: u32,
    others: Vec<&'b [u8]>,
}

impl<'b> Seen<'b> {
    fn add(&mut self, name: &'b [u8], at: usize) -> Result<(), Bad> {
        // Keys that mean something here, and usual ones that do not.
        let place = match name {
            b":process" => 0,
            b":type" => 1,
            b":f" => 2,
            b":value" => 3,
            b":time" => 4,
            b":index" => 5,
            b":key" => 6,
            b":error" => 7,
            b":client" => 8,
            b":offset" => 9,
            b":next" => 10,
            _ => return self.add_other(name, at),
        };
        let is_new = self.known & 1 << place == 0;
        self.known |= 1 << place;
        if is_new { Ok(()) } else { Err(twice(name, at)) }
    }

    fn add_other(&mut self, name: &'b [u8], at: usize) -> Result<(), Bad> {
        if name.is_empty() || self.others.len() >= OTHERS_MAX {
            return Ok(());
        }
        if self.others.contains(&name) {
            return Err(twice(name, at));
        }
        self.others.push(name);
        Ok(())
    }
}

fn twice(name: &[u8], at: usize) -> Bad {
    let what = format!("the key {} is twice in the map", String::from_utf8_lossy(name));
    Bad { at, wrong: Wrong::Twice { what } }
}

/// Of keys that are not known, so many are compared with each other.
const OTHERS_MAX: usize = 64;

/// What a history says of itself in `:f` that was exported from a run: reads of nil are observations there, and values are
/// appended to one log.
pub const OURS: &[u8] = b":kraftbed-history";

/// How a compare-and-set that failed says what it found.
const FOUND: &str = ":found";

/// The kinds of events, for an error.
pub const KINDS: &str = ":invoke, :ok, :fail or :info";

/// A value that is no form, such as `:timed-out`, says nothing.
pub fn is_reason(values: &Values, form: Form) -> bool {
    matches!(form, Form::One(name) if values.names.text(name).starts_with(':'))
}
