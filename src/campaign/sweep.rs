//! Many seeds over many scenarios, one world per thread.
//!
//! Runs are dealt in turn over the scenarios, so every prefix of a sweep is balanced. A sweep keeps digests only; a seed
//! that fails is run again with recording on, and must fail again with the same digest: tracing is free, and every
//! failure is a check of determinism.
#![expect(clippy::disallowed_types, reason = "campaigns bring threads and clocks")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::campaign::library::Named;
use crate::campaign::results;
use crate::campaign::results::WriteError;
use crate::digest::Digest;
use crate::outcome::{Exit, Outcome, Verdict};
use crate::prng::Prng;
use crate::quirk::Quirks;
use crate::report::index::{Run, Trouble, count_pairs, digest_of};
use crate::scenario::FaultKind;
use crate::scenario::plan::Plan;
use crate::sim::recorder::Trace;
use crate::sim::{Finished, RunOptions, run, run_while};

/// What to sweep.
#[derive(Debug)]
pub struct SweepOptions {
    /// The scenarios, in the order in which runs are dealt.
    pub scenarios: Vec<Named>,
    /// Runs in all.
    pub seeds: u64,
    /// The first seed.
    pub seed_base: u64,
    /// Worlds at a time.
    pub jobs: usize,
    /// This share of the runs: `(m, n)` is every n-th, beginning with the m-th, from 1.
    pub partition: (u64, u64),
    /// Begin no run after this.
    pub time_limit: Option<Duration>,
    /// A run that is not over after so many events is undecided.
    pub events_max: Option<u64>,
    /// Planted bugs, beside the scenarios' own.
    pub quirks: Quirks,
    /// This share of passing runs is run twice: numerator and denominator.
    pub check_determinism: (u64, u64),
    /// Record every run and write its folder below this one; otherwise only failures are recorded, and none is written.
    pub keep_all_below: Option<PathBuf>,
}

impl SweepOptions {
    /// How each run is run, if it is not recorded.
    fn run(&self) -> RunOptions {
        RunOptions { events_max: self.events_max, ..RunOptions::default() }
    }
}

/// One way to fail, and the smallest seed that does.
#[derive(Debug)]
pub struct Failure {
    /// The scenario of the smallest seed; of several, the first by path.
    pub named: Named,
    /// The smallest seed.
    pub seed: u64,
    /// What its run came to in the sweep.
    pub digest: u64,
    /// The property.
    pub property: String,
    /// What makes two failures the same.
    pub signature: String,
    /// How many runs failed this way.
    pub count: u64,
    /// How many of them there were of each scenario.
    pub runs_of: BTreeMap<String, u64>,
    /// The recorded run of the smallest seed.
    pub finished: Option<Finished>,
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Runs that ended.
    pub runs: u64,
    /// Runs in which nothing forbidden was seen.
    pub passed: u64,
    /// Runs with a violation.
    pub failed: u64,
    /// Runs that the checker could not decide.
    pub undecided: u64,
    /// Whether a limit or a signal ended the sweep early.
    pub partial: bool,
    /// Simulated events.
    pub events: u64,
    /// Frames delivered.
    pub messages: u64,
    /// Client operations that ended.
    pub operations: u64,
    /// Virtual time of all runs.
    pub virtual_time: Duration,
    /// Real time.
    pub wall: Duration,
    /// Wrapping sum over runs, independent of order, jobs and partition.
    pub digest: u64,
    /// What was exercised, how often: `property:NAME`, `note:NAME`, `left:ROLE`, `fault:KIND`.
    pub exercised: BTreeMap<String, u64>,
    /// Doses given, by kind.
    pub doses: BTreeMap<FaultKind, u64>,
    /// Runs of each scenario, by its path.
    pub runs_of: BTreeMap<String, u64>,
    /// Time from the end of faults to quiet, of every run that came so far.
    pub settle_times: Vec<Duration>,
    /// Ways to fail, the most frequent first.
    pub failures: Vec<Failure>,
    /// A seed that came out differently the second time: scenario, seed, both digests.
    pub nondeterminism: Option<(String, u64, u64, u64)>,
    /// The smallest seed that nobody could decide, with its scenario's path and the reason.
    pub first_undecided: Option<(u64, String, String)>,
    /// Every run, in the order in which they ended. The lines that replay those in trouble are the business of who prints.
    pub made: Vec<Run>,
    /// In how many runs two kinds of fault were given.
    pub pairs: BTreeMap<(String, String), u64>,
    /// The first folder that could not be written; it ends the sweep.
    pub unwritten: Option<WriteError>,
}

/// How far a sweep is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Runs that ended.
    pub done: u64,
    /// Runs to do.
    pub total: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Virtual time so far.
    pub virtual_time: Duration,
}

