//! A history with many keys comes to the same however many threads decide about it: verdict, sentence, core, all of it.

use kraftbed::campaign::check::{Options, check, facts};
use kraftbed::campaign::decisions::{Limits, decide_all};
use kraftbed::history::Model;
use kraftbed::history::engine::Budget;
use kraftbed::history::engine::decide::{Verdict, decide, parts};
use kraftbed::history::format::{Hints, import};
use kraftbed::history::objects::{Action, NIL, Name};
use kraftbed::prng::Prng;

use crate::history::random::{self, Shape};

#[test]
fn what_is_found_does_not_depend_on_the_number_of_threads() {
    let (mut verdicts, mut refuted_keys, mut cramped) = (Vec::new(), 0, 0);
    // With few steps some keys are not decided.
    for (case, (bent, steps_max)) in (0..).zip([(5, u64::MAX), (0, u64::MAX), (5, 150), (0, 150)]) {
        let text = many_keys(case, bent);
        let told = |jobs: usize| {
            let options = Options { hints: Hints::default(), time_max: None, bytes_max: 1 << 30, steps_max, jobs };
            facts(&check(text.as_bytes(), &options, &|_, _| ()).unwrap_or_else(|error| panic!("{error}")))
        };
        let alone = told(1);
        for jobs in [2, 4, 4, 2, 3] {
            assert_eq!(told(jobs), alone, "case {case}, {jobs} threads");
        }
        verdicts.push(alone["verdict"].as_str().expect("a word").to_owned());
        let history =
            import(text.as_bytes(), &Hints::default()).expect("a history").subject.objects.expect("registers");
        let is_refuted =
            |part: &_| matches!(decide(&history, part, &Budget::BOUNDLESS).verdict, Verdict::NotLinearizable(_));
        refuted_keys = refuted_keys.max(parts(&history).iter().filter(|part| is_refuted(part)).count());
        // With little memory too: what has no room beside the others has it alone.
        let found = |threads: usize, bytes_max: u64| {
            let limits = Limits { steps_max, bytes_max, threads, is_over: &|| false, hear: &|_, _| () };
            let decisions = decide_all(&history, &parts(&history), &limits);
            decisions.into_iter().map(|decision| decision.verdict).collect::<Vec<Verdict>>()
        };
        let alone = found(1, BYTES_FEW);
        assert_eq!((found(2, BYTES_FEW), found(4, BYTES_FEW)), (alone.clone(), alone.clone()), "case {case}");
        cramped += found(1, BYTES_FEW / 4).iter().zip(&alone).filter(|(cramped, alone)| cramped != alone).count();
    }
    assert!(refuted_keys > 3 && cramped > 3, "{refuted_keys} keys are refuted, {cramped} would have no room");
    for verdict in ["linearizable", "not_linearizable", "undecided"] {
        assert!(verdicts.iter().any(|of| of == verdict), "{verdicts:?}");
    }
}

/// Forty registers, so many of them bent, in columns.
fn many_keys(case: u64, bent: u64) -> String {
    let mut prng = Prng::new(19, case);
    let mut rows: Vec<(u32, String)> = Vec::new();
    for key in 0..KEYS {
        let is_bent = u64::from(key) % 8 == 3 && u64::from(key) / 8 < bent;
        let shape = Shape {
            model: Model::CasRegister,
            operations: 500,
            processes: 4,
            values: 3,
            is_unique: false,
            open: 0,
            bent: if is_bent { 4 } else { 0 },
        };
        let history = random::draw(&mut prng, shape);
        let value = |name: Name| if name == NIL { NOTHING } else { i64::from(name) };
        for entry in &history.entries {
            let (kind, a, b) = match entry.action {
                Action::Read => ("r", value(entry.a), 0),
                Action::Write => ("w", value(entry.a), 0),
                Action::Cas => ("c", value(entry.a), value(entry.b)),
                Action::Refused => ("f", value(entry.a), 0),
                other => unreachable!("{other:?} of a register"),
            };
            let [call, ret] = [entry.call, entry.ret].map(|position| position * KEYS + key);
            rows.push((call, format!("{} {call} {ret} {key} {kind} {a} {b} 0\n", entry.process + 10 * key)));
        }
    }
    rows.sort();
    assert!(rows.len() > 6_000, "{} are not worth a thread", rows.len());
    rows.into_iter().map(|(_, row)| row).collect()
}

/// How columns say that nothing was there.
const NOTHING: i64 = -1_000_000;

const KEYS: u32 = 40;

/// Bytes of states that are too few for some keys, and for many if they are shared among four threads.
const BYTES_FEW: u64 = 24_000;
