//! A relay between clients and one node, which can cut connections in the midst of a frame.
//!
//! Bytes go both ways as they come. When the relay is told to cut, every connection that stands passes half of what it
//! reads next and is then closed on both sides: a request that ends in the middle for the node, or an answer that does for
//! the client.
//!
//! It is a tool for tests and for `torture`: a thread per direction, no limits.

#![expect(clippy::disallowed_methods, reason = "real sockets and threads")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::ids::Endpoint;

/// A relay to one node; ends with the value.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// How often it was told to cut; a connection that began before the last one is to end.
    cuts: AtomicU64,
    /// How many connections were cut with bytes under way.
    done: AtomicU64,
    is_over: AtomicBool,
}

impl Relay {
    /// Listens on a loopback port that the system chooses, and relays to `node`.
    pub fn start(node: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state =
            Arc::new(State { cuts: AtomicU64::new(0), done: AtomicU64::new(0), is_over: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        thread::Builder::new().name("kraftbed-relay".into()).spawn(move || accept(&listener, node, &shared))?;
        Ok(Relay { address, state })
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.address.ip().to_string(), self.address.port())
    }

    /// Cuts every connection that stands, at the next bytes on it.
    pub fn cut(&self) {
        self.state.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// How many connections were cut so far.
    pub fn cut_so_far(&self) -> u64 {
        self.state.done.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        // Whoever accepts looks up when somebody comes.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, node: SocketAddr, state: &Arc<State>) {
    for client in listener.incoming() {
        if state.is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        // A client of a node that is down is refused as late as a relay can: at once after it was accepted.
        let Ok(server) = TcpStream::connect(node) else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let since = state.cuts.load(Ordering::Relaxed);
        let ends = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
        for (from, to) in ends {
            let (Ok(from), Ok(to)) = (from, to) else { continue };
            let state = Arc::clone(state);
            thread::spawn(move || pump(from, to, since, &state));
        }
    }
}

/// Passes bytes on until either side ends or the connection is cut.
fn pump(mut from: TcpStream, mut to: TcpStream, since: u64, state: &State) {
    let _ = from.set_read_timeout(Some(LOOK_UP));
    let mut buffer = vec![0; BUFFER_BYTES];
    while !state.is_over.load(Ordering::Relaxed) {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        let is_cut = state.cuts.load(Ordering::Relaxed) != since;
        let passed = if is_cut { read / 2 } else { read };
        if to.write_all(&buffer[..passed]).is_err() {
            break;
        }
        if is_cut {
            state.done.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// How often a thread that waits for bytes looks whether the relay is over.
const LOOK_UP: Duration = Duration::from_millis(500);

/// Bytes passed on at once.
const BUFFER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_passes_half_of_what_comes_next() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(relay.address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut heard = [0; 5];
        client.write_all(b"whole").unwrap();
        server.read_exact(&mut heard).unwrap();
        server.write_all(b"reply").unwrap();
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"reply");
        relay.cut();
        client.write_all(b"a request").unwrap();
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"a re");
        assert!(client.read(&mut heard).is_ok_and(|read| read == 0), "the client sees the end, too");
        assert_eq!(relay.cut_so_far(), 1);
    }
}
