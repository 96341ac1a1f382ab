//! A stage for the judge's own tests: nodes that are told what they look like, and observations made from them.

use crate::check::{BatchMark, Damage, DiskView, Judge, Lapse, MarkLog, Observation, Property, Violation, What};
use crate::history::{Ask, ClientId, Operation, Outcome};
use crate::ids::{Epoch, Offset, ReplicaId, ReplicaKey};
use crate::log::QuorumState;
use crate::raft::message::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, ErrorCode, Request, Response, ResponseBody, VoteRequest,
};
use crate::raft::note::Note;
use crate::raft::view::{RoleKind, View};
use crate::raft::voters::{Voter, VoterSet};
use crate::record::{BatchBuilder, RecordBatch};
use crate::time::{Instant, Timestamp};

/// Some nodes, all of them voters, and a judge of one property.
#[derive(Debug)]
pub struct Stage {
    judge: Judge,
    name: &'static str,
    nodes: Vec<Actor>,
    voters: VoterSet,
    at: Instant,
}

/// A node as a test wants it to look.
#[derive(Clone, Debug)]
pub struct Actor {
    key: ReplicaKey,
    /// Role.
    pub role: RoleKind,
    /// Epoch.
    pub epoch: Epoch,
    /// Leader.
    pub leader: Option<ReplicaId>,
    /// Vote.
    pub vote: Option<ReplicaKey>,
    /// High watermark.
    pub high_watermark: Option<Offset>,
    /// What it believes durable, where that is not what is durable.
    pub flushed: Option<Offset>,
    /// Whether it recovers.
    pub is_recovering: bool,
    incarnation: u32,
    log: MarkLog,
    durable: usize,
    quorum: Option<QuorumState>,
    /// What a completed operation left to the next power loss.
    pub lapse: Option<Lapse>,
    /// What a durable fault did to the disk.
    pub damage: Damage,
}

/// A batch from `base` up to `end` of an epoch, with a checksum that follows from place and epoch.
pub fn mark(base: u64, end: u64, epoch: u32) -> BatchMark {
    BatchMark { base: Offset(base), end: Offset(end), epoch: Epoch(epoch), crc: epoch << 16 | base as u32 }
}

/// The key of a node.
pub fn key(node: u32) -> ReplicaKey {
    ReplicaKey::of(ReplicaId(node))
}

/// A leader makes itself known.
pub fn begin(leader: u32, epoch: u32) -> Request {
    let leader = Some(ReplicaId(leader));
    Request::BeginQuorumEpoch(BeginQuorumEpochRequest { epoch: Epoch(epoch), leader, voter: None, endpoints: vec![] })
}

/// Node 0, which led that epoch, says who should follow.
pub fn end(epoch: u32, successors: &[u32]) -> Request {
    let successors = successors.iter().copied().map(key).collect();
    let leader = Some(ReplicaId(0));
    Request::EndQuorumEpoch(EndQuorumEpochRequest { epoch: Epoch(epoch), leader, successors, endpoints: vec![] })
}

/// A candidate asks for a vote; its log ends at `offset` with a record of `last_epoch`.
pub fn vote(candidate: u32, epoch: u32, (offset, last_epoch): (u64, u32)) -> Request {
    Request::Vote(VoteRequest {
        epoch: Epoch(epoch),
        candidate: Some(key(candidate)),
        voter: None,
        last_epoch: Some(Epoch(last_epoch)),
        last_offset: Some(Offset(offset)),
        pre_vote: false,
    })
}

/// A batch of an epoch with these values, one record each.
pub fn batch(base: u64, epoch: u32, values: &[u64]) -> RecordBatch {
    let mut builder = BatchBuilder::new(Timestamp(0));
    for value in values {
        builder.push(None, Some(&value.to_be_bytes()));
    }
    builder.build().stamped(Offset(base), Epoch(epoch))
}

/// A client's append, and how it ended.
pub fn append(values: &[u64], outcome: Outcome) -> Operation {
    Operation { ask: Ask::Append { values: values.to_vec() }, ..tail(outcome) }
}

/// A client's question where the log ends, and how it ended.
pub fn tail(outcome: Outcome) -> Operation {
    Operation { client: ClientId(0), ask: Ask::Tail, invoked: Instant::ZERO, returned: None, outcome }
}

