//! Cores of logs: what `finished` says conflicts, against the definition.

use std::collections::BTreeMap;

use kraftbed::history::engine::log::{Anomaly, Violation};
use kraftbed::history::engine::{finished, log, log_core};
use kraftbed::history::value;
use kraftbed::history::{Ask, ClientId, Model, Operation, Outcome, Told};
use kraftbed::prng::Prng;

use super::histories::{agreed_bases, appended, is_explained, random_history, read};

#[test]
fn a_core_of_a_log_cannot_be_explained_and_without_any_of_its_operations_can() {
    let mut prng = Prng::new(12, 0);
    let mut found: BTreeMap<Anomaly, u32> = BTreeMap::new();
    for case in 0..24_000 {
        let model = if case % 2 == 0 { Model::Log } else { Model::Producer };
        let mut history = random_history(&mut prng);
        history.iter_mut().for_each(|operation| operation.client = ClientId(prng.below(2) as u32));
        if case % 50 == 0 {
            history[0].outcome = Outcome::Ok(Told::Unreadable { reason: "noise".to_owned() });
        }
        let judged = finished::check(&history, model);
        assert_eq!(judged.is_ok(), holds(&history, model), "case {case}: {judged:?}\n{history:?}");
        let Err(violation) = judged else { continue };
        *found.entry(violation.anomaly).or_default() += 1;
        assert_is_core(&history, model, &violation);
        assert_nothing_was_wrong_before(&history, model, &violation);
        // The same from the whole history, where nobody says what to look at.
        let blind = log_core::shrink(&history, &[], |operations| finished::check(operations, model));
        assert_is_core(&history, model, &blind);
    }
    assert!(found.len() == 11 && found.values().all(|&count| count > 5), "each kind is to be met: {found:?}");
}

/// Either append makes the read impossible. The one of which the read tells is told of with its answer.
#[test]
fn an_append_that_was_seen_keeps_its_answer() {
    let seen = appended(1, 5, 0, 10);
    let read = read(0, &[(4, 1)], 9, 12, 13);
    let history = [seen, appended(2, 6, 1, 11), read];
    let decide = |operations: &[Operation]| finished::check(operations, Model::Log);
    let core = log_core::shrink(&history, &[], decide);
    assert_eq!((core.anomaly, core.operations), (Anomaly::Duplicate, vec![0, 2]));
}

#[test]
fn whoever_was_answered_last_gave_it_away_and_is_last() {
    let shared = finished::check(&[appended(1, 5, 0, 20), appended(2, 5, 1, 10)], Model::Log).unwrap_err();
    assert_eq!((shared.anomaly, shared.operations), (Anomaly::SharedOffset, vec![1, 0]));
}

/// Some operations of the core are certain, all of them needed, and give the same violation; the others are appends that were
/// asked for and have a part in it.
fn assert_is_core(history: &[Operation], model: Model, violation: &Violation) {
    let core = &violation.operations;
    assert!((1..=4).contains(&core.len()), "{violation:?} of {history:?}");
    let subset = |members: u32| core.iter().enumerate().filter(move |(place, _)| members >> place & 1 == 1);
    let is_it = |members: &u32| {
        let mut certain: Vec<usize> = subset(*members).map(|(_, &index)| index).collect();
        certain.sort();
        let is_open = |index: &usize| history[*index].outcome == Outcome::Open;
        let relaxed = |required: &[usize]| log_core::relaxed(history, required).0;
        let is_needed = |index: &usize| {
            let others: Vec<usize> = certain.iter().copied().filter(|other| other != index).collect();
            holds(&relaxed(&others), model)
        };
        let is_asked = |index: &usize| {
            let Ask::Append { values } = &history[*index].ask else { return false };
            values.iter().any(|&value| is_named(violation, value))
        };
        !holds(&relaxed(&certain), model)
            && certain.iter().all(|index| is_open(index) || is_needed(index))
            && subset(!members).all(|(_, index)| is_asked(index))
            && finished::check(&relaxed(&certain), model).is_err_and(|again| again.message == violation.message)
    };
    assert!((0..1 << core.len()).any(|members| is_it(&members)), "{violation:?} of {history:?}");
    for (index, operation) in history.iter().enumerate() {
        let Ask::Append { values } = &operation.ask else { continue };
        let is_named = values.iter().any(|&value| is_named(violation, value));
        assert!(!is_named || core.contains(&index), "{violation:?} names {operation:?}");
    }
}

fn is_named(violation: &Violation, value: u64) -> bool {
    let is_nobodys = violation.anomaly == Anomaly::Invented;
    let mut words = violation.message.split([' ', ',']);
    !is_nobodys && words.any(|word| word == value::name(value))
}

/// The last of a core is the first answer that cannot be explained, or the first that contradicts what was said of an offset.
fn assert_nothing_was_wrong_before(history: &[Operation], model: Model, violation: &Violation) {
    let end = violation.operations.last().and_then(|&last| history[last].returned);
    if let (Model::Log, Some(end)) = (model, end) {
        let required: Vec<usize> = (0..history.len()).filter(|&index| history[index].returned < Some(end)).collect();
        let required: Vec<usize> =
            required.into_iter().filter(|&index| history[index].outcome != Outcome::Open).collect();
        let before = log_core::relaxed(history, &required).0;
        let is_late = |of: Violation| matches!(of.anomaly, Anomaly::StaleTail | Anomaly::Reordered);
        let is_of_content = !matches!(violation.anomaly, Anomaly::StaleTail | Anomaly::Reordered);
        let was_late = is_of_content && log::check(&before).is_err_and(is_late);
        assert!(was_late || is_explained(&before), "{violation:?} of {history:?}");
    }
}

/// The definition: an order explains all answers; and below what a producer was told stands nothing that it sent later.
fn holds(history: &[Operation], model: Model) -> bool {
    let is_in_sequence = || {
        let bases = agreed_bases(history).expect("it is explained");
        bases.iter().all(|(&left, base)| {
            bases.iter().all(|(&right, other)| {
                let (left, right) = (&history[left], &history[right]);
                let is_owed = left.client == right.client && matches!(left.outcome, Outcome::Ok(_));
                !is_owed || left.invoked >= right.invoked || base <= other
            })
        })
    };
    let is_noise = |operation: &Operation| matches!(operation.outcome, Outcome::Ok(Told::Unreadable { .. }));
    !history.iter().any(is_noise) && is_explained(history) && (model == Model::Log || is_in_sequence())
}
