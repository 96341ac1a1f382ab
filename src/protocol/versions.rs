//! The versions we advertise, each bound with its reason.
