//! From host names to socket addresses, without making the node wait.
//!
//! Addresses and `localhost` are known at once. `localhost` is both loopback addresses, IPv4 first, whatever the system's
//! resolver says of it: a client that resolves it to `::1` must be served like one that takes `127.0.0.1`. Any other name
//! is looked up by a thread of its own, because a lookup may take half a minute and the node has one thread.
//!
//! Peers tell where the leader listens, and a peer may tell anything. So only names that the node's own configuration
//! mentions are looked up ([`Addresses::trust`]).
//!
//! **Invariants**
//! - one question per name is under way, and at most `NAMES_MAX` names are known, asked for or trusted;
//! - what was found is used for `FRESH_FOR`, that nothing was found for `NOTHING_FOR`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use mio::Waker;

use crate::ids::Endpoint;
use crate::time::Instant;

/// The names of one network, and the thread that looks them up.
#[derive(Debug)]
pub struct Addresses {
    policy: Policy,
    names: BTreeMap<Box<str>, Name>,
    questions: Option<Sender<Box<str>>>,
    answers: Receiver<Answer>,
    /// Given to the thread when the first name starts it.
    for_thread: Option<(Sender<Answer>, Arc<Waker>)>,
}

/// Whose names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Those that were [trusted](Addresses::trust): a node's.
    Trusted,
    /// All: a client believes the brokers that it was told to ask.
    All,
}

/// What is known of an endpoint at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Where to connect to, in the order to try; empty when there is nothing.
    Addresses(Vec<SocketAddr>),
    /// It is being looked up; ask again after [`Addresses::collect`].
    Later,
    /// It will not be looked up: the name is not trusted, or there are too many.
    Refused,
}

#[derive(Debug, Default)]
struct Name {
    is_trusted: bool,
    is_asked: bool,
    /// What was found, and until when that holds.
    found: Option<(Vec<IpAddr>, Instant)>,
}

type Answer = (Box<str>, Vec<IpAddr>);

impl Addresses {
    /// No names yet. `waker` is for the thread, which starts with the first name.
    pub fn new(policy: Policy, waker: Arc<Waker>) -> Addresses {
        let (answer, answers) = channel();
        Addresses { policy, names: BTreeMap::new(), questions: None, answers, for_thread: Some((answer, waker)) }
    }

    /// The configuration mentions this host: it may be looked up.
    pub fn trust(&mut self, endpoint: &Endpoint) {
        if at_once(endpoint).is_none() {
            self.names.entry(endpoint.host.to_ascii_lowercase().into()).or_default().is_trusted = true;
        }
    }

    /// What is known of an endpoint; a name that nothing is known of is asked for.
    pub fn of(&mut self, endpoint: &Endpoint, now: Instant) -> Found {
        if let Some(addresses) = at_once(endpoint) {
            return Found::Addresses(addresses);
        }
        let host: Box<str> = endpoint.host.to_ascii_lowercase().into();
        let is_trusted = self.policy == Policy::All || self.names.get(&host).is_some_and(|name| name.is_trusted);
        if !is_trusted || !self.names.contains_key(&host) && !self.has_room() {
            return Found::Refused;
        }
        let name = self.names.entry(host.clone()).or_default();
        match &name.found {
            _ if name.is_asked => return Found::Later,
            Some((found, until)) if now < *until => {
                return Found::Addresses(found.iter().map(|&ip| SocketAddr::new(ip, endpoint.port)).collect());
            }
            _ => name.is_asked = true,
        }
        match self.ask(host) {
            Ok(()) => Found::Later,
            Err(_) => Found::Refused,
        }
    }

    /// Takes in what the thread has found; whether there was anything.
    pub fn collect(&mut self, now: Instant) -> bool {
        let mut is_news = false;
        while let Ok((host, found)) = self.answers.try_recv() {
            let patience = if found.is_empty() { NOTHING_FOR } else { FRESH_FOR };
            let name = self.names.entry(host).or_default();
            name.is_asked = false;
            name.found = Some((found, now + patience));
            is_news = true;
        }
        is_news
    }

    /// Makes room for one more name, at the cost of one that nobody waits for.
    fn has_room(&mut self) -> bool {
        if self.names.len() >= NAMES_MAX {
            let idle = self.names.iter().find(|(_, name)| !name.is_asked && !name.is_trusted);
            let Some(host) = idle.map(|(host, _)| host.clone()) else { return false };
            self.names.remove(&host);
        }
        true
    }

