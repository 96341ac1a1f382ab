//! All loads in turn, each beside its floor.

use std::fs;
use std::ops::ControlFlow;

use crate::campaign::bench::floor::Floor;
use crate::campaign::bench::rig::Rig;
use crate::campaign::bench::{BenchError, Measured, Options, Row, limits};
use crate::server::members::system;

/// Measures everything. `say` hears what is measured at the moment and which part of the whole is done, and may end it.
pub fn bench(
    options: &Options,
    mut say: impl FnMut(&str, usize, usize) -> ControlFlow<()>,
) -> Result<Measured, BenchError> {
    let _ = say("limits of the machine", 0, 1);
    fs::create_dir_all(&options.directory).map_err(|source| system(options.directory.display().to_string(), source))?;
    let mut measured = Measured {
        limits: limits::measure(&options.directory)?,
        rows: Vec::new(),
        floor: Vec::new(),
        is_partial: false,
    };
    let total = options.nodes.len() * options.record_bytes.len() * options.loads.len();
    for &nodes in &options.nodes {
        let mut rig = Rig::start(options, nodes)?;
        for &record_bytes in &options.record_bytes {
            for &load in &options.loads {
                let what =
                    format!("{nodes} nodes, {record_bytes} B, {} in flight, {} clients", load.in_flight, load.clients);
                if say(&what, measured.rows.len(), total).is_break() {
                    measured.is_partial = true;
                    return Ok(measured);
                }
                let floor =
                    Floor { nodes, record_bytes, load, seconds: options.seconds, directory: &options.directory };
                let (mut rows, mut floors) = (Vec::new(), Vec::new());
                for _ in 0..options.rounds {
                    floors.push(floor.measure()?);
                    rows.push(rig.measure(options, record_bytes, load)?);
                }
                measured.floor.push(median(floors));
                measured.rows.push(median(rows));
            }
        }
    }
    Ok(measured)
}

/// The row in the middle, by rate. What one history came to is not forgotten for another's sake.
fn median(mut rows: Vec<Row>) -> Row {
    let violated = rows.iter().find(|row| row.is_violated()).and_then(|row| row.checked.clone());
    rows.sort_by(|one, other| one.records_per_second().total_cmp(&other.records_per_second()));
    let middle = rows.len() / 2;
    let row = rows.swap_remove(middle);
    Row { checked: violated.or(row.checked), ..row }
}
