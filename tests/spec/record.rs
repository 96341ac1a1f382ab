//! Specification of `record`.
