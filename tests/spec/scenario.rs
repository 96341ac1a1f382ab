//! Specification of `scenario`: every shipped file parses, draws within its ranges, and survives being resolved; and what
//! is wrong with a scenario is said in exactly these words.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};

use goldenscript::{Command, Context, Runner};
use kraftbed::check;
use kraftbed::prng::Prng;
use kraftbed::quirk::{Quirk, Quirks};
use kraftbed::scenario::settings::SETTINGS;
use kraftbed::scenario::text::{parse_duration, parse_rate, parse_ratio};
use kraftbed::scenario::{Plan, Scenario, ScenarioError, keys};

#[test]
fn every_shipped_scenario_draws_with_every_seed() {
    for (name, scenario) in shipped() {
        let raw = serde_json::from_str(&read(&format!("scenarios/{name}.json"))).expect("is JSON");
        for seed in 0..100 {
            let plan = scenario.draw(seed, &name);
            assert_eq!((plan.name.as_str(), plan.seed), (name.as_str(), seed));
            assert_within_ranges(&raw, &plan);
            assert!(plan.faults.values().all(|strength| (1..=3).contains(strength)), "{name}");
            assert_eq!(plan, scenario.draw(seed, &name), "{name} draws otherwise a second time");
        }
    }
}

/// Every number that the file gives a range is drawn within it, everything else is as the file says or the default.
fn assert_within_ranges(raw: &serde_json::Value, plan: &Plan) {
    let number = |value: &serde_json::Value| {
        let nanos = value.as_str().and_then(parse_duration).map(|duration| duration.as_nanos() as u64);
        value.as_u64().or(nanos)
    };
    let ends = |value: &serde_json::Value, default: (u64, u64)| match value {
        serde_json::Value::Null => default,
        serde_json::Value::Array(ends) => (number(&ends[0]).expect("a number"), number(&ends[1]).expect("a number")),
        one => (number(one).expect("a number"), number(one).expect("a number")),
    };
    let assert_between = |what: &str, drawn: u64, (least, most): (u64, u64)| {
        assert!((least..=most).contains(&drawn), "{}: {what} is {drawn}, not in {least}..={most}", plan.name);
    };
    assert_between("voters", plan.voters.into(), ends(&raw["voters"], (0, 0)));
    assert_between("observers", plan.observers.into(), ends(&raw["observers"], (0, 0)));
    assert_between(
        "duration",
        plan.duration.as_nanos() as u64,
        ends(&raw["duration"], (30_000_000_000, 30_000_000_000)),
    );
    for setting in SETTINGS {
        let range = ends(&raw["settings"][setting.name], setting.default);
        let (least, most) = (setting.read)(&plan.settings);
        assert_between(setting.name, least, range);
        assert_between(setting.name, most, range);
        assert!(setting.bounds.0 <= least && most <= setting.bounds.1, "{}", setting.name);
    }
}

#[test]
fn a_resolved_scenario_is_a_scenario_and_draws_the_same_plan() {
    for (name, scenario) in shipped() {
        for seed in 0..50 {
            let plan = scenario.draw(seed, &name);
            let text = plan.to_scenario_text();
            let resolved = parse("scenario.json", &text);
            assert_eq!(resolved.seed(), Some(seed));
            for other_seed in [seed, seed + 1] {
                let again = Plan { hash: plan.hash, seed, ..resolved.draw(other_seed, &name) };
                assert_eq!(again, plan, "{name} is resolved to\n{text}");
            }
        }
    }
}

#[test]
fn every_plant_has_a_scenario_that_names_what_must_catch_it() {
    let shipped = shipped();
    for quirk in Quirk::ALL {
        let scenario = &shipped[&format!("planted/{quirk}")];
        assert_eq!(scenario.quirks(), Quirks::NONE.with(quirk), "{quirk}");
        let demanded = scenario.expect().violates.is_some().then_some(1000);
        assert_eq!(scenario.expect().violates.is_none(), quirk.is_harmless(), "{quirk}");
        assert_eq!(scenario.expect().within_seeds, demanded, "{quirk}");
    }
    let elsewhere = shipped.iter().filter(|(name, _)| !name.starts_with("planted/"));
    elsewhere.for_each(|(name, scenario)| assert!(scenario.quirks().is_empty(), "{name} plants a bug"));
}

