//! `sweep.json`: an index as JSON, a run a line, and back.
//!
//! The schema is documented in `sim-results/README.md` and named by `version`. Whoever adds a key leaves the version; whoever
//! changes what a key means, or takes one away, raises it. Sums that can be counted from the runs are written for those who
//! only want to read them; whoever reads a file back counts them again, and refuses it if they are not what its runs come to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::check::is_liveness;
use crate::outcome::{Exit, signature_of};
use crate::report::index::{Failure, Index, Maker, Nondeterminism, Run, Shard, Swept, Totals, Trouble, Way};

/// The version of the schema.
pub const VERSION: u64 = 1;

/// The index as the text of a file.
pub fn write(index: &Index) -> String {
    let mut out = String::from("{\n");
    let entries = entries(index);
    for (number, (key, value)) in entries.iter().enumerate() {
        let end = if number + 1 < entries.len() { "," } else { "" };
        let text = match value {
            Value::Array(items) if !items.is_empty() => {
                let lines: Vec<String> = items.iter().map(|item| format!("    {item}")).collect();
                format!("[\n{}\n  ]", lines.join(",\n"))
            }
            other => other.to_string(),
        };
        out.push_str(&format!("  \"{key}\": {text}{end}\n"));
    }
    out.push_str("}\n");
    out
}

fn entries(index: &Index) -> Vec<(&'static str, Value)> {
    let maker = &index.maker;
    let pairs = index.pairs.iter().map(|((first, second), runs)| json!([first, second, runs]));
    vec![
        ("version", VERSION.into()),
        ("kraftbed", maker.version.clone().into()),
        ("program", hexadecimal(maker.program)),
        ("plants", maker.plants.clone().into()),
        ("events_max", json!(maker.events_max)),
        ("verdict", index.exit().word().into()),
        ("digest", hexadecimal(index.digest())),
        ("partial", index.is_partial().into()),
        ("joined", index.is_joined.into()),
        ("missing_shares", index.missing_shares().into()),
        ("runs_made", index.runs.len().into()),
        ("passed", index.count(Exit::Passed).into()),
        ("failed", (index.count(Exit::Violated) + index.count(Exit::NoProgress)).into()),
        ("undecided", index.count(Exit::Undecided).into()),
        ("events", index.runs.iter().fold(0u64, |sum, run| sum.saturating_add(run.events)).into()),
        ("messages", index.totals.messages.into()),
        ("operations", index.totals.operations.into()),
        ("virtual_ns", nanoseconds(index.totals.virtual_time).into()),
        ("shards", index.shards.iter().map(shard).collect()),
        ("scenarios", index.scenarios.iter().map(swept).collect()),
        ("failures", failures(index)),
        ("nondeterminism", index.nondeterminism.iter().map(nondeterminism).collect()),
        ("faults", json!(index.faults)),
        ("fault_pairs", pairs.collect()),
        ("exercised", json!(index.exercised)),
        ("expected", json!(index.expected)),
        ("never_exercised", json!(index.never_exercised())),
        ("runs", index.runs.iter().map(|made| run(index, made)).collect()),
    ]
}

fn shard(shard: &Shard) -> Value {
    json!({
        "seeds": shard.seeds,
        "seed_base": shard.seed_base,
        "partition": format!("slice:{}/{}", shard.partition.0, shard.partition.1),
        "partial": shard.is_partial,
        "wall_ms": u64::try_from(shard.wall.as_millis()).unwrap_or(u64::MAX),
    })
}

fn swept(swept: &Swept) -> Value {
    json!({
        "path": swept.path,
        "name": swept.name,
        "hash": hexadecimal(swept.hash),
        "pinned": swept.is_pinned,
        "covers_within": swept.covers_within,
    })
}

fn failures(index: &Index) -> Value {
    let of = |signature: &str| index.failures.get(signature).cloned().unwrap_or_default();
    let failure = |way: Way<'_>| {
        let signature = way.trouble.signature.as_deref().unwrap_or_default();
        let Failure { causes, folder } = of(signature);
        json!({
            "signature": signature,
            "property": way.trouble.property,
            "message": way.trouble.message,
            "count": way.count,
            "runs_of": way.runs_of,
            "scenario": index.scenarios[way.smallest.scenario].path,
            "seed": way.smallest.seed,
            "replay": way.trouble.replay,
            "causes": causes,
            "folder": folder,
        })
    };
    index.ways().into_iter().map(failure).collect()
}

fn nondeterminism(found: &Nondeterminism) -> Value {
    let (first, second) = found.digests;
    json!({
        "scenario": found.scenario,
        "seed": found.seed,
        "digests": [hexadecimal(first), hexadecimal(second)],
    })
}

