//! Specification of `history`: the log monitor on good and bad histories, and its naive twin, which tries all orders of
//! the operations one by one.
//!
//! The twin shares no code and no idea with the monitor. It compares every pair of claims about an offset, and then
//! looks for an order of the operations that keeps real time and in which the log only grows.

use std::collections::BTreeMap;

use kraftbed::history::engine::finished;
use kraftbed::history::engine::log::{Anomaly, OFFSET_MAX, check};
use kraftbed::history::engine::sweep::{LogHistory, is_legal};
use kraftbed::history::format::{Hints, import, lines};
use kraftbed::history::value::{foreign, number};
use kraftbed::history::{Ask, ClientId, Model, Operation, Outcome, Told};
use kraftbed::prng::Prng;
use kraftbed::time::Instant;

/// The shortest description that allows all that a history can contain.
fn operation(ask: Ask, outcome: Outcome, invoked: u64, returned: u64) -> Operation {
    let returned = (outcome != Outcome::Open).then_some(Instant(returned));
    Operation { client: ClientId(1), ask, invoked: Instant(invoked), returned, outcome }
}

fn append(value: u64, outcome: Outcome, invoked: u64, returned: u64) -> Operation {
    operation(Ask::Append { values: vec![value] }, outcome, invoked, returned)
}

pub fn appended(value: u64, offset: u64, invoked: u64, returned: u64) -> Operation {
    append(value, Outcome::Ok(Told::Appended { offset }), invoked, returned)
}

fn tail(end: u64, invoked: u64, returned: u64) -> Operation {
    operation(Ask::Tail, Outcome::Ok(Told::Tail { end }), invoked, returned)
}

pub fn read(from: u64, values: &[(u64, u64)], next: u64, invoked: u64, returned: u64) -> Operation {
    let told = Told::Read { values: values.to_vec(), next };
    operation(Ask::Read { from }, Outcome::Ok(told), invoked, returned)
}

fn anomaly(history: &[Operation]) -> Option<Anomaly> {
    check(history).err().map(|violation| violation.anomaly)
}

