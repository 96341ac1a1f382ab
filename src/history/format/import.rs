//! From bytes to a history: which format, which dialect, and the reader for it.

use crate::history::Model;
use crate::history::format::allowance::Allowance;
use crate::history::format::edn::{Cursor, Syntax};
use crate::history::format::names::{Form, Values};
use crate::history::format::pair::{Deed, Kind, Recording};
use crate::history::format::wrong::{Bad, ParseError, Wrong};
use crate::history::format::{Dialect, Format, Hints, Imported, NilRead, Subject};
use crate::history::format::{columns, etcd, jepsen, lines, logs, pair};
use crate::history::objects::Entry;

/// Reads a history.
pub fn import(bytes: &[u8], hints: &Hints) -> Result<Imported, ParseError> {
    import_within(bytes, hints, &Allowance::boundless())
}

/// Reads a history, as far as it is allowed.
pub fn import_within(bytes: &[u8], hints: &Hints, allowance: &Allowance<'_>) -> Result<Imported, ParseError> {
    // What some editors put first is no part of the text.
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    read(text, hints, allowance).map_err(|bad| bad.located(text))
}

/// How a file is written, from how it begins; none where nothing in it says so.
pub fn format_of(bytes: &[u8]) -> Option<Format> {
    detect(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)).ok()
}

fn read(bytes: &[u8], hints: &Hints, allowance: &Allowance<'_>) -> Result<Imported, Bad> {
    // Places of texts have 32 bits.
    if bytes.len() > u32::MAX as usize {
        return Err(Bad { at: 0, wrong: Wrong::TooLarge });
    }
    let format = match hints.format {
        Some(format) => format,
        None => detect(bytes)?,
    };
    allowance.check(0, bytes.len())?;
    let beside = &allowance.beside(bytes.len());
    let (format, recording) = match format {
        Format::Edn | Format::PorcupineKv => {
            let (found, recording) = jepsen::read(bytes, beside)?;
            (hints.format.unwrap_or(found), recording)
        }
        Format::EtcdLog => (format, etcd::read(bytes, beside)?),
        Format::Columns | Format::Lines => {
            let dialect = dialect(format, hints);
            let (subject, operations) = match format {
                Format::Columns => columns::read(bytes, hints.model, &dialect, beside)?,
                _ => lines::read(bytes, hints.model, &dialect, beside)?,
            };
            return Ok(imported(format, dialect, subject, operations));
        }
    };
    let mut dialect = dialect(format, hints);
    if recording.is_ours && hints.nil_read.is_none() {
        dialect.nil_read = NilRead::Observes;
    }
    let (subject, operations) = of_events(bytes, recording, hints, &dialect)?;
    Ok(imported(format, dialect, subject, operations))
}

/// What a file's events are of. Whoever says what it is about means that part alone.
fn of_events(bytes: &[u8], mut recording: Recording, hints: &Hints, dialect: &Dialect) -> Result<(Subject, u64), Bad> {
    let wants_log = hints.model.is_none_or(|model| matches!(model, Model::Log | Model::Producer));
    let is_log = recording.is_ours || recording.has_log || wants_log && hints.model.is_some();
    let (mut subject, mut count) = (Subject::default(), 0);
    if is_log {
        recording.events.retain(|event| event.deed != Deed::Append);
        let calls = recording.logs.iter().filter(|event| event.kind == Kind::Invoke);
        count = calls.count() as u64;
        if wants_log && (count > 0 || recording.events.is_empty()) {
            subject.log_model = Some(hints.model.unwrap_or(Model::Log));
            subject.log = logs::operations(bytes, &recording.logs, &recording.values)?;
        }
    }
    match (hints.model, recording.events.first()) {
        (Some(model @ (Model::Log | Model::Producer)), Some(first)) if subject.log_model.is_none() => {
            let name = first.deed.name().to_owned();
            Err(Bad { at: first.at as usize, wrong: Wrong::NotOfModel { name, model } })
        }
        (Some(Model::Log | Model::Producer), _) => Ok((subject, count)),
        (None, None) if subject.log_model.is_some() => Ok((subject, count)),
        _ => {
            let (history, operations) = pair::pair(bytes, recording, hints, dialect)?;
            subject.objects = Some(Box::new(history));
            Ok((subject, count + operations))
        }
    }
}

fn imported(format: Format, dialect: Dialect, subject: Subject, operations: u64) -> Imported {
    let model = subject.objects.as_ref().map(|history| history.model);
    let needs_dialect = matches!(model, Some(Model::Register | Model::CasRegister | Model::Kv));
    let kept_bytes = kept_bytes(&subject) as u64;
    Imported { format, dialect: needs_dialect.then_some(dialect), operations, kept_bytes, subject }
}

fn kept_bytes(subject: &Subject) -> usize {
    let of_log: usize = subject.log.iter().map(lines::bytes_of).sum();
    let of_objects = subject.objects.as_ref().map_or(0, |history| {
        let lists: usize = history.lists.iter().map(|list| size_of_val(&list[..])).sum();
        let texts = history.values.kept_bytes() + history.keys.kept_bytes();
        history.entries.len() * size_of::<Entry>() + history.stamps.len() * size_of::<u64>() + lists + texts
    });
    of_log + of_objects
}

fn dialect(format: Format, hints: &Hints) -> Dialect {
    let usual = format.dialect();
    Dialect {
        failed_cas: hints.failed_cas.unwrap_or(usual.failed_cas),
        nil_read: hints.nil_read.unwrap_or(usual.nil_read),
        initial: hints.initial.clone().unwrap_or(usual.initial),
    }
}

/// Whether a text is one value, as one format or another writes it.
pub fn is_value(text: &str) -> bool {
    [Syntax::Edn, Syntax::Json].into_iter().any(|syntax| value(text, syntax, &mut Values::default()).is_some())
}

/// The one value that a text is.
pub(in crate::history::format) fn value(text: &str, syntax: Syntax, values: &mut Values) -> Option<Form> {
    let boundless = Allowance::boundless();
    let mut cursor = Cursor::new(text.as_bytes(), 0, syntax, &boundless);
    let form = cursor.form(values).ok()?;
    (cursor.peek().ok()?.is_none()).then_some(form)
}

/// How a file is written, from how it begins.
fn detect(bytes: &[u8]) -> Result<Format, Bad> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    let Some(start) = start else { return Err(Bad { at: 0, wrong: Wrong::Empty }) };
    let rest = &bytes[start..];
    match rest[0] {
        b'{' => match rest[1..].iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'"') => return Ok(Format::Lines),
            _ => return Ok(Format::Edn),
        },
        b'[' | b'(' | b';' | b'#' => return Ok(Format::Edn),
        _ => {}
    }
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> =
        line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).take(9).collect();
    if words.len() == 8 && words[..3].iter().all(|word| word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-'))
    {
        return Ok(Format::Columns);
    }
    let mut lines = rest.split(|&byte| byte == b'\n').take(LINES_MAX);
    match lines.any(|line| etcd::mark(line).is_some()) {
        true => Ok(Format::EtcdLog),
        false => {
            let line = &line[..line.len().min(LINE_SHOWN)];
            let found = format!("`{}`", String::from_utf8_lossy(line).trim_end());
            Err(Bad { at: start, wrong: Wrong::UnknownFormat { found } })
        }
    }
}

/// UTF-8's.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How many bytes of a line are shown that no format begins with.
const LINE_SHOWN: usize = 40;

/// How far to look for the first line of a test in a log.
const LINES_MAX: usize = 10_000;
