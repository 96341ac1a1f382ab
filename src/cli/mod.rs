//! Arguments, call, print. One file per command; no logic.

pub mod bench;
pub mod check;
mod command;
pub mod deciding;
pub mod dump_log;
pub mod environment;
pub mod export;
pub mod hunt;
pub mod list;
pub mod merge;
pub mod names;
pub mod producer_perf_test;
pub mod producer_properties;
pub mod quorum;
pub mod report;
pub mod run;
pub mod serve;
pub mod show;
pub mod signals;
pub mod stdout;
pub mod storage;
pub mod sweep;
pub mod torture;
pub mod verifiable_producer;

pub use command::main;
