//! The bare event loop: what no simulator of this shape can exceed on this machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

use kraftbed::prng::Prng;

trait Handler {
    fn handle(&mut self, at: u64) -> u64;
}

struct Host {
    prng: Prng,
}

impl Handler for Host {
    fn handle(&mut self, at: u64) -> u64 {
        at + 1 + self.prng.below(1_000_000)
    }
}

/// So many events among three hosts, 100 of them pending at any time.
pub fn events(count: u64) {
    let mut hosts: Vec<Box<dyn Handler>> =
        (0..3).map(|id| Box::new(Host { prng: Prng::new(1, id) }) as Box<dyn Handler>).collect();
    let mut queue: BinaryHeap<Reverse<(u64, u64)>> = (0..PENDING).map(|n| Reverse((n, n))).collect();
    for sequence in PENDING..PENDING + count {
        let Reverse((at, number)) = queue.pop().expect("events are pending");
        let next = black_box(hosts[number as usize % 3].handle(at));
        queue.push(Reverse((next, sequence)));
    }
}

const PENDING: u64 = 100;
