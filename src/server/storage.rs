//! What `kafka-storage.sh` does with a data directory before a node runs on it: format, info.
//!
//! A node formats an empty directory by itself; formatting ahead gives the cluster an id of one's own and finds mistakes
//! of configuration before anything listens. (Kafka: `StorageTool`, `Formatter`.)

#![expect(clippy::disallowed_methods, reason = "directories are looked at before they are opened")]

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use crate::ids::uuid_from_text;
use crate::node::properties::Properties;
use crate::server::files::DataDirectory;
use crate::server::run::{ServeError, read_properties};
use crate::server::start::{self, StartError};

/// Why a directory is not formatted.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum StorageError {
    /// The configuration cannot be read or is wrong.
    Configuration(ServeError),
    /// This is no UUID.
    ClusterId { found: String },
    /// The directory is formatted already, and that was not to be ignored.
    Formatted { directory: PathBuf },
    /// The directory belongs to another cluster or node.
    Other { file: PathBuf, what: &'static str, expected: String, found: String },
    /// A file cannot be read.
    Read { file: PathBuf, why: String },
    /// The directory could not be written.
    Start(StartError),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Configuration(error) => error.fmt(f),
            StorageError::ClusterId { found } => {
                write!(
                    f,
                    "Cluster ID string {found} does not appear to be a valid UUID: expected 22 characters of base64"
                )
            }
            StorageError::Formatted { directory } => write!(
                f,
                "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the \
                 others.",
                directory.display()
            ),
            StorageError::Other { file, what, expected, found } => {
                write!(f, "Invalid {what} in: {}. Expected {expected}, but read {found}", file.display())
            }
            StorageError::Read { file, why } => write!(f, "{}: {why}", file.display()),
            StorageError::Start(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StorageError {}

/// What becomes of a directory that is formatted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatted {
    /// It is an error.
    Refuse,
    /// It stays as it is.
    Ignore,
}

/// Formats the directory that a properties file names. The line is for stdout.
pub fn format(file: &Path, cluster_id: &str, formatted: Formatted) -> Result<String, StorageError> {
    // The text of an all-zero UUID is what a node without a cluster.id takes, so any UUID is let through.
    uuid_from_text(cluster_id).ok_or_else(|| StorageError::ClusterId { found: cluster_id.into() })?;
    let overrides = [("cluster.id".to_owned(), cluster_id.to_owned())];
    let config = read_properties(file, &overrides).map_err(StorageError::Configuration)?;
    let root = Path::new(&config.log_dir);
    if let Some(meta) = read_meta(root)? {
        let expected = [("cluster.id", cluster_id.to_owned()), ("node.id", config.node.raft.id.to_string())];
        for (what, expected) in expected {
            let found = meta.find(what).map(|property| property.value.trim().to_owned());
            if let Some(found) = found.filter(|found| *found != expected) {
                return Err(StorageError::Other { file: root.join(META), what, expected, found });
            }
        }
        return match formatted {
            Formatted::Refuse => Err(StorageError::Formatted { directory: root.into() }),
            Formatted::Ignore => Ok("All of the log directories are already formatted.".into()),
        };
    }
    let mut directory = DataDirectory::open(root).map_err(|error| StorageError::Start(error.into()))?;
    let formatted = start::random_directory_id().and_then(|id| start::format(&config.node, id, &mut directory));
    formatted.map_err(StorageError::Start)?;
    Ok(format!("Formatting metadata directory {} with kraft.version 0.", root.display()))
}

/// What is in the directory that a properties file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Directories that exist.
    pub found: Vec<String>,
    /// What `meta.properties` says, keys sorted.
    pub metadata: Option<String>,
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
}

/// Looks at the directory that a properties file names.
pub fn info(file: &Path) -> Result<Info, StorageError> {
    let config = read_properties(file, &[]).map_err(StorageError::Configuration)?;
    let root = Path::new(&config.log_dir);
    let mut info = Info::default();
    if !root.is_dir() {
        let what = if root.exists() { "is not a directory" } else { "does not exist" };
        info.problems.push(format!("{} {what}", root.display()));
        return Ok(info);
    }
    info.found.push(root.display().to_string());
    match read_meta(root)? {
        None => info.problems.push(format!("{} is not formatted.", root.display())),
        Some(meta) => {
            let pairs = META_KEYS.iter().filter_map(|key| Some(format!("{key}={}", meta.find(key)?.value.trim())));
            info.metadata = Some(format!("{{{}}}", pairs.collect::<Vec<_>>().join(", ")));
        }
    }
    Ok(info)
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if !self.found.is_empty() {
            let _ = writeln!(text, "Found log directory:\n  {}\n", self.found.join("\n  "));
        }
        if let Some(metadata) = &self.metadata {
            let _ = writeln!(text, "Found metadata: {metadata}\n");
        }
        if !self.problems.is_empty() {
            let _ = writeln!(text, "Found problem:\n  {}\n", self.problems.join("\n  "));
        }
        f.write_str(&text)
    }
}

/// A random UUID in Kafka's text form, for a cluster or a directory.
pub fn random_uuid() -> Result<String, StorageError> {
    start::random_directory_id().map(|id| id.to_text()).map_err(StorageError::Start)
}

fn read_meta(root: &Path) -> Result<Option<Properties>, StorageError> {
    let file = root.join(META);
    if !file.exists() {
        return Ok(None);
    }
    let read = std::fs::read(&file).map_err(|error| error.to_string());
    let parsed = read.and_then(|bytes| Properties::parse(&bytes).map_err(|error| error.to_string()));
    parsed.map(Some).map_err(|why| StorageError::Read { file, why })
}

/// The file that makes a directory a formatted one.
const META: &str = "meta.properties";
/// What may be in it, in the order in which it is printed.
const META_KEYS: [&str; 5] = ["broker.id", "cluster.id", "directory.id", "node.id", "version"];
