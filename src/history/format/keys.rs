//! Our own operations by key, as lines of JSON have them.

use std::fmt::{Result, Write};

use crate::history::format::line::{End, Line};
use crate::history::format::names::{Form, Values};
use crate::history::objects::NIL;
use crate::history::{Ask, ClientId, Operation, Outcome, Told, value};
use crate::time::Instant;

/// Writes what was asked.
pub(in crate::history::format) fn write_ask(ask: &Ask, line: &mut String) -> Result {
    match ask {
        Ask::Append { .. } | Ask::Tail | Ask::Read { .. } => Ok(()),
        Ask::Get { key } => write!(line, ",\"f\":\"get\",\"key\":{key}"),
        Ask::Put { key, value } => {
            write!(line, ",\"f\":\"put\",\"key\":{key},\"value\":")?;
            write_value(Some(*value), line)
        }
        Ask::Cas { key, from, to } => {
            write!(line, ",\"f\":\"cas\",\"key\":{key},\"from\":")?;
            write_value(*from, line)?;
            line.push_str(",\"to\":");
            write_value(Some(*to), line)
        }
    }
}

/// Writes what was answered.
pub(in crate::history::format) fn write_told(told: &Told, line: &mut String) -> Result {
    line.push_str(",\"outcome\":\"ok\"");
    match told {
        Told::Got { value } => {
            line.push_str(",\"value\":");
            write_value(*value, line)
        }
        Told::Put { offset } => write!(line, ",\"offset\":{offset}"),
        Told::Compared { offset, found } => {
            line.push_str(",\"found\":");
            write_value(*found, line)?;
            write!(line, ",\"offset\":{offset}")
        }
        Told::Appended { .. } | Told::Tail { .. } | Told::Read { .. } | Told::Unreadable { .. } => Ok(()),
    }
}

/// Small numbers as such, others by their names. ([`value::word`].)
fn write_value(value: Option<u64>, line: &mut String) -> Result {
    match value {
        None => line.write_str("null"),
        Some(small) if small >> 32 == 0 => write!(line, "{small}"),
        Some(number) => {
            line.push('"');
            value::write_name(number, line)?;
            line.push('"');
            Ok(())
        }
    }
}

/// The operation of a line that one of our runs may have written.
pub(in crate::history::format) fn operation(line: &Line<'_>, values: &Values) -> Option<Operation> {
    let value = |form: Form| match form {
        Form::One(NIL) => Some(None),
        Form::One(name) => {
            let text = values.names.text(name);
            text.parse().ok().or_else(|| value::parse(text)).map(Some)
        }
        Form::Row(..) | Form::Set(..) => None,
    };
    let key = u32::try_from(value(line.key?)??).ok()?;
    let ask = match line.f.as_deref()? {
        "get" => Ask::Get { key },
        "put" => Ask::Put { key, value: value(line.value?)?? },
        "cas" => Ask::Cas { key, from: value(line.from?)?, to: value(line.to?)?? },
        _ => return None,
    };
    let outcome = match (line.end_of?, &ask) {
        (End::Failed, _) => Outcome::Failed,
        (End::Open, _) => Outcome::Open,
        (End::Unreadable, _) => Outcome::Ok(Told::Unreadable { reason: line.reason.as_deref()?.to_owned() }),
        (End::Ok, Ask::Get { .. }) => Outcome::Ok(Told::Got { value: value(line.value?)? }),
        (End::Ok, Ask::Put { .. }) => Outcome::Ok(Told::Put { offset: line.offset? }),
        (End::Ok, _) => Outcome::Ok(Told::Compared { offset: line.offset?, found: value(line.found?)? }),
        (End::Refused, _) => return None,
    };
    let (client, invoked) = (ClientId(line.client?), Instant(line.invoked?));
    Some(Operation { client, ask, invoked, returned: line.returned.map(Instant), outcome })
}
