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

    /// The forms of a row; none of a single thing.
    pub fn forms(&self, form: Form) -> &[Form] {
        match form {
            Form::One(_) => &[],
            Form::Row(first, count) => &self.pool[first as usize..(first + count) as usize],
        }
    }

    /// Two things in a row.
    pub fn pair(&self, form: Form) -> Option<(Form, Form)> {
        match self.forms(form) {
            &[first, second] => Some((first, second)),
            _ => None,
        }
    }

    /// The name of a form: a row is named by how it would be spelled.
    pub fn name_of(&mut self, form: Form) -> Name {
        match form {
            Form::One(name) => name,
            Form::Row(..) => {
                let text = self.spelled(form);
                self.names.name(&text)
            }
        }
    }

    /// A form as text.
    pub fn spelled(&self, form: Form) -> String {
        match form {
            Form::One(name) => self.names.text(name).to_owned(),
            Form::Row(..) => {
                let forms: Vec<String> = self.forms(form).iter().map(|&form| self.spelled(form)).collect();
                format!("[{}]", forms.join(" "))
            }
        }
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
