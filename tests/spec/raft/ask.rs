//! What clients and strangers ask in a script, and how arguments read.

use std::error::Error;
use std::time::Duration;

use goldenscript::ArgumentConsumer;
use kraftbed::ids::{Endpoint, Epoch, Listener, Offset, ReplicaId, ReplicaKey};
use kraftbed::raft::message::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest, SaidHighWatermark, VoteRequest,
};
use kraftbed::raft::{Acks, Input, LinkId, ReadLimits, Request};
use kraftbed::record::{BatchBuilder, ProducerStamp, RecordBatch};
use kraftbed::time::Timestamp;

use crate::raft::cluster::{Cluster, Outcome};
use crate::raft::disk::directory;

impl Cluster {
    pub fn propose(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let records = args.take_key("records").unwrap_or("1").parse()?;
        let acks = match args.take_key("acks").unwrap_or("all") {
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => Acks::All,
        };
        let deadline = self.now + within(args, "5s")?;
        let producer = match args.take_key("producer") {
            Some(id) => Some(ProducerStamp {
                id: id.parse()?,
                epoch: args.take_key("producer_epoch").unwrap_or("0").parse()?,
                base_sequence: args.take_key("sequence").unwrap_or("0").parse()?,
            }),
            None => None,
        };
        let ticket = self.client();
        self.step(id, Input::Propose { ticket, acks, deadline, batches: vec![batch(records, producer)] })
    }

    pub fn read(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let from = Offset(args.take_key("from").unwrap_or("0").parse()?);
        let epoch = args.take_key("epoch").map(str::parse).transpose()?.map(Epoch);
        let bytes_min = args.take_key("bytes").unwrap_or("1").parse()?;
        let limits = ReadLimits { bytes_min, bytes_max: 1 << 20, deadline: self.now + within(args, "1s")? };
        let ticket = self.client();
        self.step(id, Input::Read { ticket, epoch, from, limits })
    }

    pub fn confirm(&mut self, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let deadline = self.now + within(args, "1s")?;
        let ticket = self.client();
        self.step(id, Input::Confirm { ticket, epoch: None, deadline })
    }

    pub fn request_by_hand(&mut self, kind: &str, args: &mut ArgumentConsumer<'_>) -> Outcome {
        let id = node_id(args)?;
        let epoch = Epoch(args.take_key("epoch").ok_or("epoch=?")?.parse()?);
        let replica = args.take_key("replica").map(str::parse).transpose()?.map(ReplicaId);
        let position = args.take_key("from").unwrap_or("0@0").split_once('@').ok_or("expected from=3@1")?;
        let (offset, last_epoch) = (optional(position.0)?, optional(position.1)?.map(|epoch| Epoch(epoch as u32)));
        let body = match kind {
            "vote" => Request::Vote(VoteRequest {
                epoch,
                candidate: replica.map(ReplicaKey::of),
                voter: args.take_key("voter").map(str::parse).transpose()?.map(|id| ReplicaKey::of(ReplicaId(id))),
                last_epoch,
                last_offset: offset.map(Offset),
                pre_vote: args.next_pos() == Some("pre"),
            }),
            "begin" => Request::BeginQuorumEpoch(BeginQuorumEpochRequest {
                epoch,
                leader: replica,
                voter: None,
                endpoints: replica.map(|id| listener(id.0)).into_iter().collect(),
            }),
            "end" => {
                let named: Vec<u32> = args
                    .take_key("successors")
                    .unwrap_or("")
                    .split_terminator('-')
                    .map(str::parse)
                    .collect::<Result<_, _>>()?;
                let successors = named.into_iter().map(|id| ReplicaKey::of(ReplicaId(id))).collect();
                Request::EndQuorumEpoch(EndQuorumEpochRequest {
                    epoch,
                    leader: replica,
                    successors,
                    endpoints: Vec::new(),
                })
            }
            _ => Request::Fetch(FetchRequest {
                replica: replica.map(|id| ReplicaKey { id, directory: Some(directory(id)) }),
                epoch,
                offset: offset.map(Offset),
                last_epoch,
                high_watermark: match args.take_key("hw") {
                    None => SaidHighWatermark::Unsaid,
                    Some(known) => SaidHighWatermark::Known(optional(known)?.map(Offset)),
                },
                max_wait: duration(args.take_key("wait").unwrap_or("500ms"))?,
                max_bytes: 1 << 20,
            }),
        };
        let link = LinkId(args.take_key("link").unwrap_or("900").parse()?);
        let ticket = self.client();
        self.step(id, Input::Request { ticket, link, body })
    }
}

pub fn node_id(args: &mut ArgumentConsumer<'_>) -> Result<u32, Box<dyn Error>> {
    Ok(args.next_pos().ok_or("which node?")?.parse()?)
}

pub fn link(args: &mut ArgumentConsumer<'_>) -> Result<Option<(u32, u32)>, Box<dyn Error>> {
    let Some(link) = args.next_pos() else { return Ok(None) };
    let (from, to) = link.split_once('-').ok_or("expected 1-2")?;
    Ok(Some((from.parse()?, to.parse()?)))
}

pub fn within(args: &mut ArgumentConsumer<'_>, default: &str) -> Result<Duration, Box<dyn Error>> {
    duration(args.take_key("within").unwrap_or(default))
}

pub fn duration(text: &str) -> Result<Duration, Box<dyn Error>> {
    if let Some(millis) = text.strip_suffix("ms") {
        return Ok(Duration::from_millis(millis.parse()?));
    }
    Ok(Duration::from_secs(text.strip_suffix('s').ok_or("expected 500ms or 5s")?.parse()?))
}

pub fn optional(text: &str) -> Result<Option<u64>, Box<dyn Error>> {
    if text == "none" { Ok(None) } else { Ok(Some(text.parse()?)) }
}

pub fn listener(id: u32) -> Listener {
    Listener { name: "CONTROLLER".into(), endpoint: Endpoint::new(&format!("n{id}"), 9093) }
}

pub fn batch(records: u64, producer: Option<ProducerStamp>) -> RecordBatch {
    let mut builder = BatchBuilder::new(Timestamp(0));
    if let Some(producer) = producer {
        builder = builder.producer(producer);
    }
    for record in 0..records {
        builder.push(None, Some(record.to_string().as_bytes()));
    }
    builder.build()
}
