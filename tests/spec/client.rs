//! Specification of `client`.
