//! What shows a failure, as text: for terminals, `summary.txt`, build servers and the page of a sweep.
//!
//! What clients were told is judged when a run is over, and its last events have nothing to do with that: there the operations
//! that conflict are shown, as `check` shows them, and what mattered while they went on. Of any other violation the last events
//! are what led there.

use crate::campaign::check::{CoreOperation, Verdict as Checked, facts};
use crate::campaign::results;
use crate::check::{KV_LINEARIZABLE, Violation};
use crate::history::objects::Clock;
use crate::outcome::Verdict;
use crate::report::finding;
use crate::report::result::{Core, Summary};
use crate::scenario::plan::Plan;
use crate::sim::Finished;
use crate::time::Instant;
use crate::trace::Event;
use crate::trace::timeline;

/// What led a recorded run to its violation; nothing of one that has none.
pub fn of_run(plan: &Plan, finished: &Finished) -> String {
    let (Verdict::Violated(violation), trace) = (&finished.outcome.verdict, &finished.outcome.trace) else {
        return String::new();
    };
    if trace.is_empty() {
        return String::new();
    }
    of_clients(plan, finished, violation).unwrap_or_else(|| {
        format!("the last {CAUSES_SHOWN} events that led there:\n\n{}", timeline::last_causes(trace, CAUSES_SHOWN))
    })
}

/// The operations that conflict, where the violation is that they do.
fn of_clients(plan: &Plan, finished: &Finished, violation: &Violation) -> Option<String> {
    if !JUDGED_AT_THE_END.contains(&violation.property) {
        return None;
    }
    let checked = results::checked(plan, &finished.history).ok()?;
    let Checked::NotLinearizable { message, core, orders } = &checked.verdict else { return None };
    if !violation.message.contains(message) {
        return None;
    }
    let mut text = format!("the operations that conflict:\n\n{}\n", of_core(core, orders, Clock::Nanoseconds));
    let trace = &finished.outcome.trace;
    let summary = Summary { message: Some(violation.message.clone()), ..Summary::default() };
    let core = Core::parse(&facts(&checked).to_string());
    let meanwhile = finding::of_run(&summary, core.as_ref(), trace, &finished.history).causes;
    if !meanwhile.is_empty() {
        let events: Vec<&Event> = meanwhile.into_iter().map(|row| &trace[row]).collect();
        text += &format!("\nwhat mattered meanwhile, the last of it:\n\n{}", timeline::table(&events));
    }
    Some(text)
}

/// The operations of a core, a line each, and why no order of them works where the sentence does not say so.
pub fn of_core(core: &[CoreOperation], orders: &[String], clock: Clock) -> String {
    let mut text = table(core, clock);
    // Of two operations the sentence has said it.
    if !orders.is_empty() && (core.len() > 2 || orders.len() > 1) {
        text += "\n  no order works:";
        text.extend(orders.iter().map(|order| format!("\n    {order}")));
    }
    text
}

fn table(core: &[CoreOperation], clock: Clock) -> String {
    let mut rows = vec![["client", "f", "value", "invoked", "returned"].map(str::to_owned)];
    rows.extend(core.iter().take(ROWS_MAX).map(|told| {
        let returned = told.returned.map_or("never".to_owned(), |at| moment(at, clock));
        [told.client.to_string(), told.f.to_owned(), short(&told.told), moment(told.invoked, clock), returned]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if core.len() > ROWS_MAX {
        lines.push(format!("  and {} more, all of them with --output json", core.len() - ROWS_MAX));
    }
    lines.join("\n")
}

/// A moment as sentences have it, without the preposition.
fn moment(stamp: u64, clock: Clock) -> String {
    match clock {
        Clock::Nanoseconds => Instant(stamp).to_string(),
        Clock::Lines => format!("line {stamp}"),
        Clock::Events => format!("event {stamp}"),
    }
}

/// A value, not longer than a terminal is wide.
fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The properties that judge what clients were told when a run is over.
const JUDGED_AT_THE_END: [&str; 3] = [KV_LINEARIZABLE, "log_linearizable", "producers_in_order"];

/// Events that are told of what led to a violation.
const CAUSES_SHOWN: usize = 8;

/// Operations in a table.
const ROWS_MAX: usize = 24;

/// Characters of a value in a table.
const VALUE_MAX: usize = 60;