/// Runs a sweep. `report` is called after every run; `interrupted` ends it early.
pub fn sweep(options: &SweepOptions, interrupted: &AtomicBool, report: &(dyn Fn(&Progress) + Sync)) -> Sweep {
    let began = Instant::now();
    let deal = Deal::new(options);
    let total = deal.runs();
    let next = AtomicU64::new(0);
    let shared = Mutex::new((Sweep::default(), BTreeMap::<String, Failure>::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1).min(usize::try_from(total).unwrap_or(usize::MAX)) {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = options.time_limit.is_some_and(|limit| began.elapsed() >= limit);
                    let Some((scenario, seed)) = deal.run(turn) else { return };
                    if is_late || interrupted.load(Ordering::Relaxed) {
                        shared.lock().expect("invariant: no run panics while it counts").0.partial = true;
                        return;
                    }
                    let named = &options.scenarios[scenario];
                    let began_run = Instant::now();
                    let outcome = run_one(named, seed, options, interrupted);
                    let wall_ms = u64::try_from(began_run.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let mut shared = shared.lock().expect("invariant: no run panics while it counts");
                    let (sweep, failures) = &mut *shared;
                    let outcome = match outcome {
                        Ok(Some(outcome)) => outcome,
                        Ok(None) => {
                            sweep.partial = true;
                            return;
                        }
                        Err(error) => {
                            sweep.unwritten.get_or_insert(error);
                            sweep.partial = true;
                            return;
                        }
                    };
                    sweep.count(named, &outcome);
                    sweep.made.push(run_made(scenario, &outcome.0, wall_ms));
                    note_failure(failures, named, &outcome.0);
                    report(&Progress {
                        done: sweep.runs,
                        total,
                        failed: sweep.failed,
                        virtual_time: sweep.virtual_time,
                    });
                }
            });
        }
    });
    let (mut sweep, failures) = shared.into_inner().expect("invariant: no run panics while it counts");
    sweep.failures = failures.into_values().collect();
    sweep.failures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.signature.cmp(&b.signature)));
    sweep.record_failures(options);
    sweep.wall = began.elapsed();
    sweep
}

/// The plan of a scenario with a seed and additional planted bugs.
pub fn plan_of(named: &Named, seed: u64, quirks: Quirks) -> Plan {
    let mut plan = named.scenario.draw(seed, &named.name);
    plan.quirks = quirks.iter().fold(plan.quirks, Quirks::with);
    plan
}

/// How runs are dealt: in turn over the scenarios, except that one with a pinned seed is run once, in the first round. It
/// is reckoned and not listed, so a sweep may be as long as somebody wants to wait.
struct Deal<'a> {
    options: &'a SweepOptions,
    /// Those that are dealt in every round.
    unpinned: Vec<usize>,
}

impl Deal<'_> {
    fn new(options: &SweepOptions) -> Deal<'_> {
        let is_unpinned = |&index: &usize| options.scenarios[index].scenario.seed().is_none();
        Deal { options, unpinned: (0..options.scenarios.len()).filter(is_unpinned).collect() }
    }

    /// Runs of all shares.
    fn all(&self) -> u64 {
        let first_round = self.options.scenarios.len() as u64;
        if self.unpinned.is_empty() { self.options.seeds.min(first_round) } else { self.options.seeds }
    }

    /// Runs of this share.
    fn runs(&self) -> u64 {
        let (share, of) = self.options.partition;
        self.all().saturating_sub(share - 1).div_ceil(of)
    }

    /// The scenario and the seed of this share's run, by number from 0.
    fn run(&self, turn: u64) -> Option<(usize, u64)> {
        let (share, of) = self.options.partition;
        let index = turn.checked_mul(of)?.checked_add(share - 1).filter(|&index| index < self.all())?;
        let first_round = self.options.scenarios.len() as u64;
        let (scenario, round) = match index.checked_sub(first_round) {
            None => (index as usize, 0),
            Some(later) => {
                let each = self.unpinned.len() as u64;
                (self.unpinned[(later % each) as usize], 1 + later / each)
            }
        };
        let pinned = self.options.scenarios[scenario].scenario.seed();
        Some((scenario, pinned.unwrap_or(self.options.seed_base.wrapping_add(round))))
    }
}

/// Runs a seed, twice if its lot says so; the second digest is returned where it differs. A run that a signal cut short
/// comes to nothing.
fn run_one(
    named: &Named,
    seed: u64,
    options: &SweepOptions,
    interrupted: &AtomicBool,
) -> Result<Option<(Outcome, Option<u64>)>, WriteError> {
    let plan = plan_of(named, seed, options.quirks);
    let is_wanted = || !interrupted.load(Ordering::Relaxed);
    let trace = if options.keep_all_below.is_some() { Trace::Recorded } else { Trace::default() };
    let finished = run_while(&plan, RunOptions { trace, ..options.run() }, is_wanted);
    if finished.outcome.is_stopped && !is_wanted() {
        return Ok(None);
    }
    if let Some(root) = &options.keep_all_below {
        results::write(root, &plan, &finished, (None, None))?;
    }
    let outcome = Outcome { trace: Vec::new(), ..finished.outcome };
    let (share, of) = options.check_determinism;
    let is_checked = share > 0 && Prng::new(seed, Digest::of(b"check determinism")).chance(share, of);
    if !is_checked {
        return Ok(Some((outcome, None)));
    }
    let again = run_while(&plan, options.run(), is_wanted).outcome;
    let is_cut_short = again.is_stopped && !outcome.is_stopped && !is_wanted();
    let differs = (again.digest != outcome.digest && !is_cut_short).then_some(again.digest);
    Ok(Some((outcome, differs)))
}