#[test]
fn concurrent_appends_may_stand_in_any_order() {
    let history = [appended(1, 3, 0, 10), appended(2, 1, 5, 15), tail(4, 16, 17), read(0, &[(1, 2), (3, 1)], 4, 2, 20)];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn an_open_append_stands_once_or_not_at_all() {
    let open = append(1, Outcome::Open, 0, 0);
    let once = [open.clone(), read(0, &[(0, 1)], 1, 5, 6), read(0, &[(0, 1)], 1, 7, 8)];
    assert_eq!(check(&once), Ok(()));
    let never = [open.clone(), read(0, &[(1, 2)], 2, 5, 6), append(2, Outcome::Open, 1, 0)];
    assert_eq!(check(&never), Ok(()));
    let twice = [open, read(0, &[(0, 1)], 1, 5, 6), read(1, &[(1, 1)], 2, 7, 8)];
    assert_eq!(anomaly(&twice), Some(Anomaly::Duplicate));
}

#[test]
fn a_tail_read_sees_what_was_acknowledged_before_it_was_asked() {
    assert_eq!(anomaly(&[appended(1, 4, 0, 10), tail(4, 9, 12)]), None);
    assert_eq!(anomaly(&[appended(1, 4, 0, 10), tail(4, 11, 12)]), Some(Anomaly::StaleTail));
    assert_eq!(anomaly(&[tail(7, 0, 10), tail(6, 11, 12)]), Some(Anomaly::StaleTail));
    assert_eq!(anomaly(&[tail(7, 0, 10), appended(1, 6, 11, 12)]), Some(Anomaly::Reordered));
    assert_eq!(anomaly(&[tail(7, 0, 10), appended(1, 7, 11, 12)]), None);
}

#[test]
fn what_was_read_is_committed_and_stays() {
    let open = append(1, Outcome::Open, 0, 0);
    let seen = read(0, &[(5, 1)], 6, 1, 10);
    assert_eq!(anomaly(&[open.clone(), seen.clone(), tail(5, 11, 12)]), Some(Anomaly::StaleTail));
    assert_eq!(anomaly(&[open.clone(), seen.clone(), read(0, &[], 6, 11, 12)]), Some(Anomaly::Rewritten));
    // A reader that is behind has broken no promise.
    assert_eq!(anomaly(&[open, seen, read(0, &[], 3, 11, 12)]), None);
}

#[test]
fn an_acknowledged_value_is_not_lost_or_moved() {
    let acked = appended(1, 5, 0, 10);
    assert_eq!(anomaly(&[acked.clone(), read(0, &[], 6, 11, 12)]), Some(Anomaly::LostWrite));
    assert_eq!(anomaly(&[acked.clone(), read(6, &[(8, 1)], 9, 11, 12)]), Some(Anomaly::Duplicate));
    assert_eq!(anomaly(&[acked.clone(), appended(2, 5, 1, 11)]), Some(Anomaly::SharedOffset));
    assert_eq!(anomaly(&[acked, read(0, &[(5, 1)], 6, 1, 2)]), None);
}

#[test]
fn a_batch_is_in_the_log_as_a_whole() {
    let ask = Ask::Append { values: vec![1, 2, 3] };
    let batch = operation(ask.clone(), Outcome::Ok(Told::Appended { offset: 4 }), 0, 10);
    assert_eq!(anomaly(&[batch.clone(), read(5, &[(5, 2), (6, 3)], 7, 11, 12), tail(7, 11, 12)]), None);
    assert_eq!(anomaly(&[batch, tail(6, 11, 12)]), Some(Anomaly::TornBatch));
    let open = operation(ask, Outcome::Open, 0, 0);
    assert_eq!(anomaly(&[open.clone(), read(0, &[(4, 1), (5, 2)], 8, 11, 12)]), Some(Anomaly::TornBatch));
    assert_eq!(anomaly(&[open, read(0, &[(1, 3)], 2, 11, 12)]), Some(Anomaly::TornBatch));
}

#[test]
fn nobody_reads_what_failed_or_was_never_appended() {
    let failed = append(1, Outcome::Failed, 0, 10);
    assert_eq!(anomaly(&[failed.clone(), read(0, &[(0, 1)], 1, 11, 12)]), Some(Anomaly::DirtyRead));
    assert_eq!(anomaly(&[failed, read(0, &[(0, 1)], 1, 1, 2)]), Some(Anomaly::DirtyRead));
    assert_eq!(anomaly(&[read(0, &[(0, 9)], 1, 1, 2)]), Some(Anomaly::Invented));
    assert_eq!(anomaly(&[read(0, &[(0, 9)], 1, 1, 2), append(9, Outcome::Open, 3, 0)]), Some(Anomaly::Invented));
    assert_eq!(anomaly(&[read(3, &[(2, 9)], 4, 1, 2), append(9, Outcome::Open, 0, 0)]), Some(Anomaly::Nonmonotonic));
}

/// What was lost or replaced breaks real time as well, and says more.
#[test]
fn content_is_looked_at_before_real_time() {
    let [lost, next] = [appended(1, 5, 0, 10), appended(2, 5, 11, 12)];
    assert_eq!(anomaly(&[lost.clone(), tail(5, 11, 12)]), Some(Anomaly::StaleTail));
    assert_eq!(anomaly(&[lost.clone(), next.clone()]), Some(Anomaly::SharedOffset));
    assert_eq!(anomaly(&[lost, tail(5, 11, 12), read(0, &[], 6, 13, 14)]), Some(Anomaly::LostWrite));
    let dirty = [append(1, Outcome::Open, 0, 0), read(0, &[(5, 1)], 6, 1, 10), next];
    assert_eq!(anomaly(&dirty), Some(Anomaly::Rewritten));
}

/// A gap that was read is a promise like a value: whoever is told later that his append stands there has lost it.
#[test]
fn an_append_that_is_acknowledged_where_nothing_was_read_is_lost() {
    assert_eq!(anomaly(&[read(0, &[], 6, 0, 10), appended(1, 5, 1, 12)]), Some(Anomaly::LostWrite));
    let open = [read(0, &[], 6, 0, 10), append(1, Outcome::Open, 1, 0), read(0, &[(5, 1)], 6, 11, 12)];
    assert_eq!(anomaly(&open), Some(Anomaly::Rewritten));
}

#[test]
fn an_append_of_no_values_is_torn_by_no_tail() {
    let empty = operation(Ask::Append { values: vec![] }, Outcome::Ok(Told::Appended { offset: 5 }), 11, 12);
    assert_eq!(finished::check(&[tail(5, 0, 10), empty, tail(5, 13, 14)], Model::Log), Ok(()));
}

#[test]
fn offsets_end_where_sums_of_them_might_overflow() {
    assert_eq!(finished::check(&[appended(1, OFFSET_MAX, 0, 1)], Model::Log), Ok(()));
    assert_eq!(finished::check(&[tail(OFFSET_MAX, 0, 1)], Model::Log), Ok(()));
    assert_eq!(anomaly(&[appended(1, OFFSET_MAX + 1, 0, 1)]), Some(Anomaly::Unreadable));
    assert_eq!(anomaly(&[tail(OFFSET_MAX + 1, 0, 1)]), Some(Anomaly::Unreadable));
}

/// Both judges must take it for the last of all; at the first moment it would have read what nobody had asked for.
#[test]
fn an_answer_without_a_time_comes_at_the_end() {
    let timeless = |operation: Operation| Operation { returned: None, ..operation };
    let seen = timeless(read(0, &[(0, 1)], 1, 6, 7));
    let failed = timeless(append(2, Outcome::Failed, 6, 7));
    let history = [append(1, Outcome::Open, 5, 0), seen, failed.clone()];
    assert_eq!(finished::check(&history, Model::Log), Ok(()));
    let dirty = finished::check(&[failed, read(0, &[(0, 2)], 1, 7, 8)], Model::Log).unwrap_err();
    assert_eq!((dirty.anomaly, dirty.operations), (Anomaly::DirtyRead, vec![1, 0]));
}

#[test]
fn who_read_an_acknowledged_value_first_does_not_make_it_a_dirty_one() {
    let acked = [appended(1, 5, 0, 10), read(0, &[(5, 1)], 6, 1, 2), append(2, Outcome::Open, 0, 0)];
    let replaced = [&acked[..], &[read(0, &[(5, 2)], 6, 11, 12)]].concat();
    let violation = check(&replaced).unwrap_err();
    assert_eq!(violation.anomaly, Anomaly::LostWrite);
    assert!(violation.message.starts_with("lost write: append of c0-1 was acknowledged at offset 5"), "{violation:?}");
    assert_eq!(violation.operations, [2, 0, 3]);
}

#[test]
fn a_violation_names_the_operations_in_words() {
    let second = |n: u64| n * 1_000_000_000;
    let mut stale = tail(4, second(3), second(4));
    stale.client = ClientId(7);
    let acked = appended(number(ClientId(2), 3), 4, second(1), second(2));
    let violation = check(&[stale, acked]).unwrap_err();
    assert_eq!(
        violation.message,
        "stale read: client 7 asked at 3s where the log ends and was told 4, \
         after append of c2-3 was acknowledged at offset 4 to client 1 at 2s"
    );
    assert_eq!(violation.operations, [1, 0]);
}

#[test]
fn monitor_and_sweep_agree_with_brute_force() {
    let mut prng = Prng::new(5, 0);
    let (mut legal, mut illegal) = (0, 0);
    for case in 0..60_000 {
        let history = random_history(&mut prng);
        let expected = is_explained(&history);
        let found = check(&history);
        assert_eq!(found.is_ok(), expected, "case {case}: {found:?}\n{history:?}");
        // What no log could have answered the sweep does not take.
        let swept = LogHistory::of(&history).and_then(|history| is_legal(&history));
        assert_eq!(swept.unwrap_or(false), expected, "case {case}: {swept:?}\n{history:?}");
        if expected { legal += 1 } else { illegal += 1 }
    }
    assert!(legal > 5_000 && illegal > 5_000, "{legal} legal and {illegal} illegal histories");
}

#[test]
fn what_is_written_in_json_lines_is_read_back() {
    let mut prng = Prng::new(6, 0);
    for case in 0..2_000 {
        let mut history = random_history(&mut prng);
        history.push(operation(Ask::Tail, Outcome::Failed, 90, 91));
        history.push(append(foreign(case), Outcome::Open, u64::MAX, 0));
        // Those by key too, whatever is between them.
        let mut by_key = |ask: Ask, told: Told| history.push(operation(ask, Outcome::Ok(told), case, case + 1));
        by_key(Ask::Get { key: 3 }, Told::Got { value: None });
        by_key(Ask::Get { key: 4 }, Told::Got { value: Some(foreign(case)) });
        by_key(Ask::Put { key: 3, value: number(ClientId(2), 7) }, Told::Put { offset: case });
        by_key(
            Ask::Cas { key: 3, from: None, to: 5 },
            Told::Compared { offset: 9, found: Some(number(ClientId(2), 7)) },
        );
        by_key(Ask::Cas { key: 3, from: Some(6), to: 5 }, Told::Compared { offset: 9, found: None });
        history.push(operation(Ask::Put { key: u32::MAX, value: 1 }, Outcome::Open, 1, 0));
        history.push(operation(Ask::Cas { key: 9, from: Some(1), to: 2 }, Outcome::Failed, 1, 2));
        let reason = "a \"quoted\" \\ reason\n\u{1}, é".to_owned();
        history.push(operation(Ask::Read { from: 3 }, Outcome::Ok(Told::Unreadable { reason }), 92, 93));
        let mut text = lines::HEADER.to_owned();
        history.iter().enumerate().for_each(|(index, operation)| lines::write(index, operation, &mut text));
        let imported = import(text.as_bytes(), &Hints::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(imported.subject.log, history, "{text}");
    }
}

#[test]
fn a_producer_sends_in_order() {
    let acked =
        |client, value, offset, invoked| Operation { client: ClientId(client), ..appended(value, offset, invoked, 9) };
    let judge =
        |history: &[Operation]| finished::check(history, Model::Producer).map_err(|violation| violation.operations);
    // At one time, the order of the history is the order in which they were sent.
    assert_eq!(judge(&[acked(1, 1, 0, 1), acked(2, 2, 1, 1), acked(1, 3, 2, 1)]), Ok(()));
    assert_eq!(judge(&[acked(1, 1, 2, 1), acked(2, 2, 1, 1), acked(1, 3, 0, 1)]), Err(vec![0, 2]));
    let open = append(5, Outcome::Open, 1, 0);
    let seen = read(0, &[(4, 5)], 5, 10, 11);
    assert_eq!(judge(&[open.clone(), acked(1, 3, 5, 2), seen.clone()]), Ok(()));
    assert_eq!(judge(&[acked(1, 3, 5, 0), open, seen]), Err(vec![0, 1, 2]));
}

/// Up to six operations at distinct times, with answers from one log that is lied about now and then.
pub fn random_history(prng: &mut Prng) -> Vec<Operation> {
    let count = prng.range(1..7) as usize;
    let mut times: Vec<u64> = (0..2 * count as u64).collect();
    prng.shuffle(&mut times);
    let mut spans: Vec<(u64, u64)> = times.chunks(2).map(|pair| (pair[0].min(pair[1]), pair[0].max(pair[1]))).collect();
    // Nearly in order of time, or else hardly any history would be legal.
    spans.sort();
    let mut log: Vec<Option<u64>> = Vec::new();
    let mut history = Vec::new();
    for (value, (invoked, returned)) in (0..).step_by(2).zip(spans) {
        let kind = prng.below(6);
        let length = log.len() as u64;
        if kind < 3 {
            let values: Vec<u64> = (value..value + prng.range(1..3)).collect();
            log.extend((0..prng.below(2)).map(|_| None));
            let offset = if prng.chance(11, 12) { log.len() as u64 } else { prng.below(length + 2) };
            if prng.chance(5, 6) {
                log.extend(values.iter().copied().map(Some));
            }
            let outcome = match prng.below(8) {
                0 => Outcome::Failed,
                1..4 => Outcome::Open,
                _ => Outcome::Ok(Told::Appended { offset }),
            };
            history.push(operation(Ask::Append { values }, outcome, invoked, returned));
        } else if kind == 3 {
            let end = if prng.chance(5, 6) { length } else { prng.below(length + 2) };
            history.push(tail(end, invoked, returned));
        } else {
            let from = prng.below(length + 1);
            let next = from + prng.below(length + 1 - from) + prng.below(8) / 7;
            let mut values: Vec<(u64, u64)> = Vec::new();
            for offset in from..next {
                let honest = log.get(offset as usize).copied().flatten();
                let value = if prng.chance(29, 30) { honest } else { Some(prng.below(6)) };
                values.extend(value.map(|value| (offset, value)));
            }
            history.push(read(from, &values, next, invoked, returned));
        }
    }
    prng.shuffle(&mut history);
    history
}

/// One claim about an offset: this value, or none.
type Claim = (u64, Option<u64>);

pub fn is_explained(history: &[Operation]) -> bool {
    let Some(bases) = agreed_bases(history) else { return false };
    // (least, and greatest length of the log around the operation, invoke, return) of all that must have a place.
    let mut places: Vec<(u64, u64, i64, i64)> = Vec::new();
    for (index, operation) in history.iter().enumerate() {
        let returned = operation.returned.map_or(i64::MAX, |at| at.0 as i64);
        let invoked = operation.invoked.0 as i64;
        match (&operation.ask, &operation.outcome) {
            (Ask::Append { values }, _) => {
                if let Some(&base) = bases.get(&index) {
                    places.push((base, base + values.len() as u64, invoked, returned));
                }
            }
            (_, Outcome::Ok(Told::Tail { end })) => places.push((*end, *end, invoked, returned)),
            // A read may speak of the past: it is as if it had been asked long ago.
            (Ask::Read { from }, Outcome::Ok(Told::Read { next, .. })) if next > from => {
                places.push((u64::MAX, *next, -1, returned));
            }
            _ => {}
        }
    }
    has_order(&mut places, 0)
}

/// Tries all orders: nobody comes before somebody who had returned before he was invoked, and the log only grows.
fn has_order(rest: &mut Vec<(u64, u64, i64, i64)>, length: u64) -> bool {
    if rest.is_empty() {
        return true;
    }
    for pick in 0..rest.len() {
        let (least, end, invoked, _) = rest[pick];
        let is_next = rest.iter().all(|other| other.3 >= invoked);
        if !is_next || least < length {
            continue;
        }
        let picked = rest.remove(pick);
        let is_found = has_order(rest, length.max(end));
        rest.insert(pick, picked);
        if is_found {
            return true;
        }
    }
    false
}

/// Where each append stands, by its index, if all claims agree and no failed or unknown value is among them.
pub fn agreed_bases(history: &[Operation]) -> Option<BTreeMap<usize, u64>> {
    let mut claims: Vec<Claim> = Vec::new();
    for operation in history {
        match (&operation.ask, &operation.outcome) {
            (Ask::Append { values }, Outcome::Ok(Told::Appended { offset })) => {
                claims.extend((*offset..).zip(values).map(|(offset, value)| (offset, Some(*value))));
            }
            (Ask::Read { from }, Outcome::Ok(Told::Read { values, next })) => {
                let at = |offset| values.iter().find(|(found, _)| *found == offset).map(|(_, value)| *value);
                claims.extend((*from..*next).map(|offset| (offset, at(offset))));
            }
            _ => {}
        }
    }
    let mut bases = BTreeMap::new();
    for (offset, value) in claims.clone().into_iter().filter_map(|(offset, value)| Some((offset, value?))) {
        let has = |operation: &Operation| matches!(&operation.ask, Ask::Append { values } if values.contains(&value));
        let index = history.iter().position(has)?;
        let Ask::Append { values } = &history[index].ask else { unreachable!() };
        let place = values.iter().position(|mine| *mine == value).unwrap() as u64;
        let base = offset.checked_sub(place)?;
        if history[index].outcome == Outcome::Failed || *bases.entry(index).or_insert(base) != base {
            return None;
        }
        claims.extend((base..).zip(values).map(|(offset, value)| (offset, Some(*value))));
    }
    let agree = |left: &Claim, right: &Claim| left.0 != right.0 || left.1 == right.1;
    claims.iter().all(|left| claims.iter().all(|right| agree(left, right))).then_some(bases)
}
