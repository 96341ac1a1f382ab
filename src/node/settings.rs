//! What a server's properties mean: three generations of keys, one [`ServerConfig`].
//!
//! | | README of 2020 | merged in September 2020 | today |
//! |---|---|---|---|
//! | who | `broker.id` | `broker.id` | `node.id` |
//! | quorum | `quorum.bootstrap.servers` with `quorum.bootstrap.voters` | `quorum.voters` | `controller.quorum.voters` |
//! | where | `listeners` | `listeners` | and `advertised.listeners`, `controller.listener.names` |
//! | times | `quorum.*` | `quorum.*` | `controller.quorum.*` |
//!
//! Defaults are today's for every generation. Two keys that say the same thing differently are refused with both of their
//! places; keys that nobody knows are only warned about, because Kafka's own files carry hundreds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ids::{Endpoint, Listener, ReplicaId, ReplicaKey, uuid_from_text};
use crate::node::Config;
use crate::node::config::MachineKind;
use crate::node::properties::{Origin, Properties, Property};
use crate::raft::{self, Voter, VoterSet};

/// What a server needs to start a node.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The node.
    pub node: Config,
    /// The directory of its data, as written.
    pub log_dir: String,
    /// What to bind, parallel to `node.advertised`: the index is that of `node::Input::Opened`. An empty host means
    /// every address.
    pub listeners: Vec<Listener>,
    /// Whether `cluster.id` was given. If not, a directory that is formatted says which cluster it belongs to.
    pub names_cluster: bool,
    /// Size at which segments roll, bytes. (`metadata.log.segment.bytes`, 1 GiB.)
    pub segment_bytes: u64,
    /// How long nothing may move on a connection. (`connections.max.idle.ms`, 10 min.)
    pub connection_idle_max: Duration,
    /// What a person should know, a sentence each.
    pub warnings: Vec<String>,
    /// Keys of Kafka's files that mean nothing here, a sentence each, for who wants to know.
    pub ignored: Vec<String>,
}

/// Why properties make no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Which properties are to blame, in the order of their mention.
    pub at: Vec<Origin>,
    /// What was expected and found.
    pub reason: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, origin) in self.at.iter().enumerate() {
            write!(f, "{}{origin}", if index == 0 { "" } else { " and " })?;
        }
        write!(f, "{}{}", if self.at.is_empty() { "" } else { ": " }, self.reason)
    }
}

impl std::error::Error for SettingsError {}

impl ServerConfig {
    /// The configuration that these properties describe.
    pub fn of(properties: &Properties) -> Result<ServerConfig, SettingsError> {
        let settings = Settings { properties };
        let mut warnings = settings.unknown_keys();
        let id = settings.replica_id()?;
        let (listeners, mut advertised) = settings.listeners(&mut warnings)?;
        let members = settings.members(id, &advertised, &mut warnings)?;
        settings.heed_quorum(id, &members, &listeners, &mut advertised, &mut warnings);
        let voters = voter_set(id, members, &advertised);
        let mut raft = raft::Config::new(id, voters);
        raft.listeners = advertised;
        settings.timeouts(&mut raft)?;
        let mut node = Config::new(raft);
        settings.names_and_limits(&mut node)?;
        let segment_bytes = settings.number("metadata.log.segment.bytes")?.unwrap_or(1 << 30);
        let connection_idle_max = Duration::from_millis(settings.number("connections.max.idle.ms")?.unwrap_or(600_000));
        let (log_dir, names_cluster) = (settings.log_dir()?, settings.given("cluster.id").is_some());
        let ignored = settings.ignored_keys();
        Ok(ServerConfig {
            node,
            log_dir,
            listeners,
            names_cluster,
            segment_bytes,
            connection_idle_max,
            warnings,
            ignored,
        })
    }
}

struct Settings<'a> {
    properties: &'a Properties,
}

