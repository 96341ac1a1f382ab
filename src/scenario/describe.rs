//! The header of a run: every parameter that was drawn, and the faults that are planned, before anything happens.

use std::fmt;

use crate::scenario::fault::STRENGTHS;
use crate::scenario::keys;
use crate::scenario::plan::{Otherwise, Plan, Work};
use crate::scenario::settings::SETTINGS;
use crate::scenario::text::{show_duration, show_rate};
use crate::scenario::write::{action, condition};

impl Plan {
    /// The kinds of fault that are on, with their strengths, on one line: `cut weak, power strong`; `none`.
    pub fn planned_faults(&self) -> String {
        let fault = |(kind, on): (&crate::scenario::FaultKind, &u8)| {
            format!("{} {}", kind.name(), STRENGTHS[usize::from(*on) - 1])
        };
        let faults: Vec<String> = self.faults.iter().map(fault).collect();
        if faults.is_empty() { "none".into() } else { faults.join(", ") }
    }
}

impl fmt::Display for Plan {
    /// One block, a line per subject; long lines are folded under their first word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, subject: &str, text: &str| {
            fold(text)
                .iter()
                .enumerate()
                .try_for_each(|(row, part)| writeln!(f, "{:<10}{part}", if row == 0 { subject } else { "" }))
        };
        line(f, "scenario", &format!("{} (hash {:016x})", self.name, self.hash))?;
        line(f, "about", &self.about)?;
        line(f, "seed", &self.seed.to_string())?;
        line(f, "nodes", &format!("{} voters, {} observers{}", self.voters, self.observers, self.world()))?;
        let settings: Vec<String> = SETTINGS
            .iter()
            .map(|setting| format!("{} {}", setting.name, setting.show((setting.read)(&self.settings))))
            .collect();
        line(f, "settings", &settings.join(", "))?;
        for work in &self.workload {
            line(f, "workload", &work_words(work))?;
        }
        line(f, "faults", &format!("{}, for {}", self.planned_faults(), show_duration(self.duration)))?;
        for step in &self.steps {
            let actions: Vec<String> = step.actions.iter().map(|of| action(of).to_line()).collect();
            let when = step.trigger.when.as_ref().map(|when| format!("when {} ", condition(when).to_line()));
            let at = step.trigger.at.map(|at| format!("at {} ", show_duration(at)));
            let after = step.trigger.after.map(|after| format!("after {} ", show_duration(after)));
            let trigger: String = [at, after, when].into_iter().flatten().collect();
            let names: Vec<&str> = step.bind.iter().map(|(name, _)| name.as_str()).collect();
            let bind = if names.is_empty() { String::new() } else { format!("name {} ", names.join(", ")) };
            line(f, "step", format!("{trigger}{bind}{}", actions.join(", ")).trim_end())?;
        }
        if let Some(until) = &self.until {
            line(f, "until", &condition(until).to_line())?;
        }
        if !self.quirks.is_empty() {
            let names: Vec<&str> = self.quirks.iter().map(|quirk| quirk.name()).collect();
            line(f, "planted", &names.join(", "))?;
        }
        if !self.waive.is_empty() {
            line(f, "waived", &self.waive.join(", "))?;
        }
        if !self.decisions.is_empty() {
            let otherwise = if self.otherwise == Otherwise::Seed { "the rest drawn" } else { "the rest harmless" };
            line(f, "decided", &format!("{} draws, {otherwise}", self.decisions_count()))?;
        }
        Ok(())
    }
}

impl Plan {
    fn world(&self) -> String {
        let parts = [
            (self.datagram, ", datagram transport"),
            (self.shuffle_ties, ", ties shuffled"),
            (self.beyond_budget, ", beyond the fault budget"),
        ];
        parts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, words)| words).collect()
    }
}

fn work_words(work: &Work) -> String {
    let kind = work.kind.name();
    let mut words = format!("{} clients {kind}", work.clients);
    words += &work.operations.map_or(String::new(), |operations| format!(", {operations} operations"));
    words += &work.rate.map_or(String::new(), |rate| format!(", {}", show_rate(rate)));
    words + &format!(", values of {} bytes, reads {}", work.value_bytes, keys::word_for(keys::READS, &work.reads))
}

/// A text in lines of at most 100 columns, broken after spaces.
fn fold(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("invariant: there is always a last line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 100 {
            lines.push(word.into());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
