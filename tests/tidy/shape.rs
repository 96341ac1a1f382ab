//! How a file is built: short, told at its top, without leftovers.

use crate::source::{Breach, Source, indentation};

/// The longest a file may be.
const FILE_LINES: usize = 600;

/// The longest a function may be, from `fn` to its brace.
const FUNCTION_LINES: usize = 70;

/// The longest a function of a `mod.rs` may be: vocabulary can name, display and convert itself; acting needs more.
const VOCABULARY_LINES: usize = 15;

/// The longest `main.rs`: it hands over.
const MAIN_LINES: usize = 30;

/// Files that are too long for now. Shrinks, never grows.
const TOO_LONG_FOR_NOW: &[&str] = &[];

/// Files stay short, and none stays on the list that has become so.
pub fn file_lengths(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "a file has at most 600 lines, main.rs 30";
    let mut breaches = Vec::new();
    for source in sources {
        let lines = source.lines.len();
        let allowed = if source.path == "src/main.rs" { MAIN_LINES } else { FILE_LINES };
        match (lines > allowed, TOO_LONG_FOR_NOW.contains(&source.path.as_str())) {
            (true, false) => breaches.push(source.breach(lines, LAW, format!("{lines} lines"))),
            (false, true) => breaches.push(source.breach(1, LAW, "short enough: take it off TOO_LONG_FOR_NOW")),
            _ => {}
        }
    }
    breaches
}

/// Functions stay short. In formatted code one ends at the first line that is its indentation and a brace.
pub fn function_lengths(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "a function has at most 70 lines, one of a mod.rs 15";
    let mut breaches = Vec::new();
    for source in sources {
        let allowed = if source.path.ends_with("/mod.rs") { VOCABULARY_LINES } else { FUNCTION_LINES };
        for (index, line) in source.code.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let lines = function_lines(&source.code[index..]);
            if lines > allowed {
                let name = line.trim().split('(').next().unwrap_or_default();
                breaches.push(source.breach(index + 1, LAW, format!("{name} has {lines} lines")));
            }
        }
    }
    breaches
}

/// Every file says what it is before it begins.
pub fn told_at_the_top(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "a file begins with `//!`";
    let silent = sources.iter().filter(|source| {
        let first = source.lines.first().map_or("", |line| line.as_str());
        first.strip_prefix("//! ").is_none_or(|told| told.trim().is_empty())
    });
    silent.map(|source| source.breach(1, LAW, "what is this file?")).collect()
}

/// Nothing is left for later, no tool of the workbench lies around, and no sentence leans on a page that is not here.
pub fn no_leftovers(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "no leftovers";
    let mut breaches = Vec::new();
    for source in sources {
        for (index, (code, comment)) in source.code.iter().zip(&source.comments).enumerate() {
            let marks = ["FIXME", "TODO", "HACK"].into_iter().filter(|mark| comment.contains(mark));
            let absent = ["DESIGN", "STYLE.md", "kraft-protocol", "simulators.md", "linearizability.md"]
                .into_iter()
                .filter(|name| comment.contains(name));
            let tools = ["dbg!(", "todo!(", "unimplemented!("].into_iter().filter(|tool| code.contains(tool));
            breaches.extend(
                marks.chain(absent).chain(tools).map(|left| source.breach(index + 1, LAW, format!("`{left}`"))),
            );
        }
    }
    breaches
}

/// Every variant of a public enum has a sentence. The compiler asks for all other documentation (`missing_docs`), but has to
/// be told to let go of enums whose sentences name their variants' fields; this law holds on to the sentences.
pub fn variants_are_told(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "a variant of a public enum has a sentence";
    let mut breaches = Vec::new();
    for source in sources {
        // The indentation of an enum's variants, while in one.
        let mut variants_at = None;
        for (number, line) in source.code_outside_tests() {
            let (depth, item) = (indentation(line), line.trim_start());
            if variants_at.is_some_and(|at| depth < at && item == "}") {
                variants_at = None;
            }
            if variants_at == Some(depth) && item.starts_with(char::is_uppercase) && !is_told(source, number - 1) {
                let name = item.split(['(', '{', ',', ' ']).next().unwrap_or_default();
                breaches.push(source.breach(number, LAW, format!("{name} says nothing")));
            }
            if item.starts_with("pub enum ") && item.ends_with('{') {
                variants_at = Some(depth + 4);
            }
        }
    }
    breaches
}

/// Whether a sentence stands above this line, attributes between them or not.
fn is_told(source: &Source, index: usize) -> bool {
    let mut above = source.lines[..index].iter().rev().map(|line| line.trim_start());
    above.find(|line| !line.starts_with("#[")).is_some_and(|line| line.starts_with("///"))
}

