//! `index.html`: an index as one page that loads nothing, needs no server, and can be read without its script.
//!
//! Everything is text in tables. Whether a run passed is said by a sign in its cell, how long it took by the cell's shade;
//! no colour stands for anything alone. The script adds what tables lack: one walks the map with the arrow keys, and is told
//! of the run one is at, and the line that makes it again.

use std::fmt::Write;

use crate::outcome::Exit;
use crate::report::html::{escaped_text, filled, hash};
use crate::report::index::heat;
use crate::report::index::table;
use crate::report::index::{Index, Run, Way};

/// The page as the text of an HTML file.
pub fn page(index: &Index) -> String {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let exit = index.exit();
    let parts = [
        ("policy", policy),
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
        ("badge", badge(exit)),
        ("sentence", sentence(index)),
        ("facts", facts(index)),
        ("ways", ways(index)),
        ("heat", heat::map(index)),
        ("pairs", table::pairs(index)),
        ("marks", table::marks(index)),
        ("slowest", slowest(index)),
    ];
    filled(PAGE, &parts)
}

/// The sign of a verdict, which a colour only repeats.
pub fn sign(exit: Exit) -> &'static str {
    match exit {
        Exit::Passed => "✓",
        Exit::Undecided | Exit::NothingSelected => "?",
        Exit::NoProgress => "!",
        Exit::Nondeterminism => "≠",
        Exit::Missed => "○",
        _ => "✗",
    }
}

/// The class of a verdict: `good`, `bad` or `unsure`.
pub fn class(exit: Exit) -> &'static str {
    match exit {
        Exit::Passed => "good",
        Exit::Undecided | Exit::NothingSelected | Exit::Missed => "unsure",
        _ => "bad",
    }
}

/// The line that makes a run again, whether or not there was trouble with it.
pub fn replay(index: &Index, run: &Run) -> String {
    if let Some(trouble) = &run.trouble {
        return trouble.replay.clone();
    }
    let swept = &index.scenarios[run.scenario];
    let seed = if swept.is_pinned { String::new() } else { format!(" --seed {}", run.seed) };
    let plants: String = index.maker.plants.iter().map(|plant| format!(" --plant {plant}")).collect();
    format!("kraftbed run {}{seed}{plants}", swept.path)
}

fn badge(exit: Exit) -> String {
    let word = exit.word().replace('_', " ");
    format!("<span id=\"badge\" class=\"{}\">{} {word}</span>", class(exit), sign(exit))
}

fn sentence(index: &Index) -> String {
    let failed = index.count(Exit::Violated) + index.count(Exit::NoProgress);
    let mut text = format!(
        "{} runs of {} scenarios: {} passed, {failed} failed",
        index.runs.len(),
        index.scenarios.len(),
        index.count(Exit::Passed)
    );
    match index.ways().len() {
        0 => {}
        1 => text.push_str(" in one way"),
        ways => write!(text, " in {ways} ways").expect(WRITES),
    }
    write!(text, ", {} undecided", index.count(Exit::Undecided)).expect(WRITES);
    if index.is_partial() {
        text.push_str("; cut short");
    }
    text
}

fn facts(index: &Index) -> String {
    let seconds = index.totals.virtual_time.as_secs();
    let mut facts = vec![
        ("digest", format!("0x{:016x}", index.digest())),
        ("events", index.runs.iter().map(|run| run.events).sum::<u64>().to_string()),
        ("messages", index.totals.messages.to_string()),
        ("operations", index.totals.operations.to_string()),
        ("virtual time", format!("{} h {} min", seconds / 3600, seconds / 60 % 60)),
        ("kraftbed", format!("{}, program 0x{:016x}", index.maker.version, index.maker.program)),
    ];
    let shards: Vec<String> = index.shards.iter().map(shard).collect();
    facts.push(("swept", shards.join("; ")));
    if !index.maker.plants.is_empty() {
        facts.push(("plants", index.maker.plants.join(", ")));
    }
    facts.extend(index.missing_words().map(|missing| ("missing", missing)));
    for found in &index.nondeterminism {
        let (first, second) = found.digests;
        let told = format!("{} seed {}: digests 0x{first:016x} and 0x{second:016x}", found.scenario, found.seed);
        facts.push(("nondeterminism", told));
    }
    facts.iter().map(|(name, value)| format!("<span>{name} <b>{}</b></span>\n", escaped_text(value))).collect()
}