    fn ask(&mut self, host: Box<str>) -> io::Result<()> {
        if let Some((answers, waker)) = self.for_thread.take() {
            let (questions, to_look_up) = channel();
            // The thread ends when the questions do. Nobody waits for it: a lookup cannot be interrupted.
            thread::Builder::new()
                .name("kraftbed-names".into())
                .spawn(move || look_up_all(&to_look_up, &answers, &waker))?;
            self.questions = Some(questions);
        }
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.questions.as_ref().ok_or_else(gone)?.send(host).map_err(|_| gone())
    }
}

/// Looks an endpoint up, however long that takes; at least one address comes back.
pub fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    if let Some(addresses) = at_once(endpoint) {
        return Ok(addresses);
    }
    let found = look_up(&endpoint.host)?;
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        false => Ok(found.into_iter().map(|ip| SocketAddr::new(ip, endpoint.port)).collect()),
    }
}

/// What needs no lookup: addresses, `localhost`, and no host, which is every interface.
fn at_once(endpoint: &Endpoint) -> Option<Vec<SocketAddr>> {
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| vec![IpAddr::V4(v4), IpAddr::V6(v6)];
    let ips = match &*endpoint.host {
        "" => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        host if host.eq_ignore_ascii_case("localhost") => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        host => vec![host.parse().ok()?],
    };
    Some(ips.into_iter().map(|ip| SocketAddr::new(ip, endpoint.port)).collect())
}

fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

fn look_up_all(questions: &Receiver<Box<str>>, answers: &Sender<Answer>, waker: &Waker) {
    for host in questions {
        let found = look_up(&host).unwrap_or_default();
        if answers.send((host, found)).is_err() {
            return;
        }
        let _ = waker.wake();
    }
}

/// How long an address is believed, 30 s. (Java: `networkaddress.cache.ttl`.)
const FRESH_FOR: Duration = Duration::from_secs(30);

/// How long a name without an address is not looked up again, 10 s. (Java: `networkaddress.cache.negative.ttl`.)
const NOTHING_FOR: Duration = Duration::from_secs(10);

/// Names known at once beside those trusted, 64.
const NAMES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use mio::{Events, Poll, Token};

    use super::*;

    fn addresses(policy: Policy) -> (Addresses, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        (Addresses::new(policy, waker), poll)
    }

    fn text(host: &str) -> Vec<String> {
        resolve(&Endpoint::new(host, 9092)).unwrap().iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn localhost_is_both_families() {
        assert_eq!(text("localhost"), ["127.0.0.1:9092", "[::1]:9092"]);
    }

    #[test]
    fn an_address_is_itself_and_no_host_is_every_interface() {
        assert_eq!(text("127.0.0.2"), ["127.0.0.2:9092"]);
        assert_eq!(text("::1"), ["[::1]:9092"]);
        assert_eq!(text(""), ["0.0.0.0:9092", "[::]:9092"]);
    }

    #[test]
    fn only_trusted_names_are_looked_up_and_nobody_waits_for_them() {
        let (mut addresses, mut poll) = addresses(Policy::Trusted);
        let here = Endpoint::new("127.0.0.1", 1);
        let known = addresses.of(&here, Instant::ZERO);
        assert_eq!(known, Found::Addresses(resolve(&here).unwrap()), "an address needs no trust");
        // RFC 6761: no resolver may find anything below `.invalid`.
        let name = Endpoint::new("nowhere.invalid", 1);
        assert_eq!(addresses.of(&name, Instant::ZERO), Found::Refused);
        addresses.trust(&Endpoint::new("NOWHERE.invalid", 2));
        assert_eq!(addresses.of(&name, Instant::ZERO), Found::Later);
        assert_eq!(addresses.of(&name, Instant::ZERO), Found::Later, "one question is under way");
        let mut events = Events::with_capacity(1);
        while !addresses.collect(Instant::ZERO) {
            poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
            assert!(!events.is_empty(), "the answer wakes the node");
        }
        assert_eq!(addresses.of(&name, Instant::ZERO), Found::Addresses(Vec::new()));
        let later = Instant::ZERO + NOTHING_FOR;
        assert_eq!(addresses.of(&name, later), Found::Later, "it is asked again after a while");
    }

    #[test]
    fn names_are_bounded() {
        let (mut addresses, _poll) = addresses(Policy::All);
        for number in 0..NAMES_MAX {
            let name = Name { is_asked: true, ..Name::default() };
            addresses.names.insert(format!("{number}.invalid").into(), name);
        }
        assert_eq!(addresses.of(&Endpoint::new("more.invalid", 1), Instant::ZERO), Found::Refused);
        addresses.names.get_mut("7.invalid").unwrap().is_asked = false;
        assert_eq!(addresses.of(&Endpoint::new("more.invalid", 1), Instant::ZERO), Found::Later);
        assert_eq!(addresses.names.len(), NAMES_MAX);
    }
}
