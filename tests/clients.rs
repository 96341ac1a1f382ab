//! Unmodified Kafka clients against a quorum of three processes. A client that cannot be had shows as ignored, with the
//! reason, and as failed where `KRAFTBED_REQUIRE_CLIENTS=1`.
//!
//! Where `KRAFTBED_CLIENTS_BOOTSTRAP` names a Kafka, the same clients write to it and read from it instead, to topics that
//! begin with `KRAFTBED_CLIENTS_TOPIC` and that it makes by itself; what takes a quorum of ours is then ignored.
//!
//! | file | is |
//! |---|---|
//! | `tools.rs`, `programs/` | where clients come from, and what drives them, each in its own language |
//! | `load.rs` | a client that writes, and what it says |
//! | `stage.rs` | a quorum, and its faults |
//! | `lookout.rs` | what nodes say, and what is on their disks |
//! | `judge.rs` | what was told against what is there |
//! | `client.rs` | what every client must do |
//! | `programs.rs`, `kcat.rs` | the clients |
//! | `java.rs` | Kafka's own tools |
//! | `namespaces.rs` | a network of packets, which are lost |
//! | `browser.rs` | the page of a run, in a browser |
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "real processes, files, ports and clocks")]

#[path = "clients/browser.rs"]
mod browser;
#[path = "clients/client.rs"]
mod client;
#[path = "clients/java.rs"]
mod java;
#[path = "clients/judge.rs"]
mod judge;
#[path = "clients/kcat.rs"]
mod kcat;
#[path = "clients/load.rs"]
mod load;
#[path = "clients/lookout.rs"]
mod lookout;
#[path = "clients/namespaces.rs"]
mod namespaces;
#[path = "clients/programs.rs"]
mod programs;
#[path = "support/quorum.rs"]
mod quorum;
#[path = "clients/stage.rs"]
mod stage;
#[path = "clients/tools.rs"]
mod tools;

use std::collections::BTreeMap;
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};

use tools::Tool;

/// One test: what it needs, and what it does.
struct Case {
    name: String,
    tool: Option<Tool>,
    /// Whether it takes processes and disks of our own.
    is_of_ours: bool,
    /// Why this machine does not allow it, if it does not; then it is ignored in any case.
    refusal: fn() -> Option<String>,
    test: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

fn main() {
    let mut arguments = Arguments::from_args();
    // Clients are many threads each, and a quorum is three more processes: more at once only starve one another.
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    let cases = cases();
    let is_wanted = |case: &Case| !arguments.list && is_selected(&arguments, &case.name);
    let mut needed: Vec<Tool> = cases.iter().filter(|case| is_wanted(case)).filter_map(|case| case.tool).collect();
    needed.sort();
    needed.dedup();
    let missing = prepare(&needed);
    let trials = cases.into_iter().map(|case| match is_wanted(&case) {
        true => trial(case, &missing),
        false => Trial::test(case.name, case.test),
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn cases() -> Vec<Case> {
    let case = |name: String, tool, is_of_ours, test| Case { name, tool, is_of_ours, refusal: || None, test };
    let mut cases: Vec<Case> = Vec::new();
    let judge = Box::new(judge::objects_to_every_kind_of_loss);
    cases.push(case("the_judge_objects_to_every_kind_of_loss".into(), None, false, judge));
    let java = java::VERSIONS.iter().map(programs::java);
    for client in [kcat::client()].into_iter().chain(programs::clients()).chain(java) {
        let reads = move || client.reads_what_it_wrote();
        cases.push(case(format!("{}_reads_what_it_wrote", client.name), Some(client.tool), false, Box::new(reads)));
        let survives = move || client.survives_every_fault();
        cases.push(case(format!("{}_survives_every_fault", client.name), Some(client.tool), true, Box::new(survives)));
    }
    for (name, test) in kcat::tests() {
        cases.push(case(name.into(), Some(Tool::Kcat), true, Box::new(test)));
    }
    for (kafka, (name, test)) in java::VERSIONS.iter().flat_map(|kafka| java::TESTS.map(|test| (kafka, test))) {
        let name = format!("{}_{name}", kafka.name);
        cases.push(case(name, Some(kafka.tool()), true, Box::new(move || test(kafka))));
    }
    for (name, test) in browser::tests() {
        cases.push(case(name.into(), Some(Tool::Browser), false, Box::new(test)));
    }
    let client = kcat::client();
    let test = Box::new(move || namespaces::survives_loss_and_partitions(&client));
    let apart = case("kcat_survives_loss_and_partitions_of_packets".into(), Some(client.tool), true, test);
    cases.push(Case { refusal: namespaces::refusal, ..apart });
    cases
}

/// As libtest selects.
fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter.as_str()) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

/// Makes the tools ready, side by side; those that cannot be had, with the reason.
fn prepare(tools: &[Tool]) -> BTreeMap<Tool, String> {
    thread::scope(|scope| {
        let all: Vec<_> = tools.iter().map(|&tool| (tool, scope.spawn(move || tool.prepare()))).collect();
        let told = all.into_iter().map(|(tool, made)| (tool, made.join().expect("preparing does not panic")));
        told.filter_map(|(tool, made)| Some((tool, made.err()?))).collect()
    })
}

fn trial(case: Case, missing: &BTreeMap<Tool, String>) -> Trial {
    let ignored = |reason: String| Trial::test(case.name.clone(), || Ok(())).with_kind(reason).with_ignored_flag(true);
    if case.is_of_ours && is_set("KRAFTBED_CLIENTS_BOOTSTRAP") {
        return ignored("takes a quorum of its own".into());
    }
    if let Some(reason) = (case.refusal)() {
        return ignored(reason);
    }
    match case.tool.and_then(|tool| missing.get(&tool)) {
        None => Trial::test(case.name, case.test),
        Some(reason) if std::env::var("KRAFTBED_REQUIRE_CLIENTS").is_ok_and(|value| value == "1") => {
            let reason = reason.clone();
            Trial::test(case.name, move || Err(reason.into()))
        }
        Some(reason) => ignored(reason.clone()),
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// How many tests run at once.
const AT_ONCE: usize = 2;