fn note_failure(failures: &mut BTreeMap<String, Failure>, named: &Named, outcome: &Outcome) {
    let Verdict::Violated(violation) = &outcome.verdict else { return };
    let signature = outcome.signature().unwrap_or_default();
    let failure = failures.entry(signature.clone()).or_insert_with(|| Failure {
        named: named.clone(),
        seed: outcome.seed,
        digest: outcome.digest,
        property: violation.property.to_owned(),
        signature,
        count: 0,
        runs_of: BTreeMap::new(),
        finished: None,
    });
    failure.count += 1;
    *failure.runs_of.entry(named.name.clone()).or_default() += 1;
    // Runs end in any order, so equal seeds are told apart by what does not depend on it.
    if (outcome.seed, &named.path) < (failure.seed, &failure.named.path) {
        failure.named = named.clone();
        failure.seed = outcome.seed;
        failure.digest = outcome.digest;
    }
}

/// What the index keeps of a run.
fn run_made(scenario: usize, outcome: &Outcome, wall_ms: u64) -> Run {
    let trouble = match &outcome.verdict {
        Verdict::Passed => None,
        Verdict::Violated(violation) => Some((Some(violation.property.to_owned()), violation.message.clone())),
        Verdict::Undecided(why) => Some((None, why.clone())),
    };
    let trouble = trouble.map(|(property, message)| {
        Box::new(Trouble { property, message, signature: outcome.signature(), replay: String::new() })
    });
    let (seed, digest, events) = (outcome.seed, outcome.digest, outcome.events);
    Run { scenario, seed, exit: outcome.exit(), digest, events, wall_ms, trouble }
}

impl Sweep {
    fn count(&mut self, named: &Named, (outcome, again): &(Outcome, Option<u64>)) {
        self.runs += 1;
        match outcome.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Violated(_) => self.failed += 1,
            Verdict::Undecided(ref why) => {
                self.undecided += 1;
                let this = (outcome.seed, named.path.clone(), why.clone());
                self.first_undecided = self.first_undecided.take().into_iter().chain([this]).min();
            }
        }
        self.events += outcome.events;
        self.messages += outcome.messages;
        self.operations += outcome.operations;
        self.virtual_time += outcome.virtual_time;
        *self.runs_of.entry(named.path.clone()).or_default() += 1;
        self.settle_times.extend(outcome.settled_in);
        self.digest = self.digest.wrapping_add(digest_of(named.scenario.hash(), outcome.seed, outcome.digest));
        for (what, count) in &outcome.exercised {
            *self.exercised.entry(what.clone()).or_default() += count;
        }
        for (&kind, count) in &outcome.doses {
            *self.doses.entry(kind).or_default() += count;
            *self.exercised.entry(format!("fault:{}", kind.name())).or_default() += count;
        }
        count_pairs(&mut self.pairs, &outcome.doses.keys().map(|kind| kind.name()).collect());
        if let Some(again) = again {
            self.nondeterminism.get_or_insert((outcome.scenario.clone(), outcome.seed, outcome.digest, *again));
        }
    }

    /// Runs the smallest seed of each way to fail again, recorded; it must fail as it did in the sweep.
    fn record_failures(&mut self, options: &SweepOptions) {
        for failure in self.failures.iter_mut().take(RECORDED_MAX) {
            let plan = plan_of(&failure.named, failure.seed, options.quirks);
            let finished = run(&plan, RunOptions { trace: Trace::Recorded, ..options.run() });
            if finished.outcome.digest != failure.digest {
                let digests = (failure.named.name.clone(), failure.seed, failure.digest, finished.outcome.digest);
                self.nondeterminism.get_or_insert(digests);
            }
            failure.finished = Some(finished);
        }
    }

    /// How the sweep ends, unless a signal ended it. One that a time limit cut short is judged by the runs it made.
    pub fn exit(&self) -> Exit {
        let liveness_only = self.failures.iter().all(|failure| crate::check::is_liveness(&failure.property));
        match () {
            () if self.nondeterminism.is_some() => Exit::Nondeterminism,
            () if self.failed > 0 && liveness_only => Exit::NoProgress,
            () if self.failed > 0 => Exit::Violated,
            () if self.runs == 0 => Exit::NothingSelected,
            () if self.undecided > 0 => Exit::Undecided,
            () => Exit::Passed,
        }
    }
}

/// So many ways to fail are recorded; the others keep their replay line.
const RECORDED_MAX: usize = 8;
