//! The judge's books: the last look at every node, what is committed, who voted for whom.
//!
//! The ledger is what lets properties be cheap. It compares every look at a node with the one before and says what
//! changed, so that a property that cares for new batches is not asked when only a timer fired.
//!
//! **Invariants**
//! - `committed` is contiguous and only grows: a batch enters it when the first high watermark passes its end, with the
//!   content that lies on the disk of the node whose high watermark it is (on that of another, where a leader commits
//!   what it has not yet written itself).
//! - `committed_in` says of every batch of `committed` in which epoch that happened.
//! - a mirror's `log` equals the node's files as of its last look; `kept` and `removed` describe the last change.
//!
//! It judges nothing.

use std::collections::BTreeMap;

use crate::check::{BatchMark, Damage, DiskView, Interests, Observation, What};
use crate::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::message::{Request, ResponseBody};
use crate::raft::note::Note;
use crate::raft::view::{RoleKind, View};

/// What the judge remembers of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    nodes: Vec<Mirror>,
    committed: Vec<BatchMark>,
    committed_in: Vec<Epoch>,
    fresh: usize,
    unbacked: Option<Offset>,
    granted: BTreeMap<(Epoch, usize), ReplicaKey>,
    epoch_max: Epoch,
    epoch_max_before: Epoch,
}

/// A node as of the last look at it.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Its state; `None` while it is down.
    pub state: Option<State>,
    /// Its state at the look before, of the same incarnation.
    pub before: Option<State>,
    /// Which incarnation was seen last.
    pub incarnation: u32,
    /// The batches in its files.
    pub log: Vec<BatchMark>,
    /// How many of them are durable.
    pub durable: usize,
    /// How many batches the look before and this one have in common.
    pub kept: usize,
    /// Batches that the look before saw behind those.
    pub removed: Vec<BatchMark>,
    /// How many of the removed ones had been durable.
    pub removed_durable: usize,
    /// Its durable quorum-state.
    pub election: Election,
    /// Its durable quorum-state at the look before.
    pub election_before: Election,
    /// What was durable here before a durable fault took it, until a wiped node starts again or a rotten one has earned
    /// its vote back: fetches that vouched for it may still be under way or remembered, and rightly.
    lost: Vec<BatchMark>,
    damage: Damage,
}

/// The part of a quorum-state that elections are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Election {
    /// Epoch, 0 without a file.
    pub epoch: Epoch,
    /// Leader, if known.
    pub leader: Option<ReplicaId>,
    /// Vote, if one was given.
    pub vote: Option<ReplicaKey>,
}

/// A [`View`] without what it borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Who this is.
    pub key: ReplicaKey,
    /// Role.
    pub role: RoleKind,
    /// Epoch.
    pub epoch: Epoch,
    /// Known leader.
    pub leader: Option<ReplicaId>,
    /// Vote in the epoch.
    pub vote: Option<ReplicaKey>,
    /// Whether it is recovering.
    pub is_recovering: bool,
    /// High watermark.
    pub high_watermark: Option<Offset>,
    /// Start of the log.
    pub log_start: Offset,
    /// What it believes durable.
    pub flushed: Offset,
    /// End of the log.
    pub log_end: Offset,
}

impl Ledger {
    /// Enters an observation and says which kinds of change it is.
    pub fn enter(&mut self, observation: &Observation<'_>) -> Interests {
        self.fresh = self.committed.len();
        let node = observation.node;
        match observation.what {
            What::Stepped { view } => self.look(observation, &view),
            What::Started { view, .. } => {
                let mirror = self.mirror(node);
                (mirror.state, mirror.before) = (None, None);
                Interests::STARTED | self.look(observation, &view)
            }
            What::Down { .. } => {
                let mirror = self.mirror(node);
                (mirror.state, mirror.before) = (None, None);
                let changes = observation.disks.get(node).map_or(Interests::NONE, |disk| mirror.take_in(disk));
                Interests::DOWN | changes
            }
            What::Answered { request, response } => {
                if let (Request::Vote(asked), ResponseBody::Vote { granted: true }) = (request, &response.body)
                    && let (false, Some(candidate)) = (asked.pre_vote, asked.candidate)
                {
                    self.granted.entry((asked.epoch, node)).or_insert(candidate);
                }
                Interests::ANSWERED
            }
            What::Applied { .. } => Interests::APPLIED,
            What::Asked { .. } => Interests::ASKED,
            // A leader that commits and resigns in one step ends it without a high watermark; only its note tells.
            What::Noted(&Note::HighWatermark { to }) if to > self.committed_end() => {
                let epoch = self.mirror(node).state.map_or(Epoch::ZERO, |state| state.epoch);
                self.commit(observation, to, epoch);
                Interests::NOTED | Interests::COMMITTED
            }
            What::Noted(_) => Interests::NOTED,
            What::Audited { .. } => Interests::AUDITED,
            What::Panicked { .. } => Interests::PANICKED,
            What::Invoked { .. } => Interests::INVOKED,
            What::Returned { .. } => Interests::RETURNED,
            What::Consumed { .. } => Interests::CONSUMED,
            What::Calm => Interests::CALM,
            What::HandedOver(_) => Interests::HANDED_OVER,
            What::Examined { .. } => Interests::EXAMINED,
            What::Drilled(_) => Interests::DRILLED,
            What::Closed => Interests::CLOSED,
            What::Shelved(_) => Interests::SHELVED,
        }
    }

