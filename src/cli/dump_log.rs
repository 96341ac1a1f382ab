//! `kraftbed dump-log`: what is in segments, snapshots and indexes, as Kafka's `kafka-dump-log.sh` prints it.

#![expect(clippy::disallowed_methods, reason = "commands read files")]

use std::io::{BufWriter, Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;

use crate::cli::stdout::complain;
use crate::log::dump::{Dump, File, Options};

/// What the command takes: the options of Kafka's tool.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// REQUIRED: The comma separated list of data and index log files to be dumped.
    #[arg(long, value_name = "file1, file2, ...", value_delimiter = ',', required = true)]
    files: Vec<String>,
    /// If set, printing the messages content when dumping data logs. Automatically set if any decoder option is specified.
    #[arg(long)]
    print_data_log: bool,
    /// If set, uses deep instead of shallow iteration. Automatically set if print-data-log is enabled.
    #[arg(long)]
    deep_iteration: bool,
    /// If set, log data will be parsed as cluster metadata records. The records of a Kafka controller are not taken apart here: they are
    /// printed as text.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Skip metadata when printing records. This flag also skips control records.
    #[arg(long)]
    skip_record_metadata: bool,
    /// If set, just verify the index log without printing its content.
    #[arg(long)]
    verify_index_only: bool,
    /// If set, just checks the index sanity without printing its content. This is the same check that is executed on
    /// broker startup to determine if an index needs rebuilding or not.
    #[arg(long)]
    index_sanity_check: bool,
    /// Limit the amount of total batches read in bytes avoiding reading the whole .log file(s).
    #[arg(long, value_name = "size", default_value_t = i32::MAX)]
    max_bytes: i32,
    /// Size of largest message. Here a batch is read whole, however large.
    #[arg(long, value_name = "size", default_value_t = 5 << 20)]
    max_message_size: i32,
}

/// Dumps the files in turn; the first that cannot be read ends it.
pub fn run(arguments: &Arguments) -> ExitCode {
    let options = Options {
        deep_iteration: arguments.deep_iteration,
        print_data_log: arguments.print_data_log || arguments.cluster_metadata_decoder,
        skip_record_metadata: arguments.skip_record_metadata,
        index_sanity_check: arguments.index_sanity_check,
        verify_index_only: arguments.verify_index_only,
        bytes_max: (arguments.max_bytes != i32::MAX).then_some(arguments.max_bytes.max(0) as usize),
    };
    let mut out = BufWriter::new(stdout().lock());
    let mut dump = Dump::new(&mut out, options);
    let dumped = arguments.files.iter().try_for_each(|path| dump_file(&mut dump, path));
    let findings = dump.findings();
    let flushed = out.flush();
    if let Err(why) = dumped {
        complain(format_args!("{why}"));
        return ExitCode::FAILURE;
    }
    findings.iter().for_each(|line| complain(format_args!("{line}")));
    ExitCode::from(u8::from(flushed.is_err()))
}

fn dump_file<W: Write>(dump: &mut Dump<W>, path: &str) -> Result<(), String> {
    dump.print(&format!("Dumping {path}")).map_err(|error| error.to_string())?;
    let beside = |suffix: &str| {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        let stem = name.split('.').next().unwrap_or_default();
        Loaded::read(&Path::new(path).with_file_name(format!("{stem}{suffix}")).to_string_lossy())
    };
    let dumped = match Path::new(path).extension().and_then(|suffix| suffix.to_str()) {
        Some("log" | "checkpoint") => dump.log(Loaded::read(path)?.file()),
        Some("index") => dump.index(Loaded::read(path)?.file(), beside(".log")?.file()),
        Some("timeindex") => {
            dump.time_index(Loaded::read(path)?.file(), beside(".log")?.file(), beside(".index")?.file())
        }
        _ => {
            complain(format_args!("Ignoring unknown file {path}"));
            return Ok(());
        }
    };
    dumped.map_err(|error| error.to_string())
}

/// A file in memory.
struct Loaded {
    path: String,
    absolute: String,
    bytes: Bytes,
}

impl Loaded {
    fn read(path: &str) -> Result<Loaded, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let absolute = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Loaded { path: path.into(), absolute: absolute.to_string_lossy().into(), bytes: bytes.into() })
    }

    fn file(&self) -> File<'_> {
        File { path: &self.path, absolute: &self.absolute, bytes: &self.bytes }
    }
}
