//! What is declared in one place and must be shown in another: notes in scripts, plants in scenarios, the root's names.

use crate::source::{Breach, Source, begins_with_word, indentation};

/// All that a plain listing of the repository shows.
const ROOT: &[&str] = &["Cargo.lock", "Cargo.toml", "README.md", "scenarios", "sim-results", "src", "tests"];

/// Every [`Note`](../../src/raft/note.rs) happens in a golden script: whoever adds one shows when it comes.
pub fn notes_are_shown(notes: &Source, scripts: &[(String, String)]) -> Vec<Breach> {
    const LAW: &str = "every note appears in a golden script, as `note: its_name`";
    let is_shown = |name: &str| {
        let begins = |line: &str| line.split_once("note: ").is_some_and(|(_, note)| begins_with_word(note, name));
        scripts.iter().any(|(_, text)| text.lines().any(begins))
    };
    let hidden = variants(notes, "Note").into_iter().filter(|(_, name)| !is_shown(name));
    hidden.map(|(line, name)| notes.breach(line, LAW, format!("no script shows {name}"))).collect()
}

/// Every plant has a scenario that switches it on and says what must catch it.
pub fn plants_are_planted(quirks: &Source, scenarios: &[(String, String)]) -> Vec<Breach> {
    const LAW: &str = "every quirk has a scenario of its name under scenarios/planted, with what must come of it";
    let is_planted = |name: &str| {
        scenarios.iter().any(|(path, text)| {
            path.ends_with(&format!("/planted/{name}.json"))
                && text.contains("\"plant\": ")
                && text.contains(&format!("\"{name}\""))
                && text.contains("\"expect\": ")
        })
    };
    let unplanted = variants(quirks, "Quirk").into_iter().filter(|(_, name)| !is_planted(name));
    unplanted.map(|(line, name)| quirks.breach(line, LAW, format!("{name} is planted nowhere"))).collect()
}

/// A scenario says why it exists before anything else, in a sentence.
pub fn scenarios_say_why(scenarios: &[(String, String)]) -> Vec<Breach> {
    const LAW: &str = "a scenario's first key is \"about\", a sentence";
    let mut breaches = Vec::new();
    for (path, text) in scenarios.iter().filter(|(path, _)| path != "scenarios/schema.json") {
        let uncommented = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let inside = uncommented.collect::<Vec<_>>().join(" ");
        let first = inside.trim_start().strip_prefix('{').unwrap_or_default().trim_start();
        let sentence = first.strip_prefix("\"about\": \"").and_then(|rest| rest.split('"').next());
        if sentence.is_none_or(|sentence| sentence.split(' ').count() < 4) {
            breaches.push(Breach { path: path.clone(), line: 1, law: LAW, what: "why does this exist?".into() });
        }
    }
    breaches
}

/// A golden script says why it matters before anything happens in it.
pub fn scripts_say_why(scripts: &[(String, String)]) -> Vec<Breach> {
    const LAW: &str = "a golden script begins with a comment: why it matters";
    let silent = scripts.iter().filter(|(_, text)| !text.starts_with("# "));
    silent
        .map(|(path, _)| Breach { path: path.clone(), line: 1, law: LAW, what: "why does this matter?".into() })
        .collect()
}

/// The root holds the names that the README explains, hidden files of tools, and what git ignores.
pub fn root_is_small(names: &[String], ignored: &str) -> Vec<Breach> {
    const LAW: &str = "the root holds ROOT of tests/tidy/coverage.rs, and hidden files of tools";
    let is_ignored = |name: &str| ignored.lines().any(|line| line.strip_prefix('/') == Some(name));
    let strangers =
        names.iter().filter(|name| !name.starts_with('.') && !ROOT.contains(&name.as_str()) && !is_ignored(name));
    strangers
        .map(|name| Breach { path: name.clone(), line: 1, law: LAW, what: "does not belong here".into() })
        .collect()
}

/// The variants of a public enum, in snake case, with the line of each.
fn variants(source: &Source, name: &str) -> Vec<(usize, String)> {
    let head = format!("pub enum {name} {{");
    let lines = source.code.iter().enumerate().skip_while(|(_, line)| **line != head).skip(1);
    let lines = lines.take_while(|(_, line)| *line != "}").filter(|(_, line)| indentation(line) == 4);
    let variants: Vec<_> = lines
        .filter(|(_, line)| line.trim_start().starts_with(char::is_uppercase))
        .map(|(index, line)| (index + 1, snake_case(line.trim_start())))
        .collect();
    assert!(!variants.is_empty(), "{}: no variant of {name} found, so no law is kept", source.path);
    variants
}

fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    for (index, character) in variant.chars().take_while(|c| c.is_alphanumeric()).enumerate() {
        if character.is_uppercase() && index > 0 {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
    }

    const NOTES: &str =
        "/// Doc.\npub enum Note {\n    /// Doc.\n    VoteRefused {\n        by: u8,\n    },\n    Voted,\n}\n";

    #[test]
    fn hidden_notes_are_seen() {
        let notes = Source::new("src/raft/note.rs", NOTES);
        let scripts = texts(&[("a", "n1 note: vote_refused to 3\n# voted\n")]);
        let breaches = notes_are_shown(&notes, &scripts);
        assert_eq!(
            breaches.iter().map(|breach| (breach.line, &breach.what[..])).collect::<Vec<_>>(),
            [(7, "no script shows voted")]
        );
    }

    #[test]
    fn quirks_without_a_scenario_are_seen() {
        let quirks = Source::new("src/quirk.rs", "pub enum Quirk {\n    EatsVotes,\n    Canary,\n}\n");
        let planted = "{ \"about\": \"x\", \"plant\": \"canary\", \"expect\": {} }";
        let breaches = plants_are_planted(&quirks, &texts(&[("scenarios/planted/canary.json", planted)]));
        assert_eq!(breaches.len(), 1);
        assert_eq!(breaches[0].what, "eats_votes is planted nowhere");
    }

    #[test]
    fn scenarios_and_scripts_without_a_reason_are_seen() {
        let good = "{\n  \"about\": \"Half a write a second.\",\n  \"version\": 1 }";
        let bad = "{ \"version\": 1, \"about\": \"Half a write a second.\" }";
        let short = "{ \"about\": \"Test.\" }";
        assert_eq!(scenarios_say_why(&texts(&[("a", good), ("b", bad), ("c", short)])).len(), 2);
        assert_eq!(scripts_say_why(&texts(&[("a", "# Why.\n"), ("b", "append 1\n")])).len(), 1);
    }

    #[test]
    fn strangers_in_the_root_are_seen() {
        let names = ["src", ".git", "target", "docs"].map(str::to_owned);
        let breaches = root_is_small(&names, "/target\n");
        assert_eq!(breaches.iter().map(|breach| &breach.path[..]).collect::<Vec<_>>(), ["docs"]);
    }
}
