//! Three nodes in network namespaces of their own: other addresses, real packets, and real loss and partitions of them.
//!
//! ```text
//!  host ── bridge 198.18.N.254 ─┬─ namespace 1: 198.18.N.1 ── node 1        clients run in the host
//!                             ├─ namespace 2: 198.18.N.2 ── node 2
//!                             └─ namespace 3: 198.18.N.3 ── node 3
//! ```
//!
//! It takes root, ip(8), and for the loss tc(8) with netem or else nft(8).

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use kraftbed::ids::Endpoint;
use libtest_mimic::Failed;

use crate::client::{Client, Place, TOPIC, run};
use crate::judge::{self, judge};
use crate::load::Load;
use crate::lookout::Lookout;
use crate::quorum::{Quorum, Start};

/// Why there can be no namespaces here, if there can be none.
pub fn refusal() -> Option<String> {
    Net::build().err().map(|error| format!("no network namespaces with loss here: {error:?}"))
}

/// A client writes while packets are lost, while the leader is cut off from everybody, then from the other nodes alone, and
/// while every node is alone; what was acknowledged is then on all three disks.
pub fn survives_loss_and_partitions(client: &Client) -> Result<(), Failed> {
    let net = Net::build()?;
    let quorum = net.quorum()?;
    let lookout = net.lookout(&quorum);
    let place = Place { bootstrap: net.bootstrap(), topic: TOPIC.to_owned() };
    let (command, speech) = (client.produce)(client.tool, &place, RATE);
    let mut load = Load::start(command, speech)?;
    load.await_ack(50)?;

    let lost = net.lose_packets(&lookout, &mut load)?;
    let (leader, epoch) = quorum.await_leader(0);
    net.cable(leader, "down")?;
    let cut_off = lookout.next_ack(&mut load, epoch, Instant::now())?;
    net.cable(leader, "up")?;
    lookout.await_caught_up();

    let (leader, epoch) = quorum.await_leader(epoch);
    // librdkafka goes on asking a node that answers and knows no leader: it hears of another when that node does.
    net.part(leader, "add")?;
    quorum.await_leader(epoch);
    net.part(leader, "del")?;
    let parted = lookout.next_ack(&mut load, epoch, Instant::now())?;
    lookout.await_caught_up();

    let (leader, epoch) = quorum.await_leader(epoch);
    nodes().try_for_each(|id| net.part(id, "add"))?;
    let resigns = format!("Resigning from epoch {epoch}");
    quorum.wait_for("a leader that resigns because no majority fetches", || {
        quorum.said(leader, "stderr").contains(&resigns).then_some(())
    });
    nodes().try_for_each(|id| net.part(id, "del"))?;
    let alone = lookout.next_ack(&mut load, epoch, Instant::now())?;

    let told = load.finish()?;
    judge::all_acked(&told, 100)?;
    let log = judge::entries(&lookout.log()?)?;
    judge(&told, &log, client.promise)?;
    let read = judge::read(&run((client.consume)(client.tool, &place, log.len()), "")?)?;
    judge::equal(&read, &log)?;
    eprintln!(
        "namespaces: {} records, {lost} packets lost by {:?}; waited {cut_off:?} for a leader cut off, {parted:?} for one \
         parted from the others, {alone:?} for a quorum that was none",
        told.len(),
        net.loser
    );
    Ok(())
}

/// What loses packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loser {
    /// The queue at the host's end of a cable.
    Netem,
    /// A filter at a node's end.
    Nft,
}

impl Loser {
    /// The one that this machine has.
    fn find(net: &Net) -> Result<Loser, Failed> {
        if tc(&["qdisc", "add", "dev", &net.cable_of(1), "root", "netem", "loss", "1%"]).is_ok() {
            tc(&["qdisc", "delete", "dev", &net.cable_of(1), "root"])?;
            return Ok(Loser::Netem);
        }
        nft(&net.space(1), "list ruleset")?;
        Ok(Loser::Nft)
    }

    fn begin(self, net: &Net, id: usize) -> Result<(), Failed> {
        match self {
            Loser::Netem => {
                tc(&["qdisc", "add", "dev", &net.cable_of(id), "root", "netem", "loss", "5%", "delay", "2ms"])
            }
            Loser::Nft => nft(
                &net.space(id),
                "add table inet loss; add chain inet loss input { type filter hook input priority 0; }; \
                 add rule inet loss input numgen random mod 100 < 5 counter drop",
            ),
        }
        .map(drop)
    }

    /// How many packets were lost.
    fn end(self, net: &Net, id: usize) -> Result<u64, Failed> {
        let (said, before, after) = match self {
            Loser::Netem => {
                let said = tc(&["-s", "qdisc", "show", "dev", &net.cable_of(id)])?;
                tc(&["qdisc", "delete", "dev", &net.cable_of(id), "root"])?;
                (said, "(dropped ", ",")
            }
            Loser::Nft => {
                let said = nft(&net.space(id), "list table inet loss")?;
                nft(&net.space(id), "delete table inet loss")?;
                (said, "counter packets ", " ")
            }
        };
        let lost = said.split(before).nth(1).and_then(|rest| rest.split(after).next()?.trim().parse().ok());
        lost.ok_or_else(|| format!("{self:?} does not say how many packets it lost: {said}").into())
    }
}