fn run(index: &Index, run: &Run) -> Value {
    let mut object = json!({
        "scenario": index.scenarios[run.scenario].path,
        "seed": run.seed,
        "verdict": run.exit.word(),
        "digest": hexadecimal(run.digest),
        "events": run.events,
        "wall_ms": run.wall_ms,
    });
    if let Some(trouble) = &run.trouble {
        object["property"] = json!(trouble.property);
        object["message"] = json!(trouble.message);
        object["signature"] = json!(trouble.signature);
        object["replay"] = json!(trouble.replay);
    }
    object
}

fn hexadecimal(word: u64) -> Value {
    format!("0x{word:016x}").into()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An index from the text of a file; the error says what is wrong with it.
pub fn read(text: &str) -> Result<Index, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let top = Object { at: String::new(), map: value.as_object().ok_or("is no JSON object")? };
    match top.number("version")? {
        VERSION => {}
        other => return Err(format!("has schema version {other}; this program reads version {VERSION}")),
    }
    let scenarios = top.objects("scenarios")?.iter().map(read_swept).collect::<Result<Vec<_>, _>>()?;
    let mut index = Index {
        maker: Maker {
            version: top.text("kraftbed")?,
            program: top.word("program")?,
            plants: top.texts("plants")?,
            events_max: top.optional_number("events_max")?,
        },
        shards: top.objects("shards")?.iter().map(read_shard).collect::<Result<_, _>>()?,
        is_joined: matches!(top.map.get("joined"), Some(Value::Bool(true))),
        runs: top.objects("runs")?.iter().map(|run| read_run(run, &scenarios)).collect::<Result<_, _>>()?,
        scenarios,
        failures: BTreeMap::new(),
        totals: Totals {
            messages: top.number("messages")?,
            operations: top.number("operations")?,
            virtual_time: Duration::from_nanos(top.number("virtual_ns")?),
        },
        faults: top.counts("faults")?,
        pairs: top.array("fault_pairs")?.iter().map(read_pair).collect::<Result<_, _>>()?,
        exercised: top.counts("exercised")?,
        expected: top.texts("expected")?.into_iter().collect(),
        nondeterminism: top.objects("nondeterminism")?.iter().map(read_nondeterminism).collect::<Result<_, _>>()?,
    };
    for failure in top.objects("failures")? {
        let told = Failure { causes: failure.text("causes")?, folder: failure.optional_text("folder")? };
        index.failures.insert(failure.text("signature")?, told);
    }
    index.sort();
    let (told, counted) = (top.word("digest")?, index.digest());
    match told == counted {
        true => check_counts(&index, &top).map(|()| index),
        false => Err(format!("says digest 0x{told:016x}, and its runs come to 0x{counted:016x}: it was changed")),
    }
}

/// What is written again must be what was read, whatever of it is counted.
fn check_counts(index: &Index, top: &Object<'_>) -> Result<(), String> {
    for (key, counted) in entries(index) {
        match (top.map.get(key), &counted) {
            // (Not in files from before shards were joined to a whole.)
            (None, _) if key == "joined" => {}
            (Some(told), counted) if told == counted => {}
            (Some(Value::Array(told)), Value::Array(counted)) => {
                let place = (0..told.len().max(counted.len())).find(|&place| told.get(place) != counted.get(place));
                let place = place.unwrap_or_default();
                let [told, counted] =
                    [told, counted].map(|list| list.get(place).map_or("nothing".to_owned(), Value::to_string));
                return Err(format!(
                    "says {told} in \"{key}[{place}]\", and its runs come to {counted}: it was changed"
                ));
            }
            (told, counted) => {
                let told = told.map_or("nothing".to_owned(), Value::to_string);
                return Err(format!("says \"{key}\" is {told}, and its runs come to {counted}: it was changed"));
            }
        }
    }
    Ok(())
}

fn read_swept(object: &Object<'_>) -> Result<Swept, String> {
    Ok(Swept {
        path: object.text("path")?,
        name: object.text("name")?,
        hash: object.word("hash")?,
        is_pinned: object.boolean("pinned")?,
        covers_within: object.number("covers_within")?,
    })
}

fn read_shard(object: &Object<'_>) -> Result<Shard, String> {
    let partition = object.text("partition")?;
    let parsed = partition.strip_prefix("slice:").and_then(|rest| rest.split_once('/'));
    let parsed = parsed.and_then(|(m, n)| Some((m.parse().ok()?, n.parse().ok()?)));
    Ok(Shard {
        seeds: object.number("seeds")?,
        seed_base: object.number("seed_base")?,
        partition: parsed
            .filter(|(m, n)| 1 <= *m && m <= n && *n <= SHARES_MAX)
            .ok_or_else(|| object.wrong("partition", &format!("expected slice:m/n, n at most {SHARES_MAX}")))?,
        is_partial: object.boolean("partial")?,
        wall: Duration::from_millis(object.number("wall_ms")?),
    })
}

