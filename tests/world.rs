//! The simulated world from end to end: what ships passes, what is planted is caught, and equal seeds are equal runs.

#[path = "world/check.rs"]
mod check;
#[path = "world/commands.rs"]
mod commands;
#[path = "world/cores.rs"]
mod cores;
#[path = "world/decisions.rs"]
mod decisions;
#[path = "world/determinism.rs"]
mod determinism;
#[path = "world/embed.rs"]
mod embed;
#[path = "world/memory.rs"]
mod memory;
#[path = "world/outputs.rs"]
mod outputs;
#[path = "world/plants.rs"]
mod plants;
#[path = "world/program.rs"]
mod program;
#[path = "world/reading.rs"]
mod reading;
#[path = "world/readme.rs"]
mod readme;
#[path = "world/scenarios.rs"]
mod scenarios;
