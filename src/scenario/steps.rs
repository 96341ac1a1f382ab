//! The script: steps, conditions, targets and actions.
//!
//! Nothing here is chosen by the seed except numbers and durations: which node `any` means, and which alternative
//! `one_of` takes, depends on the state of the run and is decided when the step fires.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::error::{ScenarioError, either, nearest};
use crate::scenario::fault::FaultKind;
use crate::scenario::json::Shape;
use crate::scenario::keys;
use crate::scenario::plan::{Action, Condition, LeaderIs, On, Step, Target, Trigger};
use crate::scenario::reader::{Node, Object, Reader};
use crate::scenario::swarm::Ground;

/// Reads a script and checks that it can be carried out: every node exists, every name is bound before it is used.
pub struct ScriptReader<'a, 'r> {
    reader: &'r Reader<'a>,
    ground: Ground,
    /// Ids are below this.
    nodes: u32,
    /// Names that earlier steps bound.
    names: BTreeSet<String>,
}

impl<'a, 'r> ScriptReader<'a, 'r> {
    /// A script for that many nodes.
    pub fn new(reader: &'r Reader<'a>, ground: Ground, nodes: u32) -> ScriptReader<'a, 'r> {
        ScriptReader { reader, ground, nodes, names: BTreeSet::new() }
    }

    /// All steps.
    pub fn steps(&mut self, node: &Node<'a>) -> Result<Vec<Step>, ScenarioError> {
        let entries = self.reader.list(node, "a list of steps")?;
        entries.iter().map(|entry| self.step(entry)).collect()
    }

    /// A condition that must come true before settle.
    pub fn until(&self, node: &Node<'a>) -> Result<Condition, ScenarioError> {
        self.condition(node)
    }