    /// The last look at a node; `None` if it was never seen.
    pub fn node(&self, node: usize) -> Option<&Mirror> {
        self.nodes.get(node)
    }

    /// All nodes ever seen, by dense number.
    pub fn nodes(&self) -> &[Mirror] {
        &self.nodes
    }

    /// Every batch that is committed, from the start of the log.
    pub fn committed(&self) -> &[BatchMark] {
        &self.committed
    }

    /// Those that this observation committed.
    pub fn freshly_committed(&self) -> &[BatchMark] {
        &self.committed[self.fresh..]
    }

    /// The high watermark of this observation, if no disk at all holds what it commits.
    pub fn unbacked(&self) -> Option<Offset> {
        self.unbacked
    }

    /// The end of what is committed.
    pub fn committed_end(&self) -> Offset {
        self.committed.last().map_or(Offset::ZERO, |mark| mark.end)
    }

    /// The epoch whose leader committed the batch of that index: at least the batch's own. Only leaders of later epochs owe
    /// it to anybody to have it.
    pub fn committed_in(&self, index: usize) -> Epoch {
        self.committed_in[index]
    }

    /// The committed batch that contains the offset.
    pub fn committed_at(&self, offset: Offset) -> Option<&BatchMark> {
        let index = self.committed.partition_point(|mark| mark.end <= offset);
        self.committed.get(index).filter(|mark| mark.base <= offset)
    }

    /// Whom a node granted its vote in that epoch, as far as it said so.
    pub fn granted(&self, epoch: Epoch, voter: usize) -> Option<ReplicaKey> {
        self.granted.get(&(epoch, voter)).copied()
    }

    /// The largest epoch that any node was seen in before this observation.
    pub fn epoch_max_before(&self) -> Epoch {
        self.epoch_max_before
    }

    fn mirror(&mut self, node: usize) -> &mut Mirror {
        if self.nodes.len() <= node {
            self.nodes.resize_with(node + 1, Mirror::default);
        }
        &mut self.nodes[node]
    }

    fn look(&mut self, observation: &Observation<'_>, view: &View<'_>) -> Interests {
        let state = State::of(view);
        self.epoch_max_before = self.epoch_max;
        self.epoch_max = self.epoch_max.max(state.epoch);
        let mirror = self.mirror(observation.node);
        mirror.incarnation = observation.incarnation;
        mirror.before = mirror.state.replace(state);
        let mut kinds = State::changes(mirror.before.as_ref(), &state);
        if let Some(disk) = observation.disks.get(observation.node) {
            kinds = kinds | mirror.take_in(disk);
        }
        if mirror.damage == Damage::None {
            mirror.lost.clear();
        }
        if let Some(to) = state.high_watermark
            && to > self.committed_end()
        {
            self.commit(observation, to, state.epoch);
            return kinds | Interests::COMMITTED;
        }
        kinds
    }

    /// Copies what lies below `to` into the books: from the node that says so, and where that has not written it yet, what
    /// most others have. Not what the first of them has: that may be the tail of a leader that was cut off.
    fn commit(&mut self, observation: &Observation<'_>, to: Offset, epoch: Epoch) {
        let own = observation.disks.get(observation.node).map_or(&[][..], |disk| disk.log);
        while self.committed_end() < to {
            let next = self.committed_end();
            let fits = |log: &[BatchMark]| mark_at(log, next).filter(|mark| mark.end <= to);
            let elsewhere = || {
                let held: Vec<BatchMark> =
                    observation.disks.iter().filter_map(|disk| fits(&disk.log[..disk.durable])).collect();
                let holders = |mark: &BatchMark| held.iter().filter(|other| *other == mark).count();
                held.iter().copied().max_by_key(|mark| (holders(mark), mark.epoch))
            };
            let found = fits(own).or_else(elsewhere);
            let Some(mark) = found else { break };
            self.committed.push(mark);
            self.committed_in.push(epoch);
        }
        self.unbacked = (self.committed_end() < to).then_some(to);
    }
}

