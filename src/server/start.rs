//! From a configuration and a data directory to a node: format when empty, recover, and check that the two belong together.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use crate::ids::{DirectoryId, ReplicaId};
use crate::log::recovery::RecoveryOptions;
use crate::log::{Demand, FileName, Layout, MetaProperties, Recovered, Recovery, RecoveryError};
use crate::node::settings::ServerConfig;
use crate::node::{Config, Node, Output};
use crate::prng::Prng;
use crate::quirk::Quirk;
use crate::server::console::{Console, Level};
use crate::server::files::{DataDirectory, FileError};
use crate::time::Now;

/// Why a node does not start.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum StartError {
    /// A planted bug is configured; those belong to the simulator.
    Planted(Quirk),
    /// The directory belongs to somebody else.
    OtherNode { found: ReplicaId, configured: ReplicaId },
    /// The directory belongs to another cluster.
    OtherCluster { found: String, configured: String },
    /// The directory has another id than the one asked for.
    OtherDirectory { found: DirectoryId, configured: DirectoryId },
    /// The bytes found cannot be trusted.
    Recovery(RecoveryError),
    /// A file operation failed.
    File(FileError),
    /// The operating system gives no randomness.
    Randomness(io::Error),
}

/// Starts a node on a directory, which is formatted first when it holds nothing: with this id, or with a random one. What
/// the node asks for goes to `out`.
pub fn start(
    config: ServerConfig,
    directory_id: Option<DirectoryId>,
    directory: &mut DataDirectory,
    console: &Console,
    now: Now,
    out: &mut Vec<Output>,
) -> Result<Node, StartError> {
    let ServerConfig { node: mut config, segment_bytes, names_cluster, .. } = config;
    if let Some(quirk) = Quirk::ALL.into_iter().find(|&quirk| config.raft.quirks.has(quirk)) {
        return Err(StartError::Planted(quirk));
    }
    let listing = directory.list()?;
    if !listing.iter().any(|(name, _)| is_data(*name)) {
        let id = directory_id.map_or_else(random_directory_id, Ok)?;
        let meta = format(&config, id, directory)?;
        let (root, id) = (directory.root().display(), &meta.directory_id);
        console.log(
            Level::Info,
            "StorageTool",
            format_args!("Formatted {root} with cluster.id {} directory.id {id}", meta.cluster_id),
        );
    }
    let (recovered, layout) = recover(&config, segment_bytes, directory)?;
    if !names_cluster {
        config.cluster_id = recovered.meta.cluster_id.clone();
    }
    check_owner(&config, directory_id, &recovered.meta)?;
    report(&recovered, directory, console);
    let mut prng = Prng::new(random_word()?, 0);
    config.raft.fetch_timeout = staggered(config.raft.fetch_timeout, &mut prng);
    Ok(Node::recover(config, recovered, layout, prng, now, out))
}

/// A timeout that is this node's own, up to a tenth longer than the configured one.
///
/// Followers of a leader that dies have had its last answer within the same millisecond. If their patience ended alike they would
/// vote for themselves at the same moment, and the election would have to be held again after a second or two. (Kafka's do.
/// In the simulator delays and clocks tell them apart, or deliberately do not.)
fn staggered(timeout: Duration, prng: &mut Prng) -> Duration {
    let tenth = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX) / 10;
    timeout.saturating_add(Duration::from_nanos(prng.below(tenth.max(1))))
}

/// Makes an empty directory that of this node. (Kafka's test server formats by itself; so does this one.)
pub(in crate::server) fn format(
    config: &Config,
    id: DirectoryId,
    directory: &mut DataDirectory,
) -> Result<MetaProperties, StartError> {
    let meta = MetaProperties { cluster_id: config.cluster_id.clone(), node_id: config.raft.id, directory_id: id };
    for operation in Layout::format(&meta, config.topic_id) {
        directory.perform(&operation)?;
    }
    Ok(meta)
}

/// Reads and repairs until recovery knows what there is.
fn recover(
    config: &Config,
    segment_bytes: u64,
    directory: &mut DataDirectory,
) -> Result<(Recovered, Layout), StartError> {
    let options = RecoveryOptions {
        topic_id: config.topic_id,
        tail_bytes_max: config.raft.log_tail_bytes_max,
        producers_max: config.raft.producers_max,
        segment_bytes,
        preallocate_bytes: PREALLOCATE_BYTES,
        is_only_voter: config.raft.voters.len() == 1 && config.raft.voters.find(config.raft.id).is_some(),
    };
    let mut recovery = Recovery::new(&directory.list()?, options);
    loop {
        match recovery.demand()? {
            Demand::Read(range) => recovery.supply(directory.read(range)?.unwrap_or_default()),
            Demand::File(operation) => directory.perform(&operation)?,
            Demand::Finished => return Ok(recovery.finish()),
        }
    }
}