/// An answer without error.
pub fn answer(epoch: u32, leader: Option<u32>, body: ResponseBody) -> Response {
    Response { error: ErrorCode::None, epoch: Epoch(epoch), leader: leader.map(ReplicaId), endpoint: None, body }
}

impl Stage {
    /// A stage of so many voters.
    pub fn of(property: impl Property + 'static, voters: u32) -> Stage {
        let name = property.name();
        let member = |id| Voter { key: key(id), endpoints: vec![] };
        Stage {
            judge: Judge::of(vec![Box::new(property)]),
            name,
            nodes: (0..voters).map(Actor::new).collect(),
            voters: VoterSet::new((0..voters).map(member).collect()),
            at: Instant::ZERO,
        }
    }

    /// Adds a node that is not a voter, and gives its number.
    pub fn observer(&mut self) -> usize {
        self.nodes.push(Actor::new(self.nodes.len() as u32));
        self.nodes.len() - 1
    }

    /// The node, to be changed.
    pub fn node(&mut self, node: usize) -> &mut Actor {
        &mut self.nodes[node]
    }

    /// How often the property was put to the test.
    pub fn exercised(&self) -> u64 {
        self.judge.exercised()[self.name]
    }

    /// The node becomes leader of the epoch.
    pub fn leads(&mut self, node: usize, epoch: u32) -> Result<(), Violation> {
        let actor = &mut self.nodes[node];
        (actor.role, actor.epoch, actor.leader) = (RoleKind::Leader, Epoch(epoch), Some(actor.key.id));
        self.step(node)
    }

    /// The node follows.
    pub fn follows(&mut self, node: usize, leader: u32, epoch: u32) -> Result<(), Violation> {
        let actor = &mut self.nodes[node];
        (actor.role, actor.epoch, actor.leader) = (RoleKind::Follower, Epoch(epoch), Some(ReplicaId(leader)));
        self.step(node)
    }

    /// The node has this role in this epoch, and knows no leader.
    pub fn is(&mut self, node: usize, role: RoleKind, epoch: u32) -> Result<(), Violation> {
        let actor = &mut self.nodes[node];
        (actor.role, actor.epoch, actor.leader) = (role, Epoch(epoch), None);
        self.step(node)
    }

    /// The judge looks at the node after a step.
    pub fn step(&mut self, node: usize) -> Result<(), Violation> {
        let actor = self.nodes[node].clone();
        let voters = self.voters.clone();
        self.see(node, What::Stepped { view: actor.view(&voters) })
    }

    /// The node starts; recovery found what its files hold.
    pub fn start(&mut self, node: usize) -> Result<(), Violation> {
        let recovered = self.nodes[node].recovered();
        self.start_with(node, &recovered)
    }

    /// The node starts with this.
    pub fn start_with(&mut self, node: usize, recovered: &crate::log::Recovered) -> Result<(), Violation> {
        if self.nodes[node].damage == Damage::Wiped {
            self.nodes[node].damage = Damage::None;
        }
        let actor = self.nodes[node].clone();
        let voters = self.voters.clone();
        self.see(node, What::Started { view: actor.view(&voters), recovered })
    }

    /// The node goes down, and starts next time as another incarnation.
    pub fn down(&mut self, node: usize) -> Result<(), Violation> {
        let seen = self.see(node, What::Down { power: true });
        self.nodes[node].incarnation += 1;
        seen
    }

    /// A request leaves the node.
    pub fn ask(&mut self, node: usize, request: &Request) -> Result<(), Violation> {
        self.see(node, What::Asked { request })
    }

    /// An answer leaves the node.
    pub fn answer(&mut self, node: usize, request: &Request, response: &Response) -> Result<(), Violation> {
        self.see(node, What::Answered { request, response })
    }

    /// The node takes note of something.
    pub fn note(&mut self, node: usize, note: Note) -> Result<(), Violation> {
        self.see(node, What::Noted(&note))
    }

