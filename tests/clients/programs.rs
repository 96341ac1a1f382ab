//! The clients that programs of ours drive, each in its own language.

use crate::client::{Client, consume_with, produce_with};
use crate::java::Kafka;
use crate::judge::Promise;
use crate::stage::Silence;
use crate::tools::Tool;

/// One client for each of them; all write idempotently.
pub fn clients() -> Vec<Client> {
    vec![
        Client {
            name: "confluent_kafka",
            tool: Tool::Python,
            produce: |tool, place, rate| produce_with(tool.program("confluent.py"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("confluent.py"), place, count),
            promise: Promise::ExactlyOnce,
            silence: Silence::Leaves,
        },
        Client {
            name: "kafka_python",
            tool: Tool::Python,
            produce: |tool, place, rate| produce_with(tool.program("kafka_python.py"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("kafka_python.py"), place, count),
            promise: Promise::ExactlyOnce,
            silence: Silence::Leaves,
        },
        Client {
            name: "aiokafka",
            tool: Tool::Python,
            produce: |tool, place, rate| produce_with(tool.program("aio.py"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("aio.py"), place, count),
            promise: Promise::ExactlyOnce,
            silence: Silence::Leaves,
        },
        Client {
            name: "kafkajs",
            tool: Tool::Node,
            produce: |tool, place, rate| produce_with(tool.program("kafkajs.js"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("kafkajs.js"), place, count),
            promise: Promise::ExactlyOnce,
            // A request that timed out neither closes its connection nor makes kafkajs ask who leads.
            silence: Silence::Waits,
        },
        Client {
            name: "franz_go",
            tool: Tool::Go,
            produce: |tool, place, rate| produce_with(tool.program("franz"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("franz"), place, count),
            promise: Promise::ExactlyOnce,
            silence: Silence::Leaves,
        },
    ]
}

/// The Java clients of one version of Apache Kafka.
pub fn java(kafka: &Kafka) -> Client {
    Client {
        name: kafka.name,
        tool: kafka.tool(),
        produce: |tool, place, rate| produce_with(tool.program("Client"), place, rate),
        consume: |tool, place, count| consume_with(tool.program("Client"), place, count),
        promise: Promise::ExactlyOnce,
        silence: Silence::Leaves,
    }
}
