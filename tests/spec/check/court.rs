//! The dialect of `tests/golden/check`: nodes are told what they look like, and the whole judge looks.
//!
//! ```text
//! cluster 3                     three voters, their disks empty
//! write 0 0..3@1 3..4@2         batches enter a node's files
//! sync 0                        they become durable, with the quorum-state
//! keep 0 1                      the files keep so many batches
//! state 0 leader@1 leader=0 vote=1 hw=3 flushed=3
//! quorum 0 1 leader=0 vote=1    the quorum-state on the platter
//! look 0                        the node handled something: the judge looks
//! start 0  down 0               it starts, it goes down; `flushed=` is what recovery calls flushed, if not all
//! close 0                       it has stopped as it was asked to; that it is down comes next
//! grant 1 0@4                   node 1 answers that it votes for node 0 in epoch 4, whose log ends at `end=4@2`
//! fetch 1 4@2 epoch=2           node 1 fetches from offset 4, its last record of epoch 2
//! begin 1 0@4 leader=0 voters=0/1/2 granting=0/1   its machine is given the LEADER_CHANGE at offset 0 of epoch 4
//! announce 0 0@4                node 0 notes that it leads epoch 4 from offset 0 on
//! become 0 resigned@4           it notes that it becomes so
//! hand 0 4                      node 0, which leads epoch 4 of a quiet cluster, is asked to resign
//! leave 0 4 to=2/1              it says who should follow
//! heed 1 0@4                    node 1 accepts that node 0 leads epoch 4; with `error=fenced` it does not
//! part 2  part 0 within=2ms     a quiet cluster is cut off from node 2; from its leader, of whom so much is owed
//! mend 2                        and is whole again
//! end 1 connects=9 most=9       the run ends; in its busiest second node 1 asked for so many connections, of so many
//! ```

use std::error::Error;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use kraftbed::check::{
    BatchMark, Damage, DiskView, Drill, Effort, End, Handover, Judge, MarkLog, Observation, Options, Violation, What,
};
use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::log::{EpochIndex, MetaProperties, ProducerTable, QuorumState, Recovered};
use kraftbed::raft::message::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, ErrorCode, FetchRequest, Response, ResponseBody, SaidHighWatermark,
    VoteRequest,
};
use kraftbed::raft::{Note, Request, RoleKind, View, Voter, VoterSet};
use kraftbed::record::{BatchBuilder, ControlRecord, RecordBatch};
use kraftbed::time::{Instant, Timestamp};

type Failure = Box<dyn Error>;

/// The nodes and their judge.
pub struct Court {
    judge: Judge,
    voters: VoterSet,
    nodes: Vec<Actor>,
    at: Instant,
}

#[derive(Default)]
struct Actor {
    role: Option<RoleKind>,
    epoch: Epoch,
    leader: Option<ReplicaId>,
    vote: Option<ReplicaKey>,
    high_watermark: Option<Offset>,
    flushed: Offset,
    log: MarkLog,
    durable: usize,
    quorum: Option<QuorumState>,
    incarnation: u32,
}

impl Default for Court {
    fn default() -> Court {
        Court { judge: Judge::new(&Options::default()), voters: VoterSet::default(), nodes: vec![], at: Instant::ZERO }
    }
}