impl Settings<'_> {
    fn replica_id(&self) -> Result<ReplicaId, SettingsError> {
        let property = self.one_of(&["node.id", "broker.id"])?;
        let property = property.ok_or_else(|| missing("node.id (or broker.id)"))?;
        replica_id(property, property.value.trim())
    }

    /// What to bind and what to advertise, in parallel, controller listeners first because peers use the first.
    fn listeners(&self, warnings: &mut Vec<String>) -> Result<(Vec<Listener>, Vec<Listener>), SettingsError> {
        let default = Property { key: "listeners".into(), value: "PLAINTEXT://:9092".into(), origin: Origin::Override };
        let property = self.properties.find("listeners").unwrap_or(&default);
        let mut bound = listeners(property)?;
        if let Some(twice) =
            bound.iter().enumerate().find(|(index, at)| bound[..*index].iter().any(|b| b.name == at.name))
        {
            return Err(wrong(property, format!("listener {} is named twice", twice.1.name)));
        }
        if let Some(names) = self.properties.find("controller.listener.names") {
            let names: Vec<&str> = items(&names.value).collect();
            for name in names.iter().filter(|name| bound.iter().all(|at| *at.name != ***name)) {
                warnings.push(format!("controller.listener.names: {name} is not among the listeners"));
            }
            bound.sort_by_key(|at| names.iter().position(|name| *name == &*at.name).unwrap_or(names.len()));
        }
        let told = self.properties.find("advertised.listeners").filter(|told| !told.value.trim().is_empty());
        let told = told.map(|property| Ok((property, listeners(property)?))).transpose()?;
        if let Some((property, told)) = &told
            && let Some(stranger) = told.iter().find(|told| bound.iter().all(|at| at.name != told.name))
        {
            let reason = format!("{} is advertised and is not among the listeners", stranger.name);
            return Err(wrong(property, reason));
        }
        let advertised = bound.iter().map(|at| {
            let told = told.as_ref().and_then(|(_, told)| told.iter().find(|told| told.name == at.name));
            let told = told.unwrap_or(at);
            match is_everywhere(&told.endpoint) {
                true => Listener { name: at.name.clone(), endpoint: Endpoint::new("localhost", told.endpoint.port) },
                false => told.clone(),
            }
        });
        let advertised = advertised.collect();
        Ok((bound, advertised))
    }

    /// Who votes, and where it is said to listen.
    fn members(
        &self,
        id: ReplicaId,
        own: &[Listener],
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(ReplicaId, Endpoint)>, SettingsError> {
        let dynamic = self.given("controller.quorum.bootstrap.servers");
        let named = self.one_of(&["controller.quorum.voters", "quorum.voters"])?;
        let named = named.filter(|named| !named.value.trim().is_empty());
        Ok(match (named, dynamic) {
            (Some(named), Some(dynamic)) => {
                let reason = "static voters and controller.quorum.bootstrap.servers exclude each other".into();
                return Err(SettingsError { at: vec![named.origin, dynamic.origin], reason });
            }
            (Some(named), None) => named_voters(named)?,
            (None, Some(dynamic)) => {
                let reason = "a quorum without static voters is not supported: name them in controller.quorum.voters";
                return Err(wrong(dynamic, reason.into()));
            }
            (None, None) => self.paired_voters()?.unwrap_or_else(|| {
                warnings.push(format!("no quorum is named: node {id} is a quorum of its own"));
                vec![(id, own[0].endpoint.clone())]
            }),
        })
    }

    /// What the quorum says of this node: a listener on every interface is advertised as the others know it, and one that
    /// they look for in vain is worth a word.
    fn heed_quorum(
        &self,
        id: ReplicaId,
        members: &[(ReplicaId, Endpoint)],
        bound: &[Listener],
        own: &mut [Listener],
        warnings: &mut Vec<String>,
    ) {
        let Some((_, told)) = members.iter().find(|(member, _)| *member == id) else {
            return warnings.push(format!("node {id} is not among the voters: it observes"));
        };
        let is_untold = self.given("advertised.listeners").is_none();
        if is_untold && is_everywhere(&bound[0].endpoint) && bound[0].endpoint.port == told.port {
            own[0].endpoint = told.clone();
        }
        // Behind a translated address that may be meant; everywhere else the others look for this node in vain.
        if own.iter().all(|at| at.endpoint != *told) {
            warnings.push(format!("the quorum has node {id} at {told}, but it is advertised at {}", own[0].endpoint));
        }
    }

    /// `quorum.bootstrap.voters=1,2,3` names ids, `quorum.bootstrap.servers` endpoints; they are paired by position.
    fn paired_voters(&self) -> Result<Option<Vec<(ReplicaId, Endpoint)>>, SettingsError> {
        let (servers, ids) = (self.given("quorum.bootstrap.servers"), self.given("quorum.bootstrap.voters"));
        let (servers, ids) = match (servers, ids) {
            (None, None) => return Ok(None),
            (Some(servers), Some(ids)) => (servers, ids),
            (Some(one), None) => return Err(wrong(one, "quorum.bootstrap.voters is missing beside it".into())),
            (None, Some(one)) => return Err(wrong(one, "quorum.bootstrap.servers is missing beside it".into())),
        };
        let endpoints: Vec<Endpoint> =
            items(&servers.value).map(|item| endpoint(servers, item)).collect::<Result<_, _>>()?;
        let voters: Vec<ReplicaId> = items(&ids.value).map(|item| replica_id(ids, item)).collect::<Result<_, _>>()?;
        if endpoints.len() != voters.len() {
            let reason = format!("{} servers and {} voters cannot be paired", endpoints.len(), voters.len());
            return Err(SettingsError { at: vec![servers.origin, ids.origin], reason });
        }
        let members: Vec<_> = voters.into_iter().zip(endpoints).collect();
        distinct(ids, &members)?;
        Ok(Some(members))
    }

    fn timeouts(&self, raft: &mut raft::Config) -> Result<(), SettingsError> {
        let duration = |name: &str, field: &mut Duration| -> Result<(), SettingsError> {
            let (today, past) = (format!("controller.quorum.{name}"), format!("quorum.{name}"));
            if let Some(property) = self.one_of(&[&today, &past])? {
                *field = milliseconds(property)?;
            }
            Ok(())
        };
        // The prototype's name of what became the backoff.
        let backoff = ["controller.quorum.election.backoff.max.ms", "quorum.election.backoff.max.ms"];
        if let Some(property) = self.one_of(&[backoff[0], backoff[1], "quorum.election.jitter.max.ms"])? {
            raft.election_backoff_max = milliseconds(property)?;
        }
        duration("election.timeout.ms", &mut raft.election_timeout)?;
        duration("fetch.timeout.ms", &mut raft.fetch_timeout)?;
        duration("request.timeout.ms", &mut raft.request_timeout)?;
        duration("retry.backoff.ms", &mut raft.retry_backoff)?;
        if let Some(property) = self.one_of(&["controller.quorum.fetch.max.bytes", "quorum.fetch.max.bytes"])? {
            raft.fetch_bytes_max = number(property)?;
        }
        if let Some(bytes) = self.number("internal.metadata.max.batch.size.in.bytes")? {
            raft.batch_bytes_max = bytes;
        }
        Ok(())
    }

    fn names_and_limits(&self, node: &mut Config) -> Result<(), SettingsError> {
        if let Some(cluster) = self.given("cluster.id") {
            node.cluster_id = cluster.value.trim().into();
        }
        if let Some(topic) = self.given("kraftbed.topic") {
            node.topic = topic.value.trim().into();
        }
        if let Some(id) = self.given("kraftbed.topic.id") {
            let expected = || wrong(id, format!("expected 22 characters of base64, found {:?}", id.value));
            node.topic_id = uuid_from_text(id.value.trim()).ok_or_else(expected)?;
        }
        if let Some(machine) = self.given("kraftbed.machine") {
            node.machine = match machine.value.trim() {
                "log" => MachineKind::Log,
                "kv" => MachineKind::Kv,
                "monotonic" => MachineKind::Monotonic,
                other => return Err(wrong(machine, format!("expected log, kv or monotonic, found {other:?}"))),
            };
        }
        if let Some(verbose) = self.given("verbose") {
            node.verbose = match verbose.value.trim().to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                other => return Err(wrong(verbose, format!("expected true or false, found {other:?}"))),
            };
        }
        if let Some(bytes) = self.number("socket.request.max.bytes")? {
            node.frame_bytes_max = bytes;
        }
        if let Some(count) = self.number("max.connections")? {
            node.connections_max = count;
        }
        if let Some(bytes) = self.number("fetch.max.bytes")? {
            node.fetch_bytes_max = bytes;
        }
        Ok(())
    }

    fn log_dir(&self) -> Result<String, SettingsError> {
        if let Some(own) = self.given("metadata.log.dir") {
            return Ok(own.value.trim().to_owned());
        }
        let dirs = self.given("log.dirs").or_else(|| self.given("log.dir"));
        let dirs = dirs.ok_or_else(|| missing("log.dirs"))?;
        let mut items = items(&dirs.value);
        match (items.next(), items.next()) {
            (Some(only), None) => Ok(only.to_owned()),
            (None, _) => Err(wrong(dirs, "expected a directory, found nothing".into())),
            (Some(_), Some(_)) => Err(wrong(dirs, "expected one directory, found several".into())),
        }
    }

    /// The first of these keys that is set; a second one must say the same.
    fn one_of(&self, keys: &[&str]) -> Result<Option<&Property>, SettingsError> {
        let mut set = keys.iter().filter_map(|key| self.properties.find(key));
        let Some(first) = set.next() else { return Ok(None) };
        match set.find(|other| other.value.trim() != first.value.trim()) {
            None => Ok(Some(first)),
            Some(other) => Err(SettingsError {
                at: vec![first.origin, other.origin],
                reason: format!("{} is {:?} and {} is {:?}", first.key, first.value, other.key, other.value),
            }),
        }
    }

    fn given(&self, key: &str) -> Option<&Property> {
        self.properties.find(key).filter(|property| !property.value.trim().is_empty())
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<Option<T>, SettingsError> {
        self.given(key).map(number).transpose()
    }

    fn unknown_keys(&self) -> Vec<String> {
        let repeated = self.properties.repeated();
        let repeated =
            repeated.map(|(key, first, last)| format!("{key} is set at {first} and again at {last}, which wins"));
        let unknown = self.properties.iter().filter(|property| !KEYS.contains(&&property.key[..]));
        let unknown = unknown.map(|property| {
            let nearest = KEYS.iter().min_by_key(|known| distance(known, &property.key));
            let nearest = nearest.filter(|known| distance(known, &property.key) <= property.key.len() / 3);
            let hint = nearest.map_or(String::new(), |known| format!("; the nearest known key is {known}"));
            format!("{}: {} is not known here{hint}", property.origin, property.key)
        });
        repeated.chain(unknown).collect()
    }

    fn ignored_keys(&self) -> Vec<String> {
        let ignored = self.properties.iter().filter(|property| IGNORED.contains(&&property.key[..]));
        ignored.map(|property| format!("{}: {} means nothing here", property.origin, property.key)).collect()
    }
}

