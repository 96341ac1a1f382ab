//! What Kafka's clients call the errors that end a record: the class of the exception, and what it says.

/// The exception of a wire code and its message. (Kafka: `Errors`.)
pub fn exception_of(code: i16) -> (&'static str, &'static str) {
    match code {
        2 => (
            "CorruptRecordException",
            "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or \
             is otherwise corrupt.",
        ),
        3 => ("UnknownTopicOrPartitionException", "This server does not host this topic-partition."),
        5 => (
            "LeaderNotAvailableException",
            "There is no leader for this topic-partition as we are in the middle of a \
             leadership election.",
        ),
        6 => (
            "NotLeaderOrFollowerException",
            "For requests intended only for the leader, this error indicates that the broker is not the current leader. \
             For requests intended for any replica, this error indicates that the broker is not a replica of the topic \
             partition.",
        ),
        7 => ("TimeoutException", "The request timed out."),
        10 => (
            "RecordTooLargeException",
            "The request included a message larger than the max message size the server will accept.",
        ),
        13 => ("NetworkException", "The server disconnected before a response was received."),
        17 => ("InvalidTopicException", "The request attempted to perform an operation on an invalid topic."),
        19 => (
            "NotEnoughReplicasException",
            "Messages are rejected since there are fewer in-sync replicas than required.",
        ),
        20 => (
            "NotEnoughReplicasAfterAppendException",
            "Messages are written to the log, but to fewer in-sync replicas than required.",
        ),
        35 => ("UnsupportedVersionException", "The version of API is not supported."),
        45 => ("OutOfOrderSequenceException", "The broker received an out of order sequence number."),
        47 => ("InvalidProducerEpochException", "Producer attempted to produce with an old epoch."),
        56 => ("KafkaStorageException", "Disk error when trying to access log file on the disk."),
        59 => (
            "UnknownProducerIdException",
            "This exception is raised by the broker if it could not locate the producer metadata associated with the \
             producerId in question.",
        ),
        74 => ("FencedLeaderEpochException", "The leader epoch in the request is older than the epoch on the broker."),
        75 => ("UnknownLeaderEpochException", "The leader epoch in the request is newer than the epoch on the broker."),
        76 => (
            "UnsupportedCompressionTypeException",
            "The requesting client does not support the compression type of given \
             partition.",
        ),
        87 => ("InvalidRecordException", "This record has failed the validation on broker and hence will be rejected."),
        _ => ("UnknownServerException", "The server experienced an unexpected error when processing the request."),
    }
}
