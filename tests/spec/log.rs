//! Specification of the log in memory: cursors, reads, epochs, producers. Golden scripts, and naive twins under random
//! comparison.

use std::error::Error;
use std::fmt::Write;

use goldenscript::{ArgumentConsumer, Command};
use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId};
use kraftbed::log::{
    Admission, DiskSeq, EpochIndex, EpochStart, Log, MetaProperties, Position, ProducerTable, Recovered, SequenceError,
    Slice,
};
use kraftbed::prng::Prng;
use kraftbed::quirk::{Quirk, Quirks};
use kraftbed::record::{BatchBuilder, HEADER_BYTES, ProducerStamp, RecordBatch};
use kraftbed::time::Timestamp;

type Outcome = Result<String, Box<dyn Error>>;

#[test]
fn scripts() {
    let mut paths: Vec<_> = std::fs::read_dir("tests/golden/log").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        goldenscript::run(&mut Script::default(), &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// One log under a script. Every block ends with the log's cursors.
struct Script {
    log: Log,
}

impl Default for Script {
    fn default() -> Script {
        Script { log: Log::recover(&recovered(Offset::ZERO), usize::MAX, Quirks::NONE) }
    }
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &goldenscript::Context) -> Outcome {
        let mut args = command.consume_args();
        let output = match command.name.as_str() {
            "recover" => self.recover(&mut args)?,
            "append" => self.append(&mut args)?,
            "produce" => self.produce(&mut args)?,
            // An operation that carries everything so far. submit SEQ
            "submit" => {
                self.log.submitted(DiskSeq(number(&mut args)?));
                String::new()
            }
            // The disk has done an operation. done SEQ
            "done" => match self.log.on_disk_done(DiskSeq(number(&mut args)?)) {
                true => format!("flushed moved to {}\n", self.log.flushed()),
                false => "flushed did not move\n".into(),
            },
            "truncate" => format!("cut to {}\n", self.log.truncate(Offset(number(&mut args)?))),
            "stable" => {
                self.log.stable(Offset(number(&mut args)?));
                String::new()
            }
            "read" => self.read(&mut args)?,
            // Where a fetcher stands. position END@EPOCH…
            "position" => {
                let mut output = String::new();
                while let Some((end, epoch)) = args.next_pos().and_then(|at| at.split_once('@')) {
                    let position = self.log.position(Offset(end.parse()?), Epoch(epoch.parse()?));
                    let _ = match position {
                        Position::Valid => writeln!(output, "{end}@{epoch} valid"),
                        Position::BeforeStart => writeln!(output, "{end}@{epoch} before start"),
                        Position::Diverging { epoch: own, end: own_end } => {
                            writeln!(output, "{end}@{epoch} diverging {own_end}@{own}")
                        }
                    };
                }
                output
            }
            // Where epochs end. end_of EPOCH…
            "end_of" => {
                let mut output = String::new();
                while let Some(epoch) = args.next_pos() {
                    let (own, end) = self.log.end_of_epoch(Epoch(epoch.parse()?));
                    let _ = writeln!(output, "@{epoch} → {end}@{own}");
                }
                output
            }
            "epochs" => {
                let starts = self.log.epochs().entries().iter();
                let starts = starts.map(|entry| format!(" {}@{}", entry.start, entry.epoch)).collect::<String>();
                format!("epochs{starts}\n")
            }
            name => return Err(format!("unknown command {name}").into()),
        };
        args.reject_next()?;
        Ok(output)
    }

    fn end_block(&mut self, _: &goldenscript::Block) -> Outcome {
        let log = &self.log;
        let cursors = format!("start={} flushed={} end={}@{}", log.start(), log.flushed(), log.end(), log.last_epoch());
        Ok(format!("{cursors} memory={}.. unflushed={}B\n", log.tail_start(), log.unflushed_bytes()))
    }
}

impl Script {
    /// A new incarnation. recover [start=N] [producers=MAX] [tail=BYTES] [flushed=N] [plant=NAME] [FROM..END@EPOCH…]
    fn recover(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let start = Offset(args.take_key("start").unwrap_or("0").parse()?);
        let tail_bytes_max = args.take_key("tail").map_or(Ok(usize::MAX), str::parse)?;
        let flushed = args.take_key("flushed").map(str::parse).transpose()?.map(Offset);
        let quirks = match args.take_key("plant") {
            Some(name) => Quirks::NONE.with(Quirk::parse(name).ok_or("unknown plant")?),
            None => Quirks::NONE,
        };
        let mut recovered = recovered(start);
        if let Some(most) = args.take_key("producers") {
            recovered.producers = ProducerTable::new(most.parse()?);
        }
        while let Some(range) = args.next_pos() {
            let batch = parse_batch(range)?;
            recovered.epochs.begin(batch.leader_epoch(), batch.base_offset());
            recovered.end = batch.end();
            recovered.tail.push(batch);
        }
        recovered.flushed = flushed.unwrap_or(recovered.end);
        self.log = Log::recover(&recovered, tail_bytes_max, quirks);
        Ok(String::new())
    }

    /// Appends a batch of one record for each offset. append FROM..END@EPOCH…
    fn append(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let mut output = String::new();
        while let Some(range) = args.next_pos() {
            if let Some(EpochStart { epoch, start }) = self.log.append(parse_batch(range)?) {
                let _ = writeln!(output, "epoch {epoch} begins at {start}");
            }
        }
        Ok(output)
    }

    /// An idempotent batch, appended if it may be. produce ID/EPOCH SEQUENCE [count=N]
    fn produce(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let (id, epoch) = args.next_pos().and_then(|at| at.split_once('/')).ok_or("ID/EPOCH")?;
        let base_sequence = args.next_pos().ok_or("SEQUENCE")?.parse()?;
        let count: u64 = args.take_key("count").unwrap_or("1").parse()?;
        let stamp = ProducerStamp { id: id.parse()?, epoch: epoch.parse()?, base_sequence };
        let batch = batch(self.log.end(), self.log.last_epoch(), count, Some(stamp));
        match self.log.producers().admit(&batch, self.log.start()) {
            Ok(Admission::Append) => {
                self.log.append(batch);
                Ok("appended\n".into())
            }
            Ok(Admission::Duplicate { base, end }) => Ok(format!("duplicate of {base}..{end}\n")),
            Err(error) => Ok(format!("refused: {error:?}\n")),
        }
    }

    /// read FROM [below=OFFSET] [max=BYTES]
    fn read(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let from = Offset(number(args)?);
        let below = args.take_key("below").map_or(Ok(self.log.end()), |below| below.parse().map(Offset))?;
        let bytes_max = args.take_key("max").map_or(Ok(usize::MAX), str::parse)?;
        Ok(match self.log.read(from, below, bytes_max) {
            Slice::Cold => "cold\n".into(),
            Slice::Batches(batches) if batches.is_empty() => "nothing\n".into(),
            Slice::Batches(batches) => batches.iter().fold(String::new(), |mut all, batch| {
                let range = format!("{}..{}@{}", batch.base_offset(), batch.end(), batch.leader_epoch());
                let _ = writeln!(all, "{range} {}B", batch.size_bytes());
                all
            }),
        })
    }
}

fn number(args: &mut ArgumentConsumer<'_>) -> Result<u64, Box<dyn Error>> {
    Ok(args.next_pos().ok_or("a number")?.parse()?)
}

fn parse_batch(range: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let (range, epoch) = range.split_once('@').ok_or("FROM..END@EPOCH")?;
    let (from, end) = range.split_once("..").ok_or("FROM..END@EPOCH")?;
    let (from, end): (u64, u64) = (from.parse()?, end.parse()?);
    Ok(batch(Offset(from), Epoch(epoch.parse()?), end - from, None))
}

fn batch(base: Offset, epoch: Epoch, count: u64, producer: Option<ProducerStamp>) -> RecordBatch {
    let mut builder = BatchBuilder::new(Timestamp(0));
    if let Some(stamp) = producer {
        builder = builder.producer(stamp);
    }
    (0..count).for_each(|_| builder.push(None, Some(b"x")));
    builder.build().stamped(base, epoch)
}

/// What recovery finds in a directory whose log starts at `start` and is empty.
fn recovered(start: Offset) -> Recovered {
    let directory_id = DirectoryId([1; 16]);
    Recovered {
        meta: MetaProperties { cluster_id: "cluster".into(), node_id: ReplicaId(1), directory_id },
        quorum: None,
        start,
        flushed: start,
        end: start,
        epochs: EpochIndex::default(),
        producers: ProducerTable::new(1_000),
        tail: Vec::new(),
        cold: Vec::new(),
        controls: Vec::new(),
        recovering: None,
        cuts: Vec::new(),
    }
}

/// A log as a plain list of one epoch for each offset: `epochs[n]` is the epoch of record `n`.
fn naive_end_of(epochs: &[u32], epoch: u32) -> (u32, u64) {
    if let Some(&floor) = epochs.iter().filter(|&&own| own <= epoch).max() {
        return (floor, epochs.iter().filter(|&&own| own <= floor).count() as u64);
    }
    if epochs.is_empty() { (0, 0) } else { (epoch, 0) }
}

#[test]
fn epoch_index_agrees_with_a_list_of_every_record() {
    let mut prng = Prng::new(1, 0);
    for _ in 0..2_000 {
        let mut epochs: Vec<u32> = Vec::new();
        let mut index = EpochIndex::default();
        for _ in 0..prng.below(30) {
            if prng.chance(1, 6) {
                let kept = prng.below(epochs.len() as u64 + 1) as usize;
                epochs.truncate(kept);
                index.truncate_from(Offset(kept as u64));
                continue;
            }
            let epoch = epochs.last().copied().unwrap_or(0) + prng.below(3) as u32;
            let begun = index.begin(Epoch(epoch), Offset(epochs.len() as u64));
            assert_eq!(begun.is_some(), epochs.last() != Some(&epoch));
            epochs.push(epoch);
        }
        let end = Offset(epochs.len() as u64);
        for epoch in 0..epochs.last().copied().unwrap_or(0) + 3 {
            let (own, own_end) = naive_end_of(&epochs, epoch);
            assert_eq!(index.end_of(Epoch(epoch), end), (Epoch(own), Offset(own_end)), "{epochs:?} asked for {epoch}");
        }
        for (offset, &epoch) in epochs.iter().enumerate() {
            assert_eq!(index.epoch_at(Offset(offset as u64)), Some(Epoch(epoch)));
        }
        assert_eq!(EpochIndex::from_entries(index.entries().to_vec()), Some(index));
    }
}

/// Two logs of one history agree up to where they depart; following Kafka's rule, a follower keeps exactly that.
#[test]
fn a_follower_that_truncates_as_told_keeps_the_common_prefix() {
    let mut prng = Prng::new(2, 0);
    for _ in 0..1_000 {
        let mut leader: Vec<u32> = (0..prng.below(10)).map(|_| 1).collect();
        let mut follower = leader.clone();
        let mut epoch = 1;
        // Each epoch is written by one leader, into one of the two logs, or first into both.
        for _ in 0..prng.below(6) {
            epoch += 1;
            let log = if prng.chance(1, 2) { &mut leader } else { &mut follower };
            log.extend((0..prng.range(1..4)).map(|_| epoch));
        }
        epoch += 1;
        leader.push(epoch);
        let common = leader.iter().zip(&follower).take_while(|(left, right)| left == right).count();
        let leader = log_of(&leader);
        let mut follower = log_of(&follower);
        for round in 0.. {
            assert!(round < 10, "one epoch for each round trip at most");
            match leader.position(follower.end(), follower.last_epoch()) {
                Position::Valid => break,
                Position::BeforeStart => unreachable!("both start at 0"),
                Position::Diverging { epoch, end } => {
                    let (own, own_end) = follower.end_of_epoch(epoch);
                    let target = if own == epoch { own_end.min(end) } else { own_end };
                    assert!(target < follower.end(), "a diverging answer always cuts something");
                    follower.truncate(target);
                }
            }
        }
        assert_eq!(follower.end(), Offset(common as u64));
    }
}

fn log_of(epochs: &[u32]) -> Log {
    let mut log = Log::recover(&recovered(Offset::ZERO), usize::MAX, Quirks::NONE);
    for (offset, &epoch) in epochs.iter().enumerate() {
        log.append(batch(Offset(offset as u64), Epoch(epoch), 1, None));
    }
    log
}

/// The `most` producers that wrote last, each with all it wrote since it came to be one of them; and whether there ever
/// were more.
fn known_of(log: &[RecordBatch], most: usize) -> (Vec<(i64, Vec<&RecordBatch>)>, bool) {
    let (mut known, mut has_forgotten): (Vec<(i64, Vec<&RecordBatch>)>, bool) = (Vec::new(), false);
    for batch in log {
        let Some(stamp) = batch.producer() else { continue };
        let at = known.iter().position(|(id, _)| *id == stamp.id);
        let mut own = at.map_or((stamp.id, Vec::new()), |at| known.remove(at));
        own.1.push(batch);
        known.push(own);
        if known.len() > most {
            known.remove(0);
            has_forgotten = true;
        }
    }
    (known, has_forgotten)
}

/// Remembers everything but strangers, and answers by looking through all of it.
fn naive_admit(
    log: &[RecordBatch],
    next: &RecordBatch,
    start: Offset,
    most: usize,
) -> Result<Admission, SequenceError> {
    const WRAP: i64 = 1 << 31;
    let stamp = next.producer().unwrap();
    let (known, has_forgotten) = known_of(log, most);
    let own = known.into_iter().find(|(id, _)| *id == stamp.id).map_or(Vec::new(), |(_, own)| own);
    let newest = own.last().map(|batch| batch.producer().unwrap().epoch);
    let window: Vec<_> =
        own.iter().filter(|batch| batch.header.producer_epoch == newest.unwrap()).rev().take(5).collect();
    let is_fresh = newest.is_none_or(|newest| newest < stamp.epoch);
    if is_fresh && stamp.base_sequence == 0 {
        return Ok(Admission::Append);
    }
    let Some(newest) = newest else {
        let is_new = start == Offset::ZERO && !has_forgotten;
        return Err(if is_new { SequenceError::OutOfOrder } else { SequenceError::UnknownProducer });
    };
    if stamp.epoch != newest {
        return Err(if stamp.epoch < newest { SequenceError::StaleEpoch } else { SequenceError::OutOfOrder });
    }
    let last = window[0].header;
    let count = i64::from(next.header.record_count);
    if (i64::from(last.base_sequence) + i64::from(last.record_count)) % WRAP == i64::from(stamp.base_sequence) {
        return Ok(Admission::Append);
    }
    let same = |known: &&&&RecordBatch| {
        known.header.base_sequence == stamp.base_sequence && i64::from(known.header.record_count) == count
    };
    if let Some(known) = window.iter().find(same) {
        return Ok(Admission::Duplicate { base: known.base_offset(), end: known.end() });
    }
    let oldest = i64::from(window[window.len() - 1].header.base_sequence);
    let first = i64::from(stamp.base_sequence);
    let next_expected = i64::from(last.base_sequence) + i64::from(last.record_count);
    match first + count <= oldest && (next_expected - first).rem_euclid(WRAP) < WRAP / 2 {
        true => Err(SequenceError::DuplicateForgotten),
        false => Err(SequenceError::OutOfOrder),
    }
}

#[test]
fn producer_table_agrees_with_a_list_of_every_batch_also_after_truncation() {
    let mut prng = Prng::new(5, 0);
    let (mut appended, mut duplicates, mut refused, mut deep) = (0, 0, 0, 0);
    for _ in 0..300 {
        let start = Offset(prng.below(2) * 10);
        let mut log: Vec<RecordBatch> = Vec::new();
        let most = *prng.pick(&[1, 2, 3, 1_000]);
        let mut table = ProducerTable::new(most);
        let mut stable = start;
        for _ in 0..200 {
            let end = log.last().map_or(start, RecordBatch::end);
            if prng.chance(1, 12) {
                let target = Offset(prng.range(stable.0..end.0 + 1));
                let kept = log.partition_point(|batch| batch.end() <= target);
                deep += usize::from(log.len() - kept > 5);
                log.truncate(kept);
                table.truncate(log.last().map_or(start, RecordBatch::end));
                continue;
            }
            if prng.chance(1, 10) {
                stable = stable.max(Offset(prng.range(stable.0..end.0 + 1)));
                stable = log.iter().map(RecordBatch::end).filter(|&end| end <= stable).max().unwrap_or(start);
                table.stable(stable);
                continue;
            }
            let next = some_batch(&log, end, &mut prng);
            // What an older leader wrote is recorded without being judged; here, a producer about to wrap.
            if prng.chance(1, 40) {
                let stamp = next.producer().unwrap();
                let own = log.iter().filter(|batch| batch.header.producer_id == stamp.id);
                let epoch = own.last().map_or(0, |last| last.header.producer_epoch + 1);
                let stamp = ProducerStamp { base_sequence: i32::MAX - 9, epoch, ..stamp };
                let old = batch(end, Epoch(1), 2, Some(stamp));
                table.record(&old);
                log.push(old);
                continue;
            }
            let answer = table.admit(&next, start);
            assert_eq!(
                answer,
                naive_admit(&log, &next, start, most),
                "{:?} after {} batches",
                next.producer(),
                log.len()
            );
            match answer {
                Ok(Admission::Append) => {
                    table.record(&next);
                    log.push(next);
                    appended += 1;
                }
                Ok(Admission::Duplicate { .. }) => duplicates += 1,
                Err(_) => refused += 1,
            }
        }
        let mut rebuilt = ProducerTable::new(most);
        log.iter().for_each(|batch| rebuilt.record(batch));
        assert!(rebuilt == table, "the table is a function of the log");
        table.stable(log.last().map_or(start, RecordBatch::end));
        let end = log.last().map_or(start, RecordBatch::end);
        table.record(&batch(end, Epoch(1), 1, Some(ProducerStamp { id: 9, epoch: 0, base_sequence: 0 })));
        assert!(table.len_in_memory() <= most + 1, "strangers leave memory");
    }
    assert!(
        appended > 5_000 && duplicates > 500 && refused > 500 && deep > 100,
        "{appended} {duplicates} {refused} {deep}"
    );
}

/// Mostly the next batch of a producer, sometimes a repeated one, sometimes nonsense near the limits.
fn some_batch(log: &[RecordBatch], end: Offset, prng: &mut Prng) -> RecordBatch {
    let id = prng.below(4) as i64;
    let own: Vec<_> = log.iter().filter(|batch| batch.header.producer_id == id).collect();
    let mut count = prng.range(1..4);
    let mut stamp = ProducerStamp { id, epoch: 0, base_sequence: 0 };
    if let Some(last) = own.last() {
        let next = (i64::from(last.header.base_sequence) + i64::from(last.header.record_count)) % (1 << 31);
        stamp = ProducerStamp { id, epoch: last.header.producer_epoch, base_sequence: next as i32 };
    }
    match prng.below(12) {
        0..=2 if !own.is_empty() => {
            let again = prng.pick(&own[own.len().saturating_sub(8)..]);
            stamp = again.producer().unwrap();
            count = u64::from(again.header.record_count);
        }
        3 => stamp.base_sequence = prng.below(6) as i32,
        4 => stamp.epoch = prng.below(3) as i16,
        5 => stamp = ProducerStamp { base_sequence: 0, epoch: stamp.epoch + prng.below(2) as i16, ..stamp },
        6 => stamp.base_sequence = i32::MAX - prng.below(3) as i32,
        _ => {}
    }
    batch(end, Epoch(1), count, Some(stamp))
}

#[test]
fn sequences_wrap_within_a_batch() {
    let mut table = ProducerTable::new(1_000);
    let stamp = |base_sequence| Some(ProducerStamp { id: 1, epoch: 0, base_sequence });
    table.record(&batch(Offset(0), Epoch(1), 3, stamp(i32::MAX - 1)));
    assert_eq!(table.admit(&batch(Offset(3), Epoch(1), 1, stamp(1)), Offset::ZERO), Ok(Admission::Append));
    assert_eq!(
        table.admit(&batch(Offset(3), Epoch(1), 3, stamp(i32::MAX - 1)), Offset::ZERO),
        Ok(Admission::Duplicate { base: Offset(0), end: Offset(3) })
    );
    // 1 to 4 are missing before this one: it is no old batch, although its number is below all others.
    assert_eq!(table.admit(&batch(Offset(3), Epoch(1), 1, stamp(5)), Offset::ZERO), Err(SequenceError::OutOfOrder));
    let before = batch(Offset(3), Epoch(1), 1, stamp(i32::MAX - 2));
    assert_eq!(table.admit(&before, Offset::ZERO), Err(SequenceError::DuplicateForgotten));
}

/// Whatever the order of appends, flushes and truncations, the log vouches only for bytes that an operation carried after
/// they were last overwritten. The twin keeps for each offset the operation that first carries its present bytes.
#[test]
fn flushed_never_vouches_for_bytes_that_no_finished_operation_carried() {
    let mut prng = Prng::new(6, 0);
    for _ in 0..500 {
        let tail_bytes_max = prng.below(2_000) as usize;
        let mut log = Log::recover(&recovered(Offset::ZERO), tail_bytes_max, Quirks::NONE);
        let mut carried: Vec<Option<u64>> = Vec::new();
        let (mut issued, mut done, mut epoch) = (0u64, 0u64, 1);
        for _ in 0..100 {
            match prng.below(8) {
                0..=3 => {
                    let count = prng.range(1..5);
                    log.append(batch(log.end(), Epoch(epoch), count, None));
                    carried.extend((0..count).map(|_| None));
                }
                4 | 5 => {
                    issued += 1;
                    log.submitted(DiskSeq(issued));
                    carried.iter_mut().filter(|by| by.is_none()).for_each(|by| *by = Some(issued));
                }
                6 if done < issued => {
                    done = prng.range(done + 1..issued + 1);
                    log.on_disk_done(DiskSeq(done));
                }
                7 if prng.chance(1, 2) => {
                    let target = Offset(prng.range(log.tail_start().0..log.end().0 + 1));
                    let end = log.truncate(target);
                    assert!(end <= target);
                    carried.truncate(end.0 as usize);
                    epoch += 1;
                }
                _ => {}
            }
            let durable = carried.iter().take_while(|by| by.is_some_and(|by| by <= done)).count() as u64;
            assert_eq!(log.flushed(), Offset(durable));
            assert!(log.tail_start() <= log.flushed(), "nothing that is not durable leaves memory");
            let unflushed = log.read(log.flushed(), log.end(), usize::MAX);
            let Slice::Batches(unflushed) = unflushed else { panic!("unflushed batches are in memory") };
            assert_eq!(log.unflushed_bytes(), unflushed.iter().map(RecordBatch::size_bytes).sum::<usize>());
            let evictable = log.tail_bytes() - log.unflushed_bytes();
            assert!(log.tail_bytes() <= tail_bytes_max || evictable == 0);
            assert!(log.tail_bytes() >= HEADER_BYTES || log.tail_start() == log.end());
        }
    }
}
