//! What a quorum says of itself, asked as Kafka's AdminClient asks, and printed as `kafka-metadata-quorum.sh` prints it.
//!
//! Without I/O: requests to bytes, bytes to [`QuorumInfo`], that to lines. Three requests in a row: ApiVersions, because
//! brokers of several generations are asked; DescribeCluster, for the cluster's id and the leader's place; DescribeQuorum,
//! which only the leader can answer. (Kafka: `MetadataQuorumCommand`, `KafkaAdminClient.describeMetadataQuorum`.)

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages as kafka;
use kafka_protocol::messages::describe_quorum_request as asked;
use kafka_protocol::messages::describe_quorum_response as told;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::ids::{Endpoint, uuid_to_text};
use crate::protocol::schema;
use crate::protocol::schema::{Shape, answers};

/// Whom a tool was pointed at. (KIP-919.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// `--bootstrap-server`: brokers.
    Servers,
    /// `--bootstrap-controller`: controllers.
    Controllers,
}

/// Who belongs to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// `cluster.id`.
    pub cluster_id: String,
    /// The node to ask for the quorum: the leader, or of Kafka's brokers any. `None` while there is none.
    pub controller: Option<Endpoint>,
}

/// How far a quorum is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumInfo {
    /// Who leads, −1 if nobody is known to.
    pub leader: i32,
    /// In which epoch.
    pub epoch: i32,
    /// The end of what is committed, −1 where unknown.
    pub high_watermark: i64,
    /// Voters, as the leader lists them.
    pub voters: Vec<ReplicaInfo>,
    /// Observers that fetch.
    pub observers: Vec<ReplicaInfo>,
    /// Node ids and their endpoints, `NAME://host:port`.
    pub nodes: Vec<(i32, Vec<String>)>,
}

/// How far one replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Node id.
    pub id: i32,
    /// Directory id, zeros where it is unknown.
    pub directory: [u8; 16],
    /// End of its log, −1 where unknown.
    pub end: i64,
    /// When it last fetched, wall clock in milliseconds; −1 for never.
    pub last_fetch: i64,
    /// When it last had all that the leader had; −1 for never.
    pub last_caught_up: i64,
}

/// An answer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminError {
    /// The broker answered with this error code.
    Refused(i16),
    /// The broker does not serve the API at all.
    Unserved,
    /// The bytes are no such response.
    Malformed(String),
}

/// The newest versions of DescribeCluster and DescribeQuorum that a broker and we share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    cluster: i16,
    quorum: i16,
}

/// The question which versions a broker speaks, as a frame with its length.
pub fn ask_versions() -> Bytes {
    request(kafka::ApiKey::ApiVersions, 0, &kafka::ApiVersionsRequest::default())
}

/// What a broker speaks.
pub fn read_versions(frame: Bytes) -> Result<Versions, AdminError> {
    let body: kafka::ApiVersionsResponse = response(frame, &schema::API_VERSIONS_RESPONSE, 0)?;
    refused(body.error_code)?;
    let newest = |key: kafka::ApiKey, ours: i16| {
        let offer = body.api_keys.iter().find(|offer| offer.api_key == key as i16).ok_or(AdminError::Unserved)?;
        Ok(offer.max_version.min(ours))
    };
    let cluster = newest(kafka::ApiKey::DescribeCluster, 1)?;
    Ok(Versions { cluster, quorum: newest(kafka::ApiKey::DescribeQuorum, 2)? })
}

/// The question who belongs to the cluster.
pub fn ask_cluster(versions: Versions, bootstrap: Bootstrap) -> Bytes {
    let mut body = kafka::DescribeClusterRequest::default();
    if versions.cluster >= 1 {
        body.endpoint_type = if bootstrap == Bootstrap::Controllers { 2 } else { 1 };
    }
    request(kafka::ApiKey::DescribeCluster, versions.cluster, &body)
}

/// Who belongs to the cluster.
pub fn read_cluster(versions: Versions, frame: Bytes) -> Result<ClusterInfo, AdminError> {
    let body: kafka::DescribeClusterResponse = response(frame, &answers::DESCRIBE_CLUSTER_RESPONSE, versions.cluster)?;
    refused(body.error_code)?;
    let controller = body.brokers.iter().find(|broker| broker.broker_id == body.controller_id);
    let controller = controller.and_then(|at| Some(Endpoint::new(&at.host, u16::try_from(at.port).ok()?)));
    Ok(ClusterInfo { cluster_id: body.cluster_id.to_string(), controller })
}

/// The question how far the quorum is.
pub fn ask_quorum(versions: Versions) -> Bytes {
    let topic = asked::TopicData::default()
        .with_topic_name(StrBytes::from_static_str("__cluster_metadata").into())
        .with_partitions(vec![asked::PartitionData::default()]);
    let body = kafka::DescribeQuorumRequest::default().with_topics(vec![topic]);
    request(kafka::ApiKey::DescribeQuorum, versions.quorum, &body)
}

