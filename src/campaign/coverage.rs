//! What a sweep should have reached, and what of it no run did.
//!
//! A sweep that never tore a batch says nothing about torn batches. So once every scenario of a sweep has had the number
//! of runs that it declares (`covers_within`), each property, each kind of fault that its runs may switch on, each note
//! of the replica and each exit from a role must have been exercised at least once; otherwise the sweep is not green.

use std::collections::BTreeSet;

use crate::campaign::library::Named;
use crate::campaign::sweep::{Sweep, SweepOptions};
use crate::check;
use crate::quirk::Quirk;
use crate::raft::RoleKind;
use crate::scenario::FaultKind;

/// Everything that the runs of these scenarios should reach, by the names that [`Sweep::exercised`] counts.
///
/// Notes and roles are demanded only where some scenario lets at least three voters meet faults of the network and of
/// processes: nothing else promises an election that fails or logs that diverge.
pub fn expected(scenarios: &[Named], seed_base: u64) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for named in scenarios {
        let drawn = (0..DRAWS).map(|draw| named.scenario.draw(seed_base.wrapping_add(draw), &named.name));
        let mut faults = BTreeSet::new();
        for plan in drawn {
            faults.extend(plan.faults.keys().copied());
            let judged = check::all().into_iter().map(|(property, _)| property);
            let judged = judged.filter(|&property| plan.quirks.has(Quirk::Canary) || property != "canary");
            let due = judged.filter(|property| !is_waived(&plan.waive, property) && !is_idle(&plan.workload, property));
            expected.extend(due.map(|property| format!("property:{property}")));
        }
        let is_rough = [FaultKind::Isolate, FaultKind::Stall, FaultKind::Kill].iter().all(|kind| faults.contains(kind));
        expected.extend(faults.iter().map(|kind| format!("fault:{}", kind.name())));
        if faults.contains(&FaultKind::Rot) {
            expected.extend(["note:recovering", "note:recovered"].map(String::from));
        }
        if is_rough && named.scenario.draw(seed_base, &named.name).voters >= 3 {
            expected.extend(NOTES.iter().map(|note| format!("note:{note}")));
            expected.extend(RoleKind::ALL.iter().map(|role| format!("left:{}", role.name())));
        }
    }
    expected
}

/// What should have been reached and was not; empty while too few runs were made to say so.
pub fn missing(sweep: &Sweep, options: &SweepOptions) -> Vec<String> {
    let has_had_its_runs = |named: &Named| {
        let runs = sweep.runs_of.get(&named.path).copied().unwrap_or(0);
        runs >= named.scenario.covers_within()
    };
    let is_due = options.scenarios.iter().all(has_had_its_runs);
    // A planted bug ends runs early, and a sweep that was cut short has shown nothing by what it lacks.
    if !is_due || sweep.partial || !options.quirks.is_empty() {
        return Vec::new();
    }
    let was_reached = |what: &String| sweep.exercised.get(what).is_some_and(|&count| count > 0);
    expected(&options.scenarios, options.seed_base).into_iter().filter(|what| !was_reached(what)).collect()
}

fn is_waived(waive: &[String], property: &str) -> bool {
    waive.iter().any(|waived| waived == property)
}

/// Whether a run without such clients leaves the property nothing to judge.
fn is_idle(workload: &[crate::scenario::plan::Work], property: &str) -> bool {
    use crate::scenario::plan::Reads;
    let reads = |wanted: &[Reads]| workload.iter().any(|work| wanted.contains(&work.reads));
    match property {
        "tail_reads_linearizable" => !reads(&[Reads::Tail]),
        "consumers_see_committed" => !reads(&[Reads::Tail, Reads::Committed]),
        "kv_linearizable" => !workload.iter().any(|work| work.kind.is_about_keys()),
        "log_linearizable" | "producers_in_order" => workload.iter().all(|work| work.kind.is_about_keys()),
        "acked_writes_survive" => workload.is_empty(),
        _ => false,
    }
}

/// Seeds whose draws are looked at to learn which faults a scenario may switch on.
const DRAWS: u64 = 64;

/// The notes that a rough scenario reaches. Missing here: `recovering` and `recovered`, which only rot brings about;
/// `contradiction`, because honest peers on streams do not contradict themselves. Golden scripts reach that.
const NOTES: [&str; 8] =
    ["became", "leads", "voted", "vote_refused", "diverged", "high_watermark", "check_quorum_failed", "stale_answer"];
