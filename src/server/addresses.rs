//! From host names to socket addresses.
//!
//! `localhost` is both loopback addresses, IPv4 first, whatever the system's resolver says of it: a client that resolves
//! it to `::1` must be served like one that takes `127.0.0.1`. An empty host is every interface. Names are looked up when
//! the node starts, since a lookup blocks the node's thread; one that failed is tried again only after a while.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::ids::Endpoint;
use crate::time::Instant;

/// The addresses of endpoints that were asked for before.
#[derive(Debug, Default)]
pub struct Addresses {
    known: BTreeMap<Endpoint, Vec<SocketAddr>>,
    failed: BTreeMap<Endpoint, Instant>,
}

impl Addresses {
    /// Where to connect to, in the order to try; empty when the name has no address.
    pub fn of(&mut self, endpoint: &Endpoint, now: Instant) -> Vec<SocketAddr> {
        if let Some(known) = self.known.get(endpoint) {
            return known.clone();
        }
        if self.failed.get(endpoint).is_some_and(|failed| now < *failed + RETRY_AFTER) {
            return Vec::new();
        }
        match resolve(endpoint) {
            Ok(found) => {
                self.failed.remove(endpoint);
                self.known.insert(endpoint.clone(), found.clone());
                found
            }
            Err(_) => {
                self.failed.insert(endpoint.clone(), now);
                Vec::new()
            }
        }
    }
}

/// Looks an endpoint up; at least one address comes back.
pub fn resolve(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| {
        vec![SocketAddr::new(IpAddr::V4(v4), endpoint.port), SocketAddr::new(IpAddr::V6(v6), endpoint.port)]
    };
    if endpoint.host.eq_ignore_ascii_case("localhost") {
        return Ok(both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST));
    }
    if endpoint.host.is_empty() {
        return Ok(both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED));
    }
    let mut found = Vec::new();
    for address in (&*endpoint.host, endpoint.port).to_socket_addrs()? {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        false => Ok(found),
    }
}

/// How long a name that has no address is not looked up again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

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
}
