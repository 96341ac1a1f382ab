//! Who may use whom: the floors of the crate, and the fences around the crates it is built from.

use crate::source::{Breach, Source};

/// What all may use, and what uses nothing.
const COMMON: &[&str] = &["ids", "digest"];

/// What a module may use besides itself, `ids` and `digest`. `raft::view` allows that part of `raft` alone.
///
/// Read from the top: words, bytes, the node, the verdict, the two worlds, many runs. Nobody looks up.
pub const FLOORS: &[(&str, &str)] = &[
    ("ids", ""),
    ("digest", ""),
    ("time", ""),
    ("prng", ""),
    ("quirk", ""),
    ("record", "time"),
    ("log", "time quirk record"),
    ("protocol", "quirk record"),
    ("raft", "time prng quirk record log"),
    ("machine", "quirk record"),
    ("node", "time prng quirk record log protocol raft machine"),
    ("history", "time"),
    ("client", "time prng quirk record protocol machine history"),
    // A view names the voters; what a committed record asks for, its machine's command says.
    ("check", "time record log raft::view raft::message raft::note raft::voters machine history"),
    ("scenario", "time prng quirk check raft::config client::workload"),
    ("trace", "time log raft::view raft::message raft::note history scenario::fault"),
    ("outcome", "time quirk history check scenario trace"),
    ("report", "time quirk history check scenario trace outcome raft::view raft::note"),
    ("sim", "time prng quirk record log protocol raft machine node history client check scenario trace outcome"),
    // Metrics and lag are read off a view.
    ("server", "time prng quirk record log protocol raft::config raft::note raft::view machine node client history"),
    (
        "campaign",
        "time prng quirk record log protocol raft machine node history client check scenario trace outcome report sim \
         server",
    ),
    (
        "cli",
        "time prng quirk record log protocol raft machine node history client check scenario trace outcome report sim \
         server campaign",
    ),
];

/// Where each dependency may be named: modules, or single files. `*` is anywhere.
pub const CRATES: &[(&str, &str)] = &[
    // Shared slices are the currency of the seam: frames, batches, file operations.
    ("bytes", "*"),
    // Randomness has one door, so that its streams can be numbered.
    ("rand_chacha", "prng"),
    ("rand_core", "prng"),
    // Batches are checksummed; the simulator folds payloads into its digest by the same sum, which processors have built in.
    ("crc32c", "record sim"),
    // The codecs of compressed batches; histories may be gzipped too.
    ("flate2", "record campaign/reading"),
    ("snap", "record"),
    ("lz4_flex", "record"),
    ("ruzstd", "record"),
    // Message structs of the wire, and the type of their ids. Raft speaks no version.
    ("kafka_protocol", "protocol node client"),
    ("uuid", "node client"),
    // Positions of keys in scenario files, which serde_json does not keep.
    ("jsonc_parser", "scenario"),
    // quorum-state is JSON on disk; the rest is what people and tools read.
    ("serde_json", "log/quorum_state scenario trace report campaign cli"),
    // A page's policy names its code by hash, and browsers compute SHA-2.
    ("sha2", "report"),
    // Latencies of the load tools, at a precision that whole milliseconds lack.
    ("hdrhistogram", "server/load"),
    // Tables whose hash and equality are the caller's: states of a search, texts. What is taken out of one is sorted.
    ("hashbrown", "history"),
    // Sockets, signals, terminals; and the bare processes that a quorum is measured beside.
    ("mio", "server campaign/bench"),
    // What std lacks and a safe call has: allocating a file ahead, keepalive, SIGTERM, the CPU time of this process.
    ("rustix", "server campaign/bench campaign/check campaign/reading"),
    ("signal_hook", "server cli"),
    ("clap", "cli"),
    ("indicatif", "cli"),
];

/// Every `crate::NAME` of code outside tests stands in the table, wherever it occurs.
pub fn floors(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "nobody looks up: FLOORS in tests/tidy/imports.rs";
    let mut breaches = Vec::new();
    for source in sources {
        let module = source.module().expect("invariant: sources of the crate");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == module) else {
            breaches.push(source.breach(1, LAW, format!("the module {module} has no floor")));
            continue;
        };
        for (number, line) in source.code_outside_tests() {
            for (at, _) in line.match_indices("crate::") {
                let mut path = line[at..].split("::").skip(1).map(identifier);
                let used = path.next().unwrap_or_default();
                let part = format!("{used}::{}", path.next().unwrap_or_default());
                let is_allowed = used == module
                    || COMMON.contains(&used) && !COMMON.contains(&module)
                    || allowed.split_whitespace().any(|name| name == used || name == part);
                // A macro's path and a grouped import have laws of their own.
                if !is_allowed && !used.is_empty() {
                    breaches.push(source.breach(number, LAW, format!("{module} may not use {part}")));
                }
            }
        }
    }
    breaches
}

