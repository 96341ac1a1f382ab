//! Names under which the binary behaves as one of Kafka's scripts: `ln -s kraftbed kafka-storage.sh`.
//!
//! One table: what the file is called that was started, with or without `.sh`, and the words that this stands for. The
//! scripts end with Kafka's exit codes, so a wrong argument is 1 there, and no argument at all shows the help and is 0.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

/// Kafka's scripts, and what they are here.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("kafka-dump-log", &["dump-log"]),
    ("kafka-metadata-quorum", &["quorum"]),
    ("kafka-producer-perf-test", &["producer-perf-test"]),
    ("kafka-storage", &["storage"]),
    ("kafka-verifiable-producer", &["verifiable-producer"]),
    // Three generations of the same server: before the merge, as merged, and today's, which loads itself.
    ("raft-server-start", &["serve"]),
    ("test-raft-server-start", &["serve"]),
    ("test-kraft-server-start", &["serve", "--self-load"]),
];

/// `kafka-run-class.sh CLASS`: the classes behind the scripts.
const CLASSES: &[(&str, &[&str])] = &[
    ("kafka.server.RaftServer", &["serve"]),
    ("kafka.tools.DumpLogSegments", &["dump-log"]),
    ("kafka.tools.StorageTool", &["storage"]),
    ("kafka.tools.TestRaftServer", &["serve"]),
    ("org.apache.kafka.tools.MetadataQuorumCommand", &["quorum"]),
    ("org.apache.kafka.tools.ProducerPerformance", &["producer-perf-test"]),
    ("org.apache.kafka.tools.VerifiableProducer", &["verifiable-producer"]),
];

/// The script that takes a class as its first argument.
const RUN_CLASS: &str = "kafka-run-class";

/// Commands that are Kafka's tools under whatever name.
const TOOLS: &[&str] = &["dump-log", "producer-perf-test", "storage", "verifiable-producer"];

/// A command line, in this program's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The program's name, the command, its arguments.
    pub words: Vec<OsString>,
    /// Whether it ends with Kafka's exit codes.
    pub is_kafkas: bool,
}

/// What a command line means, its first word being what was started.
pub fn translate(mut line: Vec<OsString>) -> Words {
    let started = line.first().map(|first| script_name(first)).unwrap_or_default();
    let class = line.get(1).and_then(|class| class.to_str()).unwrap_or_default().to_owned();
    let (found, taken) = match started == RUN_CLASS {
        true => (CLASSES.iter().find(|(name, _)| *name == class), 2),
        false => (SCRIPTS.iter().find(|(name, _)| *name == started), 1),
    };
    if let Some((_, command)) = found {
        let words = std::iter::once(PROGRAM).chain(command.iter().copied()).map(OsString::from);
        return Words { words: words.chain(line.drain(taken..)).collect(), is_kafkas: true };
    }
    let is_kafkas = line.get(1).is_some_and(|command| TOOLS.iter().any(|tool| command == tool));
    Words { words: line, is_kafkas }
}

impl Words {
    /// A command of Kafka's without any argument asks what it takes.
    pub fn asks_for_help(&self) -> bool {
        self.is_kafkas && self.words.len() == 2
    }

    /// Shows what the command takes.
    pub fn help(&self, mut program: Command) -> ExitCode {
        program.build();
        let name = self.words[1].to_str().unwrap_or_default();
        if let Some(command) = program.find_subcommand_mut(name) {
            let _ = command.print_long_help();
        }
        ExitCode::SUCCESS
    }

    /// Says what is wrong with the arguments, or shows the help or version that was asked for.
    pub fn refuse(&self, error: &clap::Error) -> ExitCode {
        let _ = error.print();
        match error.exit_code() {
            0 => ExitCode::SUCCESS,
            _ if self.is_kafkas => ExitCode::FAILURE,
            code => ExitCode::from(u8::try_from(code).unwrap_or(2)),
        }
    }
}

fn script_name(started: &OsStr) -> String {
    let name = Path::new(started).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_suffix(".sh").unwrap_or(name).to_owned()
}

/// This program's own name.
const PROGRAM: &str = "kraftbed";

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> (String, bool) {
        let Words { words, is_kafkas } = translate(line.split(' ').map(OsString::from).collect());
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        (words.join(" "), is_kafkas)
    }

    #[test]
    fn scripts_are_known_with_and_without_their_ending() {
        let expected = ("kraftbed producer-perf-test --topic t".to_owned(), true);
        assert_eq!(translated("./bin/kafka-producer-perf-test.sh --topic t"), expected);
        assert_eq!(translated("kafka-producer-perf-test --topic t"), expected);
        assert_eq!(translated("bin/test-raft-server-start.sh a b"), ("kraftbed serve a b".to_owned(), true));
    }

    #[test]
    fn classes_are_run_as_kafkas_readme_runs_them() {
        let line = "./bin/kafka-run-class.sh org.apache.kafka.tools.VerifiableProducer --topic t";
        assert_eq!(translated(line), ("kraftbed verifiable-producer --topic t".to_owned(), true));
    }

    #[test]
    fn other_names_are_nobodys() {
        assert_eq!(translated("target/kraftbed run x"), ("target/kraftbed run x".to_owned(), false));
        assert_eq!(translated("kraftbed producer-perf-test"), ("kraftbed producer-perf-test".to_owned(), true));
    }
}