#[test]
fn bare_names_are_unique() {
    let mut names: Vec<String> =
        shipped().into_keys().map(|path| path.rsplit('/').next().unwrap_or_default().into()).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a bare name means two files: {names:?}");
}

#[test]
fn every_block_of_the_language_by_example_is_a_scenario() {
    let readme = read("scenarios/README.md");
    let blocks: Vec<&str> = readme.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 10, "the language has more to show");
    for block in &blocks {
        let scenario = parse("scenarios/README.md", block);
        for seed in 0..20 {
            scenario.draw(seed, "example");
        }
        let block = serde_json::from_str(block).expect("is JSON");
        assert_eq!(Schema::shipped().objection(&block), None);
    }
    let words = keys::settings().into_iter().chain(keys::SCENARIO.iter().copied());
    for word in words.chain(keys::ACTIONS.iter().copied()).chain(keys::CONDITION.iter().copied()) {
        assert!(readme.contains(word), "the README does not mention {word}");
    }
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema = Schema::shipped();
    let actions = keys::ACTIONS.iter().copied().filter(|&name| name != "heal").chain(["within", "lasting"]);
    let lists: [(&str, Vec<&str>); 9] = [
        ("/properties", keys::SCENARIO.to_vec()),
        ("/definitions/settings/properties", keys::settings()),
        ("/definitions/work/properties", keys::WORK.to_vec()),
        ("/definitions/faults/properties", keys::faults()),
        ("/definitions/step/properties", keys::STEP.to_vec()),
        ("/definitions/condition/properties", keys::CONDITION.to_vec()),
        ("/definitions/action/anyOf/1/properties", actions.collect()),
        ("/definitions/expect/properties", keys::EXPECT.to_vec()),
        ("/definitions/decision/properties", keys::DECISION.to_vec()),
    ];
    for (pointer, known) in lists {
        let properties = schema.root.pointer(pointer).and_then(serde_json::Value::as_object).expect("is an object");
        let listed: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(listed, known.into_iter().collect::<BTreeSet<_>>(), "{pointer}");
    }
    let enums: [(&str, Vec<&str>); 5] = [
        ("/definitions/choice/anyOf/2/enum", keys::words(keys::CHOICES)),
        ("/definitions/plant/enum", Quirk::ALL.map(Quirk::name).to_vec()),
        ("/definitions/faults/properties/swarm/items/enum", keys::families()),
        ("/definitions/work/properties/kind/enum", keys::words(&keys::work_kinds())),
        ("/definitions/work/properties/reads/enum", keys::words(keys::READS)),
    ];
    for (pointer, known) in enums {
        assert_eq!(schema.root.pointer(pointer), Some(&serde_json::json!(known)), "{pointer}");
    }
    let streams = format!("^({})$", keys::STREAMS.join("|").replace('N', "[0-9]+"));
    assert_eq!(schema.root["definitions"]["decision"]["properties"]["stream"]["pattern"], streams.as_str());
}

/// Whatever the reader takes the schema takes: shipped scenarios are damaged in every way that JSON allows. And whatever
/// the reader does not take it refuses with a place, what was found and what was expected.
#[test]
fn what_the_reader_takes_the_schema_takes() {
    let schema = Schema::shipped();
    let mut prng = Prng::new(1, 0);
    let (mut taken, mut refused) = (0, 0);
    let texts: Vec<String> = shipped().keys().map(|name| read(&format!("scenarios/{name}.json"))).collect();
    let readme = read("scenarios/README.md");
    let blocks = readme.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    for text in texts.iter().map(String::as_str).chain(blocks) {
        for _ in 0..100 {
            let mut value = serde_json::from_str(text).expect("is JSON");
            damage(&mut value, &mut prng);
            let damaged = serde_json::to_string_pretty(&value).expect("is JSON");
            match try_parse("x.json", &damaged) {
                Ok(scenario) => {
                    taken += 1;
                    scenario.draw(prng.word(), "x");
                    assert_eq!(schema.objection(&value), None, "the reader takes, the schema does not:\n{damaged}");
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.at.line >= 1 && error.at.column >= 1, "{error}");
                    assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
                }
            }
        }
    }
    assert!(taken > 500 && refused > 2_000, "{taken} taken, {refused} refused");
}

