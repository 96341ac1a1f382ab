//! Specification of `node`.
