//! Plants every known bug in turn, and shows in how many seeds, and by which property, each is caught.

use std::sync::atomic::AtomicBool;

use crate::campaign::library::Named;
use crate::campaign::sweep::{Failure, SweepOptions, sweep};
use crate::quirk::{Quirk, Quirks};

/// How to hunt.
#[derive(Debug)]
pub struct HuntOptions {
    /// The planted scenarios: each names its plant.
    pub planted: Vec<Named>,
    /// The scenario whose rates are shown for all plants.
    pub standard: Named,
    /// Seeds of `standard` for each plant.
    pub standard_seeds: u64,
    /// Worlds at a time.
    pub jobs: usize,
}

/// What became of one plant.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The plant.
    pub plant: Quirk,
    /// The scenario named for it.
    pub scenario: String,
    /// Whether it was caught there, by the property that the scenario names.
    pub is_caught: bool,
    /// The property that caught it.
    pub property: Option<String>,
    /// How many seeds it took, from 1.
    pub seeds_to_catch: Option<u64>,
    /// Runs of `standard` in which it failed, of how many.
    pub standard: (u64, u64),
}

impl Catch {
    /// Whether the plant met its fate: caught, or, when it is harmless, never accused.
    pub fn is_as_expected(&self) -> bool {
        match self.plant.is_harmless() {
            true => !self.is_caught && self.standard.0 == 0,
            false => self.is_caught,
        }
    }
}

/// Hunts every plant, one after another. Once interrupted it ends before the first plant of which nothing is known yet.
pub fn hunt<'a>(options: &'a HuntOptions, interrupted: &'a AtomicBool) -> impl Iterator<Item = Catch> + 'a {
    let plants =
        options.planted.iter().flat_map(|named| named.scenario.quirks().iter().map(move |plant| (named, plant)));
    plants.map_while(move |(named, plant)| hunt_one(options, named, plant, interrupted))
}

/// What becomes of a plant; `None` when a signal came before it was caught, or before it had its fair chance to be.
fn hunt_one(options: &HuntOptions, named: &Named, plant: Quirk, interrupted: &AtomicBool) -> Option<Catch> {
    let expected = named.scenario.expect().violates.as_deref();
    let within = named.scenario.expect().within_seeds.unwrap_or(WITHIN_SEEDS);
    let swept = |options: SweepOptions| sweep(&options, interrupted, &|_| {});
    let mut caught: Option<Failure> = None;
    let mut from = 0;
    let mut is_partial = false;
    // Seeds are tried in growing strides, so that an easy catch is cheap and the smallest seed is still known.
    while from < within && caught.is_none() && !is_partial {
        let stride = (from.max(8)).min(within - from);
        let result = swept(sweep_of(named.clone(), 1 + from, stride, Quirks::NONE, options.jobs));
        let fits =
            |failure: &Failure| plant.is_harmless() || expected.is_none_or(|expected| expected == failure.property);
        caught = result.failures.into_iter().filter(fits).min_by_key(|failure| failure.seed);
        is_partial = result.partial;
        from += stride;
    }
    let quirks = Quirks::NONE.with(plant);
    let standard = swept(sweep_of(options.standard.clone(), 1, options.standard_seeds, quirks, options.jobs));
    if (is_partial || standard.partial) && caught.is_none() {
        return None;
    }
    Some(Catch {
        plant,
        scenario: named.path.clone(),
        is_caught: caught.is_some(),
        property: caught.as_ref().map(|failure| failure.property.clone()),
        seeds_to_catch: caught.map(|failure| failure.seed),
        standard: (standard.failed, standard.runs),
    })
}

fn sweep_of(named: Named, seed_base: u64, seeds: u64, quirks: Quirks, jobs: usize) -> SweepOptions {
    SweepOptions {
        scenarios: vec![named],
        seeds,
        seed_base,
        jobs,
        partition: (1, 1),
        time_limit: None,
        events_max: None,
        quirks,
        check_determinism: (0, 1),
        keep_all_below: None,
    }
}

/// Within so many seeds a plant is to be caught, unless its scenario says otherwise.
const WITHIN_SEEDS: u64 = 1000;
