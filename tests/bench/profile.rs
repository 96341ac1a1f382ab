//! Where the time of a run goes, by part, with nothing but this program.
//!
//! The world is stepped from outside, each step timed and put down to what happened in it. Whatever a step causes is in it:
//! what the node does with a frame, what the judge thinks of that, what the network does with the answer. So two parts that
//! are everywhere are taken apart in another way: the judge by running the same seeds without it, the codec by its price
//! for one message.
//!
//! For a profile by function, tools that know nothing of kraftbed do:
//!
//! ```sh
//! CARGO_PROFILE_RELEASE_DEBUG=1 cargo build --release
//! valgrind --tool=callgrind --callgrind-out-file=/tmp/profile target/release/kraftbed sweep standard --seeds 6 --jobs 1
//! callgrind_annotate --inclusive=yes /tmp/profile
//! perf record -e cpu-clock --call-graph=dwarf target/release/kraftbed sweep standard --seeds 100 --jobs 1
//! ```
//!
//! The first counts instructions, which no neighbour on the machine disturbs; the second samples time.
#![expect(clippy::disallowed_types, reason = "a benchmark measures time")]

use std::time::{Duration, Instant};

use kraftbed::check;
use kraftbed::scenario::Scenario;
use kraftbed::sim::HostId;
use kraftbed::sim::recorder::Trace;
use kraftbed::sim::world::{Happening, World};

/// Runs the seeds and prints a line for each part.
pub fn show(scenario: &Scenario, seeds: u64) {
    let (parts, events) = measured(scenario, seeds, &[]);
    let everything: Vec<String> = check::all().into_iter().map(|(name, _)| name.to_owned()).collect();
    let (unjudged, _) = measured(scenario, seeds, &everything);
    let whole = total(&parts);
    println!("where the time goes, {seeds} seeds, {:.0} ns an event:", whole.as_nanos() as f64 / events as f64);
    let line = |name: &str, took: Duration, steps: u64| {
        let (percent, each) = (100.0 * took.as_secs_f64() / whole.as_secs_f64(), took.as_nanos() / u128::from(steps));
        println!("  {name:<42} {percent:>5.1} % {steps:>12} steps {each:>10} ns each");
    };
    for (name, part) in PARTS.iter().zip(&parts) {
        line(name, part.took, part.steps.max(1));
    }
    let judged = whole.saturating_sub(total(&unjudged));
    line("of all that, properties", judged, events);
}

#[derive(Clone, Copy, Default)]
struct Part {
    took: Duration,
    steps: u64,
}

/// The time of each part, in the order of [`PARTS`], and how many events there were.
fn measured(scenario: &Scenario, seeds: u64, waived: &[String]) -> ([Part; PARTS.len()], u64) {
    let mut parts = [Part::default(); PARTS.len()];
    let mut events = 0;
    for seed in 0..seeds {
        let mut plan = scenario.draw(seed, "standard");
        plan.waive.extend_from_slice(waived);
        let nodes = HostId(plan.voters + plan.observers);
        let mut last = Instant::now();
        let mut charge = |part: usize| {
            let now = Instant::now();
            // A step that takes so long was interrupted by something else that runs here.
            let took = Some(now.duration_since(last)).filter(|took| *took < INTERRUPTED).unwrap_or_default();
            parts[part].took += took;
            parts[part].steps += 1;
            last = now;
        };
        let mut world = World::new(&plan, Trace::Digest);
        world.begin();
        charge(START);
        loop {
            let part = world.next().map_or(END, |(what, whom)| part_of(what, whom, nodes));
            if !world.step(None) {
                break;
            }
            charge(part);
        }
        events += world.finish().outcome.events;
        charge(END);
    }
    (parts, events)
}

fn part_of(what: Happening, receiver: Option<HostId>, nodes: HostId) -> usize {
    match what {
        Happening::Arrive { .. } | Happening::Datagram { .. } if receiver.is_some_and(|host| host < nodes) => 0,
        Happening::Arrive { .. } | Happening::Datagram { .. } => 1,
        Happening::Timer { .. } => 2,
        Happening::ClientTimer { .. } => 3,
        Happening::Disk { .. } | Happening::Load { .. } => 4,
        Happening::Boot { .. } | Happening::Restart { .. } => 5,
        _ => 6,
    }
}

fn total(parts: &[Part]) -> Duration {
    parts.iter().map(|part| part.took).sum()
}

const PARTS: [&str; 9] = [
    "nodes: a frame or a connection arrives",
    "clients: a frame or a connection arrives",
    "nodes: a deadline",
    "clients: a deadline, the next operation",
    "disks: an operation is done",
    "recovery: a repair is done, a start",
    "faults, phases, connections that fail",
    "start of a world",
    "judging the end",
];
const START: usize = 7;
const END: usize = 8;

const INTERRUPTED: Duration = Duration::from_millis(2);
