//! Which kinds of fault are on, and how strong.
//!
//! A swarm turns a random subset of its kinds on in each run: faults that hide one another in the mean run (a node that is
//! cut off cannot lose a race) then meet each other undisturbed in some. (Groce et al., "Swarm Testing", 2012.)

use std::collections::BTreeMap;

use crate::scenario::draw::Draws;
use crate::scenario::error::ScenarioError;
use crate::scenario::fault::{Family, FaultKind, STRENGTHS};
use crate::scenario::keys;
use crate::scenario::reader::{Node, Reader};

/// What about a cluster decides which kinds are possible at all.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// Number of voters.
    pub voters: u32,
    /// Whether frames travel one by one.
    pub datagram: bool,
    /// Whether durable faults may exceed the budget.
    pub beyond_budget: bool,
}

impl Ground {
    /// Why this kind cannot be given here, in words that complete "expected"; `None` when it can.
    pub fn forbids(self, kind: FaultKind) -> Option<&'static str> {
        if kind.needs_datagrams() && !self.datagram {
            return Some(r#"it together with "datagram": true; a stream loses nothing but its connection"#);
        }
        if kind.is_durable() && self.voters < 3 && !self.beyond_budget {
            return Some(r#"at least 3 voters in every draw, or "beyond_budget": true"#);
        }
        None
    }
}

/// Reads `faults`: kinds with their strength as listed, and those that the swarm turned on.
pub fn faults(reader: &Reader<'_>, node: &Node<'_>, ground: Ground) -> Result<BTreeMap<FaultKind, u8>, ScenarioError> {
    let object = reader.object(node, &keys::faults())?;
    let mut on = BTreeMap::new();
    for kind in FaultKind::ALL {
        let Some(node) = object.get(kind.name()) else { continue };
        if let Some(expected) = ground.forbids(kind) {
            return Err(reader.refuse(&node, "a fault that cannot happen here", expected));
        }
        on.insert(kind, reader.rank(&node, &STRENGTHS)? as u8 + 1);
    }
    let odds = object.get("odds").map(|node| reader.ratio(&node)).transpose()?;
    let Some(swarm) = object.get("swarm") else {
        return match object.get("odds") {
            Some(node) => Err(reader.refuse(&node, "odds without a swarm", r#"it beside "swarm""#)),
            None => Ok(on),
        };
    };
    let families = families(reader, &swarm)?;
    let kinds = FaultKind::ALL.into_iter().filter(|kind| families.contains(&kind.family()) && !on.contains_key(kind));
    let possible: Vec<FaultKind> = kinds.filter(|&kind| ground.forbids(kind).is_none()).collect();
    on.extend(draw(reader.draws, &possible, odds.unwrap_or((1, 2))));
    Ok(on)
}

/// Each kind on with the odds given, and never all off.
fn draw(draws: Draws, possible: &[FaultKind], (numerator, denominator): (u64, u64)) -> BTreeMap<FaultKind, u8> {
    let path = |kind: FaultKind, what: &str| format!("faults.{} {what}", kind.name());
    let strength = |kind| draws.between(&path(kind, "strength"), 1, STRENGTHS.len() as u64) as u8;
    let is_on = |kind| draws.between(&path(kind, "on"), 0, denominator - 1) < numerator;
    let on: BTreeMap<FaultKind, u8> =
        possible.iter().filter(|&&kind| is_on(kind)).map(|&kind| (kind, strength(kind))).collect();
    if !on.is_empty() || possible.is_empty() {
        return on;
    }
    let only = possible[draws.between("faults only", 0, possible.len() as u64 - 1) as usize];
    BTreeMap::from([(only, strength(only))])
}

fn families(reader: &Reader<'_>, node: &Node<'_>) -> Result<Vec<Family>, ScenarioError> {
    let table = Family::ALL.map(|family| (family.name(), family));
    let entries = reader.list(node, "a list of families of faults")?;
    if entries.is_empty() {
        return Err(reader.wrong(node, "at least one family of faults"));
    }
    entries.iter().map(|entry| reader.word(entry, &table)).collect()
}
