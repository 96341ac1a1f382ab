//! One replica's disk in a script: what was handed over, and what of it is done.

use std::collections::VecDeque;

use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId};
use kraftbed::log::{DiskOp, DiskSeq, EpochIndex, EpochStart, MetaProperties, ProducerTable, QuorumState, Recovered};
use kraftbed::record::{ControlRecord, RecordBatch};

/// What lies on a disk.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub quorum: Option<QuorumState>,
    pub batches: Vec<RecordBatch>,
    pub recovery_point: Offset,
    pub recovering: Option<Epoch>,
}

/// A disk with operations under way.
#[derive(Debug, Default)]
pub struct Disk {
    /// As of the last operation handed over.
    pub cache: Image,
    /// As of the last operation done.
    pub platter: Image,
    pub under_way: VecDeque<(DiskSeq, DiskOp)>,
}

impl Image {
    fn apply(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Adopt | DiskOp::Close => {}
            DiskOp::Append { batches, .. } => self.batches.extend(batches.iter().cloned()),
            DiskOp::Truncate { end, .. } => self.batches.retain(|batch| batch.end() <= *end),
            DiskOp::QuorumState(state) => self.quorum = Some(state.clone()),
            DiskOp::Recovering(marker) => self.recovering = *marker,
            DiskOp::RecoveryPoint(point) => self.recovery_point = *point,
        }
    }

    pub fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, RecordBatch::end)
    }

    /// What recovery would find, with this many batches in memory.
    pub fn recover(&self, id: ReplicaId, tail_batches: usize) -> Recovered {
        let mut entries: Vec<EpochStart> = Vec::new();
        let mut producers = ProducerTable::new(1_000);
        let mut controls = Vec::new();
        for batch in &self.batches {
            if entries.last().is_none_or(|last| last.epoch < batch.leader_epoch()) {
                entries.push(EpochStart { epoch: batch.leader_epoch(), start: batch.base_offset() });
            }
            producers.record(batch);
            if batch.is_control() {
                let records = ControlRecord::parse_batch(batch).expect("control records");
                controls.extend((batch.base_offset().0..).map(Offset).zip(records));
            }
        }
        Recovered {
            meta: MetaProperties { cluster_id: "scripts".into(), node_id: id, directory_id: directory(id) },
            quorum: self.quorum.clone(),
            start: Offset::ZERO,
            flushed: self.recovery_point.min(self.end()),
            end: self.end(),
            epochs: EpochIndex::from_entries(entries).expect("epochs ascend"),
            producers,
            tail: self.batches[self.batches.len().saturating_sub(tail_batches)..].to_vec(),
            cold: self.batches.iter().rev().skip(tail_batches).rev().map(RecordBatch::base_offset).collect(),
            controls,
            recovering: self.recovering,
            cuts: Vec::new(),
        }
    }
}

impl Disk {
    pub fn submit(&mut self, seq: DiskSeq, op: DiskOp) {
        self.cache.apply(&op);
        self.under_way.push_back((seq, op));
    }

    pub fn complete_next(&mut self) -> Option<DiskSeq> {
        let (seq, op) = self.under_way.pop_front()?;
        self.platter.apply(&op);
        Some(seq)
    }

    /// Power loss: what was not done is gone.
    pub fn lose_power(&mut self) {
        self.under_way.clear();
        self.cache = self.platter.clone();
    }

    /// The process is gone, the page cache is not.
    pub fn lose_process(&mut self) {
        self.under_way.clear();
        self.platter = self.cache.clone();
    }
}

pub fn directory(id: ReplicaId) -> DirectoryId {
    DirectoryId([id.0 as u8; 16])
}