/// Changes one thing somewhere in a value.
fn damage(value: &mut serde_json::Value, prng: &mut Prng) {
    let length = value.as_array().map_or(0, Vec::len).max(value.as_object().map_or(0, serde_json::Map::len));
    if length > 0 && prng.chance(7, 8) {
        let at = prng.below(length as u64) as usize;
        match value {
            serde_json::Value::Array(list) => match prng.below(8) {
                0 => list.truncate(at),
                1 => list.push(list[at].clone()),
                _ => damage(&mut list[at], prng),
            },
            serde_json::Value::Object(members) => {
                let key = members.keys().nth(at).expect("invariant: below the length").clone();
                let other = *prng.pick(&[keys::SCENARIO, keys::WORK, keys::STEP, keys::CONDITION, keys::ACTIONS]);
                match prng.below(8) {
                    0 => drop(members.remove(&key)),
                    1 => drop(members.insert((*prng.pick(other)).to_owned(), members[&key].clone())),
                    _ => damage(&mut members[&key], prng),
                }
            }
            _ => {}
        }
        return;
    }
    let pool = [
        "null",
        "true",
        "[false, true]",
        "0",
        "1",
        "3",
        "[1, 5]",
        "1.5",
        "-1",
        "18446744073709551615",
        "\"\"",
        "\"1s\"",
        "\"1.5ms\"",
        "[\"1s\", \"2s\"]",
        "\"20/s\"",
        "\"1/3\"",
        "\"leader\"",
        "\"all\"",
        "\"agreed\"",
        "\"any\"",
        "{\"any\": \"voters\"}",
        "{\"not\": 1}",
        "[0, 1]",
        "[]",
        "{}",
        "\"heal\"",
        "{\"kill\": 1}",
        "\"weak\"",
        "\"drop\"",
        "{\"keep\": [0, 4]}",
        "\"canary\"",
        "\"none\"",
        "{\"at_least\": 1}",
        "[[0], [1]]",
    ];
    let word: &str = pool[prng.below(pool.len() as u64) as usize];
    *value = serde_json::from_str(word).expect("is JSON");
}

#[test]
fn shipped_and_resolved_scenarios_conform_to_the_schema() {
    let schema = Schema::shipped();
    for (name, scenario) in shipped() {
        let text = read(&format!("scenarios/{name}.json"));
        let resolved = scenario.draw(1, &name).to_scenario_text();
        for text in [text, resolved] {
            let value = serde_json::from_str(&text).expect("is JSON");
            assert_eq!(schema.objection(&value), None, "{name}:\n{text}");
        }
    }
    let misspelt = serde_json::json!({"about": "x", "version": 1, "voters": 3, "steps": [{"do": {"kil": 0}}]});
    assert_ne!(schema.objection(&misspelt), None, "the schema accepts anything");
}

#[test]
fn golden_scripts() {
    for script in ["errors_say_where_which_key_what_and_what_instead", "draws_depend_on_the_seed_and_the_key_alone"] {
        goldenscript::run(&mut Script, Path::new("tests/golden/scenario").join(script)).expect("script holds");
    }
}

/// Runs `text`, `with`, `draw` and `resolve`.
struct Script;

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let seed: u64 = args.take_key("seed").unwrap_or("1").parse()?;
        let argument = args.next_pos().unwrap_or_default().to_string();
        args.reject_next()?;
        let text = match command.name.as_str() {
            "text" => argument,
            _ => format!("{{\"about\": \"x\", \"version\": 1, \"voters\": 3, {argument}}}"),
        };
        let scenario = match try_parse("x.json", &text) {
            Ok(scenario) => scenario,
            Err(error) => return Ok(error.to_string()),
        };
        match command.name.as_str() {
            "draw" => Ok(scenario.draw(seed, "x").to_string()),
            "resolve" => Ok(scenario.draw(seed, "x").to_scenario_text()),
            name => Err(format!("{name} found nothing wrong").into()),
        }
    }
}

/// As much of JSON Schema (draft-07) as `scenarios/schema.json` uses.
struct Schema {
    root: serde_json::Value,
}