/// Dependencies are named only where they belong; a new one needs a line in the table, an unused one leaves it.
pub fn fences(sources: &[Source], manifest: &str) -> Vec<Breach> {
    const LAW: &str = "dependencies stay where they belong: CRATES in tests/tidy/imports.rs";
    let mut breaches = Vec::new();
    for name in dependencies(manifest).filter(|name| CRATES.iter().all(|(known, _)| known != name)) {
        let what = format!("{name} is fenced nowhere: who may use it, and why?");
        breaches.push(Breach { path: "Cargo.toml".into(), line: 1, law: LAW, what });
    }
    for (name, places) in CRATES {
        let mut is_used = false;
        for source in sources {
            let below = source.path.trim_start_matches("src/").trim_end_matches(".rs");
            let is_allowed = places.split_whitespace().any(|place| {
                place == "*" || below.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            for (number, _) in source.code_outside_tests().filter(|(_, line)| names_crate(line, name)) {
                is_used = true;
                if !is_allowed {
                    breaches.push(source.breach(number, LAW, format!("{name} may be named only in: {places}")));
                }
            }
        }
        if !is_used {
            let what = format!("{name} is fenced and used nowhere");
            breaches.push(Breach { path: "Cargo.toml".into(), line: 1, law: LAW, what });
        }
    }
    breaches
}

/// Imports that would hide from the floors: grouped at the crate's root, or relative.
pub fn plain_imports(sources: &[Source]) -> Vec<Breach> {
    const LAW: &str = "imports across modules are absolute, one module each";
    let mut breaches = Vec::new();
    for source in sources {
        for (number, line) in source.code_outside_tests() {
            for hidden in ["crate::{", "crate::*", "super::", "use self::", "use crate as"] {
                if line.contains(hidden) {
                    breaches.push(source.breach(number, LAW, format!("`{hidden}`")));
                }
            }
        }
    }
    breaches
}

/// Names under `[dependencies]`, as code spells them.
fn dependencies(manifest: &str) -> impl Iterator<Item = String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().replace('-', "_"))
}

/// `name::…`, not as a part of a longer name or path.
fn names_crate(line: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let begins = |at: usize| !line[..at].chars().next_back().is_some_and(is_part);
    line.match_indices(&format!("{name}::")).any(|(at, _)| begins(at))
        || line.trim_start().starts_with(&format!("use {name};"))
        || line.contains(&format!("#[{name}("))
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(law: fn(&[Source]) -> Vec<Breach>, path: &str, text: &str) -> Vec<(usize, String)> {
        law(&[Source::new(path, text)]).into_iter().map(|breach| (breach.line, breach.what)).collect()
    }

    #[test]
    fn looking_up_is_seen_in_imports_and_in_paths() {
        let text = "//! Doc.\nuse crate::raft::Note;\nfn f() {\n    crate::sim::world::run();\n}\n";
        let found = breaches(floors, "src/record/batch.rs", text);
        assert_eq!(found, [(2, "record may not use raft::Note".into()), (4, "record may not use sim::world".into())]);
        assert_eq!(breaches(floors, "src/new/mod.rs", "//! Doc.\n"), [(1, "the module new has no floor".into())]);
    }

    #[test]
    fn a_part_of_a_module_is_not_the_whole() {
        assert_eq!(breaches(floors, "src/check/judge.rs", "use crate::raft::view::View;\n"), []);
        assert_eq!(breaches(floors, "src/check/judge.rs", "use crate::raft::Replica;\n").len(), 1);
    }

    #[test]
    fn tests_comments_and_oneself_are_free() {
        let text =
            "/// See [`crate::sim`].\nuse crate::log::Log;\n#[cfg(test)]\nmod tests {\n    use crate::sim::X;\n}\n";
        assert_eq!(breaches(floors, "src/log/queue.rs", text), []);
    }

    #[test]
    fn imports_that_hide_are_seen() {
        for text in ["use crate::{log, sim};", "use super::queue::X;", "let x = super::super::y();", "use self::a::B;"]
        {
            assert_eq!(breaches(plain_imports, "src/log/a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(breaches(plain_imports, "src/log/a.rs", "use crate::log::queue::{A, B};"), []);
    }

    #[test]
    fn crates_stay_within_their_fences() {
        let found = |path: &str, text: &str| {
            let breaches = fences(&[Source::new(path, text)], "[dependencies]\n");
            breaches.iter().filter(|breach| breach.path != "Cargo.toml").count()
        };
        assert_eq!(found("src/raft/gate.rs", "use kafka_protocol::messages::X;"), 1);
        assert_eq!(found("src/raft/gate.rs", "#[clap(long)]"), 1);
        assert_eq!(found("src/log/layout.rs", "let x = serde_json::to_string(&y);"), 1);
        assert_eq!(found("src/log/quorum_state.rs", "let x = serde_json::to_string(&y);"), 0);
        assert_eq!(found("src/protocol/codec.rs", "use kafka_protocol::messages::X;"), 0);
    }

    #[test]
    fn dependencies_are_argued_for() {
        let manifest = "[dependencies]\nleft-pad = \"1\"\nbytes = \"1\"\n\n[dev-dependencies]\ngoldenscript = \"1\"\n";
        let breaches = fences(&[], manifest);
        assert!(breaches.iter().any(|breach| breach.what.starts_with("left_pad is fenced nowhere")));
        assert!(breaches.iter().any(|breach| breach.what == "bytes is fenced and used nowhere"));
        assert!(!breaches.iter().any(|breach| breach.what.contains("goldenscript")));
    }
}