/// Every property is tested beside itself, with a history to which it objects.
pub fn judges_are_judged(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "a property has tests of its own, and objects in one";
    let is_property =
        |source: &&Source| source.code_outside_tests().any(|(_, line)| line.contains("impl Property for"));
    let objects = |source: &&Source| source.code.iter().any(|line| line.contains("unwrap_err()"));
    let lenient = sources.iter().filter(is_property).filter(|source| !objects(source));
    lenient.map(|source| source.breach(1, LAW, "no test in which it objects")).collect()
}

fn begins_function(line: &str) -> bool {
    let mut rest = line.trim_start();
    while let Some((word, after)) = rest.split_once(' ') {
        match word {
            "fn" => return true,
            "pub" | "pub(crate)" | "pub(super)" | "const" | "async" | "unsafe" => rest = after,
            _ => return false,
        }
    }
    false
}

fn function_lines(code: &[String]) -> usize {
    let first = &code[0];
    if first.ends_with(';') || first.ends_with('}') {
        return 1;
    }
    let depth = indentation(first);
    let is_last = |line: &String| {
        let own = line.trim();
        indentation(line) == depth && (own == "}" || own.starts_with(')') && own.ends_with(';'))
    };
    code[1..].iter().position(is_last).map_or(code.len(), |ahead| ahead + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(law: fn(&[Source]) -> Vec<Breach>, path: &str, text: &str) -> Vec<String> {
        law(&[Source::new(path, text)]).into_iter().map(|breach| format!("{}: {}", breach.line, breach.what)).collect()
    }

    fn function(lines: usize) -> String {
        format!(
            "impl A {{\n    pub fn long(\n        x: u8,\n    ) -> u8 {{\n{}    }}\n}}\n",
            "        x;\n".repeat(lines - 4)
        )
    }

    #[test]
    fn long_files_are_seen() {
        assert_eq!(whats(file_lengths, "src/a.rs", &"x\n".repeat(601)), ["601: 601 lines"]);
        assert_eq!(whats(file_lengths, "src/a.rs", &"x\n".repeat(600)), [""; 0]);
        assert_eq!(whats(file_lengths, "src/main.rs", &"x\n".repeat(31)), ["31: 31 lines"]);
    }

    #[test]
    fn long_functions_are_seen() {
        assert_eq!(whats(function_lengths, "src/a.rs", &function(71)), ["2: pub fn long has 71 lines"]);
        assert_eq!(whats(function_lengths, "src/a.rs", &function(70)), [""; 0]);
        assert_eq!(whats(function_lengths, "src/a/mod.rs", &function(16)), ["2: pub fn long has 16 lines"]);
        assert_eq!(whats(function_lengths, "src/a.rs", &format!("fn f() -> u8;\n{}", "x\n".repeat(90))), [""; 0]);
    }

    #[test]
    fn a_brace_in_a_string_ends_nothing() {
        let text = format!("fn f() {{\n    let x = \"\n}}\n\";\n{}}}\n", "    x;\n".repeat(70));
        assert_eq!(whats(function_lengths, "src/a.rs", &text).len(), 1);
    }

    #[test]
    fn silent_files_are_seen() {
        assert_eq!(whats(told_at_the_top, "src/a.rs", "use x;\n").len(), 1);
        assert_eq!(whats(told_at_the_top, "src/a.rs", "").len(), 1);
        assert_eq!(whats(told_at_the_top, "src/a.rs", "//! This.\n").len(), 0);
    }

    #[test]
    fn silent_variants_are_seen() {
        let text = "/// Doc.\n#[derive(Debug)]\npub enum A {\n    /// Doc.\n    B { x: u8 },\n    C,\n}\n";
        assert_eq!(whats(variants_are_told, "src/a.rs", text), ["6: C says nothing"]);
    }

    #[test]
    fn leftovers_are_seen() {
        assert_eq!(whats(no_leftovers, "src/a.rs", "x\n    todo!()\n"), ["2: `todo!(`"]);
        assert_eq!(whats(no_leftovers, "src/a.rs", "x // FIXME: y\n"), ["1: `FIXME`"]);
        assert_eq!(whats(no_leftovers, "src/a.rs", "f(\"FIXME dbg!(\")\n"), [""; 0]);
    }

    #[test]
    fn untested_properties_are_seen() {
        let tested = "impl Property for A {\n}\n#[cfg(test)]\nmod tests {\n    see(bad).unwrap_err();\n}\n";
        assert_eq!(whats(judges_are_judged, "src/check/a.rs", tested), [""; 0]);
        assert_eq!(whats(judges_are_judged, "src/check/a.rs", "impl Property for A {\n}\n").len(), 1);
    }
}
