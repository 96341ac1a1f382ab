//! Every draw of network, disk, clock and nemesis: numbered, and replaceable by a scenario.
//!
//! A subject draws from a [`Stream`] of its own, so one draw more in one place moves nothing elsewhere. Draw `n` of a
//! stream is what the seed says, unless the scenario overrides `(stream, n)`, or says that everything not overridden is
//! neutral. That is what makes a failure survive as a short list of decisions, and what shrinking removes.

use std::collections::BTreeMap;

use crate::prng::Prng;
use crate::scenario::plan::{Otherwise, Plan, parse_choice};

/// What a draw decided, as scenarios write it: a number of whatever the draw is about (nanoseconds, a bit mask, an index).
pub type Choice = u64;

/// One numbered sequence of draws.
#[derive(Debug)]
pub struct Stream {
    prng: Prng,
    ordinal: u64,
    overrides: BTreeMap<u64, Choice>,
    otherwise: Otherwise,
}

impl Stream {
    /// The stream of that name, such as `link 1>2`, `disk 2`, `clock 0`, `nemesis`.
    pub fn new(plan: &Plan, name: &str) -> Stream {
        let overrides = plan
            .decisions
            .range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX))
            .filter_map(|((_, ordinal), choice)| Some((*ordinal, parse_choice(choice)?)))
            .collect();
        Stream {
            prng: Prng::new(plan.seed, crate::digest::Digest::of(name.as_bytes())),
            ordinal: 0,
            overrides,
            otherwise: plan.otherwise,
        }
    }

    /// One decision: overridden, drawn from the seed, or `neutral`. The seed's draw is made in any case, so that an
    /// override changes nothing but itself.
    #[inline]
    pub fn decide(&mut self, neutral: Choice, draw: impl FnOnce(&mut Prng) -> Choice) -> Choice {
        let drawn = draw(&mut self.prng);
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if self.overrides.is_empty() && self.otherwise == Otherwise::Seed {
            return drawn;
        }
        match (self.overrides.get(&ordinal), self.otherwise) {
            (Some(&choice), _) => choice,
            (None, Otherwise::Seed) => drawn,
            (None, Otherwise::Neutral) => neutral,
        }
    }

    /// A number from `least` to `most`, both included; neutral is the least.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        let choice = self.decide(least, |prng| match least < most {
            true => prng.range(least..most + 1),
            false => least,
        });
        choice.clamp(least, most.max(least))
    }

    /// True `numerator` times in `denominator`; neutral is false.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.decide(0, |prng| u64::from(prng.chance(numerator, denominator))) != 0
    }

    /// An index below `count`, which must not be 0; neutral is 0.
    pub fn index(&mut self, count: usize) -> usize {
        self.between(0, count as u64 - 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(overrides: &[(u64, u64)], otherwise: Otherwise) -> Stream {
        Stream { prng: Prng::new(1, 1), ordinal: 0, overrides: overrides.iter().copied().collect(), otherwise }
    }

    #[test]
    fn an_override_changes_one_draw_and_nothing_after_it() {
        let mut seeded = stream(&[], Otherwise::Seed);
        let mut overridden = stream(&[(1, 5)], Otherwise::Seed);
        let draws: Vec<u64> = (0..4).map(|_| seeded.between(0, 1000)).collect();
        let changed: Vec<u64> = (0..4).map(|_| overridden.between(0, 1000)).collect();
        assert_eq!(changed, [draws[0], 5, draws[2], draws[3]]);
    }

    #[test]
    fn neutral_is_the_harmless_choice() {
        let mut neutral = stream(&[(2, 1)], Otherwise::Neutral);
        assert_eq!([neutral.chance(1, 1), neutral.chance(1, 1), neutral.chance(0, 1)], [false, false, true]);
    }
}
