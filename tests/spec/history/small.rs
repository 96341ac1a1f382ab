//! Every small history of each kind of object: three operations, with every shape of intervals and every outcome.

use kraftbed::history::Model;
use kraftbed::history::objects::{Action, Clock, Entry, NIL, Name, OPEN, ObjectHistory};

use super::{brute, interval_shapes, is_linearizable};

/// What an operation does, with its names.
type Deed = (Action, Name, Name);

/// Every history of these operations; those that never return tell nothing. So many of them are linearizable, of all.
fn agrees(empty: &ObjectHistory, deeds: &[Deed]) -> (u64, u64) {
    let (mut legal, mut all) = (0, 0);
    for shape in interval_shapes() {
        for choice in 0..deeds.len().pow(3) {
            let mut history = empty.clone();
            for (process, &(call, ret)) in (0..).zip(&shape) {
                let (action, a, b) = deeds[choice / deeds.len().pow(process) % deeds.len()];
                let entry = Entry { action, a, b, key: NIL, process, call, ret };
                history.entries.extend(if ret == OPEN { entry.relaxed() } else { Some(entry) });
            }
            let expected = brute::is_linearizable(&history);
            assert_eq!(is_linearizable(&history), expected, "{:#?}", history.entries);
            legal += u64::from(expected);
            all += 1;
        }
    }
    assert_eq!(all, (deeds.len().pow(3) * interval_shapes().len()) as u64);
    (legal, all)
}

#[test]
fn every_small_history_of_a_lock_agrees_with_all_orders() {
    let empty = ObjectHistory::new(Model::Lock, Clock::Lines);
    let (legal, all) = agrees(&empty, &[(Action::Acquire, NIL, NIL), (Action::Release, NIL, NIL)]);
    assert!(legal > all / 10 && legal < all * 9 / 10, "{legal} of {all}");
}

#[test]
fn every_small_history_of_a_queue_agrees_with_all_orders() {
    let mut empty = ObjectHistory::new(Model::Queue, Clock::Lines);
    let names = [empty.values.name("1"), empty.values.name("2")];
    let of_one = |name| [(Action::Insert, name, NIL), (Action::Remove, name, NIL)];
    let deeds = [&names.map(of_one).concat()[..], &[(Action::Empty, NIL, NIL)]].concat();
    let (legal, all) = agrees(&empty, &deeds);
    assert!(legal > all / 10 && legal < all * 9 / 10, "{legal} of {all}");
}

#[test]
fn every_small_history_of_a_set_agrees_with_all_orders() {
    let mut empty = ObjectHistory::new(Model::Set, Clock::Lines);
    let [one, two] = [empty.values.name("1"), empty.values.name("2")];
    empty.lists = vec![vec![], vec![one], vec![two], vec![one, two]];
    let actions = [Action::Insert, Action::Discard, Action::Contains, Action::Lacks];
    let of_elements = actions.iter().flat_map(|&action| [(action, one, NIL), (action, two, NIL)]);
    let of_all = (0..4).map(|list| (Action::Elements, list, NIL));
    let (legal, all) = agrees(&empty, &of_elements.chain(of_all).collect::<Vec<Deed>>());
    assert!(legal > all / 10 && legal < all * 9 / 10, "{legal} of {all}");
}

#[test]
fn every_small_history_of_a_text_agrees_with_all_orders() {
    let mut empty = ObjectHistory::new(Model::Kv, Clock::Lines);
    let [one, two] = [empty.values.name("a"), empty.values.name("aa")];
    let actions = [Action::Read, Action::Refused, Action::Write, Action::Append];
    let deeds = actions.iter().flat_map(|&action| [(action, one, NIL), (action, two, NIL)]);
    let more =
        [(Action::Read, NIL, NIL), (Action::Refused, NIL, NIL), (Action::Cas, one, two), (Action::Cas, NIL, one)];
    let (legal, all) = agrees(&empty, &deeds.chain(more).collect::<Vec<Deed>>());
    assert!(legal > all / 10 && legal < all * 9 / 10, "{legal} of {all}");
}
