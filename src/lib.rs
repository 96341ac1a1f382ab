//! kraftbed: Kafka Raft (KRaft) as a deterministic simulation testbed. One node, two worlds.
//!
//! The same [`node::Node`] runs in a simulator, where time, network, disk and chance are drawn from one seed, and on real
//! sockets, where unmodified Kafka clients talk to it. A bug found in the first world is a bug of the second, and comes
//! back whenever the same (commit, scenario, seed) is asked for.
//!
//! This page is the architecture. Every module's own page goes on from here; the protocol itself is told in [`raft`].
//!
//! # The seam
//!
//! Time, network, disk and chance are *values that come in and go out*, never things that one holds. There is no trait for
//! a clock, a disk or a network, and nothing to mock. There are two enums and a function, three times:
//!
//! ```text
//!   raft::Replica     step(now, Input)  ──▶  Effect…      messages without versions
//!   node::Node        step(now, Input)  ──▶  Output…      frames and file operations: bytes
//!   client::Session   step(now, Input)  ──▶  Output…      frames: bytes
//! ```
//!
//! Whoever calls `step` is a *driver*. There are two, and neither decides anything that a node should decide: [`sim`] pops
//! events from a queue, [`server`] polls sockets. What a driver owes the core is numbered in [`raft`].
//!
//! # A record's journey
//!
//! 1. A [`client::Session`] packs values into a batch and emits a Produce. Bytes arrive on a connection of the node;
//!    [`protocol::FrameCutter`] cuts a frame, [`protocol::codec`] decodes the request's head and body. The batch stays a
//!    slice of the frame.
//! 2. [`record::RecordBatch::parse_produced`] reads the 61 bytes of header and verifies the checksum; the body is shared, not
//!    copied. [`record::RecordBatch::validate_from_client`] walks the records, inflating what is compressed
//!    ([`record::compress`]): no control records, no transactions, offsets that count up from 0. Otherwise a client could
//!    forge what only leaders may write.
//! 3. [`node::records::produce`] makes a [`raft::Input::Propose`] of it. The leader stamps base offset and epoch
//!    ([`record::RecordBatch::stamped`]); both lie outside the checksum, so the body is untouched. It appends
//!    ([`log::Log::append`]): the log's *end* moves, and [`raft::Effect::Disk`] leaves.
//! 4. [`log::Layout`] turns "append this" into "these bytes, at this place of that file, then sync" ([`log::FileOp`]). A
//!    driver carries it out and comes back with [`node::Input::DiskDone`]: the log's *flushed* end moves.
//! 5. Fetches that waited for data are answered in the same step, before the sync: unflushed bytes may travel. They may not
//!    be counted.
//! 6. A follower appends and syncs likewise, and only then sends its next [`raft::Request::Fetch`]. That fetch **is** the
//!    acknowledgement: "what lies below my offset is safe here".
//! 7. The leader takes what a majority holds, its own flushed end among them ([`raft::voters::high_watermark`]); if that
//!    includes a record of its own epoch, the *high watermark* moves.
//! 8. [`raft::Effect::Apply`] hands the batch to the [`machine`]. [`raft::Proposed::Committed`] answers the proposal; the
//!    node makes a frame of it, the session a [`client::Told::Produced`], and [`history::Recorder`] writes down that this
//!    operation returned, and when.
//! 9. In the simulator a [`check::Judge`] has watched all of it, from outside: what the files hold, what was said on the
//!    wire, what the client was told. Its verdict is the run's [`outcome::Outcome`].
//!
//! An answer that never comes back is not a failure. What a leader has appended and then lost may live on elsewhere and
//! commit under its successor, so only a *refusal* says "no", and everything else that is not "yes" is "nobody knows"
//! ([`raft::Proposed::Unknown`], [`client::Told::Open`]).
//!
//! # The floors
//!
//! Nobody looks up. A module may use what stands above it in this list, and not even all of that; `tests/tidy.rs` holds the
//! exact table and fails with file and line.
//!
//! | | module | is | does not know |
//! |---|---|---|---|
//! | words | [`ids`] [`digest`] | offsets, epochs, replicas; a fingerprint that is stable for ever | anything |
//! | | [`time`] [`prng`] | time as an argument, chance as numbered streams | clocks, entropy |
//! | | [`quirk`] | every planted bug, as runtime data | what it breaks |
//! | bytes | [`record`] | Kafka's record batches | what an epoch means, files |
//! | | [`log`] | the replicated log and its bytes on disk | roles, messages, who asked |
//! | | [`protocol`] | the Kafka wire: frames, versions | raft, nodes |
//! | the node | [`raft`] | the replica | wire versions, files, clients |
//! | | [`machine`] | what committed records are applied to | replication |
//! | | [`node`] | one broker: raft, layout and machine behind the Kafka API | sockets, threads, simulation |
//! | the verdict | [`history`] | what clients asked and were told; linearizability | Kafka, nodes, how it was recorded |
//! | | [`client`] | producers and consumers | nodes |
//! | | [`check`] | was that allowed? One property per file | how the run was produced |
//! | | [`scenario`] | what to run, under which faults, and what must come of it | code that will run it |
//! | | [`trace`] | what happened, and because of what | who writes, who reads |
//! | | [`outcome`] | what a run came to | drivers |
//! | | [`report`] | one run, or one history, as a page; many runs, and all for machines, as files | drivers |
//! | two worlds | [`sim`] | many nodes and clients, one thread, virtual time | real clocks, real files |
//! | | [`server`] | one node on sockets, files and clocks | simulation |
//! | many runs | [`campaign`] | sweeps and hunts, on threads; torture and benchmarks of processes | how arguments are written |
//! | | [`cli`] | arguments, call, print | - |
//!
//! A driver cannot cheat, because the floors leave it nothing to cheat with: a node never learns which world it is in.
//!
//! # Three laws
//!
//! **One: what is said is durable.** While a vote, an epoch or a leadership is on its way to the disk, nothing leaves. A
//! replica fetches only when its log is flushed to the end. A leader counts what it has flushed. Kafka syncs on its one
//! thread, so it never had to write these rules down; here the disk is asynchronous, and they are the twelve rules R1 to
//! R12 of [`raft`]. Effects may be emitted in any order: the gate in front of them holds back what must wait.
//!
//! **Two: equal seeds, equal runs.** Modules from [`ids`] to [`sim`] are the *deterministic zone*: no clock, thread,
//! socket, file, environment, hasher, float or static state, in code or in what it calls. Clippy forbids types
//! (`.clippy.toml`), `tests/tidy.rs` forbids words, a digest of every event proves it: sweeps run a share of their seeds
//! twice. [`server`], [`campaign`] and [`cli`] are the *driver zone*, where real things are allowed and dull.
//!
//! **Three: the judge is judged.** A property that never fails might be blind. So every known mistake is a [`quirk::Quirk`]:
//! a bug that can be switched on beside the rule that it breaks, with a scenario that must catch it, and by which property.
//! Harmless variants must *not* be caught. `kraftbed hunt` runs them all. A real node refuses to start with any.
//!
//! # Reading on
//!
//! - The algorithm: [`raft`], then its `replica`, `role/`, `gate`. Golden scripts under `tests/golden/raft` tell it by
//!   example; a script's first lines say why it matters.
//! - The simulated world: [`sim`] and [`sim::world`]; what may go wrong in it: [`scenario::fault`].
//! - The properties: [`check`]; the checker of histories: [`history::engine`].
//! - The real world: [`server`]; what it reads: [`node::settings`].
//!
//! # Using it as a library
//!
//! A run is a function of a plan, and a plan one of a scenario's text and a seed:
//!
//! ```
//! use kraftbed::check;
//! use kraftbed::outcome::Verdict;
//! use kraftbed::scenario::Scenario;
//! use kraftbed::sim::{RunOptions, run};
//!
//! let text = r#"{
//!     "about": "Three nodes, one client, and nothing goes wrong.",
//!     "version": 1,
//!     "voters": 3,
//!     "workload": [{ "clients": 1, "kind": "append", "rate": "10/s" }],
//!     "duration": "5s"
//! }"#;
//! let properties: Vec<&str> = check::all().into_iter().map(|(name, _)| name).collect();
//! let scenario = Scenario::parse("calm.json", text, &properties).expect("a scenario");
//! let plan = scenario.draw(7, "calm");
//! let finished = run(&plan, RunOptions::default());
//! assert_eq!(finished.outcome.verdict, Verdict::Passed);
//! assert_eq!(finished.outcome.digest, run(&plan, RunOptions::default()).outcome.digest);
//! ```

#![deny(missing_docs)]

pub mod campaign;
pub mod check;
pub mod cli;
pub mod client;
pub mod digest;
pub mod history;
pub mod ids;
pub mod log;
pub mod machine;
pub mod node;
pub mod outcome;
pub mod prng;
pub mod protocol;
pub mod quirk;
pub mod raft;
pub mod record;
pub mod report;
pub mod scenario;
pub mod server;
pub mod sim;
pub mod time;
pub mod trace;
