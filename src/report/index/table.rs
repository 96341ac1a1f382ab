//! What a sweep exercised: pairs of faults that met in one run, and the marks of the protocol.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::report::html::escaped_text;
use crate::report::index::Index;
use crate::scenario::FaultKind;

/// The lower half of the matrix of fault kinds, its head included.
///
/// A cell is a number of runs; `○` where these scenarios give both kinds and no run had both; empty where they do not give them.
pub fn pairs(index: &Index) -> String {
    let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    let is_meant = |name: &str| index.expected.contains(&format!("fault:{name}"));
    let given = |one: &str, other: &str| {
        let pair = if one <= other { (one, other) } else { (other, one) };
        index.pairs.get(&(pair.0.to_owned(), pair.1.to_owned())).copied().unwrap_or_default()
    };
    let (mut reached, mut meant) = (0, 0);
    let mut rows = String::new();
    for (number, row) in names.iter().enumerate() {
        write!(rows, "<tr><th scope=\"row\">{row}</th>").expect(WRITES);
        for column in &names[..=number] {
            let runs = given(row, column);
            let could = is_meant(row) && is_meant(column) || runs > 0;
            (reached, meant) = (reached + u32::from(runs > 0), meant + u32::from(could));
            let what = if row == column { format!("{row} was given") } else { format!("{column} and {row}") };
            let cell = match (runs, could) {
                (0, false) => "<td class=\"off\"></td>".to_owned(),
                (0, true) => format!("<td class=\"never\" title=\"{what}: never\">○</td>"),
                (runs, _) => {
                    format!("<td class=\"w{}\" title=\"{what}: in {runs} runs\">{}</td>", shade(runs), short(runs))
                }
            };
            rows.push_str(&cell);
        }
        rows.push_str("</tr>\n");
    }
    let heads: String = names.iter().map(|name| format!("<th scope=\"col\"><span>{name}</span></th>")).collect();
    format!(
        "<p>Of two kinds that these scenarios give, {reached} of {meant} pairs met in a run; ○ is one that never did.</p>\n\
         <table id=\"pairs\">\n{rows}<tr><td></td>{heads}</tr>\n</table>\n"
    )
}

/// What was exercised and how often, group by group; what should have been and was not stands out.
pub fn marks(index: &Index) -> String {
    let never: BTreeSet<&str> = index.never_exercised().into_iter().collect();
    let known: BTreeSet<&str> = index.exercised.keys().chain(&index.expected).map(String::as_str).collect();
    let groups = [("note:", "notes of replicas"), ("left:", "roles left"), ("property:", "properties judged")];
    let group = |(prefix, title): &(&str, &str)| {
        let of_group = known.iter().filter_map(|what| Some((*what, what.strip_prefix(prefix)?)));
        let rows: String = of_group.map(|(what, name)| mark(index, what, name, never.contains(what))).collect();
        format!("<table><caption>{title}</caption>\n{rows}</table>\n")
    };
    groups.iter().map(group).collect()
}

fn mark(index: &Index, what: &str, name: &str, is_lacking: bool) -> String {
    let count = index.exercised.get(what).copied().unwrap_or_default();
    let (class, told) = match (count, is_lacking) {
        (0, true) => (" class=\"never\"", "○ never".to_owned()),
        (0, false) => ("", "not yet".to_owned()),
        (count, _) => ("", count.to_string()),
    };
    format!("<tr{class}><td>{}</td><td class=\"number\">{told}</td></tr>\n", escaped_text(name))
}

/// From 1 for a single run, a shade for each time four.
fn shade(runs: u64) -> u32 {
    (1 + runs.max(1).ilog2() / 2).min(7)
}

/// At most three characters and a unit.
fn short(runs: u64) -> String {
    match runs {
        0..=9_999 => runs.to_string(),
        10_000..=9_999_999 => format!("{}k", runs / 1000),
        _ => format!("{}M", runs / 1_000_000),
    }
}

const WRITES: &str = "invariant: writing to a string succeeds";
