//! No completed operation is ever undone: random operations, killed or cut off from power between any two file operations,
//! with any subset of what was not synced surviving, and recovery itself killed the same way.

use kraftbed::ids::{Epoch, Offset, ReplicaId};
use kraftbed::log::recovery::RecoveryOptions;
use kraftbed::log::{
    CLUSTER_METADATA_ID, Demand, DiskOp, DiskSeq, EpochIndex, EpochStart, FileName, FileOp, FileQueue, Layout,
    MetaProperties, QuorumState, Recovered, Recovery,
};
use kraftbed::prng::Prng;
use kraftbed::record::{BatchBuilder, RecordBatch};
use kraftbed::time::Timestamp;

use crate::recovery::queue::push_all;

use super::disk::{Disk, Loss, options, recover};

const CASES: u64 = 3000;

#[test]
fn completed_operations_survive_every_crash() {
    for seed in 0..CASES {
        Case::new(seed).run();
    }
}

/// What the disk may hold after one operation.
#[derive(Clone, Debug, PartialEq)]
struct State {
    log: Vec<RecordBatch>,
    quorum: Option<QuorumState>,
    marker: Option<Epoch>,
}

/// One disk through several incarnations, and everything that it may legally hold.
struct Case {
    prng: Prng,
    disk: Disk,
    options: RecoveryOptions,
    /// Every state since the last one that was vouched for, oldest first, with the operation that leads to it. A crash
    /// starts no new list: what it left is one state more.
    states: Vec<(Option<DiskSeq>, State)>,
    /// The log that nothing submitted may touch: a prefix of every legal one.
    floor: Vec<RecordBatch>,
    epoch: Epoch,
    seq: u64,
    timestamp: i64,
}

impl Case {
    fn new(seed: u64) -> Case {
        let mut prng = Prng::new(seed, 0);
        let options = RecoveryOptions {
            segment_bytes: *prng.pick(&[700, 3000, 1 << 20]),
            preallocate_bytes: *prng.pick(&[0, 2048]),
            ..options()
        };
        let nothing = State { log: vec![], quorum: None, marker: None };
        Case {
            prng,
            disk: Disk::default(),
            options,
            states: vec![(None, nothing)],
            floor: vec![],
            epoch: Epoch(1),
            seq: 0,
            timestamp: 0,
        }
    }

    fn run(&mut self) {
        for _ in 0..4 {
            let (recovered, layout) = self.recover();
            self.live(recovered, layout);
            self.crash();
        }
        self.recover();
    }

    /// Formats, is interrupted, and formats again, as a driver does while there is no meta.properties.
    fn format(&mut self) {
        let meta = MetaProperties {
            cluster_id: "kraftbed".into(),
            node_id: ReplicaId(1),
            directory_id: kraftbed::ids::DirectoryId([7; 16]),
        };
        let ops = Layout::format(&meta, CLUSTER_METADATA_ID);
        while self.disk.content(FileName::MetaProperties).is_none() {
            let length = match self.prng.chance(1, 3) {
                true => ops.len(),
                false => self.prng.below(ops.len() as u64) as usize,
            };
            ops[..length].iter().for_each(|op| self.disk.apply(op));
            if length < ops.len() {
                self.crash();
            }
        }
    }

    /// One incarnation, until it crashes with operations waiting.
    fn live(&mut self, recovered: Recovered, mut layout: Layout) {
        let mut queue = FileQueue::default();
        self.seq = 0;
        let mut now = self.states.last().expect("there is always a state").1.clone();
        self.epoch = self.epoch.max(recovered.epochs.last().map_or(Epoch(1), |last| last.epoch));
        self.submit(DiskOp::Adopt, &now, &mut layout, &mut queue);
        let steps = self.prng.below(24);
        for _ in 0..steps {
            if self.prng.chance(1, 2) {
                let op = self.draw(&mut now);
                self.submit(op, &now, &mut layout, &mut queue);
            }
            for _ in 0..self.prng.below(9) {
                let Some(next) = queue.next() else { break };
                self.disk.apply(&next.op);
                next.completes.into_iter().for_each(|seq| self.complete(seq));
            }
        }
    }