fn shard(shard: &crate::report::index::Shard) -> String {
    let (share, of) = shard.partition;
    let ms = shard.wall.as_millis();
    format!(
        "{} seeds from {}{} in {}.{} s{}",
        shard.seeds,
        shard.seed_base,
        if of == 1 { String::new() } else { format!(", slice:{share}/{of}") },
        ms / 1000,
        ms % 1000 / 100,
        if shard.is_partial { ", cut short" } else { "" }
    )
}

fn ways(index: &Index) -> String {
    let ways = index.ways();
    match ways.is_empty() {
        true => "<p>None.</p>".to_owned(),
        false => ways.iter().enumerate().map(|(number, way)| way_to_fail(index, number, way)).collect(),
    }
}

fn way_to_fail(index: &Index, number: usize, way: &Way<'_>) -> String {
    let Way { smallest, trouble, count, runs_of } = way;
    let property = trouble.property.as_deref().unwrap_or_default();
    let scenarios: Vec<String> = runs_of.iter().map(|(name, runs)| format!("{name} ×{runs}")).collect();
    let known = trouble.signature.as_deref().and_then(|signature| index.failures.get(signature));
    let mut text = format!("<article id=\"way{number}\" class=\"{}\">\n", class(smallest.exit));
    writeln!(text, "<h3>{} {}: {}</h3>", sign(smallest.exit), escaped_text(property), escaped_text(&trouble.message))
        .expect(WRITES);
    let scenario = escaped_text(&index.scenarios[smallest.scenario].name);
    writeln!(
        text,
        "<p>{count} of {} runs: {}. The smallest seed is {} of {scenario}{}.</p>",
        index.runs.len(),
        escaped_text(&scenarios.join(", ")),
        smallest.seed,
        known.and_then(|failure| failure.folder.as_deref()).map(link).unwrap_or_default()
    )
    .expect(WRITES);
    writeln!(text, "<p><code>{}</code></p>", escaped_text(&trouble.replay)).expect(WRITES);
    if let Some(failure) = known.filter(|failure| !failure.causes.is_empty()) {
        let causes = escaped_lines(&failure.causes);
        writeln!(text, "<details><summary>what led there</summary><pre>{causes}</pre></details>").expect(WRITES);
    }
    text.push_str("</article>\n");
    text
}

/// A link to the page of a failure, from its folder. Only the parts of a relative path get that far, and each is spelled as in an address.
fn link(folder: &str) -> String {
    let mut address = String::new();
    for byte in folder.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => address.push(char::from(byte)),
            other => write!(address, "%{other:02X}").expect(WRITES),
        }
    }
    format!(" (<a href=\"./{address}/report.html\">{}</a>)", escaped_text(folder))
}

fn slowest(index: &Index) -> String {
    let mut runs: Vec<&Run> = index.runs.iter().collect();
    runs.sort_by_key(|run| (std::cmp::Reverse(run.wall_ms), run.scenario, run.seed));
    let row = |run: &&Run| {
        format!(
            "<tr><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{} {}</td><td>{}</td>\
             <td class=\"number\">{}</td><td><code>{}</code></td></tr>\n",
            run.wall_ms,
            run.events,
            sign(run.exit),
            run.exit.word(),
            escaped_text(&index.scenarios[run.scenario].name),
            run.seed,
            escaped_text(&replay(index, run))
        )
    };
    runs.iter().take(SLOWEST_SHOWN).map(row).collect()
}

fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped_text).collect::<Vec<_>>().join("\n")
}

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/index.css");
const SCRIPT: &str = include_str!("page/index.js");

const SLOWEST_SHOWN: usize = 12;

const WRITES: &str = "invariant: writing to a string succeeds";