impl Runner for Court {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Failure> {
        let mut args = command.consume_args();
        let first: usize = args.next_pos().ok_or("a number is missing")?.parse()?;
        let seen = match command.name.as_str() {
            "cluster" => {
                // Another history, another judge.
                *self = Court::default();
                let voter = |id| Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: vec![] };
                self.voters = VoterSet::new((0..first as u32).map(voter).collect());
                self.nodes = (0..first).map(|_| Actor::default()).collect();
                Ok(())
            }
            "write" | "sync" | "keep" | "state" | "quorum" => {
                let node = self.nodes.get_mut(first).ok_or("no such node")?;
                node.change(&command.name, &mut args)?;
                Ok(())
            }
            "look" => self.see(first, |_, view| What::Stepped { view }),
            "start" => {
                let mut recovered = self.nodes[first].recovered(first);
                if let Some(flushed) = args.take_key("flushed") {
                    recovered.flushed = Offset(flushed.parse()?);
                }
                self.see(first, |_, view| What::Started { view, recovered: &recovered })
            }
            "close" => self.see(first, |_, _| What::Closed),
            "down" => {
                let seen = self.see(first, |_, _| What::Down { power: true });
                self.nodes[first].incarnation += 1;
                seen
            }
            "grant" | "heed" => {
                let (request, response) = answered(&command.name, &mut args)?;
                self.see(first, |_, _| What::Answered { request: &request, response: &response })
            }
            "part" | "mend" => {
                let drill = self.drill(&command.name, first, &mut args)?;
                self.see(first, |_, _| What::Drilled(drill))
            }
            "end" => self.end(first, &mut args)?,
            "fetch" | "leave" => {
                let request = asked(&command.name, first as u32, &mut args)?;
                self.see(first, |_, _| What::Asked { request: &request })
            }
            "begin" => {
                let batch = leader_change(&mut args)?;
                let (batches, end) = ([batch.clone()], batch.end());
                self.see(first, |_, _| What::Applied { batches: &batches, end, machine: 0 })
            }
            "announce" | "become" => {
                let note = note(&command.name, &mut args)?;
                self.see(first, |_, _| What::Noted(&note))
            }
            "hand" => {
                let epoch = Epoch(args.next_pos().ok_or("which epoch?")?.parse()?);
                let moment = std::time::Duration::from_millis(50);
                let handover =
                    Handover { epoch, stops: None, prompt: moment, alone_for: moment, elected_within: moment };
                self.see(first, |_, _| What::HandedOver(handover))
            }
            other => return Err(format!("unknown command {other}").into()),
        };
        args.reject_next()?;
        Ok(seen.map_or_else(|violation| format!("{violation}\n"), |()| String::new()))
    }
}

impl Court {
    /// One fault in a quiet cluster, or its end, as a command describes it.
    fn drill(&self, name: &str, node: usize, args: &mut ArgumentConsumer<'_>) -> Result<Drill, Failure> {
        if name == "mend" {
            return Ok(Drill::Healed);
        }
        let Some(within) = args.take_key("within") else { return Ok(Drill::FollowerCut { node }) };
        let within = std::time::Duration::from_millis(within.strip_suffix("ms").ok_or("how many ms?")?.parse()?);
        let epoch = self.nodes[node].epoch;
        Ok(Drill::LeaderCut { node, epoch, resigns_within: within, elected_within: within })
    }

    /// The run is cut short; nothing is judged but how hard this node worked.
    fn end(&mut self, node: usize, args: &mut ArgumentConsumer<'_>) -> Result<Result<(), Violation>, Failure> {
        let mut efforts = vec![Effort::default(); self.nodes.len()];
        efforts[node].connects_in_busiest_second = args.take_key("connects").ok_or("how many?")?.parse()?;
        efforts[node].connects_max = args.take_key("most").ok_or("of how many?")?.parse()?;
        let end = End { at: self.at, efforts: &efforts, ..End::default() };
        Ok(self.judge.finish(&end).map_or(Ok(()), Err))
    }

    fn see<'a>(&'a mut self, node: usize, what: impl FnOnce(&'a Actor, View<'a>) -> What<'a>) -> Result<(), Violation> {
        self.at += std::time::Duration::from_millis(1);
        let Court { judge, voters, nodes, at } = self;
        let disks: Vec<DiskView<'_>> = nodes.iter().map(Actor::disk).collect();
        let what = what(&nodes[node], nodes[node].view(node, voters));
        let incarnation = nodes[node].incarnation;
        let observation = Observation { at: *at, node, incarnation, disks: &disks, what };
        judge.observe(&observation).map_or(Ok(()), Err)
    }
}

