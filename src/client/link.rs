//! One connection: it opens, agrees on versions, and carries requests whose answers come in the same order.
//!
//! **Invariants**: nothing but ApiVersions is sent before the versions are agreed; every request has a deadline; an
//! answer is accepted only for the oldest request, by its correlation id. Anything else is malformed, and the session
//! closes the connection: after a wrong answer no later one can be trusted to belong to its request.

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use crate::client::wire;
use crate::client::wire::{Api, Malformed, Request, Response};
use crate::client::{AskId, Output};
use crate::ids::Endpoint;
use crate::protocol::ConnectionId;
use crate::time::Instant;

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To agree on versions.
    Negotiation,
    /// To find the leader.
    Refresh,
    /// To get a producer id.
    Identity,
    /// For this operation.
    Operation(AskId),
}

/// What must not repeat between the connections of a client.
#[derive(Clone, Debug)]
pub struct Voice {
    client_id: StrBytes,
    correlation: i32,
}

impl Voice {
    /// A voice that numbers its requests from `first` on.
    pub fn new(client_id: &str, first: i32) -> Voice {
        assert!(first >= 0, "correlation ids are positive");
        Voice { client_id: StrBytes::from_string(client_id.to_owned()), correlation: first }
    }

    fn next_correlation(&mut self) -> i32 {
        let id = self.correlation;
        self.correlation = id.checked_add(1).unwrap_or(0);
        id
    }
}

/// A connection that was asked for.
#[derive(Clone, Debug)]
pub struct Link {
    id: ConnectionId,
    endpoint: Endpoint,
    stage: Stage,
    outstanding: VecDeque<Outstanding>,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The driver is connecting; it has until then.
    Opening { until: Instant },
    /// ApiVersions is under way in this version.
    Negotiating { version: i16 },
    /// The version agreed for each API, in the order of [`Api::ALL`].
    Ready { versions: [i16; Api::ALL.len()] },
}

#[derive(Clone, Debug)]
struct Outstanding {
    correlation: i32,
    call: Call,
    api: Api,
    version: i16,
    deadline: Instant,
}

impl Link {
    /// Asks the driver for a connection.
    pub fn connect(id: ConnectionId, endpoint: Endpoint, until: Instant, out: &mut Vec<Output>) -> Link {
        out.push(Output::Connect { connection: id, endpoint: endpoint.clone() });
        Link { id, endpoint, stage: Stage::Opening { until }, outstanding: VecDeque::new() }
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether requests may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }

    /// When the connection must be given up if nothing comes.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening { until } => Some(until),
            Stage::Negotiating { .. } | Stage::Ready { .. } => {
                self.outstanding.iter().map(|request| request.deadline).min()
            }
        }
    }

    /// What the next answer must be for.
    pub fn oldest(&self) -> Option<Call> {
        self.outstanding.front().map(|request| request.call)
    }

    /// What was asked and not answered, oldest first.
    pub fn into_outstanding(self) -> impl Iterator<Item = Call> {
        self.outstanding.into_iter().map(|request| request.call)
    }

    /// The connection stands: agree on versions, beginning with the newest we know.
    pub fn on_opened(&mut self, voice: &mut Voice, deadline: Instant, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Opening { .. }) {
            self.negotiate(Api::ApiVersions.versions().1, voice, deadline, out);
        }
    }

    /// Sends a request; the link must be ready.
    pub fn send(&mut self, call: Call, request: &Request, voice: &mut Voice, deadline: Instant, out: &mut Vec<Output>) {
        let Stage::Ready { versions } = self.stage else { panic!("requests wait until versions are agreed") };
        self.transmit(call, request, versions[request.api() as usize], voice, deadline, out);
    }

    /// Takes a frame. Answers about versions stay here; another call is returned with its answer.
    pub fn on_frame(
        &mut self,
        frame: &Bytes,
        voice: &mut Voice,
        deadline: Instant,
        out: &mut Vec<Output>,
    ) -> Result<Option<(Call, Response)>, Malformed> {
        let unasked = || Malformed { api: Api::ApiVersions, what: "nothing was asked".to_owned() };
        let asked = self.outstanding.pop_front().ok_or_else(unasked)?;
        let answer = wire::decode(asked.api, asked.version, frame).and_then(|(found, response)| {
            let expected = asked.correlation;
            let what = || format!("expected correlation id {expected}, found {found}");
            (found == expected).then_some(response).ok_or_else(|| Malformed { api: asked.api, what: what() })
        });
        match answer {
            Ok(Response::ApiVersions { error, apis }) => {
                self.on_versions(error, &apis, voice, deadline, out)?;
                Ok(None)
            }
            Ok(response) => Ok(Some((asked.call, response))),
            // The call is still unanswered, and whoever closes the link must see it.
            Err(malformed) => {
                self.outstanding.push_front(asked);
                Err(malformed)
            }
        }
    }

    fn on_versions(
        &mut self,
        error: i16,
        apis: &[(i16, i16, i16)],
        voice: &mut Voice,
        deadline: Instant,
        out: &mut Vec<Output>,
    ) -> Result<(), Malformed> {
        let Stage::Negotiating { version } = self.stage else {
            return Err(Malformed { api: Api::ApiVersions, what: "versions are agreed already".to_owned() });
        };
        // KIP-511: the refusal lists the versions of ApiVersions itself, or nothing, which means version 0.
        if error == wire::UNSUPPORTED_VERSION && version > 0 {
            let known = apis.iter().find(|(key, ..)| *key == Api::ApiVersions.key()).map_or(0, |&(.., most)| most);
            self.negotiate(known.clamp(0, version - 1), voice, deadline, out);
            return Ok(());
        }
        if error != 0 {
            return Err(Malformed { api: Api::ApiVersions, what: format!("error {error}") });
        }
        let mut versions = [0; Api::ALL.len()];
        for (agreed, api) in versions.iter_mut().zip(Api::ALL) {
            *agreed = common_version(api, apis)?;
        }
        self.stage = Stage::Ready { versions };
        Ok(())
    }

    fn negotiate(&mut self, version: i16, voice: &mut Voice, deadline: Instant, out: &mut Vec<Output>) {
        self.stage = Stage::Negotiating { version };
        self.transmit(Call::Negotiation, &Request::ApiVersions, version, voice, deadline, out);
    }

    fn transmit(
        &mut self,
        call: Call,
        request: &Request,
        version: i16,
        voice: &mut Voice,
        deadline: Instant,
        out: &mut Vec<Output>,
    ) {
        let (api, correlation) = (request.api(), voice.next_correlation());
        let frame = wire::encode(request, version, correlation, &voice.client_id);
        out.push(Output::Frame { connection: self.id, frame });
        if request.is_answered() {
            self.outstanding.push_back(Outstanding { correlation, call, api, version, deadline });
        }
    }
}

/// The newest version that both sides speak.
fn common_version(api: Api, theirs: &[(i16, i16, i16)]) -> Result<i16, Malformed> {
    let (least, most) = api.versions();
    let listed = theirs.iter().find(|(key, ..)| *key == api.key());
    let Some(&(_, their_least, their_most)) = listed else {
        return Err(Malformed { api, what: "the broker does not serve this API".to_owned() });
    };
    let version = most.min(their_most);
    if version < least.max(their_least) {
        let what = format!("no common version: we speak {least} to {most}, they {their_least} to {their_most}");
        return Err(Malformed { api, what });
    }
    Ok(version)
}
