//! The judge's books: the last look at every node, what is committed, who voted for whom.
//!
//! The ledger is what lets properties be cheap. It compares every look at a node with the one before and says what
//! changed, so that a property that cares for new batches is not asked when only a timer fired.
//!
//! **Invariants**
//! - `committed` is contiguous and only grows: a batch enters it when the first high watermark passes its end, with the
//!   content that lies on the disk of the node whose high watermark it is (on that of another, where a leader commits
//!   what it has not yet written itself).
//! - `committed_in` says of every batch of `committed` in which epoch that happened: from that index on, up to the next.
//! - a mirror's `log` equals the node's files as of its last look; `kept` and `removed` describe the last change.
//!
//! It judges nothing.

use std::collections::BTreeMap;

use crate::check::{BatchMark, Damage, DiskView, Interests, MarkLog, Observation, What};
use crate::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use crate::raft::message::{Request, ResponseBody};
use crate::raft::note::Note;
use crate::raft::view::{RoleKind, View};

/// What the judge remembers of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    nodes: Vec<Mirror>,
    committed: MarkLog,
    committed_in: Vec<(usize, Epoch)>,
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
    pub log: MarkLog,
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
    lost: MarkLog,
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
    pub fn committed(&self) -> &MarkLog {
        &self.committed
    }

    /// How many were committed before this observation.
    pub fn committed_before(&self) -> usize {
        self.fresh
    }

    /// Those that this observation committed.
    pub fn freshly_committed(&self) -> impl Iterator<Item = &BatchMark> {
        self.committed.iter_from(self.fresh)
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
        let above = self.committed_in.partition_point(|&(from, _)| from <= index);
        self.committed_in[above - 1].1
    }

    /// The committed batch that contains the offset.
    pub fn committed_at(&self, offset: Offset) -> Option<&BatchMark> {
        if self.committed_end() <= offset {
            return None;
        }
        let index = self.committed.partition_point(|mark| mark.end <= offset);
        self.committed.get(index).filter(|mark| mark.base <= offset)
    }

    /// Whom a node granted its vote in that epoch, as far as it said so.
    pub fn granted(&self, epoch: Epoch, voter: usize) -> Option<ReplicaKey> {
        self.granted.get(&(epoch, voter)).copied()
    }

    /// How many marks are kept for the last looks at nodes alone.
    pub fn unshared(&self) -> usize {
        self.nodes.iter().map(|mirror| mirror.log.unshared() + mirror.removed.len()).sum()
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
        self.mirror(observation.node);
        let mirror = &mut self.nodes[observation.node];
        mirror.incarnation = observation.incarnation;
        mirror.before = mirror.state.replace(state);
        let mut kinds = State::changes(mirror.before.as_ref(), &state);
        if let Some(disk) = observation.disks.get(observation.node) {
            kinds = kinds | mirror.take_in(disk);
        }
        if mirror.damage == Damage::None {
            mirror.lost.truncate(0);
        }
        mirror.log.share(&self.committed);
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
        let own = observation.disks.get(observation.node);
        while self.committed_end() < to {
            let next = self.committed_end();
            let fits = |mark: &BatchMark| mark.end <= to;
            let elsewhere = || {
                let held: Vec<BatchMark> =
                    observation.disks.iter().filter_map(|disk| disk.durable_at(next).filter(fits)).collect();
                let holders = |mark: &BatchMark| held.iter().filter(|other| *other == mark).count();
                held.iter().copied().max_by_key(|mark| (holders(mark), mark.epoch))
            };
            let found = own.and_then(|disk| disk.log.at(next).filter(fits)).or_else(elsewhere);
            let Some(mark) = found else { break };
            if self.committed_in.last().is_none_or(|&(_, last)| last != epoch) {
                self.committed_in.push((self.committed.len(), epoch));
            }
            self.committed.push(mark);
        }
        self.unbacked = (self.committed_end() < to).then_some(to);
    }
}

impl Mirror {
    /// Whether this batch lies in the files.
    pub fn holds(&self, mark: &BatchMark) -> bool {
        self.log.at(mark.base).as_ref() == Some(mark)
    }

    /// Whether this batch was durable here when a durable fault took it, the node not having made up for that since.
    /// (Nobody may have looked since the fault: then the last look is older than it.)
    pub fn lost(&self, mark: &BatchMark, disk: &DiskView<'_>) -> bool {
        let (before, count) = match is_fresh(disk.damage, self.damage) {
            true => (&self.log, self.durable),
            false => (&self.lost, self.lost.len()),
        };
        before.find(mark.base).is_some_and(|index| index < count && before[index] == *mark)
    }

    /// The batches that the last look found new.
    pub fn added(&self) -> impl Iterator<Item = &BatchMark> {
        self.log.iter_from(self.kept)
    }

    fn take_in(&mut self, disk: &DiskView<'_>) -> Interests {
        if is_fresh(disk.damage, self.damage) {
            self.lost = self.log.clone();
            self.lost.truncate(self.durable);
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
        // A new list: one that once held a whole log would keep room for it.
        self.removed = self.log.iter_from(kept).copied().collect();
        self.removed_durable = self.durable.saturating_sub(kept);
        self.kept = kept;
        self.log.truncate(kept);
        self.log.extend(disk.log.iter_from(kept).copied());
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