/// A bridge and three namespaces, taken down with the value.
struct Net {
    name: String,
    subnet: String,
    loser: Loser,
}

impl Net {
    fn build() -> Result<Net, Failed> {
        let process = std::process::id();
        let mut net = Net {
            name: format!("kb{}", process % 100_000),
            subnet: format!("198.18.{}", process % 250),
            loser: Loser::Nft,
        };
        let (bridge, host) = (net.name.as_str(), format!("{}.254/24", net.subnet));
        ip(&["link", "add", "name", bridge, "type", "bridge"])?;
        ip(&["address", "add", &host, "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])?;
        for id in nodes() {
            let (space, cable, address) = (net.space(id), net.cable_of(id), format!("{}/24", net.address(id)));
            ip(&["netns", "add", &space])?;
            ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["link", "set", &cable, "master", bridge, "up"])?;
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        net.loser = Loser::find(&net)?;
        Ok(net)
    }

    /// Starts a node in every namespace.
    fn quorum(&self) -> Result<Quorum, Failed> {
        let mut quorum = Quorum::prepare("namespaces", COUNT, Start::default());
        let voters: Vec<String> = nodes().map(|id| format!("{id}@{}", self.endpoint(id))).collect();
        for id in nodes() {
            let mut properties = std::fs::File::create(quorum.properties(id))?;
            writeln!(properties, "node.id={id}\nlisteners=PLAINTEXT://{}", self.endpoint(id))?;
            writeln!(properties, "quorum.voters={}", voters.join(","))?;
            writeln!(properties, "log.dirs={}", quorum.log_directory(id).display())?;
            let shell = format!("exec ip netns exec {} \"$0\" \"$@\"", self.space(id));
            quorum.launch_as(id, &Start { shell, arguments: Vec::new() });
        }
        for id in nodes() {
            let (address, port) = (self.address(id), PORT);
            quorum.wait_for("a node that listens", || TcpStream::connect((address.as_str(), port)).ok().map(drop));
        }
        quorum.await_leader(0);
        Ok(quorum)
    }

    fn space(&self, id: usize) -> String {
        format!("{}-{id}", self.name)
    }

    /// The host's end of a namespace's cable.
    fn cable_of(&self, id: usize) -> String {
        format!("{}v{id}", self.name)
    }

    fn address(&self, id: usize) -> String {
        format!("{}.{id}", self.subnet)
    }

    fn endpoint(&self, id: usize) -> Endpoint {
        Endpoint::new(&self.address(id), PORT)
    }

    fn bootstrap(&self) -> String {
        let all: Vec<String> = nodes().map(|id| self.endpoint(id).to_string()).collect();
        all.join(",")
    }

    /// Loses packets on their way to every node until a few hundred records more are acknowledged; how many were lost.
    fn lose_packets(&self, lookout: &Lookout<'_>, load: &mut Load) -> Result<u64, Failed> {
        nodes().try_for_each(|id| self.loser.begin(self, id))?;
        let end = lookout.describe().high_watermark as u64;
        load.await_ack(end + 400)?;
        let lost = nodes().map(|id| self.loser.end(self, id)).sum::<Result<u64, Failed>>()?;
        match lost {
            0 => Err("no packet was lost".into()),
            lost => Ok(lost),
        }
    }

    /// Pulls a node's cable, or puts it back.
    fn cable(&self, id: usize, state: &str) -> Result<(), Failed> {
        ip(&["link", "set", &self.cable_of(id), state]).map(drop)
    }

    /// A node's packets to the other nodes vanish, or do so no longer; clients reach it all the time.
    fn part(&self, id: usize, what: &str) -> Result<(), Failed> {
        for other in nodes().filter(|&other| other != id) {
            ip(&["-n", &self.space(id), "route", what, "blackhole", &format!("{}/32", self.address(other))])?;
        }
        Ok(())
    }

    fn lookout<'a>(&self, quorum: &'a Quorum) -> Lookout<'a> {
        Lookout { quorum, endpoints: nodes().map(|id| (id, self.endpoint(id))).collect() }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for id in nodes() {
            let _ = ip(&["link", "delete", &self.cable_of(id)]);
            let _ = ip(&["netns", "delete", &self.space(id)]);
        }
        let _ = ip(&["link", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<String, Failed> {
    done(Command::new("ip").args(arguments))
}

/// Runs nft(8) in a namespace.
fn nft(space: &str, rule: &str) -> Result<String, Failed> {
    done(Command::new("ip").args(["netns", "exec", space, "nft", rule]))
}

fn tc(arguments: &[&str]) -> Result<String, Failed> {
    done(Command::new("tc").args(arguments))
}

fn done(command: &mut Command) -> Result<String, Failed> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
    }
}

/// Ids of the nodes, which are the last numbers of their addresses too.
fn nodes() -> std::ops::RangeInclusive<usize> {
    1..=COUNT
}

const COUNT: usize = 3;

/// Records a second that the client writes.
const RATE: u32 = 200;

const PORT: u16 = 9092;
