//! [`Scenario`]: a checked scenario whose ranges are still open.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::workload::Reads;
use crate::digest::Digest;
use crate::quirk::{Quirk, Quirks};
use crate::scenario::decisions::read_decisions;
use crate::scenario::draw::Draws;
use crate::scenario::error::{ScenarioError, either, nearest};
use crate::scenario::json::{Shape, Value};
use crate::scenario::keys;
use crate::scenario::plan::{Decisions, Expect, Otherwise, Plan, Settings, Work};
use crate::scenario::reader::{Node, Object, Reader};
use crate::scenario::settings::{SETTINGS, Unit};
use crate::scenario::steps::{DAY, ScriptReader};
use crate::scenario::swarm::{Ground, faults};

/// A scenario that was read and checked. Ranges are still ranges; [`Scenario::draw`] settles them.
///
/// **Invariants.** The text was read without complaint at the least and at the most of every range, so it can be drawn
/// with every seed.
#[derive(Clone, Debug)]
pub struct Scenario {
    file: String,
    hash: u64,
    root: Value,
    properties: Vec<String>,
    /// The plan at the least of every range: for everything that no seed changes.
    least: Plan,
    /// The seed that the text pins.
    seed: Option<u64>,
}

impl Scenario {
    /// Reads and checks a text. `file` is how errors name it; `properties` are the names that `waive` and `violates` may use.
    pub fn parse(file: &str, text: &str, properties: &[&str]) -> Result<Scenario, ScenarioError> {
        let root = Value::parse(text).map_err(|error| ScenarioError {
            file: file.into(),
            at: error.at,
            key: String::new(),
            found: "text that is not JSON".into(),
            expected: format!("JSON ({})", error.rule),
        })?;
        let seed = {
            let reader = Reader { file, draws: Draws::Least, properties };
            read_seed(&reader, &root)?
        };
        read(&Reader { file, draws: Draws::Most, properties }, &root)?;
        let mut least = read(&Reader { file, draws: Draws::Least, properties }, &root)?;
        let hash = Digest::of(text.as_bytes());
        least.hash = hash;
        let properties = properties.iter().map(|name| name.to_string()).collect();
        Ok(Scenario { file: file.into(), hash, root, properties, least, seed })
    }

    /// Settles every range with a seed. `name` is the scenario's name: its file name without `.json`.
    pub fn draw(&self, seed: u64, name: &str) -> Plan {
        let properties: Vec<&str> = self.properties.iter().map(String::as_str).collect();
        let reader = Reader { file: &self.file, draws: Draws::Seeded(seed), properties: &properties };
        let drawn = read(&reader, &self.root);
        let mut plan = drawn.expect("invariant: what was read at both ends of every range can be drawn between them");
        plan.name = name.into();
        plan.hash = self.hash;
        plan.seed = seed;
        plan
    }

    /// Why it exists, one sentence.
    pub fn about(&self) -> &str {
        &self.least.about
    }

    /// The hash of its text: with commit and seed it names a result.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The seed that it pins: it replaces the default 1, and a sweep runs the scenario once.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The bugs that it plants.
    pub fn quirks(&self) -> Quirks {
        self.least.quirks
    }

    /// What must come of a run.
    pub fn expect(&self) -> &Expect {
        &self.least.expect
    }

    /// After how many seeds a sweep demands that everything was reached.
    pub fn covers_within(&self) -> u64 {
        self.least.covers_within
    }
}

