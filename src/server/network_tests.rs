//! The network alone, against plain sockets.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;

use super::*;
use crate::server::clock::Clock;

const LIMITS: Limits = Limits { frame_bytes_max: 1 << 20, idle_max: Duration::from_secs(600), names: Policy::Trusted };

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
fn a_forbidden_length_ends_its_connection_only() {
    let (mut network, port) = listening();
    let mut clients: Vec<StdStream> = (0..2).map(|_| StdStream::connect(("127.0.0.1", port)).unwrap()).collect();
    event(&mut network);
    event(&mut network);
    clients[0].write_all(&[0x7f, 0xff, 0xff, 0xff]).unwrap();
    assert!(matches!(event(&mut network), Event::Closed { connection: ConnectionId(0) }));
    assert_eq!(network.hits().counts().collect::<Vec<_>>(), [("socket.request.max.bytes", 1)]);
    clients[1].write_all(&frame(b"honest").payload_with_length()).unwrap();
    assert_eq!(expect_frame(&mut network).1, &b"honest"[..]);
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let (mut network, port) = listening();
    let mut clients: Vec<StdStream> = (0..2).map(|_| StdStream::connect(("127.0.0.1", port)).unwrap()).collect();
    event(&mut network);
    event(&mut network);
    let late = network.deadline().expect("somebody may become idle");
    let (before, after) = (Instant(late.0 - 1_000_000_000), Instant(late.0 + 1_000_000_000));
    clients[1].write_all(&frame(b"alive").payload_with_length()).unwrap();
    let mut frames = 0;
    while frames == 0 {
        network.wait(Some(Duration::from_millis(100)), before).unwrap();
        frames += usize::from(network.next_event().is_some());
    }
    // Half a frame does not help for ever either: it moves nothing any more.
    network.wait(Some(Duration::ZERO), after).unwrap();
    assert!(matches!(network.next_event(), Some(Event::Closed { connection: ConnectionId(0) })));
    assert!(network.next_event().is_none(), "who has spoken since may stay");
    assert_eq!(clients[0].read(&mut [0; 1]).unwrap(), 0);
    assert!(network.deadline().is_some_and(|next| next > after), "the other one is looked at later");
}

#[test]
fn a_name_that_nobody_vouches_for_is_not_looked_up() {
    let mut network = Network::new(LIMITS).unwrap();
    let id = ConnectionId::FIRST_OUTBOUND;
    network.connect(id, &Endpoint::new("nowhere.invalid", 1), Instant::ZERO);
    assert!(matches!(event(&mut network), Event::Closed { connection } if connection == id));
    assert_eq!(network.hits().counts().collect::<Vec<_>>(), [("trusted names", 1)]);
    // A trusted one is, by somebody else: the connection waits, this thread does not.
    let endpoint = Endpoint::new("nowhere.invalid", 1);
    network.trust(&endpoint, Instant::ZERO);
    network.connect(id, &endpoint, Instant::ZERO);
    loop {
        match event(&mut network) {
            Event::Woken => {}
            Event::Closed { connection } if connection == id => break,
            other => panic!("expected the end of {id}, found {other:?}"),
        }
    }
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
