//! The text of a `.properties` file → what a server needs to know. Every generation of Kafka's keys is understood: those
//! of the Kafka Raft README (`broker.id`, `quorum.bootstrap.voters`), of its first release (`quorum.voters`) and today's
//! (`node.id`, `controller.quorum.voters`).
//!
//! What is unknown is warned about, with the nearest known key, because Kafka's files carry hundreds of keys; what
//! contradicts itself is refused with both places. The syntax is that of `java.util.Properties`, where a later value of
//! the same key wins; an override stands behind the last line.

use std::fmt;
use std::path::PathBuf;
use std::str::Chars;
use std::time::Duration;

use crate::ids::{Endpoint, Listener, ReplicaId, ReplicaKey};
use crate::node::Config;
use crate::node::config::MachineKind;
use crate::raft;
use crate::raft::{Voter, VoterSet};

/// What a properties file says.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The node's part.
    pub node: Config,
    /// `log.dirs`: the one directory.
    pub log_directory: PathBuf,
    /// What is worth a word but no refusal.
    pub warnings: Vec<String>,
}

/// Why a properties file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    /// Where: lines of the file, or the override.
    pub place: String,
    /// What was expected and found.
    pub reason: String,
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key: String,
    value: String,
    /// Line of the file, from 1; `None` for an override.
    line: Option<usize>,
}

/// All entries; asked for by key.
#[derive(Debug)]
struct Properties {
    entries: Vec<Entry>,
}

impl ServerConfig {
    /// Reads a file's text and the overrides (`key`, `value`) given beside it.
    pub fn parse(text: &str, overrides: &[(String, String)]) -> Result<ServerConfig, PropertiesError> {
        let mut entries = entries(text)?;
        entries.extend(overrides.iter().map(|(key, value)| Entry {
            key: key.clone(),
            value: value.trim().into(),
            line: None,
        }));
        let properties = Properties { entries };
        let id = ReplicaId(
            properties
                .agreed(&["node.id", "broker.id"])?
                .map_or(Err(missing("node.id or broker.id must be set")), |entry| entry.number())?,
        );
        let listeners = properties.listeners("listeners")?;
        let listeners = listeners.unwrap_or_else(|| vec![listener("PLAINTEXT", "", 9092)]);
        let mut replica = raft::Config::new(id, properties.voters(&listeners)?);
        replica.listeners = listeners;
        properties.check_own_listener(&replica)?;
        properties.timeouts(&mut replica)?;
        let mut node = Config::new(replica);
        node.advertised = properties.advertised(&node.raft.listeners)?;
        if let Some(entry) = properties.last(&["cluster.id"]) {
            node.cluster_id = entry.value.as_str().into();
        }
        if let Some(entry) = properties.last(&["verbose"]) {
            node.verbose = entry.boolean()?;
        }
        if let Some(entry) = properties.last(&["state.machine"]) {
            node.machine = entry.machine()?;
        }
        if let Some(entry) = properties.last(&["socket.request.max.bytes"]) {
            node.frame_bytes_max = entry.number::<u32>()? as usize;
        }
        if let Some(entry) = properties.last(&["max.connections"]) {
            node.connections_max = entry.number::<u32>()? as usize;
        }
        Ok(ServerConfig { node, log_directory: properties.log_directory()?, warnings: properties.warnings() })
    }
}