/// The members, this one with all of its listeners.
fn voter_set(id: ReplicaId, members: Vec<(ReplicaId, Endpoint)>, own: &[Listener]) -> VoterSet {
    let voters = members.into_iter().map(|(member, endpoint)| {
        let key = ReplicaKey::of(member);
        match member == id {
            true => Voter { key, endpoints: own.to_vec() },
            false => Voter { key, endpoints: vec![Listener { name: own[0].name.clone(), endpoint }] },
        }
    });
    VoterSet::new(voters.collect())
}

/// `id@host:port,…`.
fn named_voters(property: &Property) -> Result<Vec<(ReplicaId, Endpoint)>, SettingsError> {
    let voter = |item: &str| {
        let (id, at) =
            item.split_once('@').ok_or_else(|| wrong(property, format!("expected id@host:port, found {item:?}")))?;
        Ok((replica_id(property, id)?, endpoint(property, at)?))
    };
    let members: Vec<_> = items(&property.value).map(voter).collect::<Result<_, _>>()?;
    distinct(property, &members)?;
    Ok(members)
}

fn distinct(property: &Property, members: &[(ReplicaId, Endpoint)]) -> Result<(), SettingsError> {
    let is_repeated = |index: usize| members[..index].iter().any(|(id, _)| *id == members[index].0);
    if let Some(index) = (0..members.len()).find(|&index| is_repeated(index)) {
        return Err(wrong(property, format!("voter {} is named twice", members[index].0)));
    }
    let neighbour = |index: usize| members[..index].iter().find(|(_, at)| *at == members[index].1);
    match (0..members.len()).find_map(|index| Some((neighbour(index)?, &members[index]))) {
        None => Ok(()),
        Some(((one, _), (other, at))) => Err(wrong(property, format!("voters {one} and {other} are both at {at}"))),
    }
}

