//! EDN, as much of it as histories use: maps, vectors, lists, sets, strings, keywords, numbers, nil; comments, `#_` and tags.
//!
//! A cursor over bytes, which copies nothing: tokens are slices of the file. Only a text with escapes is built anew.
//!
//! Values are equal here where they are in Clojure: maps and sets in any order, vectors and lists alike, `1.0` and `1.00`, `1` and
//! `1N`; but not `1` and `1.0`. What Clojure's reader refuses, a key that stands twice in a map, is refused. JSON is read by the
//! same cursor: commas are white space, and its objects, where a colon follows each key, are maps.

use std::borrow::Cow;

use crate::history::format::allowance::Allowance;
use crate::history::format::names::{Form, NOTHING, Values};
use crate::history::format::number::spelled;
use crate::history::format::wrong::{Bad, Wrong, line_length};

/// A place in a file.
#[derive(Clone)]
pub struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    /// How many forms it is within.
    depth: usize,
    syntax: Syntax,
    allowance: &'b Allowance<'b>,
}

/// What maps look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `{:a 1}`
    Edn,
    /// `{"a": 1}`
    Json,
}

impl<'b> Cursor<'b> {
    /// At `at`, in a file that ends where `bytes` do.
    pub fn new(bytes: &'b [u8], at: usize, syntax: Syntax, allowance: &'b Allowance<'b>) -> Cursor<'b> {
        Cursor { bytes, at, depth: 0, syntax, allowance }
    }

    /// The same file at another place.
    pub fn new_at(cursor: &Cursor<'b>, at: usize) -> Cursor<'b> {
        Cursor { at, depth: 0, ..*cursor }
    }

    /// Whether so many bytes may be kept, and there is time left.
    #[inline]
    pub fn allow(&self, kept_bytes: usize) -> Result<(), Bad> {
        self.allowance.check(self.at, kept_bytes)
    }

    /// How many bytes it has passed.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte that means something; white space and comments are passed.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<u8>, Bad> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(b';') => self.pass_line(),
                Some(b'#') if self.bytes.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.skip()?;
                }
                other => return Ok(other.copied()),
            }
        }
    }

    /// Passes the next byte.
    #[inline]
    pub fn pass(&mut self) {
        self.at += 1;
    }

    /// Passes a token: a number, a keyword, a symbol.
    #[inline]
    pub fn token(&mut self) -> &'b [u8] {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| ENDS[byte as usize]).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Passes a tag such as `#inst` or `#jepsen.history.Op`; what it is a tag of comes next.
    pub fn pass_tag(&mut self) {
        self.at += 1;
        self.token();
    }

    /// What the next thing is, in words, for an error.
    pub fn found(&self) -> String {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().skip(1).position(|&byte| ENDS[byte as usize]).map_or(rest.len(), |end| end + 1);
        match rest {
            [] => "the end of the file".to_owned(),
            [b'\n', ..] => "the end of the line".to_owned(),
            _ => format!("`{}`", String::from_utf8_lossy(&rest[..end.min(FOUND_BYTES_MAX)])),
        }
    }

    /// An error at this place.
    pub fn wrong(&self, expected: &'static str) -> Bad {
        Bad::expected(self.at, expected, self.found())
    }

    /// Reads one form.
    pub fn form(&mut self, values: &mut Values) -> Result<Form, Bad> {
        self.enter()?;
        let form = self.form_within(values);
        self.depth -= 1;
        form
    }

    fn enter(&mut self) -> Result<(), Bad> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Bad { at: self.at, wrong: Wrong::Nested }) } else { Ok(()) }
    }

    fn form_within(&mut self, values: &mut Values) -> Result<Form, Bad> {
        match self.peek()? {
            Some(b'[') => self.row(b']', values),
            Some(b'(') => self.row(b')', values),
            Some(b'"') => Ok(values.text(&self.string()?)),
            Some(b'{') => self.map(values),
            Some(b'#') => match self.bytes.get(self.at + 1) {
                Some(b'{') => self.set(values),
                Some(b'#') => self.symbolic().map(|text| values.token(text)),
                _ => {
                    self.pass_tag();
                    self.form(values)
                }
            },
            Some(b'\\') => {
                let start = self.at;
                self.pass_character();
                Ok(values.token(text(self.bytes, start, self.at)?))
            }
            None | Some(b']' | b')' | b'}') => Err(self.wrong("a value")),
            Some(_) => {
                let start = self.at;
                let token = match self.token() {
                    [] => return Err(self.wrong("a value")),
                    // (JSON lines have the second.)
                    b"nil" | b"null" => return Ok(NOTHING),
                    _ => text(self.bytes, start, self.at)?,
                };
                Ok(values.token(&spelled(token)))
            }
        }
    }

    fn row(&mut self, close: u8, values: &mut Values) -> Result<Form, Bad> {
        self.at += 1;
        // Pairs are all that most histories have: they need no memory of their own.
        let mut few = [NOTHING; 2];
        let mut many: Vec<Form> = Vec::new();
        let mut count = 0;
        while self.peek()? != Some(close) {
            let form = self.form(values)?;
            match few.get_mut(count) {
                Some(place) => *place = form,
                None => {
                    if many.is_empty() {
                        many.extend_from_slice(&few);
                    }
                    many.push(form);
                    self.allow(values.kept_bytes() + many.len() * 2 * size_of::<Form>())?;
                }
            }
            count += 1;
        }
        self.at += 1;
        Ok(values.row(if many.is_empty() { &few[..count] } else { &many }))
    }

    /// Elements by their names, so that all sets of the same ones are one.
    fn set(&mut self, values: &mut Values) -> Result<Form, Bad> {
        self.at += 2;
        let mut elements = Vec::new();
        while self.peek()? != Some(b'}') {
            let at = self.at;
            let form = self.form(values)?;
            elements.push((values.name_of(form), at));
            self.allow(values.kept_bytes() + elements.len() * 2 * size_of::<(Form, usize)>())?;
        }
        self.at += 1;
        elements.sort();
        if let Some(twice) = elements.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let what = format!("{} is twice in the set", values.names.text(twice[1].0));
            return Err(Bad { at: twice[1].1, wrong: Wrong::Twice { what } });
        }
        Ok(values.set(elements.into_iter().map(|(name, _)| name)))
    }

    /// A map is named by its keys in order, each with its value.
    fn map(&mut self, values: &mut Values) -> Result<Form, Bad> {
        self.at += 1;
        let mut entries = Vec::new();
        let mut bytes = 0;
        while self.peek()? != Some(b'}') {
            let at = self.at;
            let key = self.form(values)?;
            if self.syntax == Syntax::Json {
                if self.peek()? != Some(b':') {
                    return Err(self.wrong("`:` and a value"));
                }
                self.at += 1;
            }
            if self.peek()? == Some(b'}') {
                return Err(self.wrong("a value for the last key of the map"));
            }
            let value = self.form(values)?;
            let (key, value) = (values.spelled_within(key), values.spelled_within(value));
            bytes += key.len() + value.len() + size_of::<(String, usize, String)>();
            entries.push((key, at, value));
            self.allow(values.kept_bytes() + 2 * bytes)?;
        }
        self.at += 1;
        entries.sort();
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let what = format!("the key {} is twice in the map", twice[1].0);
            return Err(Bad { at: twice[1].1, wrong: Wrong::Twice { what } });
        }
        let entries: Vec<String> = entries.into_iter().map(|(key, _, value)| format!("{key} {value}")).collect();
        Ok(values.token(&format!("{{{}}}", entries.join(", "))))
    }

    /// `##Inf`, and the two others.
    fn symbolic(&mut self) -> Result<&'static str, Bad> {
        let token = self.clone().token();
        let known = SYMBOLIC.into_iter().find(|known| known.as_bytes() == token);
        let known = known.ok_or_else(|| self.wrong("##Inf, ##-Inf or ##NaN"))?;
        self.at += token.len();
        Ok(known)
    }

    /// `\a`, `\newline`, `\(`.
    fn pass_character(&mut self) {
        self.at = (self.at + 2).min(self.bytes.len());
        self.token();
    }

    /// Passes one form, whatever it is.
    pub fn skip(&mut self) -> Result<(), Bad> {
        self.enter()?;
        let skipped = self.skip_within();
        self.depth -= 1;
        skipped
    }

    fn skip_within(&mut self) -> Result<(), Bad> {
        match self.peek()? {
            Some(b'[') => self.skip_to(b']'),
            Some(b'(') => self.skip_to(b')'),
            Some(b'{') => self.skip_to(b'}'),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'#') if self.bytes.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.skip_to(b'}')
            }
            Some(b'#') if self.bytes.get(self.at + 1) == Some(&b'#') => self.symbolic().map(|_| ()),
            Some(b'#') => {
                self.pass_tag();
                self.skip()
            }
            Some(b'\\') => {
                self.pass_character();
                Ok(())
            }
            None | Some(b']' | b')' | b'}') => Err(self.wrong("a value")),
            Some(_) => match self.token() {
                [] => Err(self.wrong("a value")),
                _ => Ok(()),
            },
        }
    }

    fn skip_to(&mut self, close: u8) -> Result<(), Bad> {
        self.at += 1;
        while self.peek()? != Some(close) {
            self.skip()?;
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string, from quote to quote.
    pub fn string(&mut self) -> Result<Cow<'b, str>, Bad> {
        let start = self.at + 1;
        let mut end = start;
        let mut has_escapes = false;
        loop {
            match self.bytes.get(end) {
                None => return Err(Bad::expected(self.at, "a string that ends", "one that does not")),
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let raw = text(self.bytes, start, end)?;
        if has_escapes { unescape(raw, start).map(Cow::Owned) } else { Ok(Cow::Borrowed(raw)) }
    }

    fn pass_line(&mut self) {
        self.at += line_length(&self.bytes[self.at..]);
    }
}

/// Bytes as text.
pub fn text(bytes: &[u8], start: usize, end: usize) -> Result<&str, Bad> {
    let wrong = |error: std::str::Utf8Error| Bad { at: start + error.valid_up_to(), wrong: Wrong::NotText };
    std::str::from_utf8(&bytes[start..end]).map_err(wrong)
}

/// A string without its escapes, which EDN and JSON write alike.
pub fn unescape(raw: &str, at: usize) -> Result<String, Bad> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = rest.find('\\') {
        text.push_str(&rest[..place]);
        let here = at + raw.len() - rest.len() + place;
        let mut escaped = rest[place + 1..].chars();
        let letter = escaped.next().unwrap_or_default();
        rest = escaped.as_str();
        text.push(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' => letter,
            'u' => {
                let (first, after) = unit(rest, here)?;
                rest = after;
                let lone =
                    || Bad::expected(here, "a character, or a pair of surrogates", format!("a lone \\u{first:04x}"));
                match first {
                    0xd800..0xdc00 => {
                        let low = rest.strip_prefix("\\u").ok_or_else(lone)?;
                        let (second, after) = unit(low, here)?;
                        rest = after;
                        let second = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or_else(lone)?;
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second).ok_or_else(lone)?
                    }
                    _ => char::from_u32(first).ok_or_else(lone)?,
                }
            }
            other => return Err(Bad::expected(here, "an escape such as \\n", format!("`\\{other}`"))),
        });
    }
    text.push_str(rest);
    Ok(text)
}

/// Four hexadecimal digits, and what comes after them.
fn unit(text: &str, at: usize) -> Result<(u32, &str), Bad> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let wrong = || Bad::expected(at, "four hexadecimal digits after \\u", "something else");
    Ok((unit.ok_or_else(wrong)?, &text[4..]))
}

/// Bytes at which a token ends.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let list = *b" \t\n\r,;()[]{}\"";
    let mut index = 0;
    while index < list.len() {
        ends[list[index] as usize] = true;
        index += 1;
    }
    ends
};

/// Numbers that have no digits.
const SYMBOLIC: [&str; 3] = ["##Inf", "##-Inf", "##NaN"];

/// How many bytes of what was found an error shows.
const FOUND_BYTES_MAX: usize = 40;

/// How deep forms may stand within each other.
pub const DEPTH_MAX: usize = 64;
