//! Strangers who mean no good: they knock at every node's port while honest producers go on.
//!
//! Each is one thread that does the same thing again and again, its bytes drawn from the seed:
//!
//! | stranger | does |
//! |---|---|
//! | `garbage` | sends bytes that are no frame |
//! | `huge` | promises a frame larger than any that is accepted, or of negative length, and sends some of it |
//! | `half` | sends a part of a frame and waits |
//! | `mangled` | sends whole frames of every API and version, known or not, with bodies that are noise |
//! | `deaf` | sends thousands of requests on one connection and never reads an answer |
//! | `crowd` | opens many connections, often more than are allowed, and leaves |
//!
//! A node may answer, refuse, or close; it may not die, grow, or keep anybody else waiting.

#![expect(clippy::disallowed_methods, reason = "real connections of real threads")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use crate::prng::Prng;

/// Strangers at work; they leave when the value is dropped.
#[derive(Debug)]
pub struct Strangers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What a stranger does with a connection.
type Deed = fn(&mut TcpStream, &mut Prng) -> io::Result<()>;

impl Strangers {
    /// Sends one of each kind to the nodes that listen on these ports.
    pub fn send(ports: Vec<u16>, seed: u64) -> io::Result<Strangers> {
        let mut strangers = Strangers { is_over: Arc::default(), threads: Vec::new() };
        let deeds: [Deed; 6] = [garbage, huge, half, mangled, deaf, crowd];
        for (number, deed) in (0..).zip(deeds) {
            let (is_over, ports) = (strangers.is_over.clone(), ports.clone());
            let mut prng = Prng::new(seed, number);
            let visit = move || {
                while !is_over.load(Ordering::Relaxed) {
                    // Whatever comes of it: to be refused is what a stranger is there for.
                    let _ = knock(*prng.pick(&ports)).and_then(|mut stream| deed(&mut stream, &mut prng));
                }
            };
            strangers.threads.push(thread::Builder::new().name("stranger".into()).spawn(visit)?);
        }
        Ok(strangers)
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn knock(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn garbage(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    let bytes = noise(prng, 1..4096);
    stream.write_all(&bytes)?;
    listen(stream)
}

fn huge(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    let length = *prng.pick(&[i32::MAX, i32::MIN, -1, 101 << 20, 200 << 20]);
    stream.write_all(&length.to_be_bytes())?;
    let bytes = noise(prng, 1..65536);
    stream.write_all(&bytes)?;
    listen(stream)
}

fn half(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    let frame = request(prng.below(90) as i16, 0, &noise(prng, 0..512));
    let part = prng.below(frame.len() as u64) as usize;
    stream.write_all(&frame[..part])?;
    listen(stream)
}

fn mangled(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    for _ in 0..prng.range(1..20) {
        // Most APIs have numbers below 100, and versions below 20.
        let (api, version) = (prng.below(100) as i16 - 2, prng.below(20) as i16 - 1);
        let frame = request(api, version, &noise(prng, 0..256));
        stream.write_all(&frame)?;
    }
    listen(stream)
}

fn deaf(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    // Metadata 0 of all topics, and ApiVersions 0.
    let frames: [Vec<u8>; 2] = [request(3, 0, &0_i32.to_be_bytes()), request(18, 0, &[])];
    for _ in 0..prng.range(100..5000) {
        stream.write_all(prng.pick(&frames).as_slice())?;
    }
    sleep(PATIENCE);
    Ok(())
}

fn crowd(stream: &mut TcpStream, prng: &mut Prng) -> io::Result<()> {
    let port = stream.peer_addr()?.port();
    let all: Vec<TcpStream> = (0..prng.range(10..2000)).map_while(|_| knock(port).ok()).collect();
    sleep(Duration::from_millis(prng.below(50)));
    drop(all);
    Ok(())
}

/// Reads for a moment what the node has to say.
fn listen(stream: &mut TcpStream) -> io::Result<()> {
    stream.read(&mut [0; 4096]).map(drop)
}

/// A frame with the header that every request has: API, version, correlation, client.
fn request(api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let client = b"stranger";
    let mut frame = Vec::new();
    frame.extend_from_slice(&((10 + client.len() + body.len()) as i32).to_be_bytes());
    frame.extend_from_slice(&api.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&7_i32.to_be_bytes());
    frame.extend_from_slice(&(client.len() as i16).to_be_bytes());
    frame.extend_from_slice(client);
    frame.extend_from_slice(body);
    frame
}

fn noise(prng: &mut Prng, length: std::ops::Range<u64>) -> Vec<u8> {
    (0..prng.range(length)).map(|_| prng.word() as u8).collect()
}

/// How long a stranger waits for anything.
const PATIENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_how_long_it_is() {
        let frame = request(18, 3, b"body");
        assert_eq!(frame.len(), 4 + 10 + 8 + 4);
        assert_eq!(frame[..8], [0, 0, 0, 22, 0, 18, 0, 3]);
    }
}
