//! Clients that no system package brings: fetched once from their registries, at pinned versions, to `target/clients`.
//!
//! ```text
//!  target/clients/python/   a virtual environment          target/clients/go/      the program, built
//!  target/clients/node/     node_modules                   target/clients/java-V/  jars/, classes/
//!  target/clients/browser/  what drives a chromium
//! ```
//!
//! A tool is ready when its stamp tells the recipe by which it would be made today. The stamp is written last, so what an
//! interrupted download left is made anew; and under a lock, so two test processes do not meet.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What programs of the tests are run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    Kcat,
    Python,
    Node,
    /// The system's chromium, and what drives it.
    Browser,
    Go,
    /// The Java clients and tools of this version of Apache Kafka.
    Java(&'static str),
}

impl Tool {
    /// Makes the tool ready; else, why it cannot be used.
    pub fn prepare(self) -> Result<(), String> {
        match self {
            Tool::Kcat => quietly(Command::new("kcat").arg("-V")),
            Tool::Python => self.make("python", &["python/requirements.txt"], |place| {
                quietly(Command::new("python3").args(["-m", "venv"]).arg(place))?;
                let requirements = programs().join("python/requirements.txt");
                quietly(
                    patient(place.join("bin/pip"))
                        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                        .arg(requirements),
                )
            }),
            Tool::Node => self.make("node", &["node/package.json"], |place| install("node/package.json", place)),
            Tool::Browser => {
                quietly(Command::new(CHROMIUM).arg("--version"))?;
                self.make("browser", &["browser/package.json"], |place| install("browser/package.json", place))
            }
            Tool::Go => self.make("go", &["go/main.go", "go/go.mod", "go/go.sum"], |place| {
                let build = ["build", "-mod=readonly", "-buildvcs=false", "-o"];
                quietly(patient("go").args(build).arg(place.join("franz")).arg(".").current_dir(programs().join("go")))
            }),
            Tool::Java(version) => self.make("java", &["java/pom.xml", "java/Client.java"], |place| {
                let (jars, classes) = (place.join("jars"), place.join("classes"));
                quietly(
                    patient("mvn")
                        .args(["--batch-mode", "--quiet", "--file"])
                        .arg(programs().join("java/pom.xml"))
                        .arg(format!("-Dkafka.version={version}"))
                        .arg(COPY_DEPENDENCIES)
                        .arg(format!("-DoutputDirectory={}", jars.display())),
                )?;
                quietly(
                    patient("javac")
                        .args(["-d".as_ref(), classes.as_os_str(), "-cp".as_ref(), jars.join("*").as_os_str()])
                        .arg(programs().join("java/Client.java")),
                )
            }),
        }
    }

    /// Runs a program of ours: `verb` and what it needs.
    pub fn program(self, name: &str) -> Command {
        let place = self.place();
        match self {
            Tool::Kcat => Command::new("kcat"),
            Tool::Python => {
                let mut command = Command::new(place.join("bin/python"));
                command.arg(programs().join("python").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Tool::Node => {
                let mut command = Command::new("node");
                command.arg(programs().join("node").join(name));
                command.env("NODE_PATH", place.join("node_modules")).env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
                command
            }
            Tool::Browser => {
                // Neither a browser nor a page that hangs may hold the tests.
                let mut command = Command::new("timeout");
                command.args(["180", "node"]).arg(programs().join("browser").join(name));
                command.env("NODE_PATH", place.join("node_modules")).env("KRAFTBED_CHROMIUM", CHROMIUM);
                command
            }
            Tool::Go => Command::new(place.join(name)),
            Tool::Java(_) => {
                let mut command = Command::new("java");
                let path = format!("{}:{}/*", place.join("classes").display(), place.join("jars").display());
                // Short runs: start fast, and leave room for whoever shares the machine.
                command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
                command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &path, name]);
                command
            }
        }
    }

    /// Where it is kept.
    fn place(self) -> PathBuf {
        let name = match self {
            Tool::Kcat => "kcat".to_owned(),
            Tool::Python => "python".to_owned(),
            Tool::Node => "node".to_owned(),
            Tool::Browser => "browser".to_owned(),
            Tool::Go => "go".to_owned(),
            Tool::Java(version) => format!("java-{version}"),
        };
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(name)
    }

    /// Follows a recipe, unless its stamp says that it was followed; `lock` is shared by those that may not run side by
    /// side.
    fn make(
        self,
        lock: &str,
        sources: &[&str],
        recipe: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let place = self.place();
        let root = place.parent().expect("invariant: it was joined");
        fs::create_dir_all(root).map_err(words)?;
        let held = File::create(root.join(format!("{lock}.lock"))).map_err(words)?;
        held.lock().map_err(words)?;
        let mut told = format!("{self:?}\n");
        for source in sources {
            told += &fs::read_to_string(programs().join(source)).map_err(words)?;
        }
        let stamp = place.join("made-by");
        if fs::read_to_string(&stamp).is_ok_and(|made_by| made_by == told) {
            return Ok(());
        }
        eprintln!("fetching {} once to {}", place.file_name().unwrap_or_default().display(), place.display());
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).map_err(words)?;
        recipe(&place)?;
        fs::write(stamp, told).map_err(words)
    }
}

/// What a package.json asks of npm.
fn install(package: &str, place: &Path) -> Result<(), String> {
    fs::copy(programs().join(package), place.join("package.json")).map_err(words)?;
    let quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"];
    quietly(patient("npm").arg("install").args(quiet).current_dir(place))
}

/// Where the programs' sources are.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/programs")
}

/// A command that a registry which does not answer cannot hold for ever.
fn patient(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("600").arg(program);
    command
}

/// Runs a command to its end; what it said is told only if it fails.
fn quietly(command: &mut Command) -> Result<(), String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let shown = match shown.as_str() {
        "timeout" => command.get_args().nth(1).unwrap_or_default().to_string_lossy().into_owned(),
        _ => shown,
    };
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{shown} is not installed: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("{shown} failed, {}: {}", output.status, last.join(" / ")))
}

fn words(error: std::io::Error) -> String {
    format!("target/clients: {error}")
}

/// Where Debian's package puts it; npm brings none.
const CHROMIUM: &str = "/usr/bin/chromium";

const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
