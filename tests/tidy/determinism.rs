//! What the deterministic zone may not name: clocks, threads, sockets, files, chance, shared state, order by accident.
//!
//! Clippy knows types (`.clippy.toml`) and misses what it cannot resolve; these laws know words and miss nothing that is
//! spelled out. A leak has to get past both.

use crate::source::{Breach, Source, begins_with_word, has_word};

/// Modules that meet the real world. All others are the deterministic zone.
const DRIVERS: &[&str] = &["server", "campaign", "cli", "main"];

/// Words that do not occur in the zone, and what to use in their place.
const WORDS: &[(&str, &str)] = &[
    ("thread_local", "state is owned, and handed down"),
    ("static", "state is owned, and handed down; constants are `const`"),
    ("OnceLock", "state is owned, and handed down"),
    ("OnceCell", "state is owned, and handed down"),
    ("LazyLock", "state is owned, and handed down"),
    ("Mutex", "the zone has one thread"),
    ("RwLock", "the zone has one thread"),
    ("rand", "chance comes from crate::prng"),
    ("getrandom", "chance comes from crate::prng"),
    ("HashMap", "its order differs between processes: BTreeMap, or a sorted Vec"),
    ("HashSet", "its order differs between processes: BTreeSet, or a sorted Vec"),
    ("RandomState", "its order differs between processes"),
    ("DefaultHasher", "unspecified: crate::digest"),
    ("f32", "precision differs between platforms: integers"),
    ("f64", "precision differs between platforms: integers"),
    ("println", "printing is the business of cli"),
    ("eprintln", "printing is the business of cli"),
];

/// Parts of the standard library that do not occur in the zone, each with what of it does.
const STD: &[(&str, &[&str])] = &[
    ("std::time", &["::Duration"]),
    ("std::thread", &[]),
    ("std::net", &[]),
    ("std::fs", &[]),
    ("std::env", &[]),
    ("std::process", &["::ExitCode"]),
    ("std::sync", &["::Arc"]),
    // Codecs read from and write to memory through these two traits; what else could be behind them is fenced above.
    ("std::io", &["::Read", "::Write"]),
];

/// Nothing of the real world is named in the zone.
pub fn fences(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "the deterministic zone: WORDS and STD in tests/tidy/determinism.rs";
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| !source.module().is_some_and(|module| DRIVERS.contains(&module))) {
        for (number, line) in source.code_outside_tests() {
            for (word, instead) in WORDS.iter().filter(|(word, _)| has_word(&without_lifetimes(line), word)) {
                breaches.push(source.breach(number, LAW, format!("`{word}`: {instead}")));
            }
            if line.contains("Atomic") {
                breaches.push(source.breach(number, LAW, "atomics: the zone has one thread"));
            }
            for (part, allowed) in STD {
                let mut uses = line.match_indices(part).map(|(at, _)| &line[at + part.len()..]);
                if uses.any(|rest| !allowed.iter().any(|allowed| begins_with_word(rest, allowed))) {
                    breaches.push(source.breach(number, LAW, format!("`{part}`, of which {allowed:?} is allowed")));
                }
            }
        }
    }
    breaches
}

/// Sorting keeps the order of equals, everywhere; and whoever lists a directory sorts what it found.
pub fn order(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "order is never an accident";
    let mut breaches = Vec::new();
    for source in sources {
        let sorts = source.code.iter().any(|line| line.contains(".sort"));
        for (number, line) in source.code_outside_tests() {
            if line.contains("sort_unstable") {
                breaches.push(source.breach(number, LAW, "`sort_unstable` may differ between releases"));
            }
            if line.contains("read_dir(") && !sorts {
                breaches.push(source.breach(number, LAW, "a listing that nobody sorts"));
            }
        }
    }
    breaches
}

fn without_lifetimes(line: &str) -> String {
    line.replace("'static", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(law: fn(&[Source]) -> Vec<Breach>, path: &str, text: &str) -> usize {
        law(&[Source::new(path, text)]).len()
    }

    #[test]
    fn leaks_are_seen() {
        for text in [
            "use std::time::Instant;",
            "use std::time::{Duration, Instant};",
            "let now = std::time::SystemTime::now();",
            "std::thread::yield_now();",
            "use std::net::TcpStream;",
            "let bytes = std::fs::read(path);",
            "static COUNT: u8 = 0;",
            "thread_local! {",
            "use std::sync::OnceLock;",
            "count: AtomicU64,",
            "let x = rand::random();",
            "seen: std::collections::HashMap<u8, u8>,",
            "let rate = x as f64;",
        ] {
            assert!(count(fences, "src/raft/gate.rs", text) > 0, "{text}");
            assert_eq!(count(fences, "src/server/run.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn what_is_harmless_is_not_seen() {
        let harmless = "use std::time::Duration;\nuse std::sync::Arc;\nfn f(x: &'static str) {} // f64\n";
        assert_eq!(count(fences, "src/raft/gate.rs", harmless), 0);
    }

    #[test]
    fn accidental_order_is_seen() {
        assert_eq!(count(order, "src/sim/a.rs", "x.sort_unstable();"), 1);
        assert_eq!(count(order, "src/server/a.rs", "for entry in fs::read_dir(x) {"), 1);
        assert_eq!(count(order, "src/server/a.rs", "for entry in fs::read_dir(x) {\n}\nfound.sort();"), 0);
    }
}