/// Reads a whole scenario in one way: at the least or the most of every range, or drawn.
fn read(reader: &Reader<'_>, root: &Value) -> Result<Plan, ScenarioError> {
    let root = Node { path: String::new(), value: root };
    let object = reader.object(&root, keys::SCENARIO)?;
    let about = read_about(reader, &object)?;
    let version = reader.require(&object, "version")?;
    if version.as_number() != Some(VERSION) {
        return Err(reader.wrong(&version, format!("{VERSION}, the only version of the language")));
    }
    let voters = reader.number(&reader.require(&object, "voters")?, 1, VOTERS_MAX)? as u32;
    let observers = optional(&object, "observers", 0, |node| reader.number(node, 0, OBSERVERS_MAX))? as u32;
    let datagram = optional(&object, "datagram", false, |node| reader.truth(node))?;
    let beyond_budget = optional(&object, "beyond_budget", false, |node| reader.truth(node))?;
    let ground = Ground { voters, datagram, beyond_budget };
    if voters + observers > NODES_MAX {
        let node = object.get("observers").map_or_else(|| reader.require(&object, "voters"), Ok)?;
        let found = format!("{} nodes", voters + observers);
        return Err(reader.refuse(&node, found, format!("at most {NODES_MAX}, voters and observers together")));
    }
    let mut script = ScriptReader::new(reader, ground, voters + observers);
    let plan = Plan {
        name: String::new(),
        about,
        hash: 0,
        seed: 0,
        voters,
        observers,
        settings: optional(&object, "settings", Settings::default(), |node| read_settings(reader, node))?,
        workload: optional(&object, "workload", Vec::new(), |node| read_workload(reader, node, datagram))?,
        faults: optional(&object, "faults", BTreeMap::new(), |node| faults(reader, node, ground))?,
        steps: optional(&object, "steps", Vec::new(), |node| script.steps(node))?,
        duration: optional(&object, "duration", DURATION, |node| reader.duration(node, 1, DAY))?,
        until: object.get("until").map(|node| script.until(&node)).transpose()?,
        waive: optional(&object, "waive", Vec::new(), |node| read_waive(reader, node))?,
        expect: optional(&object, "expect", Expect::default(), |node| read_expect(reader, node))?,
        quirks: optional(&object, "plant", Quirks::NONE, |node| read_plant(reader, node))?,
        beyond_budget,
        datagram,
        shuffle_ties: optional(&object, "shuffle_ties", false, |node| reader.truth(node))?,
        decisions: optional(&object, "decisions", Decisions::new(), |node| read_decisions(reader, node))?,
        otherwise: optional(&object, "otherwise", Otherwise::Seed, |node| reader.word(node, OTHERWISE))?,
        covers_within: optional(&object, "covers_within", 1_000, |node| reader.number(node, 1, u64::MAX))?,
    };
    check_whole(reader, &object, &plan)?;
    Ok(plan)
}

/// Rules that bind several keys.
fn check_whole(reader: &Reader<'_>, object: &Object<'_>, plan: &Plan) -> Result<(), ScenarioError> {
    if plan.beyond_budget && plan.waive.is_empty() {
        let node = reader.require(object, "beyond_budget")?;
        return Err(reader.refuse(
            &node,
            "no waived property",
            r#""waive" to list what need not hold beyond the budget"#,
        ));
    }
    let violates = plan.expect.violates.is_some();
    let is_harmful = plan.quirks.iter().any(|quirk| !quirk.is_harmless());
    if violates && !is_harmful {
        let expect = reader.object(&reader.require(object, "expect")?, keys::EXPECT)?;
        let node = reader.require(&expect, "violates")?;
        return Err(reader.refuse(
            &node,
            "a violation without a planted bug",
            r#""plant" with the bug that causes it"#,
        ));
    }
    let has_swarm = object.get("faults").is_some_and(|faults| match &faults.value.shape {
        Shape::Object(members) => members.iter().any(|member| member.name == "swarm"),
        _ => false,
    });
    if has_swarm && let Some(expect) = object.get("expect") {
        let expect = reader.object(&expect, keys::EXPECT)?;
        if let Some(node) = expect.get("leader_changes").filter(|node| !matches!(node.value.shape, Shape::Object(_))) {
            let expected = r#"{"at_least": …, "at_most": …}: a swarm has no exact number of them"#;
            return Err(reader.wrong(&node, expected));
        }
    }
    Ok(())
}

fn read_seed(reader: &Reader<'_>, root: &Value) -> Result<Option<u64>, ScenarioError> {
    let root = Node { path: String::new(), value: root };
    let object = reader.object(&root, keys::SCENARIO)?;
    let expected = "a whole number; ranges are drawn from the seed, not the seed from them";
    let number = |node: Node<'_>| node.as_number().ok_or_else(|| reader.wrong(&node, expected));
    object.get("seed").map(number).transpose()
}

