//! The network alone, against plain sockets.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;

use super::*;
use crate::server::clock::Clock;

const LIMITS: Limits = Limits { connections_max: 2, frame_bytes_max: 1 << 20 };

/// A network that listens on a free port of both loopback addresses, and that port.
fn listening() -> (Network, u16) {
    for _ in 0..100 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut network = Network::new(LIMITS).unwrap();
        let listener = Listener { name: "PLAINTEXT".into(), endpoint: Endpoint::new("localhost", port) };
        if network.listen(0, &listener).is_ok() {
            return (network, port);
        }
    }
    panic!("no free port in a hundred attempts");
}

/// The next event within five seconds.
fn event(network: &mut Network) -> Event {
    let clock = Clock::start();
    while clock.monotonic() < Instant(5_000_000_000) {
        network.flush();
        if let Some(event) = network.next_event() {
            return event;
        }
        network.wait(Some(Duration::from_millis(100)), clock.monotonic()).unwrap();
    }
    panic!("nothing happened in five seconds");
}

/// Whether nothing at all happens for a while.
fn is_quiet(network: &mut Network) -> bool {
    network.wait(Some(Duration::from_millis(50)), Instant::ZERO).unwrap();
    network.next_event().is_none()
}

fn frame(payload: &[u8]) -> Frame {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    Frame { parts: vec![Bytes::copy_from_slice(&length), Bytes::copy_from_slice(payload)] }
}

fn expect_frame(network: &mut Network) -> (ConnectionId, Bytes) {
    match event(network) {
        Event::Frame { connection, frame } => (connection, frame),
        other => panic!("expected a frame, found {other:?}"),
    }
}

#[test]
fn frames_go_both_ways_and_an_end_right_behind_them_is_noticed() {
    let (mut network, port) = listening();
    let mut client = StdStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(&frame(b"ping").payload_with_length()).unwrap();
    assert!(matches!(event(&mut network), Event::Opened { connection: ConnectionId(0), listener: 0 }));
    let (connection, ping) = expect_frame(&mut network);
    assert_eq!(ping, &b"ping"[..]);
    network.send(connection, frame(b"pong"));
    network.flush();
    let mut answer = [0; 8];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\0\0\0\x04pong");
    client.write_all(&frame(b"last").payload_with_length()).unwrap();
    drop(client);
    assert_eq!(expect_frame(&mut network).1, &b"last"[..]);
    assert!(matches!(event(&mut network), Event::Closed { connection: ConnectionId(0) }));
}

#[test]
fn a_connection_that_is_held_gives_no_frame_until_it_is_resumed() {
    let (mut network, port) = listening();
    let mut client = StdStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(&[frame(b"one").payload_with_length(), frame(b"two").payload_with_length()].concat()).unwrap();
    event(&mut network);
    let (connection, _) = expect_frame(&mut network);
    network.hold(connection);
    assert!(is_quiet(&mut network), "the second frame must wait");
    network.resume(connection);
    assert_eq!(expect_frame(&mut network).1, &b"two"[..]);
}

#[test]
fn a_node_reaches_another_and_learns_when_there_is_none() {
    let (mut network, port) = listening();
    let mut other = Network::new(LIMITS).unwrap();
    let id = ConnectionId::FIRST_OUTBOUND;
    other.connect(id, &Endpoint::new("localhost", port), Instant::ZERO);
    assert!(matches!(event(&mut other), Event::Opened { connection, .. } if connection == id));
    other.send(id, frame(b"fetch"));
    other.flush();
    event(&mut network);
    assert_eq!(expect_frame(&mut network).1, &b"fetch"[..]);
    drop(network);
    assert!(matches!(event(&mut other), Event::Closed { connection } if connection == id));
    other.connect(id, &Endpoint::new("localhost", port), Instant::ZERO);
    assert!(matches!(event(&mut other), Event::Closed { connection } if connection == id));
}

#[test]
fn a_forbidden_length_and_one_connection_too_many_are_turned_away() {
    let (mut network, port) = listening();
    let mut clients: Vec<StdStream> = (0..3).map(|_| StdStream::connect(("127.0.0.1", port)).unwrap()).collect();
    event(&mut network);
    event(&mut network);
    assert!(is_quiet(&mut network));
    assert_eq!(network.take_warnings().len(), 1);
    assert_eq!(clients[2].read(&mut [0; 1]).unwrap_or(0), 0, "the third one is closed at once");
    clients[0].write_all(&[0x7f, 0xff, 0xff, 0xff]).unwrap();
    assert!(matches!(event(&mut network), Event::Closed { connection: ConnectionId(0) }));
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    let (mut network, port) = listening();
    let mut client = StdStream::connect(("127.0.0.1", port)).unwrap();
    event(&mut network);
    let large = vec![7; 16 << 20];
    network.send(ConnectionId(0), frame(&large));
    network.flush();
    client.write_all(&frame(b"more").payload_with_length()).unwrap();
    assert!(is_quiet(&mut network), "nothing is taken from a peer that owes us reading");
    let reader = std::thread::Builder::new().spawn(move || {
        let mut all = vec![0; (16 << 20) + 4];
        client.read_exact(&mut all).unwrap();
        client
    });
    assert_eq!(expect_frame(&mut network).1, &b"more"[..]);
    let reader = reader.unwrap();
    while !reader.is_finished() {
        assert!(is_quiet(&mut network), "only what was queued flows");
    }
    reader.join().unwrap();
}

impl Frame {
    fn payload_with_length(&self) -> Vec<u8> {
        self.parts.concat()
    }
}