    fn submit(&mut self, op: DiskOp, after: &State, layout: &mut Layout, queue: &mut FileQueue) {
        self.seq += 1;
        if let DiskOp::Truncate { end, .. } = &op {
            self.floor.retain(|batch| batch.end() <= *end);
        }
        let mut ops = Vec::new();
        layout.plan(DiskSeq(self.seq), op, &mut ops);
        push_all(queue, DiskSeq(self.seq), &ops);
        self.states.push((Some(DiskSeq(self.seq)), after.clone()));
    }

    fn complete(&mut self, seq: DiskSeq) {
        let done = self.states.iter().position(|(of, _)| *of == Some(seq)).expect("what completes was submitted");
        self.states.drain(..done);
        self.floor = self.states[0].1.log.clone();
        let shortest = self.states.iter().map(|(_, state)| common(&self.floor, &state.log)).min();
        self.floor.truncate(shortest.unwrap_or(0));
    }

    fn draw(&mut self, now: &mut State) -> DiskOp {
        match self.prng.below(12) {
            0..6 => self.draw_append(now),
            6 | 7 if !now.log.is_empty() => {
                let length = now.log.len() as u64;
                let kept = (length - (self.prng.below(length) * self.prng.below(length)) / length - 1) as usize;
                now.log.truncate(kept);
                let end = now.log.last().map_or(Offset::ZERO, RecordBatch::end);
                // A new leader may go on in an epoch older than the one cut away, as long as the log allows it.
                let last = now.log.last().map_or(Epoch(1), RecordBatch::leader_epoch);
                self.epoch = Epoch(self.prng.range(u64::from(last.0)..u64::from(self.epoch.0) + 2) as u32);
                DiskOp::Truncate { end, epochs: epochs_of(&now.log).entries().to_vec() }
            }
            8 | 9 => {
                let version = self.prng.below(2) as u8;
                let voters = if version == 0 { vec![ReplicaId(1), ReplicaId(2)] } else { vec![] };
                let quorum = QuorumState { epoch: self.epoch, leader: Some(ReplicaId(2)), vote: None, version, voters };
                now.quorum = Some(quorum.clone());
                DiskOp::QuorumState(quorum)
            }
            10 => {
                let end = now.log.last().map_or(0, |batch| batch.end().0);
                DiskOp::RecoveryPoint(Offset(self.prng.range(end / 2..end + 1)))
            }
            11 if self.prng.chance(1, 3) => {
                now.marker = self.prng.chance(1, 2).then_some(self.epoch);
                DiskOp::Recovering(now.marker)
            }
            11 if self.prng.chance(1, 2) => DiskOp::Close,
            _ => self.draw_append(now),
        }
    }

    fn draw_append(&mut self, now: &mut State) -> DiskOp {
        let before = epochs_of(&now.log);
        let mut batches = Vec::new();
        for _ in 0..self.prng.range(1..4) {
            if self.prng.chance(1, 5) {
                self.epoch = self.epoch.next();
            }
            let base = now.log.last().map_or(Offset::ZERO, RecordBatch::end);
            let batch = self.batch().stamped(base, self.epoch);
            now.log.push(batch.clone());
            batches.push(batch);
        }
        let known = before.entries().len();
        DiskOp::Append { batches, first_of_epoch: epochs_of(&now.log).entries()[known..].to_vec() }
    }

    fn batch(&mut self) -> RecordBatch {
        self.timestamp += self.prng.below(3) as i64 - 1;
        let mut builder = BatchBuilder::new(Timestamp(1_700_000_000_000 + self.timestamp));
        for _ in 0..self.prng.range(1..4) {
            let length = *self.prng.pick(&[0, 1, 100, 700]);
            let value: Vec<u8> = (0..length).map(|_| self.prng.word() as u8).collect();
            builder.push(None, Some(&value));
        }
        builder.build()
    }

    fn crash(&mut self) {
        if self.prng.chance(1, 3) {
            return;
        }
        let mut loss = match self.prng.below(6) {
            0 => Loss::Nothing,
            1 => Loss::Everything,
            _ => Loss::Any(Box::new(Prng::new(self.prng.word(), 1))),
        };
        self.disk.lose_power(&mut loss);
    }