/// `NAME://host:port,…`; any name is plaintext here, but for those that promise more.
fn listeners(property: &Property) -> Result<Vec<Listener>, SettingsError> {
    let listener = |item: &str| {
        let expected = || wrong(property, format!("expected NAME://host:port, found {item:?}"));
        let (name, at) = item.split_once("://").ok_or_else(expected)?;
        if ["SSL", "SASL_SSL", "SASL_PLAINTEXT"].iter().any(|secure| name.eq_ignore_ascii_case(secure)) {
            return Err(wrong(
                property,
                format!("expected a plaintext listener, found {name}: there is no TLS and no SASL"),
            ));
        }
        Ok(Listener { name: name.to_ascii_uppercase().into(), endpoint: endpoint(property, at)? })
    };
    let listeners: Vec<Listener> = items(&property.value).map(listener).collect::<Result<_, _>>()?;
    match listeners.is_empty() {
        true => Err(wrong(property, "expected a listener, found nothing".into())),
        false => Ok(listeners),
    }
}

/// `host:port`, `[address]:port`, with or without a scheme before it: Kafka's own README has `http://localhost:9092`.
fn endpoint(property: &Property, text: &str) -> Result<Endpoint, SettingsError> {
    let expected = || wrong(property, format!("expected host:port, found {text:?}"));
    let at = text.split_once("://").map_or(text, |(_, at)| at);
    Endpoint::parse(at).ok_or_else(expected)
}

