//! The shapes of messages, and the walk that proves a frame is shaped like one before it is decoded.
//!
//! The decoders of `kafka-protocol` reserve room for as many elements as an array announces, before they have seen one.
//! Four hostile bytes would then ask for hundreds of gigabytes. So every frame from the network is walked first: the walk
//! allocates nothing, visits each element that an array announces, and refuses what does not fit exactly. After it,
//! what the decoder reserves is bounded by bytes that really arrived. An element of three bytes may become a structure of
//! two hundred, so elements are counted, too.
//!
//! A shape lists fields in wire order with the versions that have them; `tests` compare every shape with the decoder's
//! own messages.

pub mod answers;

use crate::record::DecodeError;

/// A message: the first version with compact lengths and tagged fields, and its fields.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    flexible_from: i16,
    fields: &'static [Field],
    tags: &'static [Tag],
}

/// A field and the versions that have it.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    from: i16,
    to: i16,
    kind: Kind,
}

/// A tagged field: only in flexible versions, preceded by its size.
#[derive(Clone, Copy, Debug)]
struct Tag {
    number: u32,
    name: &'static str,
    kind: Kind,
}

/// What a field is made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// That many bytes.
    Fixed(usize),
    /// A string: 16-bit length, or compact; null allowed.
    Text,
    /// Bytes: 32-bit length, or compact; null allowed.
    Blob,
    /// An array of structures.
    List(&'static [Field], &'static [Tag]),
    /// An array of fixed-size numbers.
    Numbers(usize),
    /// An array of strings.
    Texts,
    /// One structure, in place.
    Struct(&'static [Field]),
}

impl Shape {
    /// Whether all of `bytes` is one message of this shape.
    pub fn check(&self, version: i16, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut walk = Walk { bytes, at: 0, version, is_flexible: version >= self.flexible_from, elements: 0 };
        walk.structure(self.fields, self.tags)?;
        match walk.at == bytes.len() {
            true => Ok(()),
            false => Err(walk.error("end of message", format!("{} bytes", walk.at), format!("{} bytes", bytes.len()))),
        }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    version: i16,
    is_flexible: bool,
    /// Elements of arrays and tagged fields that were met so far.
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &[Field], tags: &[Tag]) -> Result<(), DecodeError> {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.value(field.name, &field.kind)?;
            }
        }
        match self.is_flexible {
            true => self.tagged(tags),
            false => Ok(()),
        }
    }

    fn value(&mut self, name: &'static str, kind: &Kind) -> Result<(), DecodeError> {
        match *kind {
            Kind::Fixed(bytes) => self.skip(name, bytes),
            Kind::Text => {
                let length = self.length(name, 2)?;
                self.skip(name, length)
            }
            Kind::Blob => {
                let length = self.length(name, 4)?;
                self.skip(name, length)
            }
            Kind::Numbers(bytes) => {
                let count = self.length(name, 4)?;
                self.skip(name, count.saturating_mul(bytes))
            }
            Kind::Texts => {
                for _ in 0..self.length(name, 4)? {
                    self.count(name)?;
                    self.value(name, &Kind::Text)?;
                }
                Ok(())
            }
            Kind::List(fields, tags) => {
                for _ in 0..self.length(name, 4)? {
                    self.count(name)?;
                    self.structure(fields, tags)?;
                }
                Ok(())
            }
            Kind::Struct(fields) => self.structure(fields, &[]),
        }
    }

    /// Tagged fields: known ones must be exactly as long as they say, unknown ones are skipped.
    fn tagged(&mut self, tags: &[Tag]) -> Result<(), DecodeError> {
        for _ in 0..self.varint("number of tagged fields")? {
            self.count("tagged fields")?;
            let number = self.varint("tag")?;
            let size = self.varint("size of tagged field")? as usize;
            let (start, known) = (self.at, tags.iter().find(|tag| tag.number == number));
            let Some(tag) = known else {
                self.skip("unknown tagged field", size)?;
                continue;
            };
            self.value(tag.name, &tag.kind)?;
            if self.at - start != size {
                return Err(self.error(tag.name, format!("{size} bytes"), format!("{} bytes", self.at - start)));
            }
        }
        Ok(())
    }

    /// One more element.
    fn count(&mut self, name: &'static str) -> Result<(), DecodeError> {
        self.elements += 1;
        match self.elements <= ELEMENTS_MAX {
            true => Ok(()),
            false => Err(self.error(name, format!("{ELEMENTS_MAX} elements in all"), "more".into())),
        }
    }

    /// A length or count; null counts as none.
    fn length(&mut self, name: &'static str, bytes: usize) -> Result<usize, DecodeError> {
        if self.is_flexible {
            return Ok(self.varint(name)?.saturating_sub(1) as usize);
        }
        let start = self.at;
        self.skip(name, bytes)?;
        let digits = self.bytes[start..self.at].iter();
        let length = digits.fold(0i64, |length, &digit| length << 8 | i64::from(digit));
        let null = (1i64 << (8 * bytes)) - 1;
        match length {
            length if length == null => Ok(0),
            length if length <= null / 2 => Ok(length as usize),
            length => Err(self.error(name, "a length or −1".into(), format!("{}", length - null - 1))),
        }
    }

    #[inline]
    fn varint(&mut self, name: &'static str) -> Result<u32, DecodeError> {
        // Nearly every length and count of a message is one byte.
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u32::from(byte))
            }
            _ => self.long_varint(name),
        }
    }

    fn long_varint(&mut self, name: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0u64;
        for shift in 0..5 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.error(name, "a byte".into(), "the end".into()));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                let value = u32::try_from(value);
                return value.map_err(|_| self.error(name, "32 bits".into(), "more".into()));
            }
        }
        Err(self.error(name, "at most 5 bytes".into(), "more".into()))
    }

    #[inline]
    fn skip(&mut self, name: &'static str, count: usize) -> Result<(), DecodeError> {
        let left = self.bytes.len() - self.at;
        if count > left {
            return Err(self.too_short(name, count));
        }
        self.at += count;
        Ok(())
    }

    #[cold]
    fn too_short(&self, name: &'static str, count: usize) -> DecodeError {
        self.error(name, format!("{count} bytes"), format!("{} bytes", self.bytes.len() - self.at))
    }

    fn error(&self, what: &'static str, expected: String, found: String) -> DecodeError {
        DecodeError::new(self.at, what, expected, found)
    }
}

