//! The shapes of what brokers answer clients and tools.
//!
//! A client trusts the broker it talks to as little as a broker trusts its clients: what it decodes was walked before.

use crate::protocol::schema::Kind::{Fixed, List, Numbers, Struct, Text};
use crate::protocol::schema::{Kind, LEADER, LISTENERS, NODE_ENDPOINTS, Shape, always, named, since, tag, within};

/// ProduceResponse.
pub const PRODUCE_RESPONSE: Shape = Shape {
    flexible_from: 9,
    fields: &[
        always("topics", List(&[named(13)[0], named(13)[1], always("partitions", PRODUCED_PARTITIONS)], &[])),
        since(1, "throttle time", Fixed(4)),
    ],
    tags: &[tag(0, "node endpoints", NODE_ENDPOINTS)],
};

const PRODUCED_PARTITIONS: Kind = List(
    &[
        always("index, error code and base offset", Fixed(14)),
        since(2, "log append time", Fixed(8)),
        since(5, "log start offset", Fixed(8)),
        since(8, "record errors", List(&[always("batch index", Fixed(4)), always("message", Text)], &[])),
        since(8, "error message", Text),
    ],
    &[tag(0, "current leader", Struct(LEADER))],
);

/// ListOffsetsResponse, from version 1 on.
pub const LIST_OFFSETS_RESPONSE: Shape = Shape {
    flexible_from: 6,
    fields: &[
        since(2, "throttle time", Fixed(4)),
        always("topics", List(&[always("name", Text), always("partitions", LISTED_PARTITIONS)], &[])),
    ],
    tags: &[],
};

const LISTED_PARTITIONS: Kind =
    List(&[always("index, error code, timestamp and offset", Fixed(22)), since(4, "leader epoch", Fixed(4))], &[]);

/// MetadataResponse, up to version 12.
pub const METADATA_RESPONSE: Shape = Shape {
    flexible_from: 9,
    fields: &[
        since(3, "throttle time", Fixed(4)),
        always("brokers", BROKERS),
        since(2, "cluster id", Text),
        since(1, "controller id", Fixed(4)),
        always(
            "topics",
            List(
                &[
                    always("error code", Fixed(2)),
                    always("name", Text),
                    since(10, "topic id", Fixed(16)),
                    since(1, "is internal", Fixed(1)),
                    always("partitions", DESCRIBED_PARTITIONS),
                    since(8, "authorized operations", Fixed(4)),
                ],
                &[],
            ),
        ),
        within(8, 10, "authorized operations", Fixed(4)),
    ],
    tags: &[],
};

const BROKERS: Kind =
    List(&[always("node id", Fixed(4)), always("host", Text), always("port", Fixed(4)), since(1, "rack", Text)], &[]);

const DESCRIBED_PARTITIONS: Kind = List(
    &[
        always("error code, index and leader", Fixed(10)),
        since(7, "leader epoch", Fixed(4)),
        always("replicas", Numbers(4)),
        always("in-sync replicas", Numbers(4)),
        since(5, "offline replicas", Numbers(4)),
    ],
    &[],
);

/// InitProducerIdResponse, up to version 5.
pub const INIT_PRODUCER_ID_RESPONSE: Shape = Shape {
    flexible_from: 2,
    fields: &[always("throttle time, error code, producer id and epoch", Fixed(16))],
    tags: &[],
};

/// DescribeClusterResponse.
pub const DESCRIBE_CLUSTER_RESPONSE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        always("throttle time and error code", Fixed(6)),
        always("error message", Text),
        since(1, "endpoint type", Fixed(1)),
        always("cluster id", Text),
        always("controller id", Fixed(4)),
        always(
            "brokers",
            List(
                &[
                    always("node id", Fixed(4)),
                    always("host", Text),
                    always("port", Fixed(4)),
                    always("rack", Text),
                    since(2, "is fenced", Fixed(1)),
                ],
                &[],
            ),
        ),
        always("authorized operations", Fixed(4)),
    ],
    tags: &[],
};

/// DescribeQuorumResponse.
pub const DESCRIBE_QUORUM_RESPONSE: Shape = Shape {
    flexible_from: 0,
    fields: &[
        always("error code", Fixed(2)),
        since(2, "error message", Text),
        always("topics", List(&[always("topic name", Text), always("partitions", QUORUM_PARTITIONS)], &[])),
        since(2, "nodes", List(&[always("node id", Fixed(4)), always("listeners", LISTENERS)], &[])),
    ],
    tags: &[],
};

const QUORUM_PARTITIONS: Kind = List(
    &[
        always("index and error code", Fixed(6)),
        since(2, "error message", Text),
        always("leader, epoch and high watermark", Fixed(16)),
        always("voters", REPLICAS),
        always("observers", REPLICAS),
    ],
    &[],
);

const REPLICAS: Kind = List(
    &[
        always("replica id", Fixed(4)),
        since(2, "directory id", Fixed(16)),
        always("log end offset", Fixed(8)),
        since(1, "timestamps of fetch and catch-up", Fixed(16)),
    ],
    &[],
);
