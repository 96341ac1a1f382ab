//! The Kafka wire: frames, headers, versions. Message structs come from the `kafka-protocol` crate.
//!
//! ```text
//!  bytes ── frame ──▶ frames ── schema ──▶ checked ── codec ──▶ message structs
//!                        │                              ▲
//!                        └── connection: order of answers, negotiation ── versions: what is offered
//! ```
//!
//! This module knows what a frame may look like and nothing of what it means: that begins in `node` and `client`.

pub mod codec;
pub mod connection;
pub mod frame;
pub mod schema;
pub mod versions;

pub use frame::{Frame, FrameCutter, FrameError};
pub use versions::Api;

use std::fmt;

/// Names one connection of a node or client within its incarnation. Drivers number inbound connections from 0;
/// nodes and sessions number those they open from [`ConnectionId::FIRST_OUTBOUND`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The first number for connections that were opened from this side.
    pub const FIRST_OUTBOUND: ConnectionId = ConnectionId(1 << 63);

    /// Whether this side opened it.
    pub fn is_outbound(self) -> bool {
        self >= ConnectionId::FIRST_OUTBOUND
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_outbound() {
            true => write!(f, "out{}", self.0 - ConnectionId::FIRST_OUTBOUND.0),
            false => write!(f, "in{}", self.0),
        }
    }
}