/// Elements of arrays that a message may have, with its tagged fields: enough to name a thousand topics with ten partitions
/// each, of which one exists here.
pub const ELEMENTS_MAX: usize = 20_000;

const fn always(name: &'static str, kind: Kind) -> Field {
    Field { name, from: 0, to: i16::MAX, kind }
}

const fn since(from: i16, name: &'static str, kind: Kind) -> Field {
    Field { name, from, to: i16::MAX, kind }
}

const fn within(from: i16, to: i16, name: &'static str, kind: Kind) -> Field {
    Field { name, from, to, kind }
}

const fn tag(number: u32, name: &'static str, kind: Kind) -> Tag {
    Tag { number, name, kind }
}

use Kind::{Blob, Fixed, List, Numbers, Struct, Text, Texts};

const LEADER: &[Field] = &[always("leader id", Fixed(4)), always("leader epoch", Fixed(4))];
const NODE_ENDPOINTS: Kind =
    List(&[always("node id", Fixed(4)), always("host", Text), always("port", Fixed(4)), always("rack", Text)], &[]);
const RAFT_ENDPOINTS: Kind = List(&[always("node id", Fixed(4)), always("host", Text), always("port", Fixed(2))], &[]);
const LISTENERS: Kind = List(&[always("name", Text), always("host", Text), always("port", Fixed(2))], &[]);

/// A topic's name or, from `ids` on, its id.
const fn named(ids: i16) -> [Field; 2] {
    [within(0, ids - 1, "topic name", Text), since(ids, "topic id", Fixed(16))]
}

/// ProduceRequest.
pub const PRODUCE_REQUEST: Shape = Shape {
    flexible_from: 9,
    fields: &[
        always("transactional id", Text),
        always("acks", Fixed(2)),
        always("timeout", Fixed(4)),
        always(
            "topics",
            List(
                &[
                    named(13)[0],
                    named(13)[1],
                    always("partitions", List(&[always("index", Fixed(4)), always("records", Blob)], &[])),
                ],
                &[],
            ),
        ),
    ],
    tags: &[],
};