impl Actor {
    fn change(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Result<(), Failure> {
        match name {
            "write" => {
                while let Some(batch) = args.next_pos() {
                    self.log.push(mark(batch)?);
                }
            }
            "sync" => {
                self.durable = self.log.len();
                self.flushed = self.disk().durable_end();
            }
            "keep" => {
                self.log.truncate(args.next_pos().ok_or("how many?")?.parse()?);
                self.durable = self.durable.min(self.log.len());
                self.flushed = self.flushed.min(self.disk().durable_end());
            }
            "quorum" => {
                let epoch = Epoch(args.next_pos().ok_or("which epoch?")?.parse()?);
                let leader = replica(args, "leader")?;
                let vote = replica(args, "vote")?.map(ReplicaKey::of);
                self.quorum = Some(QuorumState { epoch, leader, vote, version: 1, voters: vec![] });
            }
            _ => {
                let (role, epoch) = args.next_pos().and_then(|text| text.split_once('@')).ok_or("role@epoch?")?;
                self.role = Some(role_of(role)?);
                self.epoch = Epoch(epoch.parse()?);
                self.leader = replica(args, "leader")?;
                self.vote = replica(args, "vote")?.map(ReplicaKey::of);
                if let Some(to) = args.take_key("hw") {
                    self.high_watermark = Some(Offset(to.parse()?));
                }
                if let Some(to) = args.take_key("flushed") {
                    self.flushed = Offset(to.parse()?);
                }
            }
        }
        Ok(())
    }

    fn disk(&self) -> DiskView<'_> {
        DiskView {
            log: &self.log,
            durable: self.durable,
            quorum: self.quorum.as_ref(),
            lapse: None,
            damage: Damage::None,
        }
    }

    fn view<'a>(&self, node: usize, voters: &'a VoterSet) -> View<'a> {
        View {
            key: ReplicaKey::of(ReplicaId(node as u32)),
            role: self.role.unwrap_or(RoleKind::Unattached),
            epoch: self.epoch,
            leader: self.leader,
            vote: self.vote,
            high_watermark: self.high_watermark,
            log_start: Offset::ZERO,
            flushed: self.flushed,
            log_end: self.log.last().map_or(Offset::ZERO, |mark| mark.end),
            last_epoch: self.log.last().map_or(Epoch::ZERO, |mark| mark.epoch),
            voters,
            is_recovering: false,
            epoch_start: None,
        }
    }

    fn recovered(&self, node: usize) -> Recovered {
        let (id, durable) = (ReplicaId(node as u32), self.disk().durable_end());
        let directory_id = DirectoryId([1; 16]);
        Recovered {
            meta: MetaProperties { cluster_id: "court".into(), node_id: id, directory_id },
            quorum: self.quorum.clone(),
            start: Offset::ZERO,
            flushed: durable,
            end: durable,
            epochs: EpochIndex::default(),
            producers: ProducerTable::new(1_000),
            tail: vec![],
            cold: vec![],
            controls: vec![],
            recovering: None,
            cuts: vec![],
        }
    }
}

/// `0..3@1`, or `0..3@1/7` with a checksum of its own.
fn mark(text: &str) -> Result<BatchMark, Failure> {
    let (text, crc) = text.split_once('/').unwrap_or((text, ""));
    let (range, epoch) = text.split_once('@').ok_or("from..to@epoch?")?;
    let (base, end) = range.split_once("..").ok_or("from..to@epoch?")?;
    let (base, end, epoch): (u64, u64, u32) = (base.parse()?, end.parse()?, epoch.parse()?);
    let crc = if crc.is_empty() { epoch << 16 | base as u32 } else { crc.parse()? };
    Ok(BatchMark { base: Offset(base), end: Offset(end), epoch: Epoch(epoch), crc })
}

/// `4@2`.
fn at(text: &str) -> Result<(u64, u32), Failure> {
    let (number, epoch) = text.split_once('@').ok_or("number@epoch?")?;
    Ok((number.parse()?, epoch.parse()?))
}

/// What a node notes, as a command describes it.
fn note(name: &str, args: &mut ArgumentConsumer<'_>) -> Result<Note, Failure> {
    let text = args.next_pos().ok_or("what@epoch?")?;
    if name == "announce" {
        let (start, epoch) = at(text)?;
        return Ok(Note::Leads { epoch: Epoch(epoch), start: Offset(start) });
    }
    let (role, epoch) = text.split_once('@').ok_or("role@epoch?")?;
    Ok(Note::Became { role: role_of(role)?, epoch: Epoch(epoch.parse()?), leader: None })
}