    /// Something happens on a node.
    pub fn see(&mut self, node: usize, what: What<'_>) -> Result<(), Violation> {
        self.at += std::time::Duration::from_millis(1);
        let disks: Vec<DiskView<'_>> = self.nodes.iter().map(Actor::disk).collect();
        let incarnation = self.nodes.get(node).map_or(0, |actor| actor.incarnation);
        let observation = Observation { at: self.at, node, incarnation, disks: &disks, what };
        self.judge.observe(&observation).map_or(Ok(()), Err)
    }

    /// The run ends with all nodes up.
    pub fn finish(&mut self, end: crate::check::End<'_>) -> Result<(), Violation> {
        let disks: Vec<DiskView<'_>> = self.nodes.iter().map(Actor::disk).collect();
        let views: Vec<_> = self.nodes.iter().map(|actor| Some(actor.view(&self.voters))).collect();
        let end = crate::check::End { at: self.at, views: &views, disks: &disks, ..end };
        self.judge.finish(&end).map_or(Ok(()), Err)
    }
}

impl Actor {
    fn new(id: u32) -> Actor {
        Actor {
            key: key(id),
            role: RoleKind::Unattached,
            epoch: Epoch::ZERO,
            leader: None,
            vote: None,
            high_watermark: None,
            flushed: None,
            is_recovering: false,
            incarnation: 0,
            log: MarkLog::default(),
            durable: 0,
            quorum: None,
            lapse: None,
            damage: Damage::None,
        }
    }

    /// Batches enter the files.
    pub fn write(&mut self, marks: &[BatchMark]) -> &mut Actor {
        self.log.extend(marks.iter().copied());
        self
    }

    /// The files keep so many batches.
    pub fn truncate(&mut self, batches: usize) -> &mut Actor {
        self.log.truncate(batches);
        self.durable = self.durable.min(batches);
        self
    }

    /// All batches become durable.
    pub fn sync(&mut self) -> &mut Actor {
        self.durable = self.log.len();
        self
    }

    /// The disk is replaced by an empty one.
    pub fn wipe(&mut self) -> &mut Actor {
        (self.damage, self.quorum) = (Damage::Wiped, None);
        self.truncate(0)
    }

    /// The node believes that this is committed.
    pub fn high_watermark(&mut self, to: u64) -> &mut Actor {
        self.high_watermark = Some(Offset(to));
        self
    }

    /// The quorum-state on the platter.
    pub fn persist(&mut self, epoch: u32, leader: Option<u32>, vote: Option<u32>) -> &mut Actor {
        let (leader, vote) = (leader.map(ReplicaId), vote.map(key));
        self.quorum = Some(QuorumState { epoch: Epoch(epoch), leader, vote, version: 1, voters: vec![] });
        self
    }

    /// The disk as the judge sees it.
    pub fn disk(&self) -> DiskView<'_> {
        DiskView {
            log: &self.log,
            durable: self.durable,
            quorum: self.quorum.as_ref(),
            lapse: self.lapse,
            damage: self.damage,
        }
    }

    /// What a faithful recovery of the platter gives.
    pub fn recovered(&self) -> crate::log::Recovered {
        let durable = self.disk().durable_end();
        crate::log::Recovered {
            meta: crate::log::MetaProperties {
                cluster_id: "stage".into(),
                node_id: self.key.id,
                directory_id: crate::ids::DirectoryId([1; 16]),
            },
            quorum: self.quorum.clone(),
            start: Offset::ZERO,
            flushed: durable,
            end: durable,
            epochs: crate::log::EpochIndex::default(),
            producers: crate::log::ProducerTable::new(1_000),
            tail: vec![],
            cold: vec![],
            controls: vec![],
            recovering: None,
            cuts: vec![],
        }
    }

    fn view<'a>(&self, voters: &'a VoterSet) -> View<'a> {
        let end = self.log.last().map_or(Offset::ZERO, |mark| mark.end);
        View {
            key: self.key,
            role: self.role,
            epoch: self.epoch,
            leader: self.leader,
            vote: self.vote,
            high_watermark: self.high_watermark,
            log_start: Offset::ZERO,
            flushed: self.flushed.unwrap_or(self.disk().durable_end()),
            log_end: end,
            last_epoch: self.log.last().map_or(Epoch::ZERO, |mark| mark.epoch),
            voters,
            is_recovering: self.is_recovering,
            epoch_start: None,
        }
    }
}