impl Mirror {
    /// Whether this batch lies in the files.
    pub fn holds(&self, mark: &BatchMark) -> bool {
        mark_at(&self.log, mark.base).as_ref() == Some(mark)
    }

    /// Whether this batch was durable here when a durable fault took it, the node not having made up for that since.
    /// (Nobody may have looked since the fault: then the last look is older than it.)
    pub fn lost(&self, mark: &BatchMark, disk: &DiskView<'_>) -> bool {
        let before = if is_fresh(disk.damage, self.damage) { &self.log[..self.durable] } else { &self.lost[..] };
        mark_at(before, mark.base).as_ref() == Some(mark)
    }

    /// The batches that the last look found new.
    pub fn added(&self) -> &[BatchMark] {
        &self.log[self.kept..]
    }

    fn take_in(&mut self, disk: &DiskView<'_>) -> Interests {
        if is_fresh(disk.damage, self.damage) {
            self.lost.clear();
            self.lost.extend_from_slice(&self.log[..self.durable]);
        }
        self.damage = disk.damage;
        let mut kinds = Interests::NONE;
        let is_same = self.log.len() == disk.log.len() && self.log.last() == disk.log.last();
        if !is_same || self.durable != disk.durable {
            self.take_in_log(disk);
            kinds = kinds | Interests::LOG;
        }
        self.election_before = self.election;
        let election = disk.quorum.map_or(Election::default(), |quorum| Election {
            epoch: quorum.epoch,
            leader: quorum.leader,
            vote: quorum.vote,
        });
        if election != self.election {
            self.election = election;
            kinds = kinds | Interests::QUORUM_STATE;
        }
        kinds
    }

    fn take_in_log(&mut self, disk: &DiskView<'_>) {
        // Batches name their epoch, so logs that agree in one batch agree below it, and the search goes from the end.
        let mut kept = self.log.len().min(disk.log.len());
        while kept > 0 && self.log[kept - 1] != disk.log[kept - 1] {
            kept -= 1;
        }
        self.removed.clear();
        self.removed.extend_from_slice(&self.log[kept..]);
        self.removed_durable = self.durable.saturating_sub(kept);
        self.kept = kept;
        self.log.truncate(kept);
        self.log.extend_from_slice(&disk.log[kept..]);
        self.durable = disk.durable;
    }
}

impl State {
    fn of(view: &View<'_>) -> State {
        State {
            key: view.key,
            role: view.role,
            epoch: view.epoch,
            leader: view.leader,
            vote: view.vote,
            is_recovering: view.is_recovering,
            high_watermark: view.high_watermark,
            log_start: view.log_start,
            flushed: view.flushed,
            log_end: view.log_end,
        }
    }

    fn changes(before: Option<&State>, now: &State) -> Interests {
        let Some(before) = before else {
            return Interests::ELECTION | Interests::HIGH_WATERMARK | Interests::CURSORS;
        };
        let election = |state: &State| (state.role, state.epoch, state.leader, state.vote, state.is_recovering);
        let cursors = |state: &State| (state.log_start, state.flushed, state.log_end);
        let mut kinds = Interests::NONE;
        if election(before) != election(now) {
            kinds = kinds | Interests::ELECTION;
        }
        if before.high_watermark != now.high_watermark {
            kinds = kinds | Interests::HIGH_WATERMARK;
        }
        if cursors(before) != cursors(now) {
            kinds = kinds | Interests::CURSORS;
        }
        kinds
    }
}

/// Whether a durable fault has come since the last look.
fn is_fresh(damage: Damage, before: Damage) -> bool {
    damage != Damage::None && before == Damage::None
}

/// The batch of an ascending log that begins at `base`.
pub(super) fn mark_at(log: &[BatchMark], base: Offset) -> Option<BatchMark> {
    log.binary_search_by_key(&base, |mark| mark.base).ok().map(|index| log[index])
}

/// The batch of an ascending log that ends at `end`.
pub(super) fn mark_before(log: &[BatchMark], end: Offset) -> Option<BatchMark> {
    log.binary_search_by_key(&end, |mark| mark.end).ok().map(|index| log[index])
}
