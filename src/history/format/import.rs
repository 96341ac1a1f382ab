//! From bytes to a history: which format, which dialect, and the reader for it.

use crate::history::Model;
use crate::history::format::wrong::{Bad, ParseError, Wrong};
use crate::history::format::{Dialect, Format, Hints, Imported, Subject, columns, etcd, jepsen, lines, pair};

/// Reads a history.
pub fn import(bytes: &[u8], hints: &Hints) -> Result<Imported, ParseError> {
    read(bytes, hints).map_err(|bad| bad.located(bytes))
}

fn read(bytes: &[u8], hints: &Hints) -> Result<Imported, Bad> {
    // Places of texts have 32 bits.
    if bytes.len() > u32::MAX as usize {
        return Err(Bad { at: 0, wrong: Wrong::TooLarge });
    }
    let format = match hints.format {
        Some(format) => format,
        None => detect(bytes)?,
    };
    let (format, recording) = match format {
        Format::Edn | Format::PorcupineKv => {
            let (found, recording) = jepsen::read(bytes)?;
            (hints.format.unwrap_or(found), recording)
        }
        Format::EtcdLog => (format, etcd::read(bytes)?),
        Format::Columns | Format::Lines => {
            let dialect = dialect(format, hints);
            let (subject, operations) = match format {
                Format::Columns => columns::read(bytes, hints.model, &dialect)?,
                _ => lines::read(bytes, hints.model, &dialect)?,
            };
            return Ok(imported(format, dialect, subject, operations));
        }
    };
    let dialect = dialect(format, hints);
    let (subject, operations) = match hints.model {
        Some(Model::Log | Model::Producer) if recording.events.is_empty() => {
            (Subject { log_model: hints.model, ..Subject::default() }, 0)
        }
        _ => {
            let (history, operations) = pair::pair(bytes, recording, hints, &dialect)?;
            (history.into(), operations)
        }
    };
    Ok(imported(format, dialect, subject, operations))
}

fn imported(format: Format, dialect: Dialect, subject: Subject, operations: u64) -> Imported {
    let model = subject.objects.as_ref().map(|history| history.model);
    let needs_dialect = matches!(model, Some(Model::Register | Model::CasRegister | Model::Kv));
    Imported { format, dialect: needs_dialect.then_some(dialect), operations, subject }
}

fn dialect(format: Format, hints: &Hints) -> Dialect {
    let usual = format.dialect();
    Dialect {
        failed_cas: hints.failed_cas.unwrap_or(usual.failed_cas),
        nil_read: hints.nil_read.unwrap_or(usual.nil_read),
        initial: hints.initial.clone().unwrap_or(usual.initial),
    }
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
        false => Err(Bad { at: start, wrong: Wrong::UnknownFormat }),
    }
}

/// How far to look for the first line of a test in a log.
const LINES_MAX: usize = 10_000;