impl Properties {
    /// The entry that wins among keys that mean the same.
    fn last(&self, keys: &[&str]) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| keys.contains(&entry.key.as_str()))
    }

    /// The entry of keys that mean the same and must not differ.
    fn agreed(&self, keys: &[&str]) -> Result<Option<&Entry>, PropertiesError> {
        let mut found: Option<&Entry> = None;
        for entry in keys.iter().filter_map(|key| self.last(&[key])) {
            match found {
                Some(other) if other.value != entry.value => {
                    return Err(PropertiesError {
                        place: format!("{} and {}", other.place(), entry.place()),
                        reason: format!("{}={} contradicts {}={}", other.key, other.value, entry.key, entry.value),
                    });
                }
                _ => found = Some(entry),
            }
        }
        Ok(found)
    }

    fn listeners(&self, key: &str) -> Result<Option<Vec<Listener>>, PropertiesError> {
        let Some(entry) = self.last(&[key]) else { return Ok(None) };
        let listeners: Result<Vec<Listener>, _> = entry
            .items()
            .map(|item| {
                let (name, endpoint) = item.split_once("://").ok_or_else(|| entry.bad("NAME://host:port", item))?;
                Ok(Listener { name: name.to_ascii_uppercase().into(), endpoint: entry.endpoint(endpoint)? })
            })
            .collect();
        Ok(Some(listeners?))
    }

    /// `id@host:port` of the later generations wins over the README's two lists, which are paired by position.
    fn voters(&self, own: &[Listener]) -> Result<VoterSet, PropertiesError> {
        let name = match self.last(&["controller.listener.names"]) {
            Some(entry) => entry.items().next().unwrap_or("PLAINTEXT").to_ascii_uppercase(),
            None => own.first().map_or("PLAINTEXT".into(), |listener| listener.name.to_string()),
        };
        let voter = |id, endpoint: Endpoint| Voter {
            key: ReplicaKey::of(ReplicaId(id)),
            endpoints: vec![Listener { name: name.as_str().into(), endpoint }],
        };
        let mut voters = Vec::new();
        let place = if let Some(entry) = self.agreed(&["controller.quorum.voters", "quorum.voters"])? {
            for item in entry.items() {
                let (id, endpoint) = item.split_once('@').ok_or_else(|| entry.bad("id@host:port", item))?;
                let id = id.trim().parse().map_err(|_| entry.bad("a node id before the @", item))?;
                voters.push(voter(id, entry.endpoint(endpoint)?));
            }
            entry
        } else {
            let servers = self.last(&["quorum.bootstrap.servers"]);
            let (Some(servers), Some(ids)) = (servers, self.last(&["quorum.bootstrap.voters"])) else {
                return Err(missing("controller.quorum.voters=id@host:port,... must be set"));
            };
            let (count, expected) = (servers.items().count(), ids.items().count());
            if count != expected {
                return Err(PropertiesError {
                    place: format!("{} and {}", servers.place(), ids.place()),
                    reason: format!("{count} servers for {expected} voters: the two lists are paired by position"),
                });
            }
            for (server, id) in servers.items().zip(ids.items()) {
                let id = id.parse().map_err(|_| ids.bad("a node id", id))?;
                voters.push(voter(id, servers.endpoint(server)?));
            }
            ids
        };
        let mut ids: Vec<u32> = voters.iter().map(|voter: &Voter| voter.key.id.0).collect();
        ids.sort();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(place.bad("distinct node ids", &format!("{} twice", pair[0]))),
            None if voters.is_empty() => Err(place.bad("at least one voter", "none")),
            None => Ok(VoterSet::new(voters)),
        }
    }

    /// A voter that does not listen where its peers look for it would never be found.
    fn check_own_listener(&self, replica: &raft::Config) -> Result<(), PropertiesError> {
        let Some(expected) = replica.voters.endpoint(replica.id) else { return Ok(()) };
        if replica.listeners.iter().any(|listener| listener.endpoint.port == expected.port) {
            return Ok(());
        }
        let voters = self.last(&["controller.quorum.voters", "quorum.voters", "quorum.bootstrap.servers"]);
        let places: Vec<String> = voters.into_iter().chain(self.last(&["listeners"])).map(Entry::place).collect();
        Err(PropertiesError {
            place: places.join(" and "),
            reason: format!("the voters expect node {} at {expected}, but it does not listen on that port", replica.id),
        })
    }

    /// Both generations' keys, today's defaults for all. (2020's were five times as long.)
    fn timeouts(&self, replica: &mut raft::Config) -> Result<(), PropertiesError> {
        let durations: [(&[&str], &mut Duration); 5] = [
            (&["election.timeout.ms"], &mut replica.election_timeout),
            (&["fetch.timeout.ms"], &mut replica.fetch_timeout),
            (&["election.backoff.max.ms", "election.jitter.max.ms"], &mut replica.election_backoff_max),
            (&["request.timeout.ms"], &mut replica.request_timeout),
            (&["retry.backoff.ms"], &mut replica.retry_backoff),
        ];
        for (names, duration) in durations {
            let generations = ["controller.quorum", "quorum"];
            let keys: Vec<String> =
                names.iter().flat_map(|name| generations.map(|generation| format!("{generation}.{name}"))).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            if let Some(entry) = self.agreed(&keys)? {
                let millis: u32 = entry.number()?;
                if millis == 0 {
                    return Err(entry.bad("at least 1 millisecond", "0"));
                }
                *duration = Duration::from_millis(u64::from(millis));
            }
        }
        if let Some(entry) = self.last(&["controller.quorum.fetch.max.bytes"]) {
            replica.fetch_bytes_max = entry.number::<u32>()? as usize;
        }
        Ok(())
    }

    /// What clients are told; a listener without a host of its own is told as `localhost`.
    fn advertised(&self, listeners: &[Listener]) -> Result<Vec<Listener>, PropertiesError> {
        let told = self.listeners("advertised.listeners")?.unwrap_or_default();
        let advertise = |own: &Listener| {
            let found = told.iter().find(|listener| listener.name == own.name).unwrap_or(own);
            match &*found.endpoint.host {
                "" | "0.0.0.0" | "::" => listener(&own.name, "localhost", found.endpoint.port),
                _ => found.clone(),
            }
        };
        Ok(listeners.iter().map(advertise).collect())
    }

    fn log_directory(&self) -> Result<PathBuf, PropertiesError> {
        let found = ["metadata.log.dir", "log.dirs", "log.dir"].iter().find_map(|key| self.last(&[key]));
        let entry = found.ok_or_else(|| missing("log.dirs must be set"))?;
        let directories: Vec<&str> = entry.items().collect();
        match directories[..] {
            [only] => Ok(PathBuf::from(only)),
            _ => Err(entry.bad("exactly one directory", &format!("{}", directories.len()))),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let unknown = self.entries.iter().filter(|entry| !is_known(&entry.key));
        unknown
            .map(|entry| match nearest(&entry.key) {
                Some(known) => format!("{}: unknown key {}; did you mean {known}?", entry.place(), entry.key),
                None => format!("{}: unknown key {}", entry.place(), entry.key),
            })
            .collect()
    }
}

