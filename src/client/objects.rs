//! What clients ask of keys.
//!
//! Two kinds of client find two kinds of mistake. Where each value is put once, a read says which put it saw: a judge decides
//! that in near-linear time and misses nothing. Where values come back, a compare-and-set may succeed by luck, and only a
//! search can tell whether it should have.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::client::workload::{Brief, Kind, Reads};
use crate::history::{Ask, ClientId, Told, value};
use crate::prng::Prng;

/// One client's questions about keys.
#[derive(Clone, Debug)]
pub struct Objects {
    client: ClientId,
    kind: Kind,
    reads: Reads,
    sequence: u32,
    /// What was asked last.
    asked: Option<Ask>,
    /// What the client knows each key to have held.
    known: BTreeMap<u32, u64>,
}

impl Objects {
    /// A client that knows nothing.
    pub fn new(brief: &Brief) -> Objects {
        let (client, kind, reads) = (brief.client, brief.kind, brief.reads);
        Objects { client, kind, reads, sequence: 0, asked: None, known: BTreeMap::new() }
    }

    /// The keys it asks about. Those of the two kinds are apart, because a value that is put once must be.
    pub fn keys(&self) -> Range<u32> {
        if self.kind == Kind::Cas { CAS_KEYS } else { KV_KEYS }
    }

    /// Draws what to ask next.
    pub fn draw(&mut self, prng: &mut Prng) -> Ask {
        let keys = self.keys();
        let key = prng.range(keys.start.into()..keys.end.into()) as u32;
        let (gets, puts) = if self.kind == Kind::Kv { (4, 4) } else { (2, 1) };
        let gets = if self.reads == Reads::None { 0 } else { gets };
        let drawn = prng.below(10);
        let ask = if drawn < gets {
            Ask::Get { key }
        } else if drawn < gets + puts {
            Ask::Put { key, value: self.new_value(prng) }
        } else {
            Ask::Cas { key, from: self.expected(key, prng), to: self.new_value(prng) }
        };
        self.asked = Some(ask.clone());
        ask
    }

    /// The answer to what was drawn last.
    pub fn on_told(&mut self, told: &Told) {
        let (key, holds) = match (&self.asked, told) {
            (Some(Ask::Get { key }), Told::Got { value }) => (*key, *value),
            (Some(Ask::Put { key, value }), Told::Put { .. }) => (*key, Some(*value)),
            (Some(Ask::Cas { key, from, to }), Told::Compared { found, .. }) => {
                (*key, if found == from { Some(*to) } else { *found })
            }
            _ => return,
        };
        match holds {
            Some(holds) => _ = self.known.insert(key, holds),
            None => _ = self.known.remove(&key),
        }
    }

    /// What a compare-and-set expects: what the client knows, unless it guesses.
    fn expected(&self, key: u32, prng: &mut Prng) -> Option<u64> {
        match self.kind {
            Kind::Cas if prng.chance(1, 3) => Some(prng.below(SMALL_VALUES)),
            _ => self.known.get(&key).copied(),
        }
    }

    fn new_value(&mut self, prng: &mut Prng) -> u64 {
        if self.kind == Kind::Cas {
            return prng.below(SMALL_VALUES);
        }
        let value = value::number(self.client, self.sequence);
        self.sequence = self.sequence.checked_add(1).expect("invariant: a client puts fewer than 2³² values");
        value
    }
}

/// Keys under which each value is put once.
const KV_KEYS: Range<u32> = 0..5;

/// Keys that hold small numbers.
const CAS_KEYS: Range<u32> = 5..8;

/// So many different values they hold.
const SMALL_VALUES: u64 = 5;
