//! The quorum-state file: epoch, leader and vote. (Kafka: `FileQuorumStateStore`, `QuorumStateData.json`.)
//!
//! One line of JSON, replaced as a whole. Version 0 belongs to static quorums and repeats the voters' ids, version 1 to
//! dynamic ones and names the directory that was voted for. Kafka writes −1 for "none" and a zero UUID for "no directory".
//! A file that cannot be read is fatal: a replica that has forgotten its vote may vote twice.

use serde_json::{Map, Value};

use crate::ids::{DirectoryId, Epoch, ReplicaId, ReplicaKey};
use crate::log::checkpoint::TextError;

/// What a replica may never forget of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumState {
    /// The largest epoch this replica has taken part in.
    pub epoch: Epoch,
    /// The leader of that epoch, if known.
    pub leader: Option<ReplicaId>,
    /// Whom this replica voted for in that epoch.
    pub vote: Option<ReplicaKey>,
    /// 0 writes Kafka's version 0 of the file (static voters), 1 version 1. (Follows `kraft.version`.)
    pub version: u8,
    /// Ids of the voters; written in version 0 only.
    pub voters: Vec<ReplicaId>,
}

impl QuorumState {
    /// The file's content, byte for byte as Kafka writes it.
    pub fn to_text(&self) -> String {
        let leader = self.leader.map_or(NONE, ReplicaId::as_i32);
        let epoch = self.epoch.as_i32();
        let voted = self.vote.map_or(NONE, |vote| vote.id.as_i32());
        if self.version == 0 {
            let voters: Vec<String> = self.voters.iter().map(|id| format!("{{\"voterId\":{id}}}")).collect();
            let voters = voters.join(",");
            return format!(
                "{{\"clusterId\":\"\",\"leaderId\":{leader},\"leaderEpoch\":{epoch},\"votedId\":{voted},\
                 \"appliedOffset\":0,\"currentVoters\":[{voters}],\"data_version\":0}}"
            );
        }
        let directory = self.vote.and_then(|vote| vote.directory).unwrap_or(NO_DIRECTORY);
        format!(
            "{{\"leaderId\":{leader},\"leaderEpoch\":{epoch},\"votedId\":{voted},\
             \"votedDirectoryId\":\"{directory}\",\"data_version\":1}}"
        )
    }

    /// Reads the first line of the file, in whatever order its keys are.
    pub fn parse(bytes: &[u8]) -> Result<QuorumState, TextError> {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let object: Map<String, Value> = serde_json::from_slice(line).map_err(|error| TextError {
            at: error.column().saturating_sub(1) as u64,
            reason: format!("expected one line of JSON, found {error}"),
        })?;
        let fields = Fields { line, object };
        // A version that is missing or unknown is refused, never guessed. (KAFKA-15412)
        let version = fields.number("data_version", 0, 1)? as u8;
        let epoch = Epoch(fields.number("leaderEpoch", 0, i64::from(i32::MAX))? as u32);
        let leader = ReplicaId::from_i32(fields.number("leaderId", i64::from(NONE), i64::from(i32::MAX))? as i32);
        let voted = ReplicaId::from_i32(fields.number("votedId", i64::from(NONE), i64::from(i32::MAX))? as i32);
        let directory = match version {
            0 => None,
            _ => fields.directory("votedDirectoryId")?,
        };
        let vote = voted.map(|id| ReplicaKey { id, directory });
        let voters = match version {
            0 => fields.voters("currentVoters")?,
            _ => vec![],
        };
        Ok(QuorumState { epoch, leader, vote, version, voters })
    }
}

/// The keys of the line, with errors that know where they are.
struct Fields<'a> {
    line: &'a [u8],
    object: Map<String, Value>,
}

impl Fields<'_> {
    fn number(&self, key: &'static str, from: i64, to: i64) -> Result<i64, TextError> {
        let value = self.object.get(key);
        let number = value.and_then(Value::as_i64).filter(|number| (from..=to).contains(number));
        number.ok_or_else(|| self.error(key, format!("a number from {from} to {to}"), value))
    }

    fn directory(&self, key: &'static str) -> Result<Option<DirectoryId>, TextError> {
        let value = self.object.get(key);
        let directory = value.and_then(Value::as_str).and_then(DirectoryId::parse);
        let directory = directory.ok_or_else(|| self.error(key, "a UUID in base64".to_string(), value))?;
        Ok((directory != NO_DIRECTORY).then_some(directory))
    }

    /// `null` where Kafka knew no voters.
    fn voters(&self, key: &'static str) -> Result<Vec<ReplicaId>, TextError> {
        let value = self.object.get(key);
        let id_of = |voter: &Value| {
            let id = voter.get("voterId").and_then(Value::as_i64)?;
            i32::try_from(id).ok().and_then(ReplicaId::from_i32)
        };
        let voters = match value {
            Some(Value::Array(voters)) => voters.iter().map(id_of).collect(),
            Some(Value::Null) => Some(vec![]),
            _ => None,
        };
        voters.ok_or_else(|| self.error(key, "a list of {\"voterId\": id}".to_string(), value))
    }

    fn error(&self, key: &str, expected: String, found: Option<&Value>) -> TextError {
        let quoted = format!("\"{key}\"");
        let at = self.line.windows(quoted.len()).position(|window| window == quoted.as_bytes());
        let found = found.map_or("nothing".to_string(), Value::to_string);
        TextError { at: at.unwrap_or(0) as u64, reason: format!("{key}: expected {expected}, found {found}") }
    }
}

/// Kafka's number for "no leader" and "no vote".
const NONE: i32 = -1;

/// Kafka's UUID for "no directory". (Kafka: `ReplicaKey.NO_DIRECTORY_ID`.)
const NO_DIRECTORY: DirectoryId = DirectoryId([0; 16]);