    /// Recovers, with crashes between its repairs, and checks everything that recovery owes.
    fn recover(&mut self) -> (Recovered, Layout) {
        loop {
            self.format();
            let mut recovery = Recovery::new(&self.disk.listing(), self.options.clone());
            let finished = loop {
                match recovery.demand().expect("a crash never makes a directory unreadable") {
                    Demand::Read(range) => recovery.supply(self.disk.read(range)),
                    Demand::File(op) => self.disk.apply(&op),
                    Demand::Finished => break true,
                }
                if self.prng.chance(1, 60) {
                    break false;
                }
            };
            if finished {
                let (recovered, layout) = recovery.finish();
                self.check(&recovered);
                return (recovered, layout);
            }
            self.crash();
        }
    }

    fn check(&mut self, recovered: &Recovered) {
        let log = &recovered.tail;
        let kept = common(&self.floor, log);
        assert!(kept == self.floor.len(), "a batch that was vouched for is gone: {:?}", recovered.cuts);
        let is_prefix = |state: &State| common(log, &state.log) == log.len();
        assert!(self.states.iter().any(|(_, state)| is_prefix(state)), "the log is a prefix of one that was written");
        assert!(
            self.states.iter().any(|(_, state)| state.quorum == recovered.quorum),
            "a quorum-state that was written"
        );
        assert!(
            self.states.iter().any(|(_, state)| state.marker == recovered.recovering),
            "no power loss loses synced data"
        );
        assert!(recovered.cuts.iter().all(|cut| !cut.below_recovery_point), "{:?}", recovered.cuts);
        assert_eq!(recovered.epochs, epochs_of(log));
        assert_eq!(recovered.end, log.last().map_or(Offset::ZERO, RecordBatch::end));
        self.check_flushed(recovered);
        let checkpoint = self.disk.content(FileName::LeaderEpochCheckpoint);
        let lines: Vec<String> =
            epochs_of(log).entries().iter().map(|at| format!("{} {}\n", at.epoch, at.start)).collect();
        let expected = format!("0\n{}\n{}", lines.len(), lines.concat());
        assert!(checkpoint.is_none_or(|text| text == expected.as_bytes()), "the checkpoint agrees with the log");
        assert!(checkpoint.is_some() || log.is_empty(), "the checkpoint exists before the log does");
        let again = recover(&mut self.disk, &self.options, |op: &FileOp| panic!("nothing is left to repair: {op:?}"));
        let (again, _) = again.expect("what was recovered can be recovered");
        assert_eq!((again.end, &again.epochs, &again.quorum), (recovered.end, &recovered.epochs, &recovered.quorum));
        assert_eq!(&again.tail, log);
        assert!(again.cuts.is_empty(), "a repaired directory needs no cut: {:?}", again.cuts);
        let state = State { log: log.clone(), quorum: recovered.quorum.clone(), marker: recovered.recovering };
        self.states.iter_mut().for_each(|(of, _)| *of = None);
        self.states.push((None, state));
    }

    /// R12: what `flushed` vouches for is on the platter, whatever a power loss right after recovery keeps of the rest.
    fn check_flushed(&mut self, recovered: &Recovered) {
        let mut disk = self.disk.clone();
        let loss = [Loss::Everything, Loss::Any(Box::new(Prng::new(self.prng.word(), 2)))];
        disk.lose_power(&mut loss[self.prng.below(2) as usize].clone());
        if disk.content(FileName::MetaProperties).is_none() {
            // Killed while it was formatted: nothing was ever promised.
            return assert_eq!(recovered.flushed, Offset::ZERO);
        }
        let (left, _) = recover(&mut disk, &self.options, |_| ()).expect("a power loss leaves a readable directory");
        let flushed = recovered.tail.iter().take_while(|batch| batch.end() <= recovered.flushed).count();
        assert!(common(&recovered.tail, &left.tail) >= flushed, "everything below `flushed` is durable (R12)");
    }
}

/// How many batches two logs have in common.
fn common(left: &[RecordBatch], right: &[RecordBatch]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

fn epochs_of(log: &[RecordBatch]) -> EpochIndex {
    let mut entries: Vec<EpochStart> = Vec::new();
    for batch in log {
        if entries.last().is_none_or(|last| last.epoch != batch.leader_epoch()) {
            entries.push(EpochStart { epoch: batch.leader_epoch(), start: batch.base_offset() });
        }
    }
    EpochIndex::from_entries(entries).expect("epochs ascend")
}
