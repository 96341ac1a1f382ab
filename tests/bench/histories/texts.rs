//! A history like the hardest of Porcupine's tests, `c50-bad`, in that test's format.
//!
//! Fifty clients get (44 %), append to (51 %) and put (5 %) the texts of ten keys. Most operations are quick, but some take
//! hundreds of times as long, so that ten and more of a key are under way at once. Near the end every key loses a write that it
//! has acknowledged: a search has all that came before to try again in another order.

use std::fmt::Write;

use kraftbed::prng::Prng;

const CLIENTS: usize = 50;
const KEYS: u64 = 10;
const OPERATIONS: u32 = 2_000;

/// An operation that is under way. Times are counted in lines.
struct Asked {
    action: &'static str,
    key: usize,
    /// What is written; of a get that took effect: what it found.
    value: String,
    has_happened: bool,
    due: u64,
}

/// The lines.
pub fn like_c50() -> String {
    let mut prng = Prng::new(1, 0);
    let mut lines = String::new();
    let mut store = Store { held: vec![String::new(); KEYS as usize], has_lost: [false; KEYS as usize] };
    let mut clients: [Option<Asked>; CLIENTS] = [const { None }; CLIENTS];
    let (mut called, mut now) = (0, 0);
    loop {
        let next = (0..CLIENTS).filter_map(|client| Some((clients[client].as_ref()?.due, client))).min();
        let idle: Vec<usize> = (0..CLIENTS).filter(|client| clients[*client].is_none()).collect();
        match next {
            Some((due, client)) if due <= now || idle.is_empty() || called == OPERATIONS => {
                let mut asked = clients[client].take().expect("it is under way");
                store.take_effect(&mut asked, called);
                line(&mut lines, client, "ok", &asked);
                now = now.max(due) + 1;
            }
            None if called == OPERATIONS => return lines,
            _ => {
                let client = *prng.pick(&idle);
                let mut asked = ask(&mut prng, client, called, now);
                line(&mut lines, client, "invoke", &asked);
                called += 1;
                now += 1;
                if prng.chance(1, 2) {
                    store.take_effect(&mut asked, called);
                }
                clients[client] = Some(asked);
            }
        }
    }
}

fn ask(prng: &mut Prng, client: usize, number: u32, now: u64) -> Asked {
    let action = match prng.below(100) {
        0..44 => "get",
        44..95 => "append",
        _ => "put",
    };
    let value = if action == "get" { String::new() } else { format!("x {client} {number} y") };
    let takes = if prng.chance(3, 10) { 100 + prng.below(900) } else { 2 + prng.below(24) };
    Asked { action, key: prng.below(KEYS) as usize, value, has_happened: false, due: now + takes }
}

struct Store {
    held: Vec<String>,
    has_lost: [bool; KEYS as usize],
}

impl Store {
    /// Does what was asked, if it was not done before. One write of each key is forgotten.
    fn take_effect(&mut self, asked: &mut Asked, called: u32) {
        if std::mem::replace(&mut asked.has_happened, true) {
            return;
        }
        let text = &mut self.held[asked.key];
        if asked.action == "get" {
            asked.value.clone_from(text);
            return;
        }
        let is_near_the_end = called > OPERATIONS / 20 * 19;
        if is_near_the_end && !std::mem::replace(&mut self.has_lost[asked.key], true) {
            return;
        }
        match asked.action {
            "append" => text.push_str(&asked.value),
            _ => text.clone_from(&asked.value),
        }
    }
}

fn line(lines: &mut String, client: usize, kind: &str, asked: &Asked) {
    let Asked { action, key, value, .. } = asked;
    let value = if *action == "get" && kind == "invoke" { "nil".to_owned() } else { format!("\"{value}\"") };
    writeln!(lines, "{{:process {client}, :type :{kind}, :f :{action}, :key \"{key}\", :value {value}}}")
        .expect("a string takes everything");
}
