//! Specification of `recovery`.
