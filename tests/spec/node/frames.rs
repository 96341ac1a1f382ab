//! Frames of real brokers and clients.