/// Whether it stands for every interface, which is nothing to connect to.
fn is_everywhere(endpoint: &Endpoint) -> bool {
    matches!(&*endpoint.host, "" | "0.0.0.0" | "::")
}

fn replica_id(property: &Property, text: &str) -> Result<ReplicaId, SettingsError> {
    let id = text.trim().parse().ok().and_then(ReplicaId::from_i32);
    id.ok_or_else(|| wrong(property, format!("expected a node id of 0 or more, found {text:?}")))
}

fn number<T: FromStr>(property: &Property) -> Result<T, SettingsError> {
    let text = property.value.trim();
    text.parse().map_err(|_| wrong(property, format!("expected a number of 0 or more, found {text:?}")))
}

/// A time, which is a 32-bit number of milliseconds in Kafka.
fn milliseconds(property: &Property) -> Result<Duration, SettingsError> {
    let millis: u64 = number(property)?;
    let most = i32::MAX as u64;
    match millis <= most {
        true => Ok(Duration::from_millis(millis)),
        false => Err(wrong(property, format!("expected at most {most} milliseconds, found {millis}"))),
    }
}

fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn wrong(property: &Property, reason: String) -> SettingsError {
    SettingsError { at: vec![property.origin], reason: format!("{}: {reason}", property.key) }
}

fn missing(key: &str) -> SettingsError {
    SettingsError { at: Vec::new(), reason: format!("{key} is missing") }
}

/// How many characters must be inserted, removed or changed to make one text of the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// Every key that may stand in a file without a warning.
const KEYS: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "cluster.id",
    "connections.max.idle.ms",
    "controller.listener.names",
    "controller.quorum.append.linger.ms",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.max.bytes",
    "controller.quorum.fetch.snapshot.max.bytes",
    "controller.quorum.fetch.timeout.ms",
    "controller.quorum.request.timeout.ms",
    "controller.quorum.retry.backoff.ms",
    "controller.quorum.voters",
    "fetch.max.bytes",
    "inter.broker.listener.name",
    "internal.metadata.max.batch.size.in.bytes",
    "kraftbed.machine",
    "kraftbed.topic",
    "kraftbed.topic.id",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "max.connections",
    "metadata.log.dir",
    "metadata.log.segment.bytes",
    "node.id",
    "num.io.threads",
    "num.network.threads",
    "process.roles",
    "quorum.append.linger.ms",
    "quorum.bootstrap.servers",
    "quorum.bootstrap.voters",
    "quorum.election.backoff.max.ms",
    "quorum.election.jitter.max.ms",
    "quorum.election.timeout.ms",
    "quorum.fetch.max.bytes",
    "quorum.fetch.timeout.ms",
    "quorum.request.timeout.ms",
    "quorum.retry.backoff.ms",
    "quorum.voters",
    "socket.receive.buffer.bytes",
    "socket.request.max.bytes",
    "socket.send.buffer.bytes",
    "verbose",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
];

/// Those of them that Kafka's sample files carry and that have nothing to set here.
const IGNORED: &[&str] = &[
    "controller.quorum.append.linger.ms",
    "controller.quorum.fetch.snapshot.max.bytes",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "num.io.threads",
    "num.network.threads",
    "process.roles",
    "quorum.append.linger.ms",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
];

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
