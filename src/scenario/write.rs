//! A plan written back as a scenario: the resolved one, in which every draw is explicit.
//!
//! It parses, and draws an equal plan with the same seed, which it pins. Defaults are written out too, so that a stored
//! result replays when a default changes.

use std::time::Duration;

use crate::scenario::decisions::write_decisions;
use crate::scenario::fault::STRENGTHS;
use crate::scenario::json::{Shape, Value};
use crate::scenario::keys;
use crate::scenario::plan::{Action, Condition, Expect, LeaderIs, On, Plan, Settings, Step, Target, Work};
use crate::scenario::scenario::OTHERWISE;
use crate::scenario::settings::{SETTINGS, Unit};
use crate::scenario::text::{show_duration, show_rate};

impl Plan {
    /// The resolved scenario.
    pub fn to_scenario_text(&self) -> String {
        let mut members = vec![
            ("about", Value::text(&*self.about)),
            ("version", Value::number(1)),
            ("seed", Value::number(self.seed)),
            ("voters", Value::number(self.voters.into())),
            ("observers", Value::number(self.observers.into())),
            ("settings", settings(&self.settings)),
            ("workload", Value::list(self.workload.iter().map(work))),
            ("faults", Value::object(self.faults.iter().map(|(kind, &on)| (kind.name(), strength(on))))),
            ("datagram", truth(self.datagram)),
            ("shuffle_ties", truth(self.shuffle_ties)),
            ("steps", Value::list(self.steps.iter().map(step))),
            ("duration", duration(self.duration)),
        ];
        members.extend(self.until.as_ref().map(|until| ("until", condition(until))));
        if !self.quirks.is_empty() {
            members.push(("plant", Value::list(self.quirks.iter().map(|quirk| Value::text(quirk.name())))));
        }
        members.extend([
            ("beyond_budget", truth(self.beyond_budget)),
            ("waive", Value::list(self.waive.iter().map(|name| Value::text(&**name)))),
            ("expect", expect(&self.expect)),
            ("covers_within", Value::number(self.covers_within)),
            ("decisions", write_decisions(&self.decisions)),
            ("otherwise", Value::text(keys::word_for(OTHERWISE, &self.otherwise))),
        ]);
        Value::object(members).to_pretty()
    }
}

fn settings(settings: &Settings) -> Value {
    Value::object(SETTINGS.iter().map(|setting| {
        let (least, most) = (setting.read)(settings);
        let value = match setting.unit {
            Unit::Duration => Value::text(setting.show_one(least)),
            Unit::Span => Value::list([least, most].map(|nanos| Value::text(setting.show_one(nanos)))),
            Unit::Bytes | Unit::PartsPerMillion => Value::number(least),
        };
        (setting.name, value)
    }))
}

fn work(work: &Work) -> Value {
    let mut members = vec![("clients", Value::number(work.clients.into())), ("kind", Value::text(work.kind.name()))];
    members.extend(work.operations.map(|operations| ("operations", Value::number(operations))));
    members.extend(work.rate.map(|rate| ("rate", Value::text(show_rate(rate)))));
    members.push(("value_bytes", Value::number(work.value_bytes as u64)));
    members.push(("reads", Value::text(keys::word_for(keys::READS, &work.reads))));
    Value::object(members)
}

fn step(step: &Step) -> Value {
    let mut members = Vec::new();
    members.extend(step.trigger.at.map(|at| ("at", duration(at))));
    members.extend(step.trigger.after.map(|after| ("after", duration(after))));
    members.extend(step.trigger.when.as_ref().map(|when| ("when", condition(when))));
    if !step.bind.is_empty() {
        members.push(("let", Value::object(step.bind.iter().map(|(name, of)| (name.as_str(), target(of))))));
    }
    if !step.actions.is_empty() {
        members.push(("do", Value::list(step.actions.iter().map(action))));
    }
    Value::object(members)
}