/// What a node answers a peer, as a command describes it.
fn answered(name: &str, args: &mut ArgumentConsumer<'_>) -> Result<(Request, Response), Failure> {
    let (peer, epoch) = at(args.next_pos().ok_or("whom?")?)?;
    let (peer, epoch) = (ReplicaId(peer as u32), Epoch(epoch));
    let error = match args.take_key("error") {
        None => ErrorCode::None,
        Some("fenced") => ErrorCode::FencedLeaderEpoch,
        Some(other) => return Err(format!("no error {other}").into()),
    };
    let (request, body) = match name {
        "heed" => (
            Request::BeginQuorumEpoch(BeginQuorumEpochRequest {
                epoch,
                leader: Some(peer),
                voter: None,
                endpoints: vec![],
            }),
            ResponseBody::BeginQuorumEpoch,
        ),
        _ => {
            let (end, last) = args.take_key("end").map_or(Ok((0, 0)), at)?;
            let request = VoteRequest {
                epoch,
                candidate: Some(ReplicaKey::of(peer)),
                voter: None,
                last_epoch: Some(Epoch(last)),
                last_offset: Some(Offset(end)),
                pre_vote: false,
            };
            (Request::Vote(request), ResponseBody::Vote { granted: true })
        }
    };
    Ok((request, Response { error, epoch, leader: None, endpoint: None, body }))
}

/// What a node asks its peers, as a command describes it.
fn asked(name: &str, node: u32, args: &mut ArgumentConsumer<'_>) -> Result<Request, Failure> {
    if name == "leave" {
        return Ok(Request::EndQuorumEpoch(EndQuorumEpochRequest {
            epoch: Epoch(args.next_pos().ok_or("which epoch?")?.parse()?),
            leader: Some(ReplicaId(node)),
            successors: replicas(args, "to")?.into_iter().map(ReplicaKey::of).collect(),
            endpoints: vec![],
        }));
    }
    let (offset, last) = at(args.next_pos().ok_or("from where?")?)?;
    Ok(Request::Fetch(FetchRequest {
        replica: Some(ReplicaKey::of(ReplicaId(node))),
        epoch: Epoch(args.take_key("epoch").map_or(Ok(0), str::parse)?),
        offset: Some(Offset(offset)),
        last_epoch: Some(Epoch(last)),
        high_watermark: SaidHighWatermark::Known(None),
        max_wait: std::time::Duration::ZERO,
        max_bytes: 1,
    }))
}

/// The record that begins an epoch, as a command describes it.
fn leader_change(args: &mut ArgumentConsumer<'_>) -> Result<RecordBatch, Failure> {
    let (base, epoch) = at(args.next_pos().ok_or("where?")?)?;
    let record = ControlRecord::LeaderChange {
        leader: replica(args, "leader")?.ok_or("whose?")?,
        voters: replicas(args, "voters")?,
        granting: replicas(args, "granting")?,
    };
    Ok(BatchBuilder::control(Offset(base), Epoch(epoch), Timestamp(0), &[record]))
}

/// `0/2`.
fn replicas(args: &mut ArgumentConsumer<'_>, key: &str) -> Result<Vec<ReplicaId>, Failure> {
    let ids = args.take_key(key).unwrap_or_default().split('/').filter(|id| !id.is_empty());
    ids.map(|id| Ok(ReplicaId(id.parse()?))).collect()
}

fn replica(args: &mut ArgumentConsumer<'_>, key: &str) -> Result<Option<ReplicaId>, Failure> {
    Ok(args.take_key(key).map(str::parse).transpose()?.map(ReplicaId))
}

fn role_of(text: &str) -> Result<RoleKind, Failure> {
    use RoleKind as R;
    [R::Unattached, R::Follower, R::Prospective, R::Candidate, R::Leader, R::Resigned]
        .into_iter()
        .find(|role| role.name() == text)
        .ok_or_else(|| format!("no role {text}").into())
}
