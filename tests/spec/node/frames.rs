//! Frames of real brokers and clients, under `tests/bytes/frames` (line 1 says where a frame comes from, line 2 is the
//! frame after its length field): our encoder gives the same bytes, our walk accepts them, and no mutation of them makes
//! a decoder panic or reserve what was only announced.

use std::path::PathBuf;

use bytes::Bytes;
use kraftbed::ids::{DirectoryId, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::node::translate::{self, Names};
use kraftbed::node::{Config, answers};
use kraftbed::prng::Prng;
use kraftbed::protocol::Api;
use kraftbed::protocol::codec::RequestStart;
use kraftbed::raft::{self, Request, Voter, VoterSet};

use super::requests;

fn frames() -> Vec<(String, Bytes)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bytes/frames"));
    let mut paths: Vec<PathBuf> =
        folder.read_dir().expect("frames").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let frames = paths.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).expect("a text file");
        let bytes = requests::unhex(text.lines().nth(1).expect("two lines")).expect("hexadecimal digits");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), bytes)
    });
    frames.collect()
}

fn frame(name: &str) -> Bytes {
    frames().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no frame {name}")).1
}

/// The cluster that the frames between replicas were captured in.
fn names() -> Names {
    let voter = |id| Voter { key: ReplicaKey::of(ReplicaId(id)), endpoints: Vec::new() };
    let mut config = Config::new(raft::Config::new(ReplicaId(0), VoterSet::new((0..3).map(voter).collect())));
    config.cluster_id = "4L6g3nShT-eMCtK--X86sw".into();
    Names::of(&config)
}

/// Decodes a request of a replica as the node does.
fn raft_request(frame: &Bytes) -> Request {
    let start = RequestStart::parse(frame).expect("a header");
    let (api, version) = (Api::find(start.key).expect("an API"), start.version);
    match api {
        Api::Fetch => {
            let shape = &kraftbed::protocol::schema::FETCH_REQUEST;
            let asked = kraftbed::protocol::codec::decode_request(api, shape, version, frame).expect("a Fetch");
            translate::fetch(&asked, version, &names()).expect("passes the checks")
        }
        _ => translate::request(api, version, frame, &names()).expect("well-formed").expect("passes the checks"),
    }
}

#[test]
fn requests_of_real_replicas_are_written_as_they_were_read() {
    for name in ["Fetch-v18-request", "Vote-v2-request", "BeginQuorumEpoch-v1-request", "EndQuorumEpoch-v1-request"] {
        let real = frame(name);
        let start = RequestStart::parse(&real).expect("a header");
        let request = raft_request(&real);
        let ours =
            translate::call(&request, start.version, start.correlation, &names()).expect("the version can say it");
        assert_eq!(ours.payload(), real, "{name}");
    }
}

#[test]
fn answers_of_real_replicas_are_written_as_they_were_read() {
    for name in ["Fetch-v18", "Vote-v2", "BeginQuorumEpoch-v1", "EndQuorumEpoch-v1"] {
        let (asked, real) = (frame(&format!("{name}-request")), frame(&format!("{name}-response")));
        let start = RequestStart::parse(&asked).expect("a header");
        let api = Api::find(start.key).expect("an API");
        let answer = answers::answer(api, start.version, real.slice(4..), Epoch::ZERO, &names()).expect("well-formed");
        let leader = answer.leader.zip(answer.endpoint.clone());
        let leader = leader.map(|(id, endpoint)| translate::LeaderAt { id, endpoint });
        let ours = translate::answer(api, start.version, start.correlation, &answer, leader.as_ref(), &names());
        assert_eq!(ours.payload(), real, "{name}");
    }
}

#[test]
fn a_real_fetch_means_what_kafka_meant() {
    let Request::Fetch(fetch) = raft_request(&frame("Fetch-v18-request")) else { panic!("a Fetch") };
    let directory =
        requests::unhex("3d77c9d8beafe84a3dcac006701b71bb").expect("digits")[..].try_into().expect("16 bytes");
    assert_eq!(fetch.replica, Some(ReplicaKey { id: ReplicaId(0), directory: Some(DirectoryId(directory)) }));
    assert_eq!((fetch.offset, fetch.last_epoch, fetch.epoch), (Some(Offset(0)), Some(Epoch(0)), Epoch(0)));
    assert_eq!(fetch.high_watermark, raft::message::SaidHighWatermark::Known(None));
}

/// Truncations, flipped bits and huge lengths everywhere. A decoder that reserved what an array announces would end the
/// process here.
#[test]
fn mutated_frames_are_refused_without_panic() {
    let mut prng = Prng::new(7, 7);
    for (name, real) in frames() {
        for round in 0..400 {
            let mut bytes = real.to_vec();
            let at = prng.below(bytes.len() as u64) as usize;
            match round % 4 {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << prng.below(8),
                2 => bytes[at] = 0xff,
                _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0x7f),
            }
            meet(&name, Bytes::from(bytes));
        }
    }
}

/// Gives a frame to whatever reads frames of that kind from the network.
fn meet(name: &str, bytes: Bytes) {
    let (api, version) = match name.split('-').collect::<Vec<_>>()[..] {
        ["Fetch", ..] => (Api::Fetch, 18),
        ["Vote", ..] => (Api::Vote, 2),
        ["BeginQuorumEpoch", ..] => (Api::BeginQuorumEpoch, 1),
        ["EndQuorumEpoch", ..] => (Api::EndQuorumEpoch, 1),
        _ => return super::stage::hear(bytes),
    };
    if name.ends_with("response") {
        if bytes.len() >= 4 {
            let _ = answers::answer(api, version, bytes.slice(4..), Epoch::ZERO, &names());
        }
        return;
    }
    super::stage::hear(bytes);
}

/// What real clients ask is answered, whatever they asked, in a frame that carries their correlation id.
#[test]
fn every_request_of_real_clients_is_answered() {
    for (name, bytes) in frames().into_iter().filter(|(name, _)| name.starts_with("java-") || name.starts_with("kcat-"))
    {
        let start = RequestStart::parse(&bytes).expect("a header");
        let is_served = Api::find(start.key).is_some_and(|api| api.offer().serves(start.version));
        let answer = super::stage::answer_to(bytes);
        match is_served {
            true => assert_eq!(answer.expect(&name)[..4], start.correlation.to_be_bytes(), "{name}"),
            false => assert_eq!(answer, None, "{name}"),
        }
    }
}
