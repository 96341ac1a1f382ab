//! Specification of `scenario`.