/// FetchRequest.
pub const FETCH_REQUEST: Shape = Shape {
    flexible_from: 12,
    fields: &[
        within(0, 14, "replica id", Fixed(4)),
        always("max wait", Fixed(4)),
        always("min bytes", Fixed(4)),
        always("max bytes", Fixed(4)),
        always("isolation level", Fixed(1)),
        since(7, "session id and epoch", Fixed(8)),
        always(
            "topics",
            List(
                &[
                    named(13)[0],
                    named(13)[1],
                    always(
                        "partitions",
                        List(
                            &[
                                always("partition", Fixed(4)),
                                since(9, "current leader epoch", Fixed(4)),
                                always("fetch offset", Fixed(8)),
                                since(12, "last fetched epoch", Fixed(4)),
                                since(5, "log start offset", Fixed(8)),
                                always("partition max bytes", Fixed(4)),
                            ],
                            &[tag(0, "replica directory id", Fixed(16)), tag(1, "high watermark", Fixed(8))],
                        ),
                    ),
                ],
                &[],
            ),
        ),
        since(7, "forgotten topics", List(&[named(13)[0], named(13)[1], always("partitions", Numbers(4))], &[])),
        since(11, "rack id", Text),
    ],
    tags: &[
        tag(0, "cluster id", Text),
        tag(1, "replica state", Struct(&[always("replica id", Fixed(4)), always("replica epoch", Fixed(8))])),
    ],
};

/// ListOffsetsRequest.
pub const LIST_OFFSETS_REQUEST: Shape = Shape {
    flexible_from: 6,
    fields: &[
        always("replica id", Fixed(4)),
        since(2, "isolation level", Fixed(1)),
        always(
            "topics",
            List(
                &[
                    always("name", Text),
                    always(
                        "partitions",
                        List(
                            &[
                                always("index", Fixed(4)),
                                since(4, "current leader epoch", Fixed(4)),
                                always("timestamp", Fixed(8)),
                            ],
                            &[],
                        ),
                    ),
                ],
                &[],
            ),
        ),
        since(10, "timeout", Fixed(4)),
    ],
    tags: &[],
};

/// MetadataRequest.
pub const METADATA_REQUEST: Shape = Shape {
    flexible_from: 9,
    fields: &[
        always("topics", List(&[since(10, "topic id", Fixed(16)), always("name", Text)], &[])),
        since(4, "allow auto topic creation", Fixed(1)),
        within(8, 10, "include cluster operations", Fixed(1)),
        since(8, "include topic operations", Fixed(1)),
    ],
    tags: &[],
};

/// FindCoordinatorRequest.
pub const FIND_COORDINATOR_REQUEST: Shape = Shape {
    flexible_from: 3,
    fields: &[within(0, 3, "key", Text), since(1, "key type", Fixed(1)), since(4, "keys", Texts)],
    tags: &[],
};

/// ApiVersionsRequest.
pub const API_VERSIONS_REQUEST: Shape = Shape {
    flexible_from: 3,
    fields: &[since(3, "client software name", Text), since(3, "client software version", Text)],
    tags: &[],
};

/// InitProducerIdRequest.
pub const INIT_PRODUCER_ID_REQUEST: Shape = Shape {
    flexible_from: 2,
    fields: &[
        always("transactional id", Text),
        always("transaction timeout", Fixed(4)),
        since(3, "producer id and epoch", Fixed(10)),
    ],
    tags: &[],
};

/// VoteRequest.
pub const VOTE_REQUEST: Shape = Shape {
    flexible_from: 0,
    fields: &[
        always("cluster id", Text),
        since(1, "voter id", Fixed(4)),
        always(
            "topics",
            List(
                &[
                    always("topic name", Text),
                    always(
                        "partitions",
                        List(
                            &[
                                always("index, epoch and replica id", Fixed(12)),
                                since(1, "directory ids", Fixed(32)),
                                always("last offset and epoch", Fixed(12)),
                                since(2, "pre-vote", Fixed(1)),
                            ],
                            &[],
                        ),
                    ),
                ],
                &[],
            ),
        ),
    ],
    tags: &[],
};

/// BeginQuorumEpochRequest.
pub const BEGIN_QUORUM_EPOCH_REQUEST: Shape = Shape {
    flexible_from: 1,
    fields: &[
        always("cluster id", Text),
        since(1, "voter id", Fixed(4)),
        always(
            "topics",
            List(
                &[
                    always("topic name", Text),
                    always(
                        "partitions",
                        List(
                            &[
                                always("index", Fixed(4)),
                                since(1, "voter directory id", Fixed(16)),
                                always("leader", Fixed(8)),
                            ],
                            &[],
                        ),
                    ),
                ],
                &[],
            ),
        ),
        since(1, "leader endpoints", LISTENERS),
    ],
    tags: &[],
};

