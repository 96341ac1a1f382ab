//! Specification of `check`.