impl Entry {
    fn place(&self) -> String {
        self.line.map_or("override".into(), |line| format!("line {line}"))
    }

    fn bad(&self, expected: &str, found: &str) -> PropertiesError {
        PropertiesError { place: self.place(), reason: format!("{}: expected {expected}, found {found}", self.key) }
    }

    fn items(&self) -> impl Iterator<Item = &str> {
        self.value.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    fn number<T: std::str::FromStr>(&self) -> Result<T, PropertiesError> {
        self.value.parse().map_err(|_| self.bad("a number that is not negative", &self.value))
    }

    fn boolean(&self) -> Result<bool, PropertiesError> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.bad("true or false", other)),
        }
    }

    fn machine(&self) -> Result<MachineKind, PropertiesError> {
        match self.value.as_str() {
            "log" => Ok(MachineKind::Log),
            "monotonic" => Ok(MachineKind::Monotonic),
            other => Err(self.bad("log or monotonic", other)),
        }
    }

    /// `host:port`, with brackets around an IPv6 address.
    fn endpoint(&self, text: &str) -> Result<Endpoint, PropertiesError> {
        let parsed = text.trim().rsplit_once(':').and_then(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            port.parse().ok().map(|port| Endpoint::new(host, port))
        });
        parsed.ok_or_else(|| self.bad("host:port", text))
    }
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "{}: {}", self.place, self.reason),
        }
    }
}

impl std::error::Error for PropertiesError {}

fn missing(reason: &str) -> PropertiesError {
    PropertiesError { place: String::new(), reason: reason.into() }
}

fn listener(name: &str, host: &str, port: u16) -> Listener {
    Listener { name: name.into(), endpoint: Endpoint::new(host, port) }
}

/// Cuts the text into logical lines and those into keys and values. (`java.util.Properties.load`.)
fn entries(text: &str) -> Result<Vec<Entry>, PropertiesError> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let mut logical = first.trim_start().to_string();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while ends_with_odd_backslashes(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start());
        }
        let place = || format!("line {}", index + 1);
        let mut rest = logical.chars();
        let key = unescape(&mut rest, |character| matches!(character, '=' | ':') || character.is_ascii_whitespace());
        let value = rest.as_str().trim_start();
        let value = value.strip_prefix(['=', ':']).filter(|_| !key.1).unwrap_or(value).trim_start();
        let (key, value) = (key.0, unescape(&mut value.chars(), |_| false).0);
        let (Some(key), Some(value)) = (key, value) else {
            return Err(PropertiesError { place: place(), reason: "expected four hex digits after \\u".into() });
        };
        entries.push(Entry { key, value: value.trim_end().into(), line: Some(index + 1) });
    }
    Ok(entries)
}

/// Reads up to a separator that is not escaped, which is consumed; the flag says whether it was `=` or `:`. `None` for
/// an escape without its digits.
fn unescape(rest: &mut Chars<'_>, is_separator: fn(char) -> bool) -> (Option<String>, bool) {
    let mut text = String::new();
    while let Some(character) = rest.next() {
        if is_separator(character) {
            return (Some(text), matches!(character, '=' | ':'));
        }
        if character != '\\' {
            text.push(character);
            continue;
        }
        text.push(match rest.next() {
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                match u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).and_then(char::from_u32) {
                    Some(character) => character,
                    None => return (None, false),
                }
            }
            Some(other) => other,
            None => break,
        });
    }
    (Some(text), false)
}