/// EndQuorumEpochRequest.
pub const END_QUORUM_EPOCH_REQUEST: Shape = Shape {
    flexible_from: 1,
    fields: &[
        always("cluster id", Text),
        always(
            "topics",
            List(
                &[
                    always("topic name", Text),
                    always(
                        "partitions",
                        List(
                            &[
                                always("index and leader", Fixed(12)),
                                within(0, 0, "preferred successors", Numbers(4)),
                                since(1, "preferred candidates", List(&[always("replica", Fixed(20))], &[])),
                            ],
                            &[],
                        ),
                    ),
                ],
                &[],
            ),
        ),
        since(1, "leader endpoints", LISTENERS),
    ],
    tags: &[],
};

/// DescribeClusterRequest.
pub const DESCRIBE_CLUSTER_REQUEST: Shape = Shape {
    flexible_from: 0,
    fields: &[
        always("include operations", Fixed(1)),
        since(1, "endpoint type", Fixed(1)),
        since(2, "include fenced brokers", Fixed(1)),
    ],
    tags: &[],
};

/// DescribeQuorumRequest.
pub const DESCRIBE_QUORUM_REQUEST: Shape = Shape {
    flexible_from: 0,
    fields: &[always(
        "topics",
        List(&[always("topic name", Text), always("partitions", List(&[always("index", Fixed(4))], &[]))], &[]),
    )],
    tags: &[],
};

/// ApiVersionsResponse.
pub const API_VERSIONS_RESPONSE: Shape = Shape {
    flexible_from: 3,
    fields: &[
        always("error code", Fixed(2)),
        always("api keys", List(&[always("key and range", Fixed(6))], &[])),
        since(1, "throttle time", Fixed(4)),
    ],
    tags: &[
        tag(0, "supported features", List(&[always("name", Text), always("range", Fixed(4))], &[])),
        tag(1, "finalized features epoch", Fixed(8)),
        tag(2, "finalized features", List(&[always("name", Text), always("range", Fixed(4))], &[])),
        tag(3, "migration ready", Fixed(1)),
    ],
};

/// VoteResponse.
pub const VOTE_RESPONSE: Shape = Shape { flexible_from: 0, fields: VOTE_TOPICS, tags: RAFT_TAGS };

/// BeginQuorumEpochResponse.
pub const BEGIN_QUORUM_EPOCH_RESPONSE: Shape = Shape { flexible_from: 1, fields: EPOCH_TOPICS, tags: RAFT_TAGS };

/// EndQuorumEpochResponse.
pub const END_QUORUM_EPOCH_RESPONSE: Shape = BEGIN_QUORUM_EPOCH_RESPONSE;

/// FetchResponse.
pub const FETCH_RESPONSE: Shape = Shape {
    flexible_from: 12,
    fields: &[
        always("throttle time", Fixed(4)),
        since(7, "error code and session id", Fixed(6)),
        always("topics", List(&[named(13)[0], named(13)[1], always("partitions", FETCHED_PARTITIONS)], &[])),
    ],
    tags: &[tag(0, "node endpoints", NODE_ENDPOINTS)],
};

const FETCHED_PARTITIONS: Kind = List(
    &[
        always("index, error code and offsets", Fixed(22)),
        since(5, "log start offset", Fixed(8)),
        always("aborted transactions", List(&[always("transaction", Fixed(16))], &[])),
        since(11, "preferred read replica", Fixed(4)),
        always("records", Blob),
    ],
    &[
        tag(0, "diverging epoch", Struct(&[always("epoch and end offset", Fixed(12))])),
        tag(1, "current leader", Struct(LEADER)),
        tag(2, "snapshot id", Struct(&[always("end offset and epoch", Fixed(12))])),
    ],
);

const RAFT_TAGS: &[Tag] = &[tag(0, "node endpoints", RAFT_ENDPOINTS)];
const VOTE_TOPICS: &[Field] = &[
    always("error code", Fixed(2)),
    always("topics", List(&[always("topic name", Text), always("partitions", VOTE_PARTITIONS)], &[])),
];
const VOTE_PARTITIONS: Kind = List(&[always("partition", Fixed(15))], &[]);
const EPOCH_TOPICS: &[Field] = &[
    always("error code", Fixed(2)),
    always("topics", List(&[always("topic name", Text), always("partitions", EPOCH_PARTITIONS)], &[])),
];
const EPOCH_PARTITIONS: Kind = List(&[always("partition", Fixed(14))], &[]);
