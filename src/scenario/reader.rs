//! The one reader of scenario values: types, bounds, draws and complaints.
//!
//! A [`Node`] is a value with the path of its key. The [`Reader`] turns nodes into Rust values; where the language permits
//! `[a, b]` for a value, the reader checks both ends and lets [`Draws`] choose.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::draw::Draws;
use crate::scenario::error::{ScenarioError, either, nearest};
use crate::scenario::json::{Member, Position, Shape, Value};
use crate::scenario::text::{parse_nanos, parse_rate, parse_ratio, show_duration, whole};

/// A value and the path of its key.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// `steps[1].when.on`; empty for the root.
    pub path: String,
    /// The value.
    pub value: &'a Value,
}

/// An object whose keys are known to be of the language.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    node: Node<'a>,
    members: &'a [Member],
}

/// Reads the values of one scenario in one way.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// How the caller names the file.
    pub file: &'a str,
    /// How ranges are read.
    pub draws: Draws,
    /// Names of properties that can be waived or expected to be violated.
    pub properties: &'a [&'a str],
}

impl<'a> Node<'a> {
    /// The value under a key of this node.
    fn member(&self, member: &'a Member) -> Node<'a> {
        let path = if self.path.is_empty() { member.name.clone() } else { format!("{}.{}", self.path, member.name) };
        Node { path, value: &member.value }
    }

    /// The value at a place of this list.
    fn entry(&self, index: usize, value: &'a Value) -> Node<'a> {
        Node { path: format!("{}[{index}]", self.path), value }
    }

    /// What stands here, for a complaint.
    pub fn found(&self) -> String {
        match &self.value.shape {
            Shape::List(values) if self.value.to_line().len() > 40 => format!("a list of {}", values.len()),
            Shape::Object(_) => "an object".into(),
            _ => self.value.to_line(),
        }
    }

    /// The string that this is.
    pub fn as_text(&self) -> Option<&'a str> {
        match &self.value.shape {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number that this is.
    pub fn as_number(&self) -> Option<u64> {
        match &self.value.shape {
            Shape::Number(number) => whole(number),
            _ => None,
        }
    }
}

impl<'a> Object<'a> {
    /// The object itself.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// The value of a key, if it is there.
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        self.members.iter().find(|member| member.name == name).map(|member| self.node.member(member))
    }

    /// All values, in the order written, with their names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + '_ {
        self.members.iter().map(|member| (member.name.as_str(), self.node.member(member)))
    }
}

impl<'a> Reader<'a> {
    /// A complaint about a node.
    pub fn wrong(&self, node: &Node<'_>, expected: impl Into<String>) -> ScenarioError {
        self.complain(node.value.at, &node.path, node.found(), expected)
    }

    /// A complaint about a node in other words than its value.
    pub fn refuse(&self, node: &Node<'_>, found: impl Into<String>, expected: impl Into<String>) -> ScenarioError {
        self.complain(node.value.at, &node.path, found, expected)
    }