    fn step(&mut self, node: &Node<'a>) -> Result<Step, ScenarioError> {
        let object = self.reader.object(node, keys::STEP)?;
        let duration = |name| object.get(name).map(|node| self.reader.duration(&node, 0, DAY)).transpose();
        let (at, after) = (duration("at")?, duration("after")?);
        let when = object.get("when").map(|node| self.when(&node)).transpose()?;
        let bind = object.get("let").map_or(Ok(Vec::new()), |node| self.bind(&node))?;
        let actions = object.get("do").map_or(Ok(Vec::new()), |node| self.actions(&node))?;
        if bind.is_empty() && actions.is_empty() {
            return Err(self.reader.refuse(node, "a step that does nothing", r#""do" with an action, or "let""#));
        }
        Ok(Step { trigger: Trigger { after, at, when }, bind, actions })
    }

    fn bind(&mut self, node: &Node<'a>) -> Result<Vec<(String, Target)>, ScenarioError> {
        let object = self.reader.open_object(node)?;
        let mut bound = Vec::new();
        for (name, value) in object.entries() {
            let is_word = name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_word || keys::TARGETS.contains(&name) {
                let found = format!("the name {name:?}");
                let expected = format!("a lower-case word other than {}", either(keys::TARGETS));
                return Err(self.reader.refuse(&value, found, expected));
            }
            bound.push((name.to_string(), self.target(&value, Place::Action)?));
            self.names.insert(name.to_string());
        }
        Ok(bound)
    }

    fn when(&self, node: &Node<'a>) -> Result<Condition, ScenarioError> {
        let condition = self.condition(node)?;
        if condition.at_most.is_none() {
            return Ok(condition);
        }
        let object = self.reader.object(node, keys::CONDITION)?;
        let node = self.reader.require(&object, "at_most")?;
        Err(self.reader.refuse(
            &node,
            "a bound on a step",
            r#"it under "until" only; a step waits as long as it takes"#,
        ))
    }

    fn condition(&self, node: &Node<'a>) -> Result<Condition, ScenarioError> {
        let object = self.reader.object(node, keys::CONDITION)?;
        let number = |name, most| object.get(name).map(|node| self.reader.number(&node, 0, most)).transpose();
        let duration = |name| object.get(name).map(|node| self.reader.duration(&node, 0, DAY)).transpose();
        let condition = Condition {
            high_watermark_over: number("high_watermark_over", OFFSETS)?,
            high_watermark_gains: number("high_watermark_gains", OFFSETS)?,
            high_watermark_times: number("high_watermark_times", TIMES)?,
            high_watermark_ahead_of: self.optional_target(&object, "high_watermark_ahead_of")?,
            leader: object.get("leader").map(|node| self.leader(&node)).transpose()?,
            elapsed: duration("elapsed")?,
            on: object.get("on").map_or(Ok(On::Any), |node| self.on(&node))?,
            at_most: duration("at_most")?,
        };
        let speaks_of_high_watermark = condition.high_watermark_over.is_some()
            || condition.high_watermark_gains.is_some()
            || condition.high_watermark_times.is_some()
            || condition.high_watermark_ahead_of.is_some();
        if !speaks_of_high_watermark && let Some(on) = object.get("on") {
            let expected = r#"it beside a condition on the high watermark, such as "high_watermark_over""#;
            return Err(self.reader.refuse(&on, "nodes without a condition", expected));
        }
        if !speaks_of_high_watermark && condition.leader.is_none() && condition.elapsed.is_none() {
            let expected = format!("at least one of {}", either(&keys::CONDITION[..6]));
            return Err(self.reader.refuse(node, "a condition that says nothing", expected));
        }
        Ok(condition)
    }

    fn leader(&self, node: &Node<'a>) -> Result<LeaderIs, ScenarioError> {
        if node.as_text() == Some("agreed") {
            return Ok(LeaderIs::Agreed);
        }
        if let Shape::Object(members) = &node.value.shape
            && members.iter().any(|member| member.name == "not")
        {
            let object = self.reader.object(node, &["not"])?;
            let target = self.reader.require(&object, "not")?;
            return self.target(&target, Place::Condition).map(LeaderIs::Not);
        }
        self.target(node, Place::Condition).map(LeaderIs::One)
    }

    fn on(&self, node: &Node<'a>) -> Result<On, ScenarioError> {
        match node.as_text() {
            Some("any") => Ok(On::Any),
            Some("all") => Ok(On::All),
            Some("majority") => Ok(On::Majority),
            _ => self.target(node, Place::Condition).map(On::Target),
        }
    }

    fn optional_target(&self, object: &Object<'a>, name: &str) -> Result<Option<Target>, ScenarioError> {
        object.get(name).map(|node| self.target(&node, Place::Condition)).transpose()
    }

    fn target(&self, node: &Node<'a>, place: Place) -> Result<Target, ScenarioError> {
        match &node.value.shape {
            Shape::Text(word) => self.named(node, word, place),
            Shape::Number(_) => {
                let id = node.as_number().filter(|&id| id < u64::from(self.nodes));
                let last = self.nodes - 1;
                let expected = format!("the id of a node, from 0 to {last} (the fewest nodes that can be drawn count)");
                id.map(|id| Target::Id(id as u32)).ok_or_else(|| self.reader.wrong(node, expected))
            }
            Shape::List(values) if !values.is_empty() => {
                let entries = self.reader.list(node, "a list of nodes")?;
                let targets = entries.iter().map(|entry| self.target(entry, place));
                Ok(Target::List(targets.collect::<Result<_, _>>()?))
            }
            Shape::Object(_) => {
                let object = self.reader.object(node, &["any"])?;
                let of = self.reader.require(&object, "any")?;
                if matches!(place, Place::Condition) {
                    let expected = r#"nodes that stay the same while the condition waits; bind one with "let""#;
                    return Err(self.reader.refuse(node, "a node to be drawn", expected));
                }
                Ok(Target::Any(Box::new(self.target(&of, place)?)))
            }
            _ => Err(self.reader.wrong(node, "a target: a word, an id, a name, a list, or {\"any\": target}")),
        }
    }

    fn named(&self, node: &Node<'a>, word: &str, place: Place) -> Result<Target, ScenarioError> {
        let target = match word {
            "leader" => Target::Leader,
            "voters" => Target::Voters,
            "followers" => Target::Followers,
            "observers" => Target::Observers,
            "all" => Target::All,
            "majority" => Target::Majority,
            "rest" if matches!(place, Place::Action) => Target::Rest,
            "rest" => {
                let expected = r#"nodes by name: "rest" is what an action has not named so far"#;
                return Err(self.reader.wrong(node, expected));
            }
            name if self.names.contains(name) => Target::Name(name.into()),
            _ => {
                let names = self.names.iter().map(String::as_str);
                let known: Vec<&str> = keys::TARGETS.iter().copied().chain(names).collect();
                let expected = match nearest(word, &known) {
                    Some(near) => format!("{near:?}"),
                    None => format!("{}, an id, or a name that an earlier \"let\" bound", either(&known)),
                };
                return Err(self.reader.wrong(node, expected));
            }
        };
        Ok(target)
    }

    fn actions(&self, node: &Node<'a>) -> Result<Vec<Action>, ScenarioError> {
        if !matches!(node.value.shape, Shape::List(_)) {
            return Ok(vec![self.action(node)?]);
        }
        let entries = self.reader.list(node, "a list of actions")?;
        entries.iter().map(|entry| self.action(entry)).collect()
    }

    fn action(&self, node: &Node<'a>) -> Result<Action, ScenarioError> {
        if node.as_text() == Some("heal") {
            return Ok(Action::Heal);
        }
        let known: Vec<&str> = keys::ACTIONS.iter().copied().filter(|&name| name != "heal").collect();
        if let Some(word) = node.as_text() {
            let expected = match nearest(word, &known) {
                None => format!("\"heal\", or an object with one of {}", either(&known)),
                Some(near) => format!("an object such as {{{near:?}: \"leader\"}}"),
            };
            return Err(self.reader.wrong(node, expected));
        }
        let with_options: Vec<&str> = known.iter().copied().chain(["within", "lasting"]).collect();
        let object = self.reader.object(node, &with_options)?;
        let mut named = object.entries().filter(|(name, _)| known.contains(name));
        let (Some((name, value)), None) = (named.next(), named.next()) else {
            return Err(self.reader.refuse(node, "no single action", format!("exactly one of {}", either(&known))));
        };
        for (option, owner) in [("within", "shutdown"), ("lasting", "pause")] {
            if name != owner
                && let Some(node) = object.get(option)
            {
                return Err(self.reader.refuse(&node, "an option of another action", format!("it beside {owner:?}")));
            }
        }
        let duration = |option| object.get(option).map(|node| self.reader.duration(&node, 0, DAY)).transpose();
        let target = || self.target(&value, Place::Action);
        Ok(match name {
            "crash" => Action::Crash(target()?),
            "kill" => Action::Kill(target()?),
            "shutdown" => Action::Shutdown { target: target()?, within: duration("within")?.unwrap_or(GRACE) },
            "pause" => Action::Pause { target: target()?, lasting: duration("lasting")? },
            "restart" => Action::Restart(target()?),
            "wipe" => Action::Wipe(self.victim(&value, FaultKind::Wipe)?),
            "rot" => Action::Rot(self.victim(&value, FaultKind::Rot)?),
            "resign" => Action::Resign(target()?),
            "isolate" => Action::Isolate(target()?),
            "partition" => Action::Partition(self.groups(&value)?),
            "cut" => Action::Cut(self.pairs(&value)?),
            "cut_one_way" => Action::CutOneWay(self.pairs(&value)?),
            _ => Action::OneOf(self.alternatives(&value)?),
        })
    }

    /// Whom a durable fault is for. Voters lose nothing where they are too few to have it from one another.
    fn victim(&self, node: &Node<'a>, kind: FaultKind) -> Result<Target, ScenarioError> {
        let target = self.target(node, Place::Action)?;
        match self.ground.forbids(kind) {
            Some(expected) if self.is_voter(&target) => {
                Err(self.reader.refuse(node, "a fault that cannot happen here", expected))
            }
            _ => Ok(target),
        }
    }

    /// Whether a target is sure to mean voters; who is behind a name is known when the step fires.
    fn is_voter(&self, target: &Target) -> bool {
        match target {
            Target::Leader | Target::Voters | Target::Followers | Target::Majority | Target::All => true,
            Target::Observers | Target::Rest | Target::Name(_) => false,
            Target::Id(id) => *id < self.ground.voters,
            Target::List(targets) => targets.iter().any(|target| self.is_voter(target)),
            Target::Any(of) => self.is_voter(of),
        }
    }

    fn groups(&self, node: &Node<'a>) -> Result<Vec<Target>, ScenarioError> {
        let expected = r#"a list of at least two groups, such as [["leader"], ["rest"]]"#;
        let entries = self.reader.list(node, expected)?;
        if entries.len() < 2 {
            return Err(self.reader.wrong(node, expected));
        }
        entries.iter().map(|entry| self.target(entry, Place::Action)).collect()
    }

    fn pairs(&self, node: &Node<'a>) -> Result<Vec<(Target, Target)>, ScenarioError> {
        let expected = r#"a list of pairs, such as [["leader", 0], [1, 2]]"#;
        let mut pairs = Vec::new();
        for entry in self.reader.list(node, expected)? {
            let ends = self.reader.list(&entry, "a pair of targets")?;
            let [from, to] = ends.as_slice() else {
                return Err(self.reader.wrong(&entry, "a pair of targets"));
            };
            pairs.push((self.target(from, Place::Action)?, self.target(to, Place::Action)?));
        }
        if pairs.is_empty() {
            return Err(self.reader.wrong(node, expected));
        }
        Ok(pairs)
    }

    fn alternatives(&self, node: &Node<'a>) -> Result<Vec<Action>, ScenarioError> {
        let expected = "a list of at least two actions";
        let entries = self.reader.list(node, expected)?;
        if entries.len() < 2 {
            return Err(self.reader.wrong(node, expected));
        }
        entries.iter().map(|entry| self.action(entry)).collect()
    }
}

/// Where a target stands: an action resolves it once, a condition looks at it again and again.
#[derive(Clone, Copy)]
enum Place {
    Action,
    Condition,
}

/// How long a graceful stop may take unless the scenario says otherwise. (Kafka: the budget of its drivers, 5 s.)
pub const GRACE: Duration = Duration::from_secs(5);

/// Nothing in a run takes longer than this.
pub const DAY: u64 = 24 * 3_600_000_000_000;

/// No run writes more records than this.
const OFFSETS: u64 = 1 << 40;

/// No run multiplies its log by more than this.
const TIMES: u64 = 1_000;