fn ends_with_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn is_known(key: &str) -> bool {
    KNOWN.contains(&key)
}

/// The known key that a typing mistake is most likely to have meant.
fn nearest(key: &str) -> Option<&'static str> {
    let candidates = KNOWN.iter().map(|known| (distance(key, known), *known));
    candidates.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known)
}

/// How many characters must be inserted, removed or replaced. (Levenshtein.)
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// Keys that mean something here, and keys that are accepted and mean nothing.
const KNOWN: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "cluster.id",
    "controller.listener.names",
    "controller.quorum.append.linger.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.max.bytes",
    "controller.quorum.fetch.timeout.ms",
    "controller.quorum.request.timeout.ms",
    "controller.quorum.retry.backoff.ms",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "max.connections",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "quorum.append.linger.ms",
    "quorum.bootstrap.servers",
    "quorum.bootstrap.voters",
    "quorum.election.backoff.max.ms",
    "quorum.election.jitter.max.ms",
    "quorum.election.timeout.ms",
    "quorum.fetch.timeout.ms",
    "quorum.request.timeout.ms",
    "quorum.retry.backoff.ms",
    "quorum.voters",
    "socket.request.max.bytes",
    "state.machine",
    "verbose",
    "zookeeper.connect",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServerConfig, String> {
        ServerConfig::parse(text, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn the_readme_generation_pairs_servers_and_voters() {
        let config = parse(include_str!("../../scenarios/quorum/raft-quorum-2.properties")).unwrap();
        assert_eq!((config.node.raft.id, config.node.verbose), (ReplicaId(2), true));
        assert_eq!(config.log_directory, PathBuf::from("/tmp/raft-logs-2"));
        let endpoint = config.node.raft.voters.endpoint(ReplicaId(3)).unwrap().to_string();
        assert_eq!((endpoint.as_str(), config.node.raft.voters.len()), ("localhost:9094", 3));
        assert_eq!(config.node.raft.election_timeout, Duration::from_millis(1000), "today's timeouts");
        assert_eq!((&*config.node.cluster_id, config.warnings), ("AAAAAAAAAAAAAAAAAAAAAA", Vec::new()));
    }

    #[test]
    fn todays_keys_and_java_syntax_are_read() {
        let text = "! a comment\n\\u006eode.id : 1\ncontroller.quorum.voters = 1@[::1]:9093,\\\n   2@b:9093\n\
                    listeners=CONTROLLER://:9093\nlog.dirs /tmp/a\\ b\nadvertised.listeners=CONTROLLER://a:9093\n";
        let config = parse(text).unwrap();
        assert_eq!(config.node.raft.voters.endpoint(ReplicaId(1)).unwrap().to_string(), "[::1]:9093");
        assert_eq!(config.node.raft.voters.endpoint(ReplicaId(2)).unwrap().to_string(), "b:9093");
        assert_eq!(config.log_directory, PathBuf::from("/tmp/a b"));
        assert_eq!(&*config.node.advertised[0].endpoint.host, "a");
    }

    #[test]
    fn contradictions_name_both_places() {
        let base = "log.dirs=/tmp/x\nlisteners=PLAINTEXT://h:1\nquorum.voters=1@h:1\n";
        assert_eq!(
            parse(&format!("{base}node.id=1\nbroker.id=2")).unwrap_err(),
            "line 4 and line 5: node.id=1 contradicts broker.id=2"
        );
        assert_eq!(
            parse("node.id=1\nlog.dirs=/x\nlisteners=P://h:2\nquorum.voters=1@h:1").unwrap_err(),
            "line 4 and line 3: the voters expect node 1 at h:1, but it does not listen on that port"
        );
        assert_eq!(
            parse("node.id=1\nquorum.bootstrap.servers=h:1,h:2\nquorum.bootstrap.voters=1").unwrap_err(),
            "line 2 and line 3: 2 servers for 1 voters: the two lists are paired by position"
        );
    }

    #[test]
    fn an_override_wins_and_an_unknown_key_is_a_warning() {
        let text = "node.id=1\nlog.dirs=/tmp/x\nquorum.voters=1@h:9092\nlog.dris=/y\n";
        let overrides = [("log.dirs".to_string(), "/z".to_string())];
        let config = ServerConfig::parse(text, &overrides).unwrap();
        assert_eq!(config.log_directory, PathBuf::from("/z"));
        assert_eq!(config.warnings, ["line 4: unknown key log.dris; did you mean log.dirs?"]);
    }
}