/// How far the quorum is. A node that does not lead refuses, and names the leader in [`read_leader`].
pub fn read_quorum(versions: Versions, frame: Bytes) -> Result<QuorumInfo, AdminError> {
    let (partition, nodes) = read_partition(versions, frame)?;
    refused(partition.error_code)?;
    let listener = |at: &told::Listener| match at.host.contains(':') {
        true => format!("{}://[{}]:{}", at.name, at.host, at.port),
        false => format!("{}://{}:{}", at.name, at.host, at.port),
    };
    let nodes = nodes.iter().map(|node| (node.node_id.0, node.listeners.iter().map(listener).collect()));
    Ok(QuorumInfo {
        leader: partition.leader_id.0,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        voters: partition.current_voters.iter().map(replica).collect(),
        observers: partition.observers.iter().map(replica).collect(),
        nodes: nodes.collect(),
    })
}

/// Whom the node that was asked takes for the leader, and in which epoch; whether or not it leads itself.
pub fn read_leader(versions: Versions, frame: Bytes) -> Result<(Option<i32>, i32), AdminError> {
    let (partition, _) = read_partition(versions, frame)?;
    Ok((Some(partition.leader_id.0).filter(|&leader| leader >= 0), partition.leader_epoch))
}

fn read_partition(versions: Versions, frame: Bytes) -> Result<(told::PartitionData, Vec<told::Node>), AdminError> {
    let mut body: kafka::DescribeQuorumResponse = response(frame, &answers::DESCRIBE_QUORUM_RESPONSE, versions.quorum)?;
    refused(body.error_code)?;
    let partition = body.topics.pop().and_then(|mut topic| topic.partitions.pop());
    let partition = partition.ok_or_else(|| AdminError::Malformed("no partition in the answer".into()))?;
    Ok((partition, body.nodes))
}

fn replica(state: &told::ReplicaState) -> ReplicaInfo {
    ReplicaInfo {
        id: state.replica_id.0,
        directory: *state.replica_directory_id.as_bytes(),
        end: state.log_end_offset,
        last_fetch: state.last_fetch_timestamp,
        last_caught_up: state.last_caught_up_timestamp,
    }
}

impl QuorumInfo {
    /// `describe --status`. `None` if the leader is not among the voters, where Kafka's tool fails as well.
    pub fn status(&self, cluster_id: &str) -> Option<String> {
        let leader = self.leader()?;
        let last = self.voters.iter().min_by_key(|voter| voter.end)?;
        let lag_ms = match (leader.last_caught_up, last.last_caught_up) {
            _ if last.id == leader.id => 0,
            (-1, _) | (_, -1) => -1,
            (leader, last) => leader - last,
        };
        let lines = [
            ("ClusterId:", cluster_id.to_owned()),
            ("LeaderId:", self.leader.to_string()),
            ("LeaderEpoch:", self.epoch.to_string()),
            ("HighWatermark:", self.high_watermark.to_string()),
            ("MaxFollowerLag:", (leader.end - last.end).to_string()),
            ("MaxFollowerLagTimeMs:", lag_ms.to_string()),
            ("CurrentVoters:", self.list(&self.voters)),
            ("CurrentObservers:", self.list(&self.observers)),
        ];
        Some(lines.map(|(name, value)| format!("{name:24}{value}")).join("\n"))
    }

    /// `describe --replication`: a table; times as they are, or before `now` if it is given.
    pub fn replication(&self, now: Option<i64>) -> Option<String> {
        let leader = self.leader()?;
        let time = |at: i64| match now {
            Some(now) if at >= 0 => format!("{} ms ago", (now - at).max(0)),
            _ => at.to_string(),
        };
        let row = |replica: &ReplicaInfo, status: &str| {
            [
                replica.id.to_string(),
                uuid_to_text(replica.directory),
                replica.end.to_string(),
                (leader.end - replica.end).to_string(),
                time(replica.last_fetch),
                time(replica.last_caught_up),
                status.to_owned(),
            ]
        };
        let mut rows = vec![COLUMNS.map(String::from), row(leader, "Leader")];
        let followers = self.voters.iter().filter(|voter| voter.id != self.leader);
        rows.extend(followers.map(|replica| row(replica, "Follower")));
        rows.extend(self.observers.iter().map(|replica| row(replica, "Observer")));
        Some(table(&rows))
    }

    fn leader(&self) -> Option<&ReplicaInfo> {
        self.voters.iter().find(|voter| voter.id == self.leader)
    }

