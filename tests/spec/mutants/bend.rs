//! Histories bent a little: one lie, or one change that may be none.

use kraftbed::history::{Ask, Operation, Outcome, Told};
use kraftbed::prng::Prng;
use kraftbed::time::Instant;

/// What is done to a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bend {
    ChangesAnAnswer,
    SwapsReturns,
    MovesAReturn,
    MovesACall,
    OkToFailed,
    OkToOpen,
    BecomesOk,
    DropsAnOperation,
    SwapsAnswers,
    CopiesAnAnswer,
}

impl Bend {
    pub const ALL: [Bend; 10] = [
        Bend::ChangesAnAnswer,
        Bend::SwapsReturns,
        Bend::MovesAReturn,
        Bend::MovesACall,
        Bend::OkToFailed,
        Bend::OkToOpen,
        Bend::BecomesOk,
        Bend::DropsAnOperation,
        Bend::SwapsAnswers,
        Bend::CopiesAnAnswer,
    ];
}

/// The history after that; `None` where there was nothing to do it to.
pub fn bend(prng: &mut Prng, history: &[Operation], bend: Bend) -> Option<Vec<Operation>> {
    let mut bent = history.to_vec();
    let of = |prng: &mut Prng, is_meant: &dyn Fn(&Operation) -> bool| {
        let meant: Vec<usize> = (0..history.len()).filter(|&index| is_meant(&history[index])).collect();
        (!meant.is_empty()).then(|| *prng.pick(&meant))
    };
    let is_answered = |operation: &Operation| operation.returned.is_some() && operation.outcome != Outcome::Failed;
    match bend {
        Bend::ChangesAnAnswer => {
            let index = of(prng, &is_answered)?;
            let values = values(history);
            change(prng, &mut bent[index], &values)?;
        }
        Bend::SwapsReturns => {
            let (left, right) = (of(prng, &is_answered)?, of(prng, &is_answered)?);
            let times = (bent[left].returned, bent[right].returned);
            (bent[right].returned, bent[left].returned) = times;
        }
        Bend::MovesAReturn => {
            let (index, other) = (of(prng, &is_answered)?, of(prng, &is_answered)?);
            bent[index].returned = Some(Instant(history[other].invoked.0.saturating_sub(1)));
        }
        Bend::MovesACall => {
            let (index, other) = (of(prng, &is_answered)?, of(prng, &is_answered)?);
            bent[index].invoked = Instant(history[other].returned?.0 + 1);
        }
        Bend::OkToFailed => bent[of(prng, &is_answered)?].outcome = Outcome::Failed,
        Bend::OkToOpen => {
            let operation = &mut bent[of(prng, &is_answered)?];
            (operation.outcome, operation.returned) = (Outcome::Open, None);
        }
        // It failed, or nobody knew.
        Bend::BecomesOk => {
            let index = of(prng, &|operation| matches!(operation.outcome, Outcome::Failed | Outcome::Open))?;
            let end = history.iter().filter_map(|operation| operation.returned).max()?;
            let operation = &mut bent[index];
            operation.returned = Some(operation.returned.unwrap_or(end));
            operation.outcome = Outcome::Ok(answer(prng, &operation.ask, history)?);
        }
        Bend::DropsAnOperation => _ = bent.remove(of(prng, &|_| true)?),
        Bend::SwapsAnswers | Bend::CopiesAnAnswer => {
            let left = of(prng, &is_answered)?;
            let is_alike = |other: &Operation| is_answered(other) && alike(&other.ask, &history[left].ask);
            let right = of(prng, &is_alike)?;
            bent[left].outcome = history[right].outcome.clone();
            if bend == Bend::SwapsAnswers {
                bent[right].outcome = history[left].outcome.clone();
            }
        }
    }
    // An operation ends after it begins, or else no file could hold it.
    let is_backwards = |operation: &Operation| operation.returned.is_some_and(|returned| returned < operation.invoked);
    (bent != history && !bent.iter().any(is_backwards)).then_some(bent)
}

fn alike(left: &Ask, right: &Ask) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && left.key() == right.key()
}

/// All values in use.
fn values(history: &[Operation]) -> Vec<u64> {
    let mut values = Vec::new();
    for operation in history {
        match &operation.ask {
            Ask::Append { values: appended } => values.extend(appended),
            Ask::Put { value, .. } | Ask::Cas { to: value, .. } => values.push(*value),
            _ => {}
        }
    }
    values
}

/// Says something else.
fn change(prng: &mut Prng, operation: &mut Operation, values: &[u64]) -> Option<()> {
    let Outcome::Ok(told) = &mut operation.outcome else { return None };
    match told {
        Told::Appended { offset } => *offset = near(prng, *offset),
        Told::Tail { end } => *end = near(prng, *end),
        Told::Read { values: found, next } => {
            let kind = if found.is_empty() { 0 } else { prng.below(4) };
            let place = prng.below(found.len().max(1) as u64) as usize;
            match kind {
                0 => *next = near(prng, *next),
                1 => _ = found.remove(place),
                2 => found[place].0 = near(prng, found[place].0),
                _ => found[place].1 = *prng.pick(values),
            }
        }
        Told::Got { value } | Told::Compared { found: value, .. } => {
            *value = if prng.chance(1, 8) || values.is_empty() { None } else { Some(*prng.pick(values)) };
        }
        Told::Put { .. } | Told::Unreadable { .. } => return None,
    }
    Some(())
}

/// Another number, not far from this one.
fn near(prng: &mut Prng, number: u64) -> u64 {
    let by = 1 + prng.below(3);
    if prng.chance(1, 2) { number + by } else { number.saturating_sub(by) }
}

/// Something that could answer this.
fn answer(prng: &mut Prng, ask: &Ask, history: &[Operation]) -> Option<Told> {
    let end = history.iter().filter_map(|operation| match operation.outcome {
        Outcome::Ok(Told::Appended { offset }) => Some(offset),
        Outcome::Ok(Told::Tail { end }) => Some(end),
        _ => None,
    });
    let end = end.max().unwrap_or(0) + 3;
    Some(match ask {
        Ask::Append { .. } => Told::Appended { offset: prng.below(end + 1) },
        Ask::Tail => Told::Tail { end: prng.below(end + 1) },
        Ask::Read { from } => Told::Read { values: vec![], next: from + prng.below(2) },
        Ask::Put { .. } => Told::Put { offset: end },
        Ask::Get { .. } | Ask::Cas { .. } => {
            let values = values(history);
            let value = if values.is_empty() { None } else { Some(*prng.pick(&values)) };
            match ask {
                Ask::Get { .. } => Told::Got { value },
                _ => Told::Compared { offset: end, found: value },
            }
        }
    })
}
