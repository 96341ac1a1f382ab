//! Decisions: draws of a run that a scenario makes itself, as they are read and written.
//!
//! One entry decides one draw (`is`), or some in a row (`are`), so that a resolved scenario, which lists every draw of a
//! run, has a line for a dozen of them.

use std::collections::BTreeMap;

use crate::scenario::error::{ScenarioError, either, nearest};
use crate::scenario::json::{Value, WIDTH};
use crate::scenario::keys;
use crate::scenario::plan::{Choice, Decisions, parse_choice};
use crate::scenario::reader::{Node, Object, Reader};

/// Reads the list.
pub fn read_decisions(reader: &Reader<'_>, node: &Node<'_>) -> Result<Decisions, ScenarioError> {
    let mut decisions = Decisions::new();
    for entry in reader.list(node, r#"a list such as [{"stream": "link 1>2", "n": 17, "is": "drop"}]"#)? {
        let object = reader.object(&entry, keys::DECISION)?;
        let stream = read_stream(reader, &object)?;
        let first = reader.require(&object, "n")?;
        let number = first.as_number().filter(|number| *number <= NUMBER_MAX);
        let number = number.ok_or_else(|| reader.wrong(&first, format!("a whole number up to {NUMBER_MAX}")))?;
        let choices = read_choices(reader, &object)?;
        let page = decisions.entry(stream.to_owned()).or_default();
        for (number, choice) in (number..).zip(choices) {
            if page.insert(number, choice).is_some() {
                let found = format!("a second decision for draw {number} of {stream:?}");
                return Err(reader.refuse(&entry, found, "one"));
            }
        }
    }
    Ok(decisions)
}

fn read_stream<'a>(reader: &Reader<'a>, object: &Object<'a>) -> Result<&'a str, ScenarioError> {
    let node = reader.require(object, "stream")?;
    let name = reader.text(&node)?;
    if keys::is_stream(name) {
        return Ok(name);
    }
    let expected = match nearest(&keys::stream_shape(name), keys::STREAMS) {
        Some(near) => format!("{near:?}, where N is a number"),
        None => format!("one of {}, where N is a number", either(keys::STREAMS)),
    };
    Err(reader.wrong(&node, expected))
}

fn read_choices(reader: &Reader<'_>, object: &Object<'_>) -> Result<Vec<Choice>, ScenarioError> {
    let choice = |node: &Node<'_>| {
        parse_choice(&node.value.to_line()).ok_or_else(|| {
            reader.wrong(node, r#"a number, "drop" or another word for yes, "deliver" or "no", or {"keep": [0, 4]}"#)
        })
    };
    match (object.get("is"), object.get("are")) {
        (Some(one), None) => Ok(vec![choice(&one)?]),
        (None, Some(several)) => {
            let entries = reader.list(&several, "a list of choices, those of this draw and of the ones after it")?;
            if entries.is_empty() {
                return Err(reader.wrong(&several, "at least one choice"));
            }
            entries.iter().map(choice).collect()
        }
        _ => Err(reader.refuse(object.node(), "no single choice", r#""is" with a choice, or "are" with several"#)),
    }
}

/// The list, a line for as many draws in a row as fit.
pub fn write_decisions(decisions: &Decisions) -> Value {
    Value::list(decisions.iter().flat_map(|(stream, draws)| rows(stream, draws)))
}

fn rows(stream: &str, draws: &BTreeMap<u64, Choice>) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut row: (u64, Vec<Choice>) = (0, Vec::new());
    let mut width = 0;
    for (&number, &choice) in draws {
        let wide = choice.to_string().len() + 2;
        let follows = number == row.0 + row.1.len() as u64;
        if !row.1.is_empty() && (!follows || width + wide > ROW_WIDTH) {
            rows.push(entry(stream, &row));
            row.1.clear();
        }
        if row.1.is_empty() {
            row.0 = number;
            width = entry(stream, &(number, Vec::new())).to_line().len();
        }
        row.1.push(choice);
        width += wide;
    }
    if !row.1.is_empty() {
        rows.push(entry(stream, &row));
    }
    rows
}

fn entry(stream: &str, (first, choices): &(u64, Vec<Choice>)) -> Value {
    let (key, choice) = match choices[..] {
        [one] => ("is", Value::number(one)),
        _ => ("are", Value::list(choices.iter().map(|&choice| Value::number(choice)))),
    };
    Value::object([("stream", Value::text(stream)), ("n", Value::number(*first)), (key, choice)])
}

/// No run draws more often from one stream.
const NUMBER_MAX: u64 = 1 << 40;

/// Columns of an entry, which stands two levels deep.
const ROW_WIDTH: usize = WIDTH - 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_in_a_row_share_lines_that_fit() {
        let mut draws: BTreeMap<u64, Choice> = (0..300).map(|number| (number, number * 12_345)).collect();
        draws.insert(400, 7);
        let decisions = Decisions::from([("ties".to_owned(), draws)]);
        let rows = rows("ties", &decisions["ties"]);
        assert!(rows.len() < 40 && rows.iter().all(|row| row.to_line().len() <= ROW_WIDTH), "{rows:?}");
        assert_eq!(rows.last().map(Value::to_line).as_deref(), Some(r#"{"stream": "ties", "n": 400, "is": 7}"#));
    }
}
