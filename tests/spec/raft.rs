//! Specification of `raft`.
