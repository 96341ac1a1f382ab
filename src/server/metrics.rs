//! What a node tells those who watch it: `/metrics` as Prometheus text, `/healthz` for those who only ask whether.
//!
//! A thread of its own speaks HTTP/1.1 and knows nothing. For each request it sends the node's thread a question, which
//! costs that one a channel and, at most a few times a second, the making of a text. A node that does not answer within a
//! second is not healthy, so that silence is an answer too.
//!
//! One request at a time, one second and 8 KiB for each: a slow or hostile asker delays other askers and nobody else.

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use mio::Waker;

use crate::ids::{Endpoint, Offset};
use crate::node::Node;
use crate::node::tally::Histogram;
use crate::raft::view::RoleKind;
use crate::server::addresses::resolve;
use crate::server::clock::Clock;
use crate::server::hits::Hits;

/// Questions of the thread that speaks HTTP, for the node's.
#[derive(Debug)]
pub struct Watchers {
    questions: Receiver<Question>,
}

/// One request.
#[derive(Debug)]
struct Question {
    about: About,
    answer: Sender<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Metrics,
    Health,
}

/// A status line's code and words, and a body.
type Answer = (&'static str, String);

/// Everything there is to tell.
#[derive(Debug)]
pub struct Watched<'a> {
    /// The node.
    pub node: &'a Node,
    /// Limits of its network that were hit.
    pub hits: &'a Hits,
    /// Its connections, both ways.
    pub connections: usize,
    /// How long syncs took.
    pub syncs: &'a Histogram,
}

impl Watchers {
    /// Listens at `HOST:PORT`. `waker` interrupts the node's poll when somebody asks.
    pub fn listen(at: &str, waker: Arc<Waker>) -> io::Result<Watchers> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("expected HOST:PORT, found {at:?}"));
        let endpoint = Endpoint::parse(at).ok_or_else(invalid)?;
        let listener = TcpListener::bind(&resolve(&endpoint)?[..])?;
        let (asker, questions) = channel();
        thread::Builder::new().name("kraftbed-metrics".into()).spawn(move || {
            let clock = Clock::start();
            loop {
                match listener.accept() {
                    Ok((stream, _)) => drop(serve(stream, &asker, &waker, &clock)),
                    Err(_) => thread::park_timeout(ACCEPT_BACKOFF),
                }
            }
        })?;
        Ok(Watchers { questions })
    }

    /// Answers whoever has asked since.
    pub fn answer(&self, watched: &Watched<'_>) {
        for Question { about, answer } in self.questions.try_iter() {
            // Who has lost patience is not there to hear it.
            let _ = answer.send(match about {
                About::Metrics => ("200 OK", watched.metrics()),
                About::Health => watched.health(),
            });
        }
    }
}

