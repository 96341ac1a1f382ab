//! `sweep.json`: an index as JSON, a run a line.
//!
//! The schema is documented in `sim-results/README.md` and named by `version`. Whoever adds a key leaves the version; whoever
//! changes what a key means, or takes one away, raises it. Sums that can be counted from the runs are written for those who
//! only want to read them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::outcome::Exit;
use crate::report::index::{Failure, Index, Nondeterminism, Run, Shard, Swept, Way};

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
        ("missing_shares", index.missing_shares().into()),
        ("runs_made", index.runs.len().into()),
        ("passed", index.count(Exit::Passed).into()),
        ("failed", (index.count(Exit::Violated) + index.count(Exit::NoProgress)).into()),
        ("undecided", index.count(Exit::Undecided).into()),
        ("events", index.runs.iter().map(|run| run.events).sum::<u64>().into()),
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
