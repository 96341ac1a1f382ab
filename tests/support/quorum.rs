//! A quorum of real processes: `kraftbed serve` of the built binary, on free ports of this machine, in a directory of its
//! own under `target/`. Whatever happens, no process outlives the value.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Some nodes with ids from 1.
#[derive(Debug)]
pub struct Quorum {
    nodes: Vec<Member>,
    directory: PathBuf,
    start: Start,
}

/// How nodes are started.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// More arguments of `serve`.
    pub arguments: Vec<String>,
    /// What a shell does before it becomes the node, such as `ulimit -n 64`.
    pub shell: String,
}

#[derive(Debug)]
struct Member {
    port: u16,
    process: Option<Child>,
}

impl Quorum {
    /// Starts `count` nodes; `name` names their directory.
    pub fn start(name: &str, count: usize) -> Quorum {
        Quorum::start_as(name, count, Start::default())
    }

    /// The same, with arguments or limits.
    pub fn start_as(name: &str, count: usize, start: Start) -> Quorum {
        let mut quorum = Quorum::prepare(name, count, start);
        for id in 1..=count {
            quorum.launch(id);
        }
        for id in 1..=count {
            quorum.await_listening(id);
        }
        quorum
    }

    /// Files and ports of `count` nodes that do not run yet.
    pub fn prepare(name: &str, count: usize, start: Start) -> Quorum {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("target/tmp can be written");
        let nodes = free_ports(count).into_iter().map(|port| Member { port, process: None }).collect();
        let quorum = Quorum { nodes, directory, start };
        for id in 1..=count {
            fs::write(quorum.properties(id), quorum.text(id)).expect("target/tmp can be written");
        }
        quorum
    }

    /// `host:port,…` of all nodes.
    pub fn bootstrap(&self) -> String {
        let servers: Vec<String> = self.nodes.iter().map(|node| format!("localhost:{}", node.port)).collect();
        servers.join(",")
    }

    /// The port of a node.
    pub fn port(&self, id: usize) -> u16 {
        self.nodes[id - 1].port
    }

    /// A node's properties file, in the words of the Kafka Raft README.
    pub fn properties(&self, id: usize) -> PathBuf {
        self.directory.join(format!("raft-quorum-{id}.properties"))
    }

    /// A node's `log.dirs`.
    pub fn log_directory(&self, id: usize) -> PathBuf {
        self.directory.join(format!("raft-logs-{id}"))
    }

    /// What a node has said so far: on stderr its log, on stdout committed records.
    pub fn said(&self, id: usize, stream: &str) -> String {
        fs::read_to_string(self.directory.join(format!("{id}.{stream}"))).unwrap_or_default()
    }

    /// Starts a node that is down.
    pub fn launch(&mut self, id: usize) {
        let start = self.start.clone();
        self.launch_as(id, &start);
    }

    /// The same, with arguments or limits of its own.
    pub fn launch_as(&mut self, id: usize, start: &Start) {
        let open = |stream: &str| {
            let path = self.directory.join(format!("{id}.{stream}"));
            File::options().append(true).create(true).open(path).expect("target/tmp can be written")
        };
        let process = Command::new("sh")
            .args(["-c", &format!("{}\nexec \"$0\" \"$@\"", start.shell)])
            .arg(env!("CARGO_BIN_EXE_kraftbed"))
            .arg("serve")
            .arg(self.properties(id))
            .args(&start.arguments)
            .stdin(Stdio::null())
            .stdout(open("stdout"))
            .stderr(open("stderr"))
            .spawn()
            .expect("the binary can be run");
        self.nodes[id - 1].process = Some(process);
    }

    /// Waits until a node accepts connections.
    pub fn await_listening(&self, id: usize) {
        let port = self.port(id);
        self.wait_for("a node that listens", || TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
    }

    /// Waits for the leader of an epoch above `epoch`, by what the nodes log, and gives it and its epoch.
    pub fn await_leader(&self, epoch: u32) -> (usize, u32) {
        self.wait_for("a leader", || {
            let led = (1..=self.nodes.len()).flat_map(|id| {
                let epochs = epochs_led(&self.said(id, "stderr"));
                epochs.into_iter().map(move |epoch| (id, epoch))
            });
            led.filter(|&(_, led)| led > epoch).max_by_key(|&(_, led)| led)
        })
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self, id: usize) {
        let mut process = self.nodes[id - 1].process.take().expect("the node runs");
        process.kill().expect("the process is ours");
        process.wait().expect("the process is ours");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self, id: usize) -> ExitStatus {
        self.signal(id, "TERM");
        self.await_end(id)
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, id: usize, name: &str) {
        let process = self.nodes[id - 1].process.as_ref().expect("the node runs");
        let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
        assert!(sent.expect("kill(1) exists").success(), "the process is ours");
    }

    /// Waits until a node ends, and how it did.
    pub fn await_end(&mut self, id: usize) -> ExitStatus {
        let mut process = self.nodes[id - 1].process.take().expect("the node runs");
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.try_wait().expect("the process is ours") {
                return status;
            }
            if Instant::now() > limit {
                let _ = process.kill();
                panic!("node {id} does not stop:\n{}", self.said(id, "stderr"));
            }
            thread::sleep(POLL);
        }
    }

    /// Asks until there is an answer, and fails the test with everybody's log when there is none in time.
    pub fn wait_for<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            if Instant::now() > limit {
                let logs: Vec<String> = (1..=self.nodes.len()).map(|id| self.said(id, "stderr")).collect();
                panic!("expected {what} within {PATIENCE:?}; the nodes say:\n{}", logs.join("\n"));
            }
            thread::sleep(POLL);
        }
    }

    fn text(&self, id: usize) -> String {
        let ids: Vec<String> = (1..=self.nodes.len()).map(|id| id.to_string()).collect();
        format!(
            "broker.id={id}\nlisteners=PLAINTEXT://localhost:{}\nquorum.bootstrap.servers={}\n\
             quorum.bootstrap.voters={}\nlog.dirs={}\nverbose=true\nzookeeper.connect=localhost:2181\n",
            self.port(id),
            self.bootstrap(),
            ids.join(","),
            self.log_directory(id).display()
        )
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The epochs in which a node says that it leads.
fn epochs_led(log: &str) -> Vec<u32> {
    let lines = log.lines().filter(|line| line.ends_with("this node leads"));
    lines.filter_map(|line| line.split("start of epoch ").nth(1)?.split(' ').next()?.parse().ok()).collect()
}

/// Ports that nobody listens on, of both address families as far as there are two. Another process may take one before
/// its node does; the test then fails with the node's last line.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("bound").port()).collect()
}

/// How long anything here may take. Elections take a few seconds at worst; a loaded machine is slower.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);