impl Schema {
    fn shipped() -> Schema {
        Schema { root: serde_json::from_str(&read("scenarios/schema.json")).expect("is JSON") }
    }

    /// Why a value does not conform.
    fn objection(&self, value: &serde_json::Value) -> Option<String> {
        self.objection_to(value, &self.root)
    }

    fn objection_to(&self, value: &serde_json::Value, schema: &serde_json::Value) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.root.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere");
            return self.objection_to(value, target);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let objections: Vec<Option<String>> =
                choices.iter().map(|choice| self.objection_to(value, choice)).collect();
            if objections.iter().all(Option::is_some) {
                return Some(format!("{value}: {objections:?}"));
            }
        }
        if let Some(all) = schema["allOf"].as_array()
            && let Some(objection) = all.iter().find_map(|part| self.objection_to(value, part))
        {
            return Some(objection);
        }
        let is_good = is_of_type(value, schema) && is_within_bounds(value, schema) && fits_pattern(value, schema);
        if !is_good {
            return Some(format!("{value} is not {schema}"));
        }
        let items = value.as_array().into_iter().flatten();
        items.map(|item| self.objection_to(item, &schema["items"])).find_map(|objection| objection).or_else(|| {
            value.as_object().into_iter().flatten().find_map(|(name, member)| {
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (serde_json::Value::Null, serde_json::Value::Bool(false)) => Some(format!("unknown key {name}")),
                    (serde_json::Value::Null, others) => self.objection_to(member, others),
                    (known, _) => self.objection_to(member, known),
                }
            })
        })
    }
}

fn is_of_type(value: &serde_json::Value, schema: &serde_json::Value) -> bool {
    let is_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        None => true,
        Some(other) => panic!("the schema has a type {other} that this test does not know"),
    };
    let is_listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    is_type && is_listed && schema.get("const").is_none_or(|constant| constant == value)
}

fn is_within_bounds(value: &serde_json::Value, schema: &serde_json::Value) -> bool {
    let within = |size: Option<u64>, least: &str, most: &str| {
        size.is_none_or(|size| {
            schema[least].as_u64().is_none_or(|least| size >= least)
                && schema[most].as_u64().is_none_or(|most| size <= most)
        })
    };
    let has_required = value.as_object().is_none_or(|members| {
        let required = schema["required"].as_array().into_iter().flatten();
        required.filter_map(serde_json::Value::as_str).all(|key| members.contains_key(key))
    });
    has_required
        && within(value.as_array().map(|list| list.len() as u64), "minItems", "maxItems")
        && within(value.as_str().map(|text| text.chars().count() as u64), "minLength", "maxLength")
        && within(value.as_u64(), "minimum", "maximum")
}

/// Each pattern of the schema stands for a reader.
fn fits_pattern(value: &serde_json::Value, schema: &serde_json::Value) -> bool {
    let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) else { return true };
    match pattern {
        r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$" => parse_duration(text).is_some(),
        r"^[0-9]+/([0-9]+(\.[0-9]+)?)?(ns|us|ms|s|m|h)$" => parse_rate(text).is_some(),
        "^[0-9]+/[0-9]+$" => parse_ratio(text).is_some(),
        streams if streams.starts_with("^(answers|") => keys::is_stream(text),
        other => panic!("the schema has a pattern {other} that this test does not know"),
    }
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("is a text")
}

fn parse(file: &str, text: &str) -> Scenario {
    try_parse(file, text).unwrap_or_else(|error| panic!("{error}"))
}

fn try_parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let properties: Vec<&str> = check::all().iter().map(|(name, _)| *name).collect();
    Scenario::parse(file, text, &properties)
}

/// All scenario files by their path below `scenarios/` without `.json`.
fn shipped() -> BTreeMap<String, Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenarios = BTreeMap::new();
    for path in json_files(&root) {
        let below = path.strip_prefix(&root).expect("lies below").with_extension("").display().to_string();
        if below == "schema" {
            continue;
        }
        let file = format!("scenarios/{below}.json");
        scenarios.insert(below, parse(&file, &read(&file)));
    }
    scenarios
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("is a folder").map(|entry| entry.expect("is readable").path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
    let json = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.chain(folders.iter().flat_map(|folder| json_files(folder))).collect()
}
