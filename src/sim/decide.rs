//! Every draw of network, disk, clock and nemesis: numbered, replaceable by a scenario, and written down when asked.
//!
//! A subject draws from a [`Stream`] of its own, so one draw more in one place moves nothing elsewhere. Draw `n` of a
//! stream is what the seed says, unless the scenario decides `(stream, n)`, or says that everything it does not decide is
//! neutral. That is what makes a failure survive as a list of decisions, and can be made smaller by taking some out.
//!
//! One draw is one whole decision: not *whether* a frame stalls and then *how long*, but how long, 0 for not at all. So a
//! decision that is taken back leaves the numbers of those after it alone. For the same reason the nemesis turns to a
//! stream of its own name for each fault ([`Stream::turn_to`]).
//!
//! A run that neither decides nor records pays for all this with one branch a draw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::digest::Digest;
use crate::prng::Prng;
use crate::scenario::keys;
use crate::scenario::plan::{Choice, Decisions, Otherwise, Plan};
use crate::sim::recorder::Trace;

/// Opens the streams of one run.
#[derive(Clone, Debug)]
pub struct Decider {
    seed: u64,
    book: Option<Rc<Book>>,
}

/// What is decided, and what was.
#[derive(Debug)]
struct Book {
    decided: Decisions,
    otherwise: Otherwise,
    /// By stream: every choice so far, in order.
    pages: RefCell<BTreeMap<String, Vec<Choice>>>,
}

/// One numbered sequence of draws.
#[derive(Debug)]
pub struct Stream {
    prng: Prng,
    /// Under which name draws are numbered; empty without a book.
    name: String,
    book: Option<Rc<Book>>,
}

impl Decider {
    /// The decider of a plan. Choices are written down for a run that is recorded.
    pub fn new(plan: &Plan, trace: Trace) -> Decider {
        let is_plain = plan.decisions.is_empty() && plan.otherwise == Otherwise::Seed && trace == Trace::Digest;
        let book = || Book {
            decided: plan.decisions.clone(),
            otherwise: plan.otherwise,
            pages: RefCell::new(BTreeMap::new()),
        };
        Decider { seed: plan.seed, book: (!is_plain).then(|| Rc::new(book())) }
    }

    /// The stream of that name, such as `link 1>2`, `disk 2`, `clock 0`, `nemesis`.
    pub fn stream(&self, name: &str) -> Stream {
        let mut stream = Stream {
            prng: Prng::new(self.seed, Digest::of(name.as_bytes())),
            name: String::new(),
            book: self.book.clone(),
        };
        stream.turn_to(|| name.to_owned());
        stream
    }

    /// Every choice of the run so far; none where nothing was written down.
    pub fn decisions(&self) -> Decisions {
        let Some(book) = &self.book else { return Decisions::new() };
        let numbered = |choices: &Vec<Choice>| (0..).zip(choices.iter().copied()).collect();
        book.pages.borrow().iter().map(|(name, choices)| (name.clone(), numbered(choices))).collect()
    }
}

impl Book {
    fn decide(&self, name: &str, neutral: Choice, drawn: Choice) -> Choice {
        let mut pages = self.pages.borrow_mut();
        if !pages.contains_key(name) {
            pages.insert(name.to_owned(), Vec::new());
        }
        let page = pages.get_mut(name).expect("invariant: the page was just made");
        let decided = self.decided.get(name).and_then(|choices| choices.get(&(page.len() as u64)));
        let choice = match (decided, self.otherwise) {
            (Some(&choice), _) => choice,
            (None, Otherwise::Seed) => drawn,
            (None, Otherwise::Neutral) => neutral,
        };
        page.push(choice);
        choice
    }
}

impl Stream {
    /// From here on draws are numbered under another name, where they were left if the name was used before. What the
    /// seed draws does not change by that.
    pub fn turn_to(&mut self, name: impl FnOnce() -> String) {
        if self.book.is_some() {
            self.name = name();
            assert!(keys::is_stream(&self.name), "the language has no stream {:?}", self.name);
        }
    }

    /// One decision: the scenario's, or drawn from the seed, or `neutral`. The seed's draw is made in any case, so that a
    /// decision changes nothing but itself.
    #[inline]
    pub fn decide(&mut self, neutral: Choice, draw: impl FnOnce(&mut Prng) -> Choice) -> Choice {
        let drawn = draw(&mut self.prng);
        match &self.book {
            None => drawn,
            Some(book) => book.decide(&self.name, neutral, drawn),
        }
    }

