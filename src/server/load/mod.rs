//! Load on real sockets: what Kafka's `ProducerPerformance` and `VerifiableProducer` do, thin enough to measure with.
//!
//! One thread, one `mio` poll, and the producers of [`client::producer`](crate::client::producer). Payloads are written
//! where they will lie in the batch, the clock is read once per burst of records, and latencies are kept per burst, so that
//! what remains per record is its bytes.
//!
//! | file | is |
//! |---|---|
//! | [`drive`] | producers on sockets |
//! | [`perf`] | the performance test: pace, bursts, phases |
//! | [`verifiable`] | a producer that says on stdout what became of each record |
//! | [`myself`] | a server's load on itself |
//! | [`settings`] | producer properties, as Kafka reads and refuses them |
//! | [`payload`], [`random`] | what is sent |
//! | [`pace`] | when it is sent |
//! | [`stats`], [`histogram`] | what people and programs read of it |
//! | [`ledger`], [`reading`] | what was acknowledged, and whether it is there |

pub mod drive;
pub mod histogram;
pub mod ledger;
pub mod myself;
pub mod pace;
pub mod payload;
pub mod perf;
pub mod random;
pub mod reading;
pub mod settings;
pub mod stats;
pub mod verifiable;