fn read_run(object: &Object<'_>, scenarios: &[Swept]) -> Result<Run, String> {
    let path = object.text("scenario")?;
    let scenario = scenarios.iter().position(|swept| swept.path == path);
    let verdict = object.text("verdict")?;
    let exit = Exit::ALL.into_iter().find(|exit| exit.word() == verdict);
    let trouble = match exit {
        Some(Exit::Passed) => None,
        _ => Some(Box::new(Trouble {
            property: object.optional_text("property")?,
            message: object.text("message")?,
            signature: object.optional_text("signature")?,
            replay: object.text("replay")?,
        })),
    };
    check_verdict(object, exit, trouble.as_deref())?;
    Ok(Run {
        scenario: scenario.ok_or_else(|| object.wrong("scenario", "expected a path of \"scenarios\""))?,
        seed: object.number("seed")?,
        exit: exit.ok_or_else(|| object.wrong("verdict", "expected a verdict's word"))?,
        digest: object.word("digest")?,
        events: object.number("events")?,
        wall_ms: object.number("wall_ms")?,
        trouble,
    })
}

/// A run's verdict, the property and the message tell each other.
fn check_verdict(object: &Object<'_>, exit: Option<Exit>, trouble: Option<&Trouble>) -> Result<(), String> {
    let property = trouble.and_then(|trouble| trouble.property.as_deref());
    let due = match (trouble, property) {
        (None, _) => Exit::Passed,
        (Some(_), None) => Exit::Undecided,
        (Some(_), Some(property)) if is_liveness(property) => Exit::NoProgress,
        (Some(_), Some(_)) => Exit::Violated,
    };
    if exit.is_some_and(|exit| exit != due) {
        return Err(object.wrong("verdict", &format!("expected \"{}\" beside that property", due.word())));
    }
    let signature = trouble.zip(property).map(|(trouble, property)| signature_of(property, &trouble.message));
    match trouble.is_some_and(|trouble| trouble.signature != signature) {
        false => Ok(()),
        true => Err(object.wrong("signature", "expected what its property and message come to")),
    }
}

fn read_pair(value: &Value) -> Result<((String, String), u64), String> {
    let parts = value.as_array().map(Vec::as_slice);
    if let Some([Value::String(first), Value::String(second), Value::Number(runs)]) = parts
        && let Some(runs) = runs.as_u64()
    {
        return Ok(((first.clone(), second.clone()), runs));
    }
    Err(format!("\"fault_pairs\": found {value}, expected two names and a number"))
}

fn read_nondeterminism(object: &Object<'_>) -> Result<Nondeterminism, String> {
    let words: Vec<Option<u64>> = object.texts("digests")?.iter().map(|text| word(text)).collect();
    match words[..] {
        [Some(first), Some(second)] => Ok(Nondeterminism {
            scenario: object.text("scenario")?,
            seed: object.number("seed")?,
            digests: (first, second),
        }),
        _ => Err(object.wrong("digests", "expected two digests")),
    }
}

/// An object that is read: where it is, and what it says.
struct Object<'a> {
    at: String,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn wrong(&self, key: &str, why: &str) -> String {
        let found = self.map.get(key).map_or("nothing".to_owned(), |value| value.to_string());
        format!("\"{}{key}\": found {found}, {why}", self.at)
    }

    fn take<T>(&self, key: &str, what: &str, take: impl FnOnce(&'a Value) -> Option<T>) -> Result<T, String> {
        self.map.get(key).and_then(take).ok_or_else(|| self.wrong(key, &format!("expected {what}")))
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        self.take(key, "a number", Value::as_u64)
    }

    fn boolean(&self, key: &str) -> Result<bool, String> {
        self.take(key, "true or false", Value::as_bool)
    }

    fn text(&self, key: &str) -> Result<String, String> {
        self.take(key, "a text", Value::as_str).map(str::to_owned)
    }

    fn optional_text(&self, key: &str) -> Result<Option<String>, String> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(key).map(Some),
        }
    }

    fn optional_number(&self, key: &str) -> Result<Option<u64>, String> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.number(key).map(Some),
        }
    }

    fn word(&self, key: &str) -> Result<u64, String> {
        self.take(key, "0x and 16 digits", |value| word(value.as_str()?))
    }

    fn array(&self, key: &str) -> Result<&'a Vec<Value>, String> {
        self.take(key, "a list", Value::as_array)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let texts = |value: &Value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        self.take(key, "a list of texts", texts)
    }

    fn counts(&self, key: &str) -> Result<BTreeMap<String, u64>, String> {
        let counts = |value: &Value| {
            let object = value.as_object()?;
            object.iter().map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect::<Option<_>>()
        };
        self.take(key, "names with a number each", counts)
    }

    fn objects(&self, key: &str) -> Result<Vec<Object<'a>>, String> {
        let objects = self.array(key)?.iter().enumerate().map(|(number, value)| {
            let at = format!("{}{key}[{number}].", self.at);
            let map =
                value.as_object().ok_or_else(|| format!("\"{key}[{number}]\": found {value}, expected an object"))?;
            Ok(Object { at, map })
        });
        objects.collect()
    }
}

fn word(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// A sweep is cut into so many shares at most.
pub const SHARES_MAX: u64 = 65_536;