/// A directory copied to another node would vote twice.
fn check_owner(config: &Config, id: Option<DirectoryId>, meta: &MetaProperties) -> Result<(), StartError> {
    if meta.node_id != config.raft.id {
        return Err(StartError::OtherNode { found: meta.node_id, configured: config.raft.id });
    }
    if meta.cluster_id != config.cluster_id {
        return Err(StartError::OtherCluster {
            found: meta.cluster_id.to_string(),
            configured: config.cluster_id.to_string(),
        });
    }
    if let Some(configured) = id.filter(|id| *id != meta.directory_id) {
        return Err(StartError::OtherDirectory { found: meta.directory_id, configured });
    }
    Ok(())
}

fn report(recovered: &Recovered, directory: &DataDirectory, console: &Console) {
    for cut in &recovered.cuts {
        let level = if cut.below_recovery_point { Level::Error } else { Level::Warn };
        console.log(
            level,
            "LogRecovery",
            format_args!(
                "Cut {} bytes of {} at byte {}: {}. The log ends at offset {}",
                cut.bytes, cut.file, cut.at, cut.reason, cut.end
            ),
        );
    }
    let (start, flushed, end) = (recovered.start, recovered.flushed, recovered.end);
    let root = directory.root().display();
    console.log(
        Level::Info,
        "LogRecovery",
        format_args!("Recovered {root}: log from offset {start} to {end}, recovery point {flushed}"),
    );
}

/// Whether a file makes a directory one that was in use.
fn is_data(name: FileName) -> bool {
    !matches!(name, FileName::Temporary(_))
}

/// A random UUID whose text a shell takes for no flag. (Kafka: `Uuid.randomUuid`.)
pub(in crate::server) fn random_directory_id() -> Result<DirectoryId, StartError> {
    loop {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&random_word()?.to_be_bytes());
        uuid[8..].copy_from_slice(&random_word()?.to_be_bytes());
        // RFC 4122, 4.4: version 4, variant 1.
        uuid[6] = (uuid[6] & 0x0f) | 0x40;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        let id = DirectoryId(uuid);
        if !id.to_text().starts_with('-') {
            return Ok(id);
        }
    }
}

/// 64 bits of the operating system's randomness.
#[expect(clippy::disallowed_methods, reason = "the one place where a real node asks for chance")]
fn random_word() -> Result<u64, StartError> {
    let mut word = [0; 8];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut word)).map_err(StartError::Randomness)?;
    Ok(u64::from_le_bytes(word))
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Planted(quirk) => {
                write!(f, "the planted bug {quirk} is for the simulator; a server runs without")
            }
            StartError::OtherNode { found, configured } => {
                write!(f, "the log directory belongs to node {found}, but this node is configured as {configured}")
            }
            StartError::OtherCluster { found, configured } => {
                write!(f, "the log directory belongs to cluster {found}, but cluster.id is {configured}")
            }
            StartError::OtherDirectory { found, configured } => {
                write!(f, "the log directory has id {found}, but --replica-directory-id is {configured}")
            }
            StartError::Recovery(error) => write!(f, "cannot recover the log directory: {error}"),
            StartError::File(error) => error.fmt(f),
            StartError::Randomness(error) => write!(f, "cannot read /dev/urandom: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<FileError> for StartError {
    fn from(error: FileError) -> StartError {
        StartError::File(error)
    }
}

impl From<RecoveryError> for StartError {
    fn from(error: RecoveryError) -> StartError {
        StartError::Recovery(error)
    }
}

/// Space reserved ahead of the log's end, 16 MiB.
const PREALLOCATE_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_a_node_s_own_and_at_most_a_tenth_longer() {
        let (most, least) = (Duration::from_millis(2200), Duration::from_millis(2000));
        let mut drawn: Vec<Duration> = (0..50).map(|seed| staggered(least, &mut Prng::new(seed, 0))).collect();
        assert!(drawn.iter().all(|timeout| (least..most).contains(timeout)));
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn.len(), 50);
        assert_eq!(staggered(Duration::ZERO, &mut Prng::new(1, 0)), Duration::ZERO);
    }
}