fn read_about(reader: &Reader<'_>, object: &Object<'_>) -> Result<String, ScenarioError> {
    let expected = r#""about", one sentence that says why this scenario exists"#;
    match object.entries().next() {
        Some(("about", node)) => {
            let about = reader.text(&node)?;
            if about.trim().is_empty() {
                return Err(reader.wrong(&node, "one sentence that says why this scenario exists"));
            }
            Ok(about.into())
        }
        Some((name, node)) => Err(reader.refuse(&node, format!("{name:?} as the first key"), expected)),
        None => Err(reader.refuse(object.node(), "an empty object", expected)),
    }
}

fn read_settings(reader: &Reader<'_>, node: &Node<'_>) -> Result<Settings, ScenarioError> {
    let object = reader.object(node, &keys::settings())?;
    let mut settings = Settings::default();
    for setting in SETTINGS {
        let Some(node) = object.get(setting.name) else { continue };
        let (least, most) = setting.bounds;
        let value = match setting.unit {
            Unit::Span => reader.span(&node, least, most)?,
            Unit::Duration => {
                let nanos = reader.duration(&node, least, most)?.as_nanos() as u64;
                (nanos, nanos)
            }
            Unit::Bytes => {
                let size = reader.size(&node, least, most)?;
                (size, size)
            }
            Unit::PartsPerMillion => {
                let number = reader.number(&node, least, most)?;
                (number, number)
            }
        };
        (setting.write)(&mut settings, value);
    }
    Ok(settings)
}

fn read_workload(reader: &Reader<'_>, node: &Node<'_>, datagram: bool) -> Result<Vec<Work>, ScenarioError> {
    let entries = reader.list(node, "a list of groups of clients")?;
    let mut workload = Vec::new();
    let mut clients = 0;
    for entry in &entries {
        let work = read_work(reader, entry, datagram)?;
        clients += work.clients;
        if clients > CLIENTS_MAX {
            return Err(reader.refuse(entry, format!("{clients} clients"), format!("at most {CLIENTS_MAX} in all")));
        }
        workload.push(work);
    }
    Ok(workload)
}

