//! The versions we advertise, each bound with its reason.
//!
//! One table says what a listener offers; `ApiVersions` answers it, connections check requests against it, and peers
//! negotiate with it. A range ends where the message structs end or where a later version would promise something that
//! this server does not have.

/// An API that this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Api {
    /// Clients append.
    Produce = 0,
    /// Clients and replicas read.
    Fetch = 1,
    /// Where does the log begin and end?
    ListOffsets = 2,
    /// Who leads?
    Metadata = 3,
    /// Refused in words: there are no groups and no transactions.
    FindCoordinator = 10,
    /// What is offered.
    ApiVersions = 18,
    /// A number for an idempotent producer.
    InitProducerId = 22,
    /// Replicas elect (KIP-595, KIP-996).
    Vote = 52,
    /// A leader makes itself known (KIP-595).
    BeginQuorumEpoch = 53,
    /// A leader leaves (KIP-595).
    EndQuorumEpoch = 54,
    /// Tools ask how far each replica is.
    DescribeQuorum = 55,
    /// Tools ask who belongs to the cluster.
    DescribeCluster = 60,
}

/// One row of the table: an API and what is offered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which API.
    pub api: Api,
    /// Kafka's name of it.
    pub name: &'static str,
    /// The lowest version advertised.
    pub min: i16,
    /// The highest version advertised, and served.
    pub max: i16,
    /// The lowest version served; above `min` only where a client must see a lower number.
    pub served_from: i16,
    /// The first version with compact lengths and tagged fields; request header 2, response header 1.
    pub flexible_from: i16,
    /// Why not lower.
    pub min_reason: &'static str,
    /// Why not higher.
    pub max_reason: &'static str,
}

impl Offer {
    /// Whether requests of this version are served.
    pub fn serves(&self, version: i16) -> bool {
        (self.served_from..=self.max).contains(&version)
    }

    /// Whether this version has compact lengths and tagged fields.
    pub fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }
}

impl Api {
    /// The API's number on the wire.
    pub fn key(self) -> i16 {
        self as i16
    }

    /// The API of that number, if it is offered.
    pub fn find(key: i16) -> Option<Api> {
        OFFERS.iter().map(|offer| offer.api).find(|api| api.key() == key)
    }

    /// What is offered of it.
    pub fn offer(self) -> &'static Offer {
        OFFERS.iter().find(|offer| offer.api == self).expect("invariant: every API has a row")
    }
}

/// Everything that is offered, by ascending number. Absent on purpose: group, transaction and telemetry APIs, because
/// clients probe for them by their presence.
pub const OFFERS: &[Offer] = &[
    Offer {
        api: Api::Produce,
        name: "Produce",
        min: 0,
        max: 13,
        served_from: 3,
        flexible_from: 9,
        min_reason: "librdkafka compresses only if the range includes 0 (KAFKA-18659); batches v2 need 3, which is served",
        max_reason: "13 names topics by id, the newest there is",
    },
    Offer {
        api: Api::Fetch,
        name: "Fetch",
        min: 4,
        max: 18,
        served_from: 4,
        flexible_from: 12,
        min_reason: "rskafka sends only 4; below 4 batches v2 would have to be converted down",
        max_reason: "18 carries the replica's high watermark (KIP-1166), the newest there is",
    },
    Offer {
        api: Api::ListOffsets,
        name: "ListOffsets",
        min: 1,
        max: 10,
        served_from: 1,
        flexible_from: 6,
        min_reason: "0 answered a list of segment offsets and is gone from Kafka 4",
        max_reason: "11 asks for offsets of tiered storage, which is not here",
    },
    Offer {
        api: Api::Metadata,
        name: "Metadata",
        min: 0,
        max: 12,
        served_from: 0,
        flexible_from: 9,
        min_reason: "the oldest clients bootstrap with 0",
        max_reason: "13 adds only a top-level error that would always be 0",
    },
    Offer {
        api: Api::FindCoordinator,
        name: "FindCoordinator",
        min: 0,
        max: 4,
        served_from: 0,
        flexible_from: 3,
        min_reason: "librdkafka uses lz4 only if the range includes 0",
        max_reason: "5 and 6 are about transactions and share groups, which are not here",
    },
    Offer {
        api: Api::ApiVersions,
        name: "ApiVersions",
        min: 0,
        max: 4,
        served_from: 0,
        flexible_from: 3,
        min_reason: "aiokafka asks with 0, and every other version falls back to it",
        max_reason: "5 names the cluster and node that the client expects (KIP-1242); clients fall back when told 35",
    },
    Offer {
        api: Api::InitProducerId,
        name: "InitProducerId",
        min: 0,
        max: 5,
        served_from: 0,
        flexible_from: 2,
        min_reason: "the first version",
        max_reason: "6 is unstable in Kafka 4.3 (two-phase commit)",
    },
    Offer {
        api: Api::Vote,
        name: "Vote",
        min: 0,
        max: 2,
        served_from: 0,
        flexible_from: 0,
        min_reason: "the first version; peers of 0 know no pre-vote",
        max_reason: "2 has pre-vote (KIP-996), the newest there is",
    },
    Offer {
        api: Api::BeginQuorumEpoch,
        name: "BeginQuorumEpoch",
        min: 0,
        max: 1,
        served_from: 0,
        flexible_from: 1,
        min_reason: "the first version",
        max_reason: "1 carries endpoints (KIP-853), the newest there is",
    },
    Offer {
        api: Api::EndQuorumEpoch,
        name: "EndQuorumEpoch",
        min: 0,
        max: 1,
        served_from: 0,
        flexible_from: 1,
        min_reason: "the first version",
        max_reason: "1 carries directory ids (KIP-853), the newest there is",
    },
    Offer {
        api: Api::DescribeQuorum,
        name: "DescribeQuorum",
        min: 0,
        max: 2,
        served_from: 0,
        flexible_from: 0,
        min_reason: "the first version",
        max_reason: "2 carries directory ids and endpoints, the newest there is",
    },
    Offer {
        api: Api::DescribeCluster,
        name: "DescribeCluster",
        min: 0,
        max: 2,
        served_from: 0,
        flexible_from: 0,
        min_reason: "the first version",
        max_reason: "2 asks for fenced brokers, of which there are none; the newest there is",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_ascend_and_every_bound_has_a_reason() {
        assert!(OFFERS.windows(2).all(|pair| pair[0].api < pair[1].api));
        for offer in OFFERS {
            assert!(offer.min <= offer.served_from && offer.served_from <= offer.max, "{}", offer.name);
            assert!(!offer.min_reason.is_empty() && !offer.max_reason.is_empty(), "{}", offer.name);
            assert_eq!(Api::find(offer.api.key()), Some(offer.api));
        }
        assert_eq!(Api::find(71), None);
    }
}
