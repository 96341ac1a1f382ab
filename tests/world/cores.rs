//! The few operations that a reader is shown of each planted bug that clients alone can tell: golden scripts.
//!
//! `run SCENARIO seed=N` makes the run, prints its verdict, and the core that `linearizability.json` holds. Whoever asks is told the
//! same: `kraftbed check` of the history that was kept, and the page.

use std::error::Error;
use std::fmt::Write;

use goldenscript::{Command, Context, Runner};
use kraftbed::campaign::Library;
use kraftbed::time::Instant;
use serde_json::Value;

use crate::plants::CAUGHT;
use crate::program::{Desk, ROOT};

/// The properties that know nothing but what clients asked and were told.
const HISTORY_JUDGES: [&str; 3] = ["kv_linearizable", "log_linearizable", "producers_in_order"];

/// What a terminal shows at a glance.
const OPERATIONS_MAX: usize = 10;

#[test]
fn cores_are_a_few_operations_and_the_same_everywhere() {
    let scripts = scripts();
    let show = |names: &[String]| {
        for name in names {
            let mut reader = Reader { desk: Desk::new(&format!("core-{name}")) };
            let path = format!("{ROOT}/tests/golden/cores/{name}");
            goldenscript::run(&mut reader, &path).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    };
    // Each is a run and three processes: two at a time.
    let (first, second) = scripts.split_at(scripts.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| show(second));
        show(first);
    });
}

#[test]
fn every_plant_that_clients_can_tell_has_a_core() {
    let (library, scripts) = (Library::new(format!("{ROOT}/scenarios")), scripts());
    let mut shown = 0;
    for (name, seed) in CAUGHT {
        let named = library.find(name).unwrap_or_else(|error| panic!("{error}")).remove(0);
        let expected = named.scenario.expect().violates.clone().expect("a planted scenario names a property");
        if !HISTORY_JUDGES.contains(&&*expected) {
            continue;
        }
        assert!(scripts.iter().any(|script| script == name), "tests/golden/cores/{name} is missing");
        let script = std::fs::read_to_string(format!("{ROOT}/tests/golden/cores/{name}")).expect("a script");
        assert!(script.contains(&format!("run {name} seed={seed}\n")), "{name}: seed {seed} is pinned");
        shown += 1;
    }
    assert_eq!(shown, scripts.len(), "no script without a plant");
    assert!(shown >= 12, "{shown} plants are caught by what clients were told alone");
}

fn scripts() -> Vec<String> {
    let folder = std::fs::read_dir(format!("{ROOT}/tests/golden/cores")).expect("a folder of scripts");
    let mut names: Vec<String> =
        folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")).collect();
    names.sort();
    names
}

struct Reader {
    desk: Desk,
}

impl Runner for Reader {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let (name, seed) = (args.next_pos().expect("a scenario").to_owned(), args.take_key("seed").expect("a seed"));
        args.reject_next()?;
        assert_eq!(command.name, "run");
        let scenario = format!("{ROOT}/scenarios/planted/{name}.json");
        let answer = self.desk.call(&["run", &scenario, "--seed", seed, "--junit", "junit.xml"]);
        assert_eq!(answer.code, 1, "{name}: {}", answer.stdout);
        let folder = format!("sim-results/{name}/{seed}");
        let verdict = self.json(&folder, "verdict.json");
        let facts = self.json(&folder, "linearizability.json");
        self.is_told_wherever_it_failed(&folder, &answer.stdout, &facts);
        self.is_what_check_says(&folder, &facts);
        self.is_on_the_page(&folder, &facts);
        assert_eq!((&facts["version"], &facts["verdict"]), (&1.into(), &"not_linearizable".into()), "{name}");
        assert_eq!(facts["message"], verdict["message"], "{name}: the run and its history are told apart");
        Ok(words(&verdict, &facts))
    }
}

impl Reader {
    fn json(&self, folder: &str, file: &str) -> Value {
        let path = self.desk.folder.join(folder).join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("one JSON object")
    }

    fn is_what_check_says(&self, folder: &str, facts: &Value) {
        let told = self.desk.json(&["check", &format!("{folder}/history.jsonl")], 1);
        for key in ["model", "operations", "verdict", "message", "core"] {
            assert_eq!(told["histories"][0][key], facts[key], "{folder}: {key}");
        }
    }

    /// Terminal, summary and build server show the operations that conflict, and not how the run went on for seconds.
    fn is_told_wherever_it_failed(&self, folder: &str, stdout: &str, facts: &Value) {
        let read = |file: &str| std::fs::read_to_string(self.desk.folder.join(file)).expect("it was written");
        let junit = read("junit.xml").replace("&quot;", "\"").replace("&gt;", ">");
        for text in [stdout, &read(&format!("{folder}/summary.txt")), &junit] {
            let (_, rest) = text.split_once("the operations that conflict:\n\n").expect("a table");
            let rows: Vec<&str> = rest.lines().skip(1).take_while(|line| !line.is_empty()).collect();
            for told in facts["core"].as_array().expect("a list") {
                let invoked = Instant(told["invoked"].as_u64().expect("a time")).to_string();
                let client = format!("  {} ", told["client"]);
                let is_it = |row: &&str| row.starts_with(&client) && row.contains(&invoked);
                assert!(rows.iter().any(is_it), "{folder}: {told} is missing\n{text}");
            }
            assert!(!text.contains("the last 8 events"), "{folder}: what happened at the end says nothing\n{text}");
        }
    }

    /// The page shows the same operations, in the same order.
    fn is_on_the_page(&self, folder: &str, facts: &Value) {
        let made = self.desk.call(&["report", folder]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let page = std::fs::read_to_string(self.desk.folder.join(folder).join("report.html")).expect("a page");
        let (_, rest) = page.split_once("id=\"data\">").expect("data");
        let data: Value = serde_json::from_str(rest.split("</script>").next().expect("an end")).expect("JSON");
        let number = |value: &Value| value.as_u64().expect("a number") as usize;
        let marks = |index: &Value| {
            let [place, text] = [0, 1].map(|column| number(&data["operations"][number(&index[0])][column]));
            let is_append = data["texts"][text].as_str().expect("a text").starts_with("append ");
            (index[0].clone(), data["places"][place].clone(), is_append)
        };
        let shown: Vec<_> = data["finding"]["conflict"].as_array().expect("a list").iter().map(marks).collect();
        let core = facts["core"].as_array().expect("a list").iter();
        let mark = |told: &Value| (told["index"].clone(), format!("c{}", told["client"]).into(), told["f"] == "append");
        let expected: Vec<_> = core.map(mark).collect();
        assert_eq!(shown, expected, "{folder}: the page shows another core");
    }
}

fn words(verdict: &Value, facts: &Value) -> String {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut out =
        format!("{} {}\n{}\n", text(&verdict["verdict"]), text(&verdict["property"]), text(&facts["message"]));
    let core = facts["core"].as_array().expect("a list");
    assert!((1..=OPERATIONS_MAX).contains(&core.len()), "a core of {} operations: {out}", core.len());
    for told in core {
        let at = |key: &str| told[key].as_u64().map_or("never".to_owned(), |at| Instant(at).to_string());
        let (f, what) = (text(&told["f"]), text(&told["told"]));
        let (invoked, returned) = (at("invoked"), at("returned"));
        writeln!(out, "  client {}  {f} {what}  ({invoked} to {returned})", told["client"]).expect("a text");
    }
    out
}
