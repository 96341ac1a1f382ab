//! Specification of `log`.
