//! The clients that programs of ours drive, each in its own language.

use crate::client::{Client, consume_with, produce_with};
use crate::judge::Promise;
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
        },
        Client {
            name: "kafka_python",
            tool: Tool::Python,
            produce: |tool, place, rate| produce_with(tool.program("kafka_python.py"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("kafka_python.py"), place, count),
            promise: Promise::ExactlyOnce,
        },
        Client {
            name: "aiokafka",
            tool: Tool::Python,
            produce: |tool, place, rate| produce_with(tool.program("aio.py"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("aio.py"), place, count),
            promise: Promise::ExactlyOnce,
        },
        Client {
            name: "kafkajs",
            tool: Tool::Node,
            produce: |tool, place, rate| produce_with(tool.program("kafkajs.js"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("kafkajs.js"), place, count),
            promise: Promise::ExactlyOnce,
        },
        Client {
            name: "franz_go",
            tool: Tool::Go,
            produce: |tool, place, rate| produce_with(tool.program("franz"), place, rate),
            consume: |tool, place, count| consume_with(tool.program("franz"), place, count),
            promise: Promise::ExactlyOnce,
        },
        java("java_4_3_1", Tool::Java("4.3.1")),
        java("java_3_9_2", Tool::Java("3.9.2")),
    ]
}

fn java(name: &'static str, tool: Tool) -> Client {
    Client {
        name,
        tool,
        produce: |tool, place, rate| produce_with(tool.program("Client"), place, rate),
        consume: |tool, place, count| consume_with(tool.program("Client"), place, count),
        promise: Promise::ExactlyOnce,
    }
}