fn read_work(reader: &Reader<'_>, node: &Node<'_>, datagram: bool) -> Result<Work, ScenarioError> {
    let object = reader.object(node, keys::WORK)?;
    let work = Work {
        clients: reader.number(&reader.require(&object, "clients")?, 1, CLIENTS_MAX.into())? as u32,
        kind: reader.word(&reader.require(&object, "kind")?, &keys::work_kinds())?,
        operations: object.get("operations").map(|node| reader.number(&node, 1, OPERATIONS_MAX)).transpose()?,
        rate: object.get("rate").map(|node| reader.rate(&node)).transpose()?,
        value_bytes: optional(&object, "value_bytes", 64, |node| reader.number(node, 16, VALUE_BYTES_MAX))? as usize,
        reads: optional(&object, "reads", Reads::Tail, |node| reader.word(node, keys::READS))?,
    };
    if work.operations.is_none() && work.rate.is_none() {
        return Err(reader.refuse(node, "clients without work", r#""operations", "rate", or both"#));
    }
    if let Some((count, period)) = work.rate
        && period * work.clients < PACE * u32::try_from(count).unwrap_or(u32::MAX)
    {
        let node = reader.require(&object, "rate")?;
        return Err(reader.wrong(&node, "at most a million a second for each client"));
    }
    if work.kind.is_about_keys() && work.reads == Reads::Committed {
        let node = reader.require(&object, "reads")?;
        return Err(reader.refuse(&node, "clients of keys that read what is committed", r#""tail" or "none""#));
    }
    if datagram && work.reads == Reads::Tail {
        let node = object.get("reads").unwrap_or_else(|| node.clone());
        let expected = r#""reads": "committed" or "none": without connections nothing confirms a leader"#;
        return Err(reader.refuse(&node, "linearizable reads in datagram mode", expected));
    }
    Ok(work)
}

fn read_waive(reader: &Reader<'_>, node: &Node<'_>) -> Result<Vec<String>, ScenarioError> {
    let entries = reader.list(node, "a list of properties")?;
    let mut waived = Vec::new();
    for entry in &entries {
        let property = reader.property(entry)?;
        if waived.contains(&property) {
            return Err(reader.wrong(entry, "each property once"));
        }
        waived.push(property);
    }
    Ok(waived)
}

fn read_plant(reader: &Reader<'_>, node: &Node<'_>) -> Result<Quirks, ScenarioError> {
    let entries = match &node.value.shape {
        Shape::List(_) => reader.list(node, "a list of planted bugs")?,
        _ => vec![node.clone()],
    };
    let known = Quirk::ALL.map(Quirk::name);
    let mut quirks = Quirks::NONE;
    for entry in entries {
        let name = reader.text(&entry)?;
        let Some(quirk) = Quirk::parse(name) else {
            let near = nearest(name, &known).map(|near| format!("{near:?}"));
            return Err(reader.wrong(&entry, near.unwrap_or_else(|| format!("one of {}", either(&known)))));
        };
        quirks = quirks.with(quirk);
    }
    Ok(quirks)
}

fn read_expect(reader: &Reader<'_>, node: &Node<'_>) -> Result<Expect, ScenarioError> {
    let object = reader.object(node, keys::EXPECT)?;
    let expect = Expect {
        leader_changes: object.get("leader_changes").map(|node| read_bounds(reader, &node)).transpose()?,
        violates: object.get("violates").map(|node| reader.property(&node)).transpose()?,
        within_seeds: object.get("within_seeds").map(|node| reader.number(&node, 1, u64::MAX)).transpose()?,
    };
    if expect.violates.is_none()
        && let Some(node) = object.get("within_seeds")
    {
        return Err(reader.refuse(&node, "a number of seeds for nothing", r#"it beside "violates""#));
    }
    Ok(expect)
}

fn read_bounds(reader: &Reader<'_>, node: &Node<'_>) -> Result<(u64, u64), ScenarioError> {
    if !matches!(node.value.shape, Shape::Object(_)) {
        let exact = node.as_number();
        return exact
            .map(|exact| (exact, exact))
            .ok_or_else(|| reader.wrong(node, r#"a whole number, or {"at_least": …, "at_most": …}"#));
    }
    let object = reader.object(node, &["at_least", "at_most"])?;
    let least = optional(&object, "at_least", 0, |node| reader.number(node, 0, u64::MAX))?;
    let most = optional(&object, "at_most", u64::MAX, |node| reader.number(node, 0, u64::MAX))?;
    if least > most {
        return Err(reader.wrong(node, "\"at_least\" not to be larger than \"at_most\""));
    }
    Ok((least, most))
}

fn optional<'a, T>(
    object: &Object<'a>,
    name: &str,
    default: T,
    read: impl FnOnce(&Node<'a>) -> Result<T, ScenarioError>,
) -> Result<T, ScenarioError> {
    object.get(name).map_or(Ok(default), |node| read(&node))
}

/// The words of `otherwise`.
pub const OTHERWISE: &[(&str, Otherwise)] = &[("seed", Otherwise::Seed), ("neutral", Otherwise::Neutral)];

/// The version of the language.
const VERSION: u64 = 1;

/// How long faults run unless the scenario says otherwise.
const DURATION: Duration = Duration::from_secs(30);

/// No client asks more often.
const PACE: Duration = Duration::from_micros(1);

/// Most nodes of a cluster, observers included.
pub const NODES_MAX: u32 = 16;

/// Most clients.
pub const CLIENTS_MAX: u32 = 31;
const VOTERS_MAX: u64 = 9;
const OBSERVERS_MAX: u64 = 16;
const OPERATIONS_MAX: u64 = 10_000_000;
const VALUE_BYTES_MAX: u64 = 1 << 20;
