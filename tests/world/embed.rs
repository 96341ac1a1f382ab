//! The library API: a scenario is text, a run is a value.

use kraftbed::outcome::Verdict;
use kraftbed::scenario::Scenario;
use kraftbed::sim::{RunOptions, run};

#[test]
fn a_scenario_written_here_runs_and_is_judged() {
    let text = r#"{
        "about": "Three voters elect a leader and keep ten records, while one of them is cut off.",
        "version": 1,
        "voters": 3,
        "workload": [{ "clients": 1, "kind": "append", "operations": 10 }],
        "steps": [
            { "when": { "leader": "agreed" }, "let": { "victim": { "any": "followers" } }, "do": { "isolate": "victim" } },
            { "after": "2s", "do": "heal" }
        ],
        "duration": "5s"
    }"#;
    let scenario = Scenario::parse("embedded.json", text, &[]).expect("the text above is a scenario");

    let finished = run(&scenario.draw(7, "embedded"), RunOptions::default());

    assert_eq!(finished.outcome.verdict, Verdict::Passed);
    assert!(finished.outcome.operations >= 10, "every operation that was asked for has ended");
    assert_eq!(finished.disks.len(), 3, "each node leaves its files in Kafka's layout");
}
