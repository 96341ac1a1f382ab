//! Control records as `kafka-dump-log.sh` prints them: a word and the message as JSON.
//!
//! (Kafka: `DumpLogSegments.printControlRecord`, the generated `…JsonConverter`s.)

use crate::ids::{ReplicaId, uuid_to_text};
use crate::record::{ControlRecord, Record, VoterRecord};

/// What follows the metadata of a control record. A record that no raft node writes is named by its type.
pub(in crate::log) fn describe_control(record: &Record) -> String {
    let (key, value) = (record.key.clone().unwrap_or_default(), record.value.clone().unwrap_or_default());
    let version = value.first_chunk().map_or(0, |bytes| i16::from_be_bytes(*bytes));
    match ControlRecord::parse(&key, &value) {
        Ok(ControlRecord::LeaderChange { leader, voters, granting }) => format!(
            " LeaderChange: {{\"version\":{version},\"leaderId\":{leader},\"voters\":{},\"grantingVoters\":{}}}",
            voter_ids(&voters),
            voter_ids(&granting)
        ),
        Ok(ControlRecord::SnapshotHeader { last_contained }) => {
            format!(" SnapshotHeader {{\"version\":{version},\"lastContainedLogTimestamp\":{}}}", last_contained.0)
        }
        Ok(ControlRecord::SnapshotFooter) => format!(" SnapshotFooter {{\"version\":{version}}}"),
        Ok(ControlRecord::KRaftVersion(number)) => {
            format!(" KRaftVersion {{\"version\":{version},\"kRaftVersion\":{number}}}")
        }
        Ok(ControlRecord::Voters(voters)) => {
            let voters: Vec<String> = voters.iter().map(describe_voter).collect();
            format!(" KRaftVoters {{\"version\":{version},\"voters\":[{}]}}", voters.join(","))
        }
        Ok(ControlRecord::Unknown(kind @ (0 | 1))) => describe_marker(kind, &value),
        Ok(ControlRecord::Unknown(kind)) => format!(" controlType: UNKNOWN({kind})"),
        Err(error) => format!(" controlType: UNKNOWN ({error})"),
    }
}

/// The marker of a transaction's end, which only brokers write.
fn describe_marker(kind: i16, value: &[u8]) -> String {
    let epoch =
        value.get(2..6).map_or(-1, |bytes| i32::from_be_bytes(bytes.try_into().expect("invariant: four bytes")));
    format!(" endTxnMarker: {} coordinatorEpoch: {epoch}", ["ABORT", "COMMIT"][kind as usize])
}

fn voter_ids(ids: &[ReplicaId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("{{\"voterId\":{id}}}")).collect();
    format!("[{}]", ids.join(","))
}

fn describe_voter(voter: &VoterRecord) -> String {
    let endpoints: Vec<String> = voter
        .endpoints
        .iter()
        .map(|listener| {
            let endpoint = &listener.endpoint;
            format!("{{\"name\":{:?},\"host\":{:?},\"port\":{}}}", &*listener.name, &*endpoint.host, endpoint.port)
        })
        .collect();
    format!(
        "{{\"voterId\":{},\"voterDirectoryId\":\"{}\",\"endpoints\":[{}],\"kRaftVersionFeature\":\
         {{\"minSupportedVersion\":{},\"maxSupportedVersion\":{}}}}}",
        voter.id,
        uuid_to_text(voter.directory.0),
        endpoints.join(","),
        voter.kraft_versions.0,
        voter.kraft_versions.1
    )
}
