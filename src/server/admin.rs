//! Asking a running quorum about itself: one connection, one question at a time, each with its time.
//!
//! Commands are asked a few questions a minute and may wait for each, so plain blocking sockets do.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real sockets, and time to wait for them")]

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::quorum_info::{self, AdminError, Bootstrap, QuorumInfo, Versions};
use crate::ids::Endpoint;

/// Why a quorum could not be described in time.
#[derive(Debug)]
pub struct Undescribed {
    /// What was tried last.
    endpoint: Option<Endpoint>,
    why: String,
}

impl fmt::Display for Undescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(at) => write!(f, "{at}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for Undescribed {}

/// The cluster's id and the state of its quorum, from whichever bootstrap node answers; tried again until `within` is over,
/// because a quorum may be about to elect a leader.
pub fn describe(
    servers: &[Endpoint],
    bootstrap: Bootstrap,
    within: Duration,
) -> Result<(String, QuorumInfo), Undescribed> {
    let end = Instant::now() + within;
    loop {
        let mut failure = Undescribed { endpoint: None, why: "no bootstrap server is named".into() };
        for server in servers {
            match describe_from(server, bootstrap) {
                Ok(found) => return Ok(found),
                Err(error) => failure = error,
            }
        }
        if servers.is_empty() || Instant::now() + PAUSE > end {
            return Err(failure);
        }
        std::thread::sleep(PAUSE);
    }
}

fn describe_from(server: &Endpoint, bootstrap: Bootstrap) -> Result<(String, QuorumInfo), Undescribed> {
    let mut connection = Connection::open(server)?;
    let versions = connection.versions()?;
    let frame = connection.ask(&quorum_info::ask_cluster(versions, bootstrap))?;
    let cluster = connection.judge(quorum_info::read_cluster(versions, frame))?;
    let Some(controller) = cluster.controller else {
        return Err(connection.failure("no leader is known"));
    };
    Ok((cluster.cluster_id, quorum(&controller)?))
}

/// Whom the node at `endpoint` takes for the leader, and in which epoch.
pub fn leader(endpoint: &Endpoint) -> Result<(Option<i32>, i32), Undescribed> {
    let mut connection = Connection::open(endpoint)?;
    let versions = connection.versions()?;
    let frame = connection.ask(&quorum_info::ask_quorum(versions))?;
    connection.judge(quorum_info::read_leader(versions, frame))
}

/// What the node at `endpoint` says of the quorum; only the leader answers.
pub fn quorum(endpoint: &Endpoint) -> Result<QuorumInfo, Undescribed> {
    let mut connection = Connection::open(endpoint)?;
    let versions = connection.versions()?;
    let frame = connection.ask(&quorum_info::ask_quorum(versions))?;
    connection.judge(quorum_info::read_quorum(versions, frame))
}

/// One connection to one node.
struct Connection<'a> {
    endpoint: &'a Endpoint,
    stream: TcpStream,
}

impl<'a> Connection<'a> {
    fn open(endpoint: &'a Endpoint) -> Result<Connection<'a>, Undescribed> {
        let connected = (&*endpoint.host, endpoint.port).to_socket_addrs().and_then(|addresses| {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in addresses {
                match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        });
        let prepared = connected.and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection { endpoint, stream })
        });
        prepared.map_err(|error| Undescribed { endpoint: Some(endpoint.clone()), why: error.to_string() })
    }

    fn versions(&mut self) -> Result<Versions, Undescribed> {
        let frame = self.ask(&quorum_info::ask_versions())?;
        self.judge(quorum_info::read_versions(frame))
    }

    fn ask(&mut self, request: &Bytes) -> Result<Bytes, Undescribed> {
        let exchange = self.stream.write_all(request).and_then(|()| self.read_frame());
        exchange.map_err(|error| self.failure(&error.to_string()))
    }

    fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    fn judge<T>(&self, answer: Result<T, AdminError>) -> Result<T, Undescribed> {
        answer.map_err(|error| match error {
            AdminError::Refused(code) => self.failure(&format!("error {code}")),
            AdminError::Unserved => self.failure("DescribeQuorum is not served here"),
            AdminError::Malformed(what) => self.failure(&what),
        })
    }

    fn failure(&self, why: &str) -> Undescribed {
        Undescribed { endpoint: Some(self.endpoint.clone()), why: why.to_owned() }
    }
}

/// How long one connection or one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest answer that is read, 1 MiB.
const ANSWER_BYTES_MAX: u32 = 1 << 20;
