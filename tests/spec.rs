//! The specification: golden scripts for log, raft, node and checkers; bytes of real brokers; naive twins; histories against
//! all their orders; decoders under mutation. One binary, because each test binary links the whole codec.

#[path = "spec/check.rs"]
mod check;
#[path = "spec/client.rs"]
mod client;
#[path = "spec/dump.rs"]
mod dump;
#[path = "spec/exports.rs"]
mod exports;
#[path = "spec/history.rs"]
mod history;
#[path = "spec/importers.rs"]
mod importers;
#[path = "spec/jobs.rs"]
mod jobs;
#[path = "spec/log.rs"]
mod log;
#[path = "spec/mutants.rs"]
mod mutants;
#[path = "spec/node.rs"]
mod node;
#[path = "spec/raft.rs"]
mod raft;
#[path = "spec/record.rs"]
mod record;
#[path = "spec/recovery.rs"]
mod recovery;
#[path = "spec/scenario.rs"]
mod scenario;
