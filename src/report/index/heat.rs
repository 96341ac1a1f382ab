//! The map of a sweep: a row a scenario, a cell a seed, or several seeds where there are too many for a row.

use std::fmt::Write;

use crate::outcome::Exit;
use crate::report::html::escaped_text;
use crate::report::index::html::{class, replay, sign};
use crate::report::index::{Index, Run};

/// The rows of the map.
pub fn map(index: &Index) -> String {
    let mut rows: Vec<Vec<&Run>> = vec![Vec::new(); index.scenarios.len()];
    index.runs.iter().for_each(|run| rows[run.scenario].push(run));
    let longest = rows.iter().map(Vec::len).max().unwrap_or_default();
    let block = longest.div_ceil(CELLS_MAX).max(1);
    let slowest = index.runs.iter().map(|run| run.wall_ms).max().unwrap_or_default();
    let signatures: Vec<&str> =
        index.ways().iter().map(|way| way.trouble.signature.as_deref().unwrap_or_default()).collect();
    let mut text = String::new();
    for (swept, runs) in index.scenarios.iter().zip(&rows).filter(|(_, runs)| !runs.is_empty()) {
        write!(
            text,
            "<tr><th scope=\"row\" title=\"{}\">{}</th>",
            escaped_text(&swept.path),
            escaped_text(&swept.name)
        )
        .expect(WRITES);
        for runs in runs.chunks(block) {
            text.push_str(&cell(index, runs, slowest, &signatures));
        }
        text.push_str("</tr>\n");
    }
    text
}

fn cell(index: &Index, runs: &[&Run], slowest: u64, signatures: &[&str]) -> String {
    let worst =
        runs.iter().min_by_key(|run| (run.exit == Exit::Passed, run.exit)).expect("invariant: no block is empty");
    let wall = runs.iter().map(|run| run.wall_ms).max().unwrap_or_default();
    let told = match runs {
        [run] => format!("seed {}: {}, {} ms, {} events", run.seed, run.exit.word(), run.wall_ms, run.events),
        several => told_of(several, worst, wall),
    };
    let signature = worst.trouble.as_deref().and_then(|trouble| trouble.signature.as_deref());
    let way = signature.and_then(|signature| signatures.iter().position(|known| *known == signature));
    let way = way.map(|way| format!(" data-way=\"way{way}\"")).unwrap_or_default();
    let verdict = if worst.exit == Exit::Passed { String::new() } else { format!(" {}", class(worst.exit)) };
    let shown = if worst.exit == Exit::Passed { "" } else { sign(worst.exit) };
    format!(
        "<td class=\"w{}{verdict}\" tabindex=\"-1\" title=\"{told}\" data-replay=\"{}\"{way}>{shown}</td>",
        shade(wall, slowest),
        escaped_text(&replay(index, worst))
    )
}

fn told_of(runs: &[&Run], worst: &Run, wall: u64) -> String {
    let (first, last) = (runs[0].seed, runs[runs.len() - 1].seed);
    let wrong = runs.iter().filter(|run| run.exit != Exit::Passed).count();
    let what = match wrong {
        0 => "all passed".to_owned(),
        _ => format!("{wrong} did not pass, the worst is seed {}: {}", worst.seed, worst.exit.word()),
    };
    format!("{} seeds, {first} to {last}: {what}; at most {wall} ms", runs.len())
}

/// From 0 for what took no time to 7 for the slowest; each shade is as many times as slow as the one before.
fn shade(wall: u64, slowest: u64) -> u32 {
    let size = |ms: u64| (ms.saturating_add(1)).ilog2();
    (SHADES - 1) * size(wall) / size(slowest).max(1)
}

/// Cells of a row, at most.
const CELLS_MAX: usize = 120;

/// As many as the style has.
const SHADES: u32 = 8;

const WRITES: &str = "invariant: writing to a string succeeds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_go_from_the_fastest_to_the_slowest() {
        assert_eq!((shade(0, 0), shade(0, 1000), shade(1000, 1000)), (0, 0, 7));
        assert!((0..1000).all(|ms| shade(ms, 1000) <= shade(ms + 1, 1000)));
    }
}
