//! The built program, called as a person calls it, in a folder of its own where `scenarios` is the repository's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Where the repository is.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder to run in.
pub struct Desk {
    pub folder: PathBuf,
}

/// How a call ended and what it printed.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Desk {
    /// An empty folder of this name with a link to the scenarios.
    pub fn new(name: &str) -> Desk {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("world").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the build's folder for tests can be written");
        let link = std::os::unix::fs::symlink(Path::new(ROOT).join("scenarios"), folder.join("scenarios"));
        link.expect("a link can be made");
        Desk { folder }
    }

    /// A call that is still to be started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kraftbed"));
        command.args(words).current_dir(&self.folder);
        command
    }

    /// Runs the program with these words.
    pub fn call(&self, words: &[&str]) -> Answer {
        Answer::of(self.command(words).output().expect("the built program starts"))
    }

    /// Runs it with `--output json`; it must end with this code.
    pub fn json(&self, words: &[&str], code: i32) -> Value {
        let answer = self.call(&[words, &["--output", "json"]].concat());
        assert_eq!(answer.code, code, "{words:?}: {}", answer.stderr);
        serde_json::from_str(&answer.stdout).expect("one JSON object on stdout")
    }
}

impl Answer {
    /// From a process that has ended.
    pub fn of(output: Output) -> Answer {
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}
