//! Defaults from the environment, where no flag says otherwise; under madsim's names too, for who comes from there.
#![expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

/// A variable: our name for it, and madsim's.
#[derive(Clone, Copy, Debug)]
pub struct Variable([&'static str; 2]);

/// `--seed` of a run, `--seed-base` of a sweep.
pub const SEED: Variable = Variable(["KRAFTBED_SEED", "MADSIM_TEST_SEED"]);
/// `--seeds`.
pub const SEEDS: Variable = Variable(["KRAFTBED_SEEDS", "MADSIM_TEST_NUM"]);
/// `--jobs`.
pub const JOBS: Variable = Variable(["KRAFTBED_JOBS", "MADSIM_TEST_JOBS"]);
/// `--time-limit`.
pub const TIME_LIMIT: Variable = Variable(["KRAFTBED_TIME_LIMIT", "MADSIM_TEST_TIME_LIMIT"]);
/// `--check-determinism`.
pub const CHECK_DETERMINISM: Variable = Variable(["KRAFTBED_CHECK_DETERMINISM", "MADSIM_TEST_CHECK_DETERMINISM"]);

impl Variable {
    /// What the flag says, or else the variable; `None` where neither is set. An empty variable is as good as none.
    pub fn or_flag<T>(self, flag: Option<T>, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        if flag.is_some() {
            return Ok(flag);
        }
        let set = self.0.into_iter().find_map(|name| Some((name, std::env::var_os(name)?)));
        let Some((name, value)) = set.filter(|(_, value)| !value.is_empty()) else { return Ok(None) };
        parse(&value.to_string_lossy()).map(Some).map_err(|why| format!("{name}: {why}"))
    }
}