    /// The entries of a list.
    pub fn list(&self, node: &Node<'a>, expected: &str) -> Result<Vec<Node<'a>>, ScenarioError> {
        match &node.value.shape {
            Shape::List(values) => Ok(values.iter().enumerate().map(|(at, value)| node.entry(at, value)).collect()),
            _ => Err(self.wrong(node, expected)),
        }
    }

    /// An object that has only keys of this list, each at most once.
    pub fn object(&self, node: &Node<'a>, keys: &[&str]) -> Result<Object<'a>, ScenarioError> {
        let object = self.open_object(node)?;
        for member in object.members {
            if keys.contains(&member.name.as_str()) {
                continue;
            }
            let path = node.member(member).path;
            let expected = match nearest(&member.name, keys) {
                Some(near) => format!("{near:?}"),
                None => format!("one of {}", either(keys)),
            };
            return Err(self.complain(member.at, &path, "an unknown key", expected));
        }
        Ok(object)
    }

    /// An object whose keys are the author's own, each at most once.
    pub fn open_object(&self, node: &Node<'a>) -> Result<Object<'a>, ScenarioError> {
        let Shape::Object(members) = &node.value.shape else {
            return Err(self.wrong(node, "an object"));
        };
        let mut seen = BTreeSet::new();
        for member in members {
            if !seen.insert(member.name.as_str()) {
                let path = node.member(member).path;
                return Err(self.complain(member.at, &path, "the key a second time", "it once"));
            }
        }
        Ok(Object { node: node.clone(), members })
    }

    /// A value that must be there.
    pub fn require(&self, object: &Object<'a>, name: &str) -> Result<Node<'a>, ScenarioError> {
        object.get(name).ok_or_else(|| self.refuse(&object.node, "no such key", format!("the key {name:?}")))
    }

    /// A string.
    pub fn text(&self, node: &Node<'a>) -> Result<&'a str, ScenarioError> {
        node.as_text().ok_or_else(|| self.wrong(node, "a string"))
    }

    /// A word of a table.
    pub fn word<T: Clone>(&self, node: &Node<'a>, table: &[(&'static str, T)]) -> Result<T, ScenarioError> {
        let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        let text = node.as_text().ok_or_else(|| self.wrong(node, either(&words)))?;
        let row = table.iter().find(|(word, _)| *word == text);
        row.map(|(_, value)| value.clone()).ok_or_else(|| self.wrong(node, nearest_or_all(text, &words)))
    }

    /// A whole number within bounds, both included; may be a range.
    pub fn number(&self, node: &Node<'a>, least: u64, most: u64) -> Result<u64, ScenarioError> {
        let (low, high) = self.range(node, least, most)?;
        Ok(self.draws.between(&node.path, low, high))
    }

    /// The ends of a range of whole numbers.
    fn range(&self, node: &Node<'a>, least: u64, most: u64) -> Result<(u64, u64), ScenarioError> {
        let expected = if most == u64::MAX {
            format!("a whole number of at least {least}, or a range of two")
        } else {
            format!("a whole number from {least} to {most}, or a range of two")
        };
        let number = |node: &Node<'_>| node.as_number().filter(|number| (least..=most).contains(number));
        self.ends(node, &expected, number)
    }

    /// A size within bounds; may be a range. A range from 0 is 0 in half of its draws: nothing at all is a case of its own,
    /// which a draw from thousands would never meet.
    pub fn size(&self, node: &Node<'a>, least: u64, most: u64) -> Result<u64, ScenarioError> {
        let (low, high) = self.range(node, least, most)?;
        let is_none = low == 0 && high > 0 && self.draws.between(&format!("{} at all", node.path), 0, 1) == 0;
        Ok(if is_none { 0 } else { self.draws.between(&node.path, low, high) })
    }

    /// A duration within bounds in nanoseconds, both included; may be a range. It is drawn in whole milliseconds, or in
    /// the finer unit in which one of its ends is spelled.
    pub fn duration(&self, node: &Node<'a>, least: u64, most: u64) -> Result<Duration, ScenarioError> {
        let (low, high) = self.ends(node, &duration_words(least, most), |node| nanos_within(node, least, most))?;
        let grain = low.1.min(high.1).min(1_000_000);
        // Fractions ("1.5us") may make an end finer than its unit.
        let grain = if low.0 % grain == 0 && high.0 % grain == 0 { grain } else { 1 };
        let drawn = self.draws.between(&node.path, low.0 / grain, high.0 / grain);
        Ok(Duration::from_nanos(drawn * grain))
    }

    /// Two durations, least and most, of something that varies all the time; one alone means both. Never drawn.
    pub fn span(&self, node: &Node<'a>, least: u64, most: u64) -> Result<(u64, u64), ScenarioError> {
        let expected = duration_words(least, most);
        let (low, high) = self.ends(node, &expected, |node| nanos_within(node, least, most).map(|(nanos, _)| nanos))?;
        Ok((low, high))
    }

    /// A rate; may be a range whose ends count for the same time.
    pub fn rate(&self, node: &Node<'a>) -> Result<(u64, Duration), ScenarioError> {
        let expected = r#"a rate such as "20/s" or "1/2s", or a range of two for the same time"#;
        let rate = |node: &Node<'_>| {
            let (count, period) = node.as_text().and_then(parse_rate)?;
            (count > 0 && count <= 1_000_000).then_some((period, count))
        };
        let ((period, low), (other, high)) = self.ends(node, expected, rate)?;
        if period != other {
            return Err(self.wrong(node, expected));
        }
        Ok((self.draws.between(&node.path, low, high), period))
    }

    /// A probability.
    pub fn ratio(&self, node: &Node<'a>) -> Result<(u64, u64), ScenarioError> {
        let ratio = node.as_text().and_then(parse_ratio);
        ratio.ok_or_else(|| self.wrong(node, r#"a probability such as "2/100""#))
    }

    /// `true` or `false`; `[false, true]` is a coin.
    pub fn truth(&self, node: &Node<'a>) -> Result<bool, ScenarioError> {
        let truth = |node: &Node<'_>| match node.value.shape {
            Shape::Truth(truth) => Some(u64::from(truth)),
            _ => None,
        };
        let (low, high) = self.ends(node, "true, false, or [false, true] for a coin", truth)?;
        Ok(self.draws.between(&node.path, low, high) == 1)
    }

    /// A place in an ordered list of words, from 0; may be a range.
    pub fn rank(&self, node: &Node<'a>, words: &[&str]) -> Result<usize, ScenarioError> {
        let place = |node: &Node<'_>| {
            let text = node.as_text()?;
            words.iter().position(|word| *word == text).map(|place| place as u64)
        };
        let (low, high) = self.ends(node, &format!("{}, or a range of two", either(words)), place)?;
        Ok(self.draws.between(&node.path, low, high) as usize)
    }

    /// The name of a property.
    pub fn property(&self, node: &Node<'a>) -> Result<String, ScenarioError> {
        let name = self.text(node)?;
        if self.properties.contains(&name) {
            return Ok(name.into());
        }
        let expected = match nearest(name, self.properties) {
            Some(near) => format!("{near:?}"),
            None => "a property that `kraftbed list properties` names".into(),
        };
        Err(self.wrong(node, expected))
    }

    /// The two ends of a value that may be a range; the same twice when it is none.
    fn ends<T: PartialOrd + Copy>(
        &self,
        node: &Node<'a>,
        expected: &str,
        read: impl Fn(&Node<'a>) -> Option<T>,
    ) -> Result<(T, T), ScenarioError> {
        let Shape::List(values) = &node.value.shape else {
            let value = read(node).ok_or_else(|| self.wrong(node, expected))?;
            return Ok((value, value));
        };
        let [low, high] = values.as_slice() else {
            return Err(self.wrong(node, expected));
        };
        let (low, high) = (node.entry(0, low), node.entry(1, high));
        let first = read(&low).ok_or_else(|| self.wrong(&low, expected))?;
        let second = read(&high).ok_or_else(|| self.wrong(&high, expected))?;
        if first > second {
            return Err(self.wrong(node, "the smaller end of the range first"));
        }
        Ok((first, second))
    }

    fn complain(
        &self,
        at: Position,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> ScenarioError {
        let file = self.file.to_string();
        ScenarioError { file, at, key: key.into(), found: found.into(), expected: expected.into() }
    }
}

fn nanos_within(node: &Node<'_>, least: u64, most: u64) -> Option<(u64, u64)> {
    node.as_text().and_then(parse_nanos).filter(|(nanos, _)| (least..=most).contains(nanos))
}

fn duration_words(least: u64, most: u64) -> String {
    let (least, most) = (show_duration(Duration::from_nanos(least)), show_duration(Duration::from_nanos(most)));
    format!("a duration from {least:?} to {most:?}, or a range of two")
}

fn nearest_or_all(text: &str, words: &[&str]) -> String {
    nearest(text, words).map_or_else(|| either(words), |near| format!("{near:?}"))
}
