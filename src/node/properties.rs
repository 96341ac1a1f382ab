//! `.properties` files, read as Java reads them (`java.util.Properties.load`), with line numbers kept.
//!
//! ISO-8859-1 bytes; `#` and `!` begin comments; a key ends at `=`, `:` or a blank; a backslash at the end of a line joins
//! it with the next, whose leading blanks do not count; `\uXXXX` is a UTF-16 unit; any other escaped character stands for
//! itself. A key that is set twice has its last value, and a warning. No file is opened here.

use std::fmt;

/// One key with its value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key.
    pub key: String,
    /// The value, blanks at its end included as in Java.
    pub value: String,
    /// Where.
    pub origin: Origin,
}

/// Where a property was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the file, on the line where its key begins, counted from 1.
    Line(usize),
    /// On the command line, `--override key=value`.
    Override,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(number) => write!(f, "line {number}"),
            Origin::Override => f.write_str("--override"),
        }
    }
}

/// The only way a file can be wrong: `\u` without four hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedEscape {
    /// The line.
    pub line: usize,
    /// What follows the `\u`, as far as it goes.
    pub found: String,
}

impl fmt::Display for MalformedEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: \\u: expected four hexadecimal digits, found {:?}", self.line, self.found)
    }
}

impl std::error::Error for MalformedEscape {}

/// The properties of a file, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    properties: Vec<Property>,
    repeated: Vec<(String, Origin, Origin)>,
}

impl Properties {
    /// Reads the bytes of a file.
    pub fn parse(bytes: &[u8]) -> Result<Properties, MalformedEscape> {
        let mut properties = Properties::default();
        for (line, text) in logical_lines(bytes) {
            let (key, rest) = split_key(&text);
            let (key, value) = (unescape(key, line)?, unescape(rest, line)?);
            properties.set(key, value, Origin::Line(line));
        }
        Ok(properties)
    }

    /// Sets a property as `--override` does: it replaces what the file says, without a warning.
    pub fn set_override(&mut self, key: &str, value: &str) {
        self.set(key.to_owned(), value.to_owned(), Origin::Override);
    }

    /// The property of that key.
    pub fn find(&self, key: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.key == key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter()
    }

    /// Keys that the file sets more than once: the key, where it was first set, and where its value comes from.
    pub fn repeated(&self) -> impl Iterator<Item = &(String, Origin, Origin)> {
        self.repeated.iter()
    }

    fn set(&mut self, key: String, value: String, origin: Origin) {
        match self.properties.iter_mut().find(|property| property.key == key) {
            None => self.properties.push(Property { key, value, origin }),
            Some(property) => {
                if origin != Origin::Override {
                    self.repeated.push((key, property.origin, origin));
                }
                property.value = value;
                property.origin = origin;
            }
        }
    }
}

/// Lines joined at their backslashes, without comments, blank lines and leading blanks; each with its number.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut is_continued = false;
    for (index, line) in natural_lines(bytes).into_iter().enumerate() {
        let blanks = line.iter().take_while(|&&byte| is_blank(byte)).count();
        let line = &line[blanks..];
        if !is_continued && line.first().is_none_or(|&first| matches!(first, b'#' | b'!')) {
            continue;
        }
        if !is_continued {
            lines.push((index + 1, Vec::new()));
        }
        // An odd number of backslashes: the last one is not itself escaped.
        is_continued = line.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
        let joined = &mut lines.last_mut().expect("invariant: a line was begun").1;
        joined.extend_from_slice(&line[..line.len() - usize::from(is_continued)]);
    }
    lines
}

/// Lines end with `\n`, `\r` or `\r\n`.
fn natural_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        lines.push(&rest[..end]);
        let ending = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[rest.len().min(end + ending)..];
    }
    lines
}

/// The key ends at the first `=`, `:` or blank that is not escaped; one `=` or `:` between blanks is passed over.
fn split_key(line: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while end < line.len() && !is_blank(line[end]) && !matches!(line[end], b'=' | b':') {
        end += if line[end] == b'\\' { 2 } else { 1 };
    }
    let end = end.min(line.len());
    let after_blanks = |text: &'_ [u8]| text.iter().take_while(|&&byte| is_blank(byte)).count();
    let mut rest = end + after_blanks(&line[end..]);
    if line.get(rest).is_some_and(|byte| matches!(byte, b'=' | b':')) {
        rest += 1;
        rest += after_blanks(&line[rest..]);
    }
    (&line[..end], &line[rest..])
}

fn unescape(text: &[u8], line: usize) -> Result<String, MalformedEscape> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'f') => units.push(0x0c),
            Some(b'u') => {
                let digits: Vec<u8> = bytes.by_ref().take(4).collect();
                let value = digits
                    .iter()
                    .try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)? as u16));
                let value = value.filter(|_| digits.len() == 4);
                let found = || digits.iter().map(|&byte| char::from(byte)).collect();
                units.push(value.ok_or_else(|| MalformedEscape { line, found: found() })?);
            }
            Some(other) => units.push(u16::from(other)),
            None => {}
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, String, Origin)> {
        let properties = Properties::parse(text).expect("well-formed");
        properties.iter().map(|p| (p.key.clone(), p.value.clone(), p.origin)).collect()
    }

    fn one(text: &[u8]) -> (String, String) {
        let (key, value, _) = pairs(text).remove(0);
        (key, value)
    }

    #[test]
    fn keys_and_values_are_separated_as_java_does() {
        for text in ["a=b", "a:b", "a b", " a = b", "a\t:\tb", "a   b"] {
            assert_eq!(one(text.as_bytes()), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one(b"a = = b "), ("a".into(), "= b ".into()), "only one separator, and blanks stay at the end");
        assert_eq!(one(b"a"), ("a".into(), String::new()));
        assert_eq!(one(br"a\=b\ c=d"), ("a=b c".into(), "d".into()));
    }

    #[test]
    fn lines_are_joined_and_numbered_where_they_begin() {
        let text = b"# comment \\\n! another\n\na=1,\\\n   2\r\nb=x\\\\\nc=3";
        assert_eq!(
            pairs(text),
            [
                ("a".into(), "1,2".into(), Origin::Line(4)),
                ("b".into(), "x\\".into(), Origin::Line(6)),
                ("c".into(), "3".into(), Origin::Line(7)),
            ]
        );
        assert_eq!(one(b"a=1\\"), ("a".into(), "1".into()), "a backslash at the very end joins with nothing");
    }

    #[test]
    fn characters_are_latin_1_or_escaped() {
        assert_eq!(one(b"a=\xe4\\u00f6\\ud83d\\ude00\\t\\q").1, "äö😀\tq");
        let error = Properties::parse(b"x=1\na=\\u12").expect_err("cut short");
        assert_eq!(error.to_string(), "line 2: \\u: expected four hexadecimal digits, found \"12\"");
    }

    #[test]
    fn the_last_value_wins_and_the_repetition_is_known() {
        let mut properties = Properties::parse(b"a=1\na=2").expect("well-formed");
        assert_eq!(properties.find("a").map(|p| &p.value[..]), Some("2"));
        assert_eq!(properties.repeated().count(), 1);
        properties.set_override("a", "3");
        assert_eq!(properties.find("a").map(|p| (&p.value[..], p.origin)), Some(("3", Origin::Override)));
        assert_eq!(properties.repeated().count(), 1);
    }
}