    /// A number from `least` to `most`, both included; neutral is the least.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        self.decide(least, |prng| pick(prng, least, most)).clamp(least, most.max(least))
    }

    /// A pause from `least` to `most` before something bad; neutral is the longest.
    pub fn pause(&mut self, least: u64, most: u64) -> u64 {
        let most = most.max(least);
        self.decide(most, |prng| pick(prng, least, most)).clamp(least, most)
    }

    /// A number from `least`, which is not 0, to `most` in so many of so many cases, or else none; neutral is none,
    /// written 0.
    pub fn maybe(&mut self, (numerator, denominator): (u64, u64), least: u64, most: u64) -> Option<u64> {
        let choice = self.decide(0, |prng| match prng.chance(numerator, denominator) {
            true => pick(prng, least, most),
            false => 0,
        });
        (choice > 0).then(|| choice.clamp(least, most.max(least)))
    }

    /// A number from `-most` to `most`; neutral is 0. Written from 0 on: 0, -1, 1, -2, 2 and so on.
    pub fn around_zero(&mut self, most: u32) -> i64 {
        let most = i64::from(most);
        let choice = self.decide(0, |prng| {
            let drawn = pick(prng, 0, 2 * most as u64) as i64 - most;
            (drawn << 1 ^ drawn >> 63) as u64
        });
        ((choice >> 1) as i64 ^ -((choice & 1) as i64)).clamp(-most, most)
    }

    /// True `numerator` times in `denominator`; neutral is false.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.decide(0, |prng| u64::from(prng.chance(numerator, denominator))) != 0
    }

    /// An index below `count`, which must not be 0; neutral is 0.
    pub fn index(&mut self, count: usize) -> usize {
        self.between(0, count as u64 - 1) as usize
    }

    /// An index below `count`, or none; neutral is none, written 0, and index `i` is written `i + 1`.
    pub fn some_index(&mut self, count: usize) -> Option<usize> {
        let choice = self.decide(0, |prng| 1 + pick(prng, 0, count as u64 - 1));
        (choice as usize).min(count).checked_sub(1)
    }
}

/// A number from `least` to `most`, both included; nothing is drawn where there is no choice.
pub fn pick(prng: &mut Prng, least: u64, most: u64) -> u64 {
    match least < most {
        true => prng.range(least..most + 1),
        false => least,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decider(decided: &[(u64, u64)], otherwise: Otherwise) -> Decider {
        let decided = Decisions::from([("nemesis".to_owned(), decided.iter().copied().collect())]);
        let book = Book { decided, otherwise, pages: RefCell::new(BTreeMap::new()) };
        Decider { seed: 1, book: Some(Rc::new(book)) }
    }

    fn stream(decided: &[(u64, u64)], otherwise: Otherwise) -> Stream {
        decider(decided, otherwise).stream("nemesis")
    }

    #[test]
    fn a_decision_changes_one_draw_and_nothing_after_it() {
        let mut seeded = Decider { seed: 1, book: None }.stream("nemesis");
        let mut decided = stream(&[(1, 5)], Otherwise::Seed);
        let draws: Vec<u64> = (0..4).map(|_| seeded.between(0, 1000)).collect();
        let changed: Vec<u64> = (0..4).map(|_| decided.between(0, 1000)).collect();
        assert_eq!(changed, [draws[0], 5, draws[2], draws[3]]);
    }

    #[test]
    fn neutral_is_the_harmless_choice() {
        let mut neutral = stream(&[(2, 1)], Otherwise::Neutral);
        assert_eq!([neutral.chance(1, 1), neutral.chance(1, 1), neutral.chance(0, 1)], [false, false, true]);
        assert_eq!((neutral.between(3, 9), neutral.pause(3, 9), neutral.maybe((1, 1), 3, 9)), (3, 9, None));
        assert_eq!((neutral.around_zero(9), neutral.some_index(4), neutral.index(4)), (0, None, 0));
    }

    #[test]
    fn choices_out_of_range_are_brought_into_it() {
        let mut wild = stream(&[(0, 99), (1, 1), (2, 99), (3, 99), (4, 98)], Otherwise::Seed);
        assert_eq!((wild.between(3, 9), wild.pause(3, 9)), (9, 3));
        assert_eq!((wild.maybe((0, 1), 3, 9), wild.some_index(4), wild.around_zero(9)), (Some(9), Some(3), 9));
    }

    #[test]
    fn what_was_chosen_is_written_down_and_chosen_again() {
        let draw = |decider: &Decider| {
            let mut stream = decider.stream("nemesis");
            let mut drawn = vec![stream.between(0, 1_000_000), u64::from(stream.chance(1, 2))];
            stream.turn_to(|| "fault 0".to_owned());
            drawn.extend([stream.around_zero(1000) as u64, stream.pause(0, 1000)]);
            stream.turn_to(|| "nemesis".to_owned());
            drawn.extend([stream.maybe((1, 2), 5, 500).unwrap_or_default(), stream.index(50) as u64]);
            drawn.push(stream.some_index(50).map_or(0, |index| index as u64));
            drawn
        };
        let seeded = decider(&[], Otherwise::Seed);
        let drawn = draw(&seeded);
        let decided = seeded.decisions();
        assert_eq!(decided["nemesis"].len(), 5);
        assert_eq!(decided["fault 0"].len(), 2);
        let book = Book { decided, otherwise: Otherwise::Neutral, pages: RefCell::new(BTreeMap::new()) };
        assert_eq!(draw(&Decider { seed: 2, book: Some(Rc::new(book)) }), drawn);
    }
}
