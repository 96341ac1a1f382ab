//! What it costs to say something on the wire: a frame made, checked and read again.

use std::hint::black_box;
use std::time::Duration;

use kraftbed::ids::{DirectoryId, Endpoint, Epoch, Offset, ReplicaId, ReplicaKey};
use kraftbed::node::translate::{self, LeaderAt, Names};
use kraftbed::node::{Config, answers, overhear};
use kraftbed::protocol::Api;
use kraftbed::raft::message::{ErrorCode, FetchRequest, FetchResponse, Fetched, ResponseBody, SaidHighWatermark};
use kraftbed::raft::{Request, Response};

/// So many fetches of a replica.
pub fn requests(count: u64) {
    let names = names();
    let request = Request::Fetch(FetchRequest {
        replica: Some(ReplicaKey { id: ReplicaId(2), directory: Some(DirectoryId([7; 16])) }),
        epoch: Epoch(3),
        offset: Some(Offset(1_000)),
        last_epoch: Some(Epoch(3)),
        high_watermark: SaidHighWatermark::Known(Some(Offset(999))),
        max_wait: Duration::from_millis(500),
        max_bytes: 1 << 20,
    });
    for number in 0..count {
        let frame = translate::call(&request, VERSION, number as i32, &names).expect("a version that can say it");
        black_box(overhear::request(&frame.payload(), &names).expect("a request of a replica"));
    }
}

/// So many answers that bring one batch.
pub fn answers(count: u64) {
    let names = names();
    let leader = LeaderAt { id: ReplicaId(1), endpoint: Endpoint::new("localhost", 9092) };
    let found = Fetched::Records(vec![crate::batch()]);
    let response = Response {
        error: ErrorCode::None,
        epoch: Epoch(3),
        leader: Some(leader.id),
        endpoint: Some(leader.endpoint.clone()),
        body: ResponseBody::Fetch(FetchResponse { high_watermark: Some(Offset(1)), log_start: Offset::ZERO, found }),
    };
    for number in 0..count {
        let frame = translate::answer(Api::Fetch, VERSION, number as i32, &response, Some(&leader), &names);
        let rest = frame.payload().slice(4..);
        black_box(answers::answer(Api::Fetch, VERSION, rest, Epoch(3), &names).expect("an answer"));
    }
}

fn names() -> Names {
    Names::of(&Config::new(crate::leader::raft_config()))
}

/// What replicas of one release speak among themselves.
const VERSION: i16 = 18;
