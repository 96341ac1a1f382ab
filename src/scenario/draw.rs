//! Choosing within ranges: by a seed, or always the least or the most.

use crate::digest::Digest;
use crate::prng::Prng;

/// How a value is chosen from a range.
///
/// Checking a scenario means reading it twice, at [`Draws::Least`] and at [`Draws::Most`]: every rule of the language
/// binds a value from below or from above, so what holds at both ends holds for every seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draws {
    /// The lower end.
    Least,
    /// The upper end.
    Most,
    /// Drawn. Each key has a stream of its own, named by its path.
    Seeded(u64),
}

impl Draws {
    /// A number from `least` to `most`, both included, for the key of this path.
    pub fn between(self, path: &str, least: u64, most: u64) -> u64 {
        assert!(least <= most, "a range is read in order");
        match self {
            Draws::Least => least,
            Draws::Most => most,
            Draws::Seeded(_) if least == most => least,
            Draws::Seeded(seed) => {
                let stream = Digest::of(format!("scenario {path}").as_bytes());
                let wide = most - least;
                let mut prng = Prng::new(seed, stream);
                if wide == u64::MAX { prng.word() } else { least + prng.below(wide + 1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_frozen() {
        let draw = |seed| Draws::Seeded(seed).between("voters", 0, 999);
        assert_eq!([draw(1), draw(2), draw(3)], [draw(1), draw(2), draw(3)]);
        assert_ne!(Draws::Seeded(1).between("voters", 0, u64::MAX), Draws::Seeded(1).between("observers", 0, u64::MAX));
    }

    #[test]
    fn both_ends_are_drawn() {
        let drawn: Vec<u64> = (0..100).map(|seed| Draws::Seeded(seed).between("voters", 3, 5)).collect();
        assert!((3..=5).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| (3..=5).contains(number)));
    }
}
