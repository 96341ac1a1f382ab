//! What is wrong with a scenario: where, which key, what was found and what was expected.

use std::fmt;

use crate::scenario::json::Position;

/// A scenario that cannot be run, and what to change.
///
/// Prints as one line that editors and terminals recognise as a place:
/// `scenarios/x.json:7:15: settings.fetch_timeot: found an unknown key, expected "fetch_timeout"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, as the caller named it.
    pub file: String,
    /// Where in the file.
    pub at: Position,
    /// The path of the key, `steps[1].when.on`; empty for the whole text.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.at.line, self.at.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for ScenarioError {}

/// The known word nearest to a misspelt one, if one is near: at most a third of its letters are wrong.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|&candidate| (edits(word, candidate), candidate));
    let (distance, candidate) = near.min_by_key(|&(distance, _)| distance)?;
    (distance * 3 <= candidate.chars().count().max(3)).then_some(candidate)
}

/// `"a", "b" or "c"`: a list of words in a sentence.
pub fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut table = vec![vec![0; to.len() + 1]; from.len() + 1];
    for row in 0..=from.len() {
        for column in 0..=to.len() {
            if row == 0 || column == 0 {
                table[row][column] = row + column;
                continue;
            }
            let wrong = usize::from(from[row - 1] != to[column - 1]);
            let mut least = (table[row - 1][column] + 1).min(table[row][column - 1] + 1);
            least = least.min(table[row - 1][column - 1] + wrong);
            let is_swap = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if is_swap {
                least = least.min(table[row - 2][column - 2] + 1);
            }
            table[row][column] = least;
        }
    }
    table[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant() {
        let known = ["fetch_timeout", "election_timeout", "voters"];
        assert_eq!(nearest("fetch_timeot", &known), Some("fetch_timeout"));
        assert_eq!(nearest("voetrs", &known), Some("voters"));
        assert_eq!(nearest("workload", &known), None);
    }
}
