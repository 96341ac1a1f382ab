//! A source file as the laws see it: its lines, what in them is code, what is comment, and which of them are tests.
//!
//! There is no syntax tree. Comments and strings are told from code by one pass over the characters; the rest relies on
//! rustfmt, which decides where a line begins and at which indentation it ends.

use std::fmt;
use std::path::Path;

/// Where a law was broken, and how.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub law: &'static str,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.what, self.law)
    }
}

/// Fails with every breach on a line of its own.
#[track_caller]
pub fn obeyed(mut breaches: Vec<Breach>) {
    breaches.sort();
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "{} against the law:\n{}", breaches.len(), lines.join("\n"));
}

/// One file of text.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// The whole text.
    pub lines: Vec<String>,
    /// The same lines; in place of comments and of what strings contain there are blanks.
    pub code: Vec<String>,
    /// The same lines; only comments are left.
    pub comments: Vec<String>,
    /// Which lines are tests.
    is_test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (code, comments) = tell_apart(text);
        let own = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (lines, code, comments) = (own(text), own(&code), own(&comments));
        let is_test = test_lines(&code);
        Source { path: path.to_owned(), lines, code, comments, is_test }
    }

    /// The first part of the path below `src`: the module whose laws bind this file.
    pub fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        Some(below.split('/').next().unwrap_or(below).trim_end_matches(".rs"))
    }

    /// Numbered lines of code that are not tests.
    pub fn code_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.is_test).enumerate();
        lines.filter(|(_, (_, is_test))| !**is_test).map(|(index, (line, _))| (index + 1, line.as_str()))
    }

    pub fn breach(&self, line: usize, law: &'static str, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line, law, what: what.into() }
    }

    /// Files that this one declares for tests only: `#[cfg(test)] mod fixture;`.
    fn test_files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for (index, line) in self.code.iter().enumerate().filter(|(_, line)| line.trim() == "#[cfg(test)]") {
            let depth = indentation(line);
            let mut place = None;
            for (attribute, raw) in self.code.iter().zip(&self.lines).skip(index + 1) {
                match attribute.trim_start().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
                    Some(name) if indentation(attribute) == depth => {
                        files.push(self.beside(place.as_deref(), name));
                        break;
                    }
                    _ if attribute.trim_start().starts_with("#[path") => {
                        place = raw.split('"').nth(1).map(str::to_owned)
                    }
                    _ if attribute.trim_start().starts_with("#[") => {}
                    _ => break,
                }
            }
        }
        files
    }

    fn beside(&self, place: Option<&str>, module: &str) -> String {
        let (folder, file) = self.path.rsplit_once('/').expect("invariant: sources lie in folders");
        match place {
            Some(place) => format!("{folder}/{place}"),
            None if file == "mod.rs" => format!("{folder}/{module}.rs"),
            None => format!("{folder}/{}/{module}.rs", file.trim_end_matches(".rs")),
        }
    }
}

/// All sources below the folder, in order of their paths.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = files(folder, "rs").iter().map(|(path, text)| Source::new(path, text)).collect();
    let for_tests: Vec<String> = sources.iter().flat_map(Source::test_files).collect();
    for source in sources.iter_mut().filter(|source| for_tests.contains(&source.path)) {
        source.is_test.fill(true);
    }
    sources
}

