//! JSON that remembers where it was written, and that prints as a person would lay it out.
//!
//! Scenarios are read by people, so every complaint names a line and a column; and they are written back when they are
//! resolved, with keys in the order of the language. The syntax is strict JSON: no comments, no trailing commas.

use std::fmt::Write as _;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// Where a value begins, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A JSON value and its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its first character; 1:1 for values that were never text.
    pub at: Position,
    /// What it is.
    pub shape: Shape,
}

/// The six shapes of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `null`.
    Null,
    /// `true`, `false`.
    Truth(bool),
    /// A number as it was spelled: which numbers are good is the language's business.
    Number(String),
    /// A string, escapes resolved.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, in the order written; a name may occur twice here, the language refuses it.
    Object(Vec<Member>),
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where the name begins.
    pub at: Position,
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// Why a text is not JSON: where, and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub at: Position,
    /// The rule, as a sentence without a full stop.
    pub rule: String,
}

impl Value {
    /// Reads a text that is one JSON value.
    pub fn parse(text: &str) -> Result<Value, SyntaxError> {
        let lines = Lines::of(text);
        let parsed = parse_to_ast(text, &CollectOptions::default(), &strict()).map_err(|error| SyntaxError {
            at: lines.position(error.range().start),
            rule: lowercase_first(&error.kind().to_string()),
        })?;
        let Some(root) = parsed.value else {
            return Err(SyntaxError { at: lines.position(text.len()), rule: "the text is empty".into() });
        };
        Ok(lines.value(&root))
    }

    /// A value that no text holds yet.
    pub fn new(shape: Shape) -> Value {
        Value { at: Position { line: 1, column: 1 }, shape }
    }

    /// A string.
    pub fn text(text: impl Into<String>) -> Value {
        Value::new(Shape::Text(text.into()))
    }

    /// A whole number.
    pub fn number(number: u64) -> Value {
        Value::new(Shape::Number(number.to_string()))
    }

    /// An array.
    pub fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::new(Shape::List(values.into_iter().collect()))
    }

    /// An object.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        let member = |(name, value): (&str, Value)| Member { at: Position::default(), name: name.into(), value };
        Value::new(Shape::Object(members.into_iter().map(member).collect()))
    }

    /// The value on one line: `{"a": [1, 2]}`.
    pub fn to_line(&self) -> String {
        let mut out = String::new();
        self.print_line(&mut out);
        out
    }

    /// The value as a file: whatever fits stays on one line, the root never does.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        self.print_lines(&mut out, 0);
        out.push('\n');
        out
    }

    fn print_line(&self, out: &mut String) {
        match &self.shape {
            Shape::Null => out.push_str("null"),
            Shape::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Shape::Number(number) => out.push_str(number),
            Shape::Text(text) => out.push_str(&quoted(text)),
            Shape::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    value.print_line(out);
                }
                out.push(']');
            }
            Shape::Object(members) => {
                out.push('{');
                for (index, member) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    let _ = write!(out, "{}: ", quoted(&member.name));
                    member.value.print_line(out);
                }
                out.push('}');
            }
        }
    }

    fn print_lines(&self, out: &mut String, depth: usize) {
        let line = self.to_line();
        if depth > 0 && depth * INDENT + line.chars().count() <= WIDTH {
            out.push_str(&line);
            return;
        }
        let inner = "\n".to_string() + &" ".repeat((depth + 1) * INDENT);
        let outer = "\n".to_string() + &" ".repeat(depth * INDENT);
        match &self.shape {
            Shape::List(values) if !values.is_empty() => {
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { "[" } else { "," });
                    out.push_str(&inner);
                    value.print_lines(out, depth + 1);
                }
                out.push_str(&outer);
                out.push(']');
            }
            Shape::Object(members) if !members.is_empty() => {
                for (index, member) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "{" } else { "," });
                    out.push_str(&inner);
                    let _ = write!(out, "{}: ", quoted(&member.name));
                    member.value.print_lines(out, depth + 1);
                }
                out.push_str(&outer);
                out.push('}');
            }
            _ => out.push_str(&line),
        }
    }
}

/// The offsets at which lines begin, to turn byte offsets into positions.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count() + 1;
        Position { line, column }
    }

    /// The parser limits how deep values nest, so this recursion is bounded.
    fn value(&self, value: &ast::Value<'_>) -> Value {
        let shape = match value {
            ast::Value::NullKeyword(_) => Shape::Null,
            ast::Value::BooleanLit(truth) => Shape::Truth(truth.value),
            ast::Value::NumberLit(number) => Shape::Number(number.value.to_string()),
            ast::Value::StringLit(text) => Shape::Text(text.value.to_string()),
            ast::Value::Array(list) => Shape::List(list.elements.iter().map(|value| self.value(value)).collect()),
            ast::Value::Object(object) => {
                let member = |property: &ast::ObjectProp<'_>| Member {
                    at: self.position(property.start()),
                    name: property.name.as_str().to_string(),
                    value: self.value(&property.value),
                };
                Shape::Object(object.properties.iter().map(member).collect())
            }
        };
        Value { at: self.position(value.start()), shape }
    }
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A JSON string literal.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Columns of a line of printed JSON.
pub const WIDTH: usize = 116;

/// Columns by which a level is indented.
const INDENT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_remember_where_they_were_written() {
        let value = Value::parse("{\n  \"é\": [1,\n    \"x\"]\n}").expect("is JSON");
        let Shape::Object(members) = &value.shape else { panic!("not an object") };
        assert_eq!(members[0].at, Position { line: 2, column: 3 });
        assert_eq!(members[0].value.at, Position { line: 2, column: 8 });
        let Shape::List(values) = &members[0].value.shape else { panic!("not a list") };
        assert_eq!(values[1].at, Position { line: 3, column: 5 });
    }

    #[test]
    fn only_strict_json_is_accepted() {
        for text in ["", "{,}", "[1,]", "[1] // x", "{a: 1}", "'x'", "[1 2]", "+1", ".5", "NaN", "0x1"] {
            assert!(Value::parse(text).is_err(), "{text} was accepted");
        }
        assert!(Value::parse(&"[".repeat(100_000)).is_err(), "nesting is not limited");
    }

    #[test]
    fn printed_values_read_back() {
        let text = r#"{"a": [1, -2.5e3, true, null], "b": {"c": "é\n\"\u0001"}}"#;
        let value = Value::parse(text).expect("is JSON");
        assert_eq!(Value::parse(&value.to_line()).expect("is JSON").to_line(), value.to_line());
        assert_eq!(Value::parse(&value.to_pretty()).expect("is JSON").to_line(), value.to_line());
    }
}
