//! The laws of the house, kept by a test: what may use what, what the deterministic zone may not name, how a file is built,
//! what must be shown where.
//!
//! No parser: rustfmt decides where lines begin, so lines say enough. Every law is a function from sources to breaches, and
//! stands beside tests in which it is broken, because a law that cannot fail is none. A breach names file, line and law.

#[path = "tidy/coverage.rs"]
mod coverage;
#[path = "tidy/determinism.rs"]
mod determinism;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use std::sync::LazyLock;

use source::{Breach, Source, files, obeyed, sources};

const MANIFEST: &str = include_str!("../Cargo.toml");
const IGNORED: &str = include_str!("../.gitignore");

/// The crate, read once.
static CRATE: LazyLock<Vec<Source>> = LazyLock::new(|| sources("src"));

/// Its tests, these ones included.
static TESTS: LazyLock<Vec<Source>> = LazyLock::new(|| sources("tests"));

fn source(path: &str) -> &'static Source {
    let found = CRATE.iter().find(|source| source.path == path);
    found.unwrap_or_else(|| panic!("{path} has moved: tell tests/tidy.rs"))
}

/// A law that binds the crate and its tests alike.
#[track_caller]
fn obeyed_everywhere(law: fn(&[Source]) -> Vec<Breach>) {
    obeyed(law(&CRATE).into_iter().chain(law(&TESTS)).collect());
}

#[test]
fn nobody_looks_up() {
    obeyed(imports::floors(&CRATE));
}

#[test]
fn dependencies_stay_where_they_belong() {
    obeyed(imports::fences(&CRATE, MANIFEST));
}

#[test]
fn imports_across_modules_are_absolute() {
    obeyed(imports::plain_imports(&CRATE));
}

#[test]
fn the_deterministic_zone_names_nothing_real() {
    obeyed(determinism::fences(&CRATE));
}

#[test]
fn order_is_never_an_accident() {
    obeyed(determinism::order(&CRATE));
}

#[test]
fn files_are_short() {
    obeyed_everywhere(shape::file_lengths);
}

/// A page is code as well, and embedded as it is.
#[test]
fn pages_are_short() {
    for (folder, extension) in ["src/report/page", "src/report/index/page"]
        .iter()
        .flat_map(|folder| ["js", "css", "html"].map(|of| (folder, of)))
    {
        let sources = files(folder, extension);
        obeyed(shape::file_lengths(&sources.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>()));
    }
}

#[test]
fn functions_are_short() {
    obeyed_everywhere(shape::function_lengths);
}

#[test]
fn files_say_what_they_are() {
    obeyed_everywhere(shape::told_at_the_top);
}

#[test]
fn variants_are_told() {
    obeyed(shape::variants_are_told(&CRATE));
}

#[test]
fn nothing_is_left_for_later() {
    obeyed_everywhere(shape::no_leftovers);
}

#[test]
fn judges_are_judged() {
    obeyed(shape::judges_are_judged(&CRATE));
}

#[test]
fn every_note_is_shown() {
    obeyed(coverage::notes_are_shown(source("src/raft/note.rs"), &files("tests/golden", "")));
}

#[test]
fn every_plant_is_planted() {
    obeyed(coverage::plants_are_planted(source("src/quirk.rs"), &files("scenarios", "json")));
}

#[test]
fn scenarios_say_why() {
    obeyed(coverage::scenarios_say_why(&files("scenarios", "json")));
}

#[test]
fn scripts_say_why() {
    obeyed(coverage::scripts_say_why(&files("tests/golden", "")));
}

#[test]
fn the_root_is_small() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).read_dir().expect("the root");
    let mut names: Vec<String> =
        root.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")).collect();
    names.sort();
    obeyed(coverage::root_is_small(&names, IGNORED));
}
