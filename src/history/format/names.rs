//! Values as files write them, as numbers of a table.
//!
//! A text is named by its characters, a number or a keyword by how it is spelled; where a text looks like one of these it keeps
//! its quotes, so that `"1"` is not taken for `1`. Where texts grow, quotes would stand in the way; [`Values::unquoted`] takes them off
//! again.

use crate::history::objects::{NIL, Name, Names};

/// A value: one thing, or things in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A number, a text, a keyword; nothing is [`NIL`].
    One(Name),
    /// So many forms of the pool, from this one on.
    Row(u32, u32),
    /// The same, of a set: single things in the order of their names.
    Set(u32, u32),
}

/// What stands for no value at all.
pub const NOTHING: Form = Form::One(NIL);

/// All values of a file.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Their texts.
    pub names: Names,
    /// The forms of rows.
    pub pool: Vec<Form>,
    /// Whether any text kept its quotes.
    has_quotes: bool,
    scratch: String,
}

impl Values {
    /// A number, keyword, symbol, truth value.
    pub fn token(&mut self, text: &str) -> Form {
        Form::One(self.names.name(text))
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> Form {
        if !looks_otherwise(text) {
            return self.token(text);
        }
        self.has_quotes = true;
        self.scratch.clear();
        self.scratch.push('"');
        self.scratch.push_str(text);
        self.scratch.push('"');
        Form::One(self.names.name(&self.scratch))
    }

    /// A row of forms.
    pub fn row(&mut self, forms: &[Form]) -> Form {
        let first = self.pool.len() as u32;
        self.pool.extend_from_slice(forms);
        Form::Row(first, forms.len() as u32)
    }

    /// A set of things, which come in order.
    pub fn set(&mut self, elements: impl Iterator<Item = Name>) -> Form {
        let first = self.pool.len() as u32;
        self.pool.extend(elements.map(Form::One));
        Form::Set(first, self.pool.len() as u32 - first)
    }

    /// How much memory they take.
    pub fn kept_bytes(&self) -> usize {
        self.names.kept_bytes() + self.pool.len() * size_of::<Form>()
    }

    /// The forms of a row or a set; none of a single thing.
    pub fn forms(&self, form: Form) -> &[Form] {
        match form {
            Form::One(_) => &[],
            Form::Row(first, count) | Form::Set(first, count) => &self.pool[first as usize..(first + count) as usize],
        }
    }

    /// Two things in a row.
    pub fn pair(&self, form: Form) -> Option<(Form, Form)> {
        match (form, self.forms(form)) {
            (Form::Row(..), &[first, second]) => Some((first, second)),
            _ => None,
        }
    }

    /// The name of a form: a row or a set is named by how it would be spelled.
    pub fn name_of(&mut self, form: Form) -> Name {
        match form {
            Form::One(name) => name,
            Form::Row(..) | Form::Set(..) => {
                let text = self.spelled(form);
                self.names.name(&text)
            }
        }
    }

    /// A form as text.
    pub fn spelled(&self, form: Form) -> String {
        match form {
            Form::One(name) => self.names.text(name).to_owned(),
            Form::Row(..) | Form::Set(..) => self.spelled_within(form),
        }
    }

    /// A form as text within others, where it is to be seen where it ends: a text that could be taken for several things, or for
    /// another one, is in quotes there.
    pub fn spelled_within(&self, form: Form) -> String {
        let mut out = String::new();
        self.spell(form, &mut out);
        out
    }

    fn spell(&self, form: Form, out: &mut String) {
        let (open, close) = match form {
            Form::One(name) => return spell_one(self.names.text(name), out),
            Form::Row(..) => ("[", "]"),
            Form::Set(..) => ("#{", "}"),
        };
        out.push_str(open);
        for (place, &form) in self.forms(form).iter().enumerate() {
            out.push_str(if place == 0 { "" } else { " " });
            self.spell(form, out);
        }
        out.push_str(close);
    }

    /// For every name, that of the text without quotes; the text `nil`, which has none, is [`None`].
    pub fn unquoted(&mut self) -> Vec<Option<Name>> {
        let count = self.names.len() as u32;
        if !self.has_quotes {
            return (0..count).map(Some).collect();
        }
        let bare = |name: Name| {
            let text = self.names.text(name);
            text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(str::to_owned)
        };
        let texts: Vec<Option<String>> = (0..count).map(bare).collect();
        let name = |(name, text): (Name, Option<String>)| match text.as_deref() {
            None => Some(name),
            Some("nil") => None,
            Some("") => Some(NIL),
            Some(text) => Some(self.names.name(text)),
        };
        (0..count).zip(texts).map(name).collect()
    }
}

fn spell_one(text: &str, out: &mut String) {
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    // What was named as a whole is spelled already.
    let is_whole = text.starts_with(['[', '{', '#', '\\', ':']);
    match quoted.or_else(|| Some(text).filter(|text| !is_whole && text.contains(ENDS_WITHIN))) {
        None => out.push_str(text),
        Some(bare) => {
            out.push('"');
            bare.chars().for_each(|letter| {
                out.extend(Some('\\').filter(|_| matches!(letter, '"' | '\\')));
                out.push(letter);
            });
            out.push('"');
        }
    }
}

/// Letters of a text at which it would end among others.
const ENDS_WITHIN: [char; 14] = [' ', '\t', '\n', '\r', ',', ';', '(', ')', '[', ']', '{', '}', '"', '\\'];

/// Whether a text could be taken for something else.
fn looks_otherwise(text: &str) -> bool {
    match text.as_bytes().first() {
        None => true,
        Some(b'0'..=b'9' | b'-' | b'+' | b':' | b'"' | b'[' | b'{' | b'\\' | b'#') => true,
        Some(b'n' | b't' | b'f') => matches!(text, "nil" | "null" | "true" | "false"),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_things_have_different_names() {
        let mut values = Values::default();
        let rows =
            [&["a b"][..], &["a", "b"], &["1"], &["a\" \"b"], &["a", "[b]"], &["a", "b", ""], &["\\"], &["\"\\"]];
        let mut names: Vec<Name> = Vec::new();
        for texts in rows {
            let forms: Vec<Form> = texts.iter().map(|text| values.text(text)).collect();
            let row = values.row(&forms);
            names.push(values.name_of(row));
        }
        let one = values.token("1");
        let number = values.row(&[one]);
        let within = values.row(&[number]);
        let Form::One(one) = one else { panic!("a number is one thing") };
        let set = values.set([one].into_iter());
        names.extend([number, within, set].map(|form| values.name_of(form)));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{:?}", values.names);
    }

    #[test]
    fn a_text_is_not_taken_for_a_number() {
        let mut values = Values::default();
        assert_ne!(values.text("1"), values.token("1"));
        assert_ne!(values.text("nil"), NOTHING);
        assert_ne!(values.text(""), NOTHING);
        assert_eq!(values.text("x 1 y"), values.token("x 1 y"));
        let (Form::One(quoted), Form::One(bare)) = (values.text("1"), values.token("1")) else { panic!() };
        assert_eq!(values.unquoted()[quoted as usize], Some(bare));
    }
}