/// Paths and texts of all files below the folder; an empty extension stands for those that have none.
pub fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().map_or("", |own| own.to_str().expect("a name in UTF-8")) == extension {
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let path = path.strip_prefix(root).expect("invariant: below the root").to_str().expect("UTF-8");
                found.push((path.replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder}: no file to judge, so no law is kept");
    found
}

/// How many blanks a line begins with.
pub fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Whether the word stands in the line by itself, and not as a part of a longer one.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

/// Whether the text begins with the word, and not with a longer one.
pub fn begins_with_word(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Lines of `#[cfg(test)] mod … { }`.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut is_test = vec![false; code.len()];
    let mut index = 0;
    while index < code.len() {
        let begin = index;
        index += 1;
        if code[begin].trim() != "#[cfg(test)]" {
            continue;
        }
        let depth = indentation(&code[begin]);
        let head = code[index..].iter().position(|line| !line.trim_start().starts_with("#["));
        let Some(head) = head.map(|ahead| index + ahead) else { continue };
        if !(code[head].trim_start().starts_with("mod ") && code[head].ends_with('{')) {
            continue;
        }
        let is_end = |line: &String| indentation(line) == depth && line.trim() == "}";
        index = code[head..].iter().position(is_end).map_or(code.len(), |ahead| head + ahead + 1);
        is_test[begin..index].fill(true);
    }
    is_test
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Line,
    Block(u32),
    Text,
    Raw(usize),
}

/// The text twice: without comments and contents of strings, and with nothing but comments. Lines stay where they are.
fn tell_apart(text: &str) -> (String, String) {
    let all: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < all.len() {
        let (length, next) = advance(&all[at..], all[..at].last().copied(), inside);
        let is_comment = [inside, next].iter().any(|place| matches!(place, Inside::Line | Inside::Block(_)));
        let is_code = inside == Inside::Code && !is_comment && !is_character(&all[at..], length);
        for &character in &all[at..at + length] {
            let blank = if character == '\n' { '\n' } else { ' ' };
            code.push(if is_code { character } else { blank });
            comments.push(if is_comment { character } else { blank });
        }
        inside = next;
        at += length;
    }
    (code, comments)
}

/// How many characters belong together here, and what follows them.
fn advance(rest: &[char], before: Option<char>, inside: Inside) -> (usize, Inside) {
    let begins = |with: &str| with.chars().eq(rest.iter().copied().take(with.len()));
    match inside {
        Inside::Code if begins("//") => (2, Inside::Line),
        Inside::Code if begins("/*") => (2, Inside::Block(1)),
        Inside::Code if begins("\"") => (1, Inside::Text),
        Inside::Code if begins("r") && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') => {
            let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (2 + hashes, Inside::Raw(hashes)),
                _ => (1, Inside::Code),
            }
        }
        Inside::Code if begins("'\\") => {
            let end = rest.iter().skip(3).position(|&c| c == '\'').map_or(2, |ahead| ahead + 4);
            (end.min(rest.len()), Inside::Code)
        }
        Inside::Code if begins("'") && rest.get(2) == Some(&'\'') => (3, Inside::Code),
        Inside::Line if begins("\n") => (1, Inside::Code),
        Inside::Block(depth) if begins("/*") => (2, Inside::Block(depth + 1)),
        Inside::Block(1) if begins("*/") => (2, Inside::Code),
        Inside::Block(depth) if begins("*/") => (2, Inside::Block(depth - 1)),
        Inside::Text if begins("\\") => (rest.len().min(2), Inside::Text),
        Inside::Text if begins("\"") => (1, Inside::Code),
        Inside::Raw(hashes) if begins("\"") && rest[1..].iter().take_while(|&&c| c == '#').count() >= hashes => {
            (1 + hashes, Inside::Code)
        }
        _ => (1, inside),
    }
}

/// A character literal is text, however short.
fn is_character(rest: &[char], length: usize) -> bool {
    length > 2 && rest[0] == '\''
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("src/a.rs", text).code.join("\n")
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(code("a // b").trim_end(), "a");
        assert_eq!(code("a /* b /* c */ d */ e"), format!("a {:17} e", ""));
        assert_eq!(code(r#"f("crate \" y", z)"#), "f(\"           , z)");
        assert_eq!(code("r#\"crate\"# + b").trim_start_matches(['r', '#', '"', ' ']), "+ b");
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        assert_eq!(code("fn f<'a>(x: &'a u8)"), "fn f<'a>(x: &'a u8)");
        assert_eq!(code("x == '\"' && y == '\\'' && z"), "x ==     && y ==      && z");
    }

    #[test]
    fn tests_end_where_their_module_does() {
        let source = Source::new("src/a.rs", "a\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    fn b() {\n    }\n}\nc\n");
        let lines: Vec<_> = source.code_outside_tests().collect();
        assert_eq!(lines, [(1, "a"), (8, "c")]);
    }

    #[test]
    fn files_for_tests_only_are_found() {
        let declares = |path: &str, text: &str| Source::new(path, text).test_files();
        assert_eq!(declares("src/a/mod.rs", "#[cfg(test)]\nmod fixture;\nmod b;\n"), ["src/a/fixture.rs"]);
        assert_eq!(
            declares("src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;\n"),
            ["src/a/b_tests.rs"]
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("x: HashMap<u8>", "HashMap"));
        assert!(!has_word("x: MyHashMapper", "HashMap"));
    }
}