    fn list(&self, replicas: &[ReplicaInfo]) -> String {
        let replicas = replicas.iter().map(|replica| {
            let mut text = format!("{{\"id\": {}", replica.id);
            if replica.directory != [0; 16] {
                text += &format!(", \"directoryId\": \"{}\"", uuid_to_text(replica.directory));
            }
            let endpoints = self.nodes.iter().find(|(id, _)| *id == replica.id).map(|(_, endpoints)| endpoints);
            if let Some(endpoints) = endpoints.filter(|endpoints| !endpoints.is_empty()) {
                text += &format!(", \"endpoints\": [\"{}\"]", endpoints.join("\", \""));
            }
            text + "}"
        });
        format!("[{}]", replicas.collect::<Vec<_>>().join(", "))
    }
}

/// Columns as wide as their widest cell, each with a tab behind it. (Kafka: `ToolsUtils.prettyPrintTable`.)
fn table(rows: &[[String; 7]]) -> String {
    let widths: [usize; 7] = std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let line = |row: &[String; 7]| -> String {
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}\t")).collect()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn request<T: Encodable + HeaderVersion>(key: kafka::ApiKey, version: i16, body: &T) -> Bytes {
    let header = kafka::RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("kraftbed-admin")));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header.encode(&mut frame, T::header_version(version)).expect("invariant: a request header of ours can be encoded");
    body.encode(&mut frame, version).expect("invariant: a request of ours can be encoded in a version we speak");
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

fn response<T: Decodable + HeaderVersion>(mut frame: Bytes, shape: &Shape, version: i16) -> Result<T, AdminError> {
    let malformed = |error: &dyn std::fmt::Display| AdminError::Malformed(error.to_string().trim_end().to_owned());
    kafka::ResponseHeader::decode(&mut frame, T::header_version(version)).map_err(|error| malformed(&error))?;
    shape.check(version, &frame).map_err(|error| malformed(&error))?;
    T::decode(&mut frame, version).map_err(|error| malformed(&error))
}

fn refused(code: i16) -> Result<(), AdminError> {
    match code {
        0 => Ok(()),
        code => Err(AdminError::Refused(code)),
    }
}

/// The head of the table.
const COLUMNS: [&str; 7] =
    ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(id: i32, directory: u8, end: i64, time: i64) -> ReplicaInfo {
        ReplicaInfo { id, directory: [directory; 16], end, last_fetch: time, last_caught_up: time }
    }

    fn quorum() -> QuorumInfo {
        QuorumInfo {
            leader: 1,
            epoch: 4,
            high_watermark: 163,
            voters: vec![replica(0, 0, 160, 900), replica(1, 1, 164, 1000), replica(2, 0, 164, -1)],
            observers: vec![replica(3, 2, 164, 990)],
            nodes: vec![
                (0, vec!["CONTROLLER://127.0.0.1:25102".into()]),
                (1, vec!["A://a:1".into(), "B://b:2".into()]),
            ],
        }
    }

    #[test]
    fn status_has_kafkas_words() {
        let lines = [
            "ClusterId:              4L6g3nShT-eMCtK--X86sw",
            "LeaderId:               1",
            "LeaderEpoch:            4",
            "HighWatermark:          163",
            "MaxFollowerLag:         4",
            "MaxFollowerLagTimeMs:   100",
            "CurrentVoters:          [{\"id\": 0, \"endpoints\": [\"CONTROLLER://127.0.0.1:25102\"]}, {\"id\": 1, \
             \"directoryId\": \"AQEBAQEBAQEBAQEBAQEBAQ\", \"endpoints\": [\"A://a:1\", \"B://b:2\"]}, {\"id\": 2}]",
            "CurrentObservers:       [{\"id\": 3, \"directoryId\": \"AgICAgICAgICAgICAgICAg\"}]",
        ];
        assert_eq!(quorum().status("4L6g3nShT-eMCtK--X86sw").unwrap(), lines.join("\n"));
    }

    #[test]
    fn replication_is_a_table_with_the_leader_first() {
        let lines = [
            "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus  \t",
            "1     \tAQEBAQEBAQEBAQEBAQEBAQ\t164         \t0  \t5 ms ago          \t5 ms ago             \tLeader  \t",
            "0     \tAAAAAAAAAAAAAAAAAAAAAA\t160         \t4  \t105 ms ago        \t105 ms ago           \tFollower\t",
            "2     \tAAAAAAAAAAAAAAAAAAAAAA\t164         \t0  \t-1                \t-1                   \tFollower\t",
            "3     \tAgICAgICAgICAgICAgICAg\t164         \t0  \t15 ms ago         \t15 ms ago            \tObserver\t",
        ];
        assert_eq!(quorum().replication(Some(1005)).unwrap(), lines.join("\n"));
    }

    #[test]
    fn a_leader_that_is_no_voter_cannot_be_described() {
        let quorum = QuorumInfo { leader: 7, ..quorum() };
        assert_eq!((quorum.status("x"), quorum.replication(None)), (None, None));
    }
}
