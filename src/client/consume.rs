//! What a Fetch brought, taken apart with suspicion.
//!
//! A consumer of this log may expect more than well-formed batches: they follow each other without a gap (leader changes
//! are batches too), the first contains the offset that was asked for, and all lie below the high watermark that came
//! with them. An answer that breaks this is not retried, it is reported: a retry would hide it.

use bytes::Bytes;

use crate::client::Told;
use crate::ids::Offset;
use crate::record::RecordBatch;

/// Reads the records of an error-free Fetch from `from`.
pub fn read(from: Offset, records: &Bytes, high_watermark: i64) -> Told {
    match try_read(from, records, high_watermark) {
        Ok(told) => told,
        Err(reason) => Told::Unreadable { reason },
    }
}

/// Whether an error-free Fetch of at most `bytes_max` bytes is in order; one batch always fits. (KIP-74.)
pub fn check(from: Offset, records: &Bytes, high_watermark: i64, bytes_max: usize) -> Result<(), String> {
    let Told::Fetched { batches, .. } = try_read(from, records, high_watermark)? else { return Ok(()) };
    let (bytes, count) = (records.len(), batches.len());
    match count > 1 && bytes > bytes_max {
        true => Err(format!("{count} batches in {bytes} bytes, where {bytes_max} are allowed")),
        false => Ok(()),
    }
}

fn try_read(from: Offset, records: &Bytes, high_watermark: i64) -> Result<Told, String> {
    let high_watermark = Offset::from_i64(high_watermark);
    let batches = RecordBatch::parse_all(records).map_err(|error| error.to_string())?;
    if batches.is_empty() && !records.is_empty() {
        return Err(format!("{} bytes from {from} on, and not one whole batch", records.len()));
    }
    let mut next = from;
    for (index, batch) in batches.iter().enumerate() {
        let fits =
            if index == 0 { batch.base_offset() <= from && from < batch.end() } else { batch.base_offset() == next };
        if !fits {
            return Err(format!("batch {}..{} where {next} was due", batch.base_offset(), batch.end()));
        }
        next = batch.end();
    }
    match high_watermark {
        Some(committed) if next > committed && !batches.is_empty() => {
            Err(format!("records up to {next}, above the high watermark {committed}"))
        }
        None if !batches.is_empty() => Err(format!("records up to {next}, and no high watermark")),
        _ => Ok(Told::Fetched { from, batches, high_watermark }),
    }
}