pub(crate) fn condition(condition: &Condition) -> Value {
    let mut members = Vec::new();
    let number = |number: Option<u64>| number.map(Value::number);
    members.extend(number(condition.high_watermark_over).map(|value| ("high_watermark_over", value)));
    members.extend(number(condition.high_watermark_gains).map(|value| ("high_watermark_gains", value)));
    members.extend(number(condition.high_watermark_times).map(|value| ("high_watermark_times", value)));
    members.extend(condition.high_watermark_ahead_of.as_ref().map(|of| ("high_watermark_ahead_of", target(of))));
    members.extend(condition.leader.as_ref().map(|is| ("leader", leader(is))));
    members.extend(condition.elapsed.map(|elapsed| ("elapsed", duration(elapsed))));
    match &condition.on {
        On::Any => {}
        On::All => members.push(("on", Value::text("all"))),
        On::Majority => members.push(("on", Value::text("majority"))),
        On::Target(of) => members.push(("on", target(of))),
    }
    members.extend(condition.at_most.map(|at_most| ("at_most", duration(at_most))));
    Value::object(members)
}

fn leader(leader: &LeaderIs) -> Value {
    match leader {
        LeaderIs::Agreed => Value::text("agreed"),
        LeaderIs::One(of) => target(of),
        LeaderIs::Not(of) => Value::object([("not", target(of))]),
    }
}

fn target(of: &Target) -> Value {
    match of {
        Target::Leader => Value::text("leader"),
        Target::Voters => Value::text("voters"),
        Target::Followers => Value::text("followers"),
        Target::Observers => Value::text("observers"),
        Target::All => Value::text("all"),
        Target::Rest => Value::text("rest"),
        Target::Majority => Value::text("majority"),
        Target::Id(id) => Value::number((*id).into()),
        Target::Name(name) => Value::text(&**name),
        Target::List(targets) => Value::list(targets.iter().map(target)),
        Target::Any(of) => Value::object([("any", target(of))]),
    }
}

pub(crate) fn action(of: &Action) -> Value {
    let pairs = |pairs: &[(Target, Target)]| {
        Value::list(pairs.iter().map(|(from, to)| Value::list([target(from), target(to)])))
    };
    match of {
        Action::Crash(of) => Value::object([("crash", target(of))]),
        Action::Kill(of) => Value::object([("kill", target(of))]),
        Action::Shutdown { target: of, within } => {
            Value::object([("shutdown", target(of)), ("within", duration(*within))])
        }
        Action::Pause { target: of, lasting } => {
            let lasting = lasting.map(|lasting| ("lasting", duration(lasting)));
            Value::object(std::iter::once(("pause", target(of))).chain(lasting))
        }
        Action::Restart(of) => Value::object([("restart", target(of))]),
        Action::Wipe(of) => Value::object([("wipe", target(of))]),
        Action::Rot(of) => Value::object([("rot", target(of))]),
        Action::Resign(of) => Value::object([("resign", target(of))]),
        Action::Isolate(of) => Value::object([("isolate", target(of))]),
        Action::Partition(groups) => Value::object([("partition", Value::list(groups.iter().map(target)))]),
        Action::Cut(cut) => Value::object([("cut", pairs(cut))]),
        Action::CutOneWay(cut) => Value::object([("cut_one_way", pairs(cut))]),
        Action::Heal => Value::text("heal"),
        Action::OneOf(actions) => Value::object([("one_of", Value::list(actions.iter().map(action)))]),
    }
}

fn expect(expect: &Expect) -> Value {
    let mut members = Vec::new();
    members.extend(expect.leader_changes.map(|(least, most)| {
        let most = (most != u64::MAX).then(|| ("at_most", Value::number(most)));
        let bounds = std::iter::once(("at_least", Value::number(least))).chain(most);
        ("leader_changes", Value::object(bounds))
    }));
    members.extend(expect.violates.as_ref().map(|property| ("violates", Value::text(&**property))));
    members.extend(expect.within_seeds.map(|seeds| ("within_seeds", Value::number(seeds))));
    Value::object(members)
}

fn duration(duration: Duration) -> Value {
    Value::text(show_duration(duration))
}

fn strength(on: u8) -> Value {
    Value::text(STRENGTHS[usize::from(on) - 1])
}

fn truth(truth: bool) -> Value {
    Value::new(Shape::Truth(truth))
}