fn serve(mut stream: TcpStream, asker: &Sender<Question>, waker: &Waker, clock: &Clock) -> io::Result<()> {
    let (status, body) = match read_path(&mut stream, clock)?.as_deref() {
        Some("/metrics") => ask(About::Metrics, asker, waker),
        Some("/healthz") => ask(About::Health, asker, waker),
        Some(_) => ("404 Not Found", "there are /metrics and /healthz\n".into()),
        None => ("400 Bad Request", "expected GET /metrics or GET /healthz\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

fn ask(about: About, asker: &Sender<Question>, waker: &Waker) -> Answer {
    let (answer, answered) = channel();
    let silence = ("503 Service Unavailable", String::from("the node does not answer\n"));
    if asker.send(Question { about, answer }).is_err() || waker.wake().is_err() {
        return silence;
    }
    answered.recv_timeout(PATIENCE).unwrap_or(silence)
}

/// The path of a GET, once the whole head is there; `None` when it is something else.
fn read_path(stream: &mut TcpStream, clock: &Clock) -> io::Result<Option<String>> {
    let (deadline, mut head) = (clock.monotonic() + PATIENCE, Vec::new());
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = clock.until(deadline);
        if left.is_zero() || head.len() >= HEAD_BYTES_MAX {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes)? {
            0 => return Ok(None),
            count => head.extend_from_slice(&bytes[..count]),
        }
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.lines().next().unwrap_or_default().split(' ');
    let path = words.next().filter(|method| *method == "GET").and_then(|_| words.next());
    Ok(path.map(|path| path.split('?').next().unwrap_or_default().to_owned()))
}

impl Watched<'_> {
    /// Ready is who knows a leader: only then can a client be served, here or there.
    fn health(&self) -> Answer {
        match self.node.replica().published().leader {
            Some(leader) => ("200 OK", format!("ready: node {leader} leads\n")),
            None => ("503 Service Unavailable", "not ready: no leader is known\n".into()),
        }
    }

    fn metrics(&self) -> String {
        let mut page = Page::default();
        self.replica(&mut page);
        page.family("kraftbed_connections", "gauge", "Connections that stand or are being made");
        page.sample("kraftbed_connections", &[], self.connections);
        self.histograms(&mut page);
        let tally = self.node.tally();
        page.family("kraftbed_requests_total", "counter", "Answered requests by API and Kafka's error code");
        for (api, error, count) in tally.requests() {
            page.sample("kraftbed_requests_total", &[("api", &format!("{api:?}")), ("error", &error)], count);
        }
        page.family("kraftbed_limit_hits_total", "counter", "How often a limit was hit");
        for (limit, count) in tally.limits().chain(self.hits.counts()) {
            page.sample("kraftbed_limit_hits_total", &[("limit", &limit)], count);
        }
        page.text
    }

    fn replica(&self, page: &mut Page) {
        let replica = self.node.replica();
        let (view, published) = (replica.view(), replica.published());
        page.family("kraftbed_role", "gauge", "1 for the role that the node has");
        for role in RoleKind::ALL {
            page.sample("kraftbed_role", &[("role", &role.name())], u8::from(role == view.role));
        }
        let offset = |offset: Option<Offset>| offset.map_or(-1, Offset::as_i64);
        let leader = published.leader.map_or(-1, |leader| i64::from(leader.as_i32()));
        for (name, help, value) in [
            ("kraftbed_epoch", "Epoch", i64::from(view.epoch.as_i32())),
            ("kraftbed_leader_id", "Leader of the epoch, -1 while unknown", leader),
            ("kraftbed_high_watermark", "High watermark, -1 while unknown", offset(view.high_watermark)),
            ("kraftbed_log_start_offset", "Start of the log", view.log_start.as_i64()),
            ("kraftbed_log_end_offset", "End of the log", view.log_end.as_i64()),
            ("kraftbed_log_flushed_offset", "End of what is durable", view.flushed.as_i64()),
        ] {
            page.family(name, "gauge", help);
            page.sample(name, &[], value);
        }
        page.family("kraftbed_follower_lag", "gauge", "Records that a replica lacks, as its leader knows");
        let progress = replica.progress();
        let others = progress.iter().filter(|row| row.key.id != view.key.id);
        for (row, end) in others.filter_map(|row| row.end.map(|end| (row, end))) {
            let lag = view.log_end.as_i64() - end.as_i64();
            page.sample("kraftbed_follower_lag", &[("replica", &row.key.id)], lag.max(0));
        }
    }

    fn histograms(&self, page: &mut Page) {
        page.histogram("kraftbed_fsync_seconds", "How long a sync of a file took", self.syncs);
        let commits = self.node.tally().commits();
        page.histogram("kraftbed_commit_seconds", "From a Produce with acks=all to its commit", commits);
    }
}

/// Prometheus text, version 0.0.4.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn fmt::Display)], value: impl fmt::Display) {
        self.text.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"{content}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.up_to() {
            self.sample(&bucket, &[("le", &Seconds(bound))], count);
        }
        self.sample(&bucket, &[("le", &"+Inf")], histogram.count());
        self.sample(&format!("{name}_sum"), &[], Seconds(histogram.sum()));
        self.sample(&format!("{name}_count"), &[], histogram.count());
    }
}

/// A duration in seconds, to the microsecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// How long an asker may take to ask and to hear, and the node to answer, 1 s each.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a request's head at most, 8 KiB.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// How long nothing is accepted after the system refused, 100 ms.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_prometheus_text() {
        let mut page = Page::default();
        page.family("a", "gauge", "What it is");
        page.sample("a", &[("x", &1), ("y", &"z")], 7);
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_micros(1_500_020));
        page.histogram("h", "Times", &histogram);
        let lines: Vec<&str> = page.text.lines().collect();
        assert_eq!(
            lines[..5],
            ["# HELP a What it is", "# TYPE a gauge", "a{x=\"1\",y=\"z\"} 7", "# HELP h Times", "# TYPE h histogram"]
        );
        assert_eq!(lines[5], "h_bucket{le=\"0.000016\"} 0");
        assert_eq!(lines[lines.len() - 3..], ["h_bucket{le=\"+Inf\"} 1", "h_sum 1.500020", "h_count 1"]);
    }
}
