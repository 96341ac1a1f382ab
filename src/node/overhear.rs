//! For drivers that watch the wire: what replicas say to each other, read from frames alone.

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;

use crate::node::answers;
use crate::node::translate::{self, Names};
use crate::protocol::codec::RequestStart;
use crate::protocol::{Api, codec, schema};
use crate::raft::{Request, Response};

/// A request of one replica to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Overheard {
    /// Which API.
    pub api: Api,
    /// At which version.
    pub version: i16,
    /// The number its answer will carry.
    pub correlation: i32,
    /// What is asked.
    pub request: Request,
}

/// The replica's request in a frame; `None` for anything else, clients' fetches included.
pub fn request(frame: &Bytes, names: &Names) -> Option<Overheard> {
    let RequestStart { key, version, correlation } = RequestStart::parse(frame).ok()?;
    let api = Api::find(key)?;
    if !api.offer().serves(version) {
        return None;
    }
    let request = match api {
        Api::Fetch => {
            let asked: FetchRequest = codec::decode_request(api, &schema::FETCH_REQUEST, version, frame).ok()?;
            let is_replica = translate::fetcher(&asked, version).0 >= 0;
            is_replica.then(|| translate::fetch(&asked, version, names).ok()).flatten()?
        }
        Api::Vote | Api::BeginQuorumEpoch | Api::EndQuorumEpoch => {
            translate::request(api, version, frame, names).ok()?.ok()?
        }
        _ => return None,
    };
    Some(Overheard { api, version, correlation, request })
}

/// The answer to an overheard request, if the frame carries its number.
pub fn answer(frame: &Bytes, asked: &Overheard, names: &Names) -> Option<Response> {
    let correlation = i32::from_be_bytes(*frame.first_chunk()?);
    if correlation != asked.correlation {
        return None;
    }
    let epoch = translate::epoch_of(&asked.request);
    answers::answer(asked.api, asked.version, frame.slice(4..), epoch, names).ok()
}

/// The API and version of a request frame, in words: `Fetch v17`.
pub fn describe(frame: &[u8]) -> Option<String> {
    let start = RequestStart::parse(frame).ok()?;
    let api = Api::find(start.key)?;
    Some(format!("{api:?} v{}#{}", start.version, start.correlation))
}
