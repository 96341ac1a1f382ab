//! Recorded histories of the collection, bent: [`super`] does it to runs.
#![expect(clippy::disallowed_methods, reason = "histories are files")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kraftbed::history::engine::Budget;
use kraftbed::history::engine::core::until;
use kraftbed::history::engine::decide::{Part, Verdict, decide, parts};
use kraftbed::history::format::{Hints, import};
use kraftbed::history::objects::{Action, Entry, OPEN};
use kraftbed::prng::Prng;

use crate::history::breadth;

#[test]
fn bent_histories_of_the_collection_are_caught_or_true() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/histories");
    let corpus = std::env::var_os("KRAFTBED_CORPUS").map_or(beside, PathBuf::from);
    let Ok(table) = fs::read_to_string(corpus.join("README.md")) else {
        // Not through `eprintln!`, which a test that passes keeps to itself.
        let why =
            format!("SKIPPED: no histories to bend at {}; KRAFTBED_CORPUS names their folder\n", corpus.display());
        std::io::stderr().write_all(why.as_bytes()).expect("a terminal, or a file");
        return;
    };
    let (mut prng, mut count, mut skipped) = (Prng::new(18, 0), [0, 0], 0);
    for file in table.lines().filter_map(|row| row.split('|').nth(1)).map(|file| corpus.join(file.trim())) {
        if !file.is_file() || fs::metadata(&file).is_ok_and(|file| file.len() > FILE_BYTES_MAX) {
            continue;
        }
        let bytes = fs::read(&file).expect("a file that can be read");
        let Some(history) = import(&bytes, &Hints::default()).ok().and_then(|imported| imported.subject.objects) else {
            continue;
        };
        for part in parts(&history).into_iter().take(3) {
            let begun = begun(&part.entries);
            for _ in 0..ROUNDS {
                let Some(entries) = bend(&mut prng, &begun) else { continue };
                if entries.iter().filter(|entry| entry.ret == OPEN).count() > super::OPEN_MAX {
                    skipped += 1;
                    continue;
                }
                let expected = breadth::decide(&history, &entries).is_ok();
                let part = Part { key: part.key, entries };
                let found = match decide(&history, &part, &Budget::BOUNDLESS).verdict {
                    Verdict::Linearizable => true,
                    Verdict::NotLinearizable(_) => false,
                    Verdict::Undecided(why) => panic!("{why:?} without a bound"),
                };
                assert_eq!(found, expected, "{}: {:#?}", file.display(), part.entries);
                count[usize::from(found)] += 1;
            }
        }
    }
    println!("{skipped} skipped, caught and true: {count:?}");
    assert!(count[0] > 200 && count[1] > 400, "{count:?}");
}

/// A history of one object until so many of its operations have returned.
fn begun(entries: &[Entry]) -> Vec<Entry> {
    let mut returns: Vec<u32> = entries.iter().map(|entry| entry.ret).filter(|&ret| ret != OPEN).collect();
    returns.sort_unstable();
    returns.get(RETURNS).map_or_else(|| entries.to_vec(), |&end| until(entries, end))
}

/// The same with one change; `None` where that is none.
fn bend(prng: &mut Prng, entries: &[Entry]) -> Option<Vec<Entry>> {
    let at = |position: u32| if position == OPEN { OPEN } else { 4 * position + 4 };
    let mut bent: Vec<Entry> =
        entries.iter().map(|entry| Entry { call: at(entry.call), ret: at(entry.ret), ..*entry }).collect();
    let (index, other) = (prng.below(bent.len() as u64) as usize, prng.below(bent.len() as u64) as usize);
    let (mut entry, another) = (bent[index], bent[other]);
    let is_alike =
        matches!(entry.action, Action::Read | Action::Remove | Action::Refused) && another.action != Action::Elements;
    match prng.below(9) {
        0 | 1 | 7 | 8 if is_alike => entry.a = another.a,
        2 => (entry.ret, bent[other].ret) = (another.ret, entry.ret),
        3 => entry.ret = another.call - 1,
        4 if another.ret != OPEN => entry.call = another.ret + 1,
        5 => {
            bent.splice(index..=index, entry.relaxed());
            return Some(bent);
        }
        6 => {
            bent.remove(index);
            return Some(bent);
        }
        _ => return None,
    }
    bent[index] = entry;
    bent.sort_by_key(|entry| entry.call);
    bent.iter().all(|entry| entry.call < entry.ret).then_some(bent)
}

/// Returns of an object that are looked at.
const RETURNS: usize = 20;

/// Times that each object's history is bent.
const ROUNDS: u32 = 8;

/// Files beyond this are about speed.
const FILE_BYTES_MAX: u64 = 1 << 20;
