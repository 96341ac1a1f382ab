//! One socket: bytes in until a frame is whole, frames out until the peer has taken them.
//!
//! Both directions are bounded. A frame that announces more than the limit ends the connection before anything is
//! allocated for it, and the buffer grows only as bytes arrive. What a peer does not take is queued up to a limit; long
//! before that, nothing more is read from it, so that a peer that only asks cannot make us remember answers without end.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use mio::net::TcpStream;

use crate::protocol::frame::FrameError;
use crate::protocol::{Frame, FrameCutter};
use crate::time::Instant;

/// A connection, or the attempt to make one.
#[derive(Debug)]
pub struct Connection {
    /// The socket, registered with the poll.
    pub socket: TcpStream,
    /// How far it is.
    pub stage: Stage,
    /// Told to stop reading (backpressure of the node).
    pub is_held: bool,
    /// The socket may have bytes to read.
    pub is_readable: bool,
    /// The socket may take bytes.
    pub is_writable: bool,
    /// It stands in the queue of connections to read from.
    pub is_queued: bool,
    /// When bytes moved on it last, either way.
    pub used_at: Instant,
    /// Bytes it may still read in this turn.
    share_bytes: usize,
    incoming: FrameCutter,
    outgoing: VecDeque<Bytes>,
    outgoing_bytes: usize,
}

/// The life of a connection.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Stage {
    /// Being made; the addresses are those to try after this one.
    Connecting { others: VecDeque<SocketAddr> },
    /// Frames flow.
    Open,
    /// Dropped once everything is sent.
    Closing,
}

/// What reading came to.
#[derive(Debug)]
pub enum Incoming {
    /// A whole frame, without its length field.
    Frame(Bytes),
    /// Nothing more at this moment.
    Later,
    /// The peer is gone.
    Over,
    /// What the peer sent cannot be cut into frames.
    Nonsense(FrameError),
}

impl Connection {
    /// A connection around a socket, on which frames of more than `frame_bytes_max` bytes end it.
    pub fn new(socket: TcpStream, stage: Stage, frame_bytes_max: usize, now: Instant) -> Connection {
        Connection {
            socket,
            stage,
            is_held: false,
            is_readable: true,
            is_writable: true,
            is_queued: false,
            used_at: now,
            share_bytes: TURN_BYTES,
            incoming: FrameCutter::new(frame_bytes_max),
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
        }
    }

    /// Whether frames may be taken from it: it stands, is not held, and its peer takes what we send.
    pub fn may_read(&self) -> bool {
        matches!(self.stage, Stage::Open) && !self.is_held && !self.is_choked()
    }

    /// Whether its peer must first take what was sent before anything more is read from it.
    pub fn is_choked(&self) -> bool {
        self.outgoing_bytes >= OUTGOING_BYTES_CHOKE
    }

    /// Begins a turn with a full share of bytes to read.
    pub fn begin_turn(&mut self) {
        self.share_bytes = TURN_BYTES;
    }

    /// The next frame; reads from the socket until there is one or this turn's share is used up.
    pub fn read(&mut self, now: Instant) -> Incoming {
        loop {
            match self.incoming.next_frame() {
                Ok(Some(frame)) => return Incoming::Frame(frame),
                Ok(None) => {}
                Err(error) => return Incoming::Nonsense(error),
            }
            if !self.is_readable || self.share_bytes == 0 {
                return Incoming::Later;
            }
            // A short read is no reason to stop: the end of the stream may lie behind it, and makes no event of its own.
            match self.socket.read(self.incoming.space()) {
                Ok(0) => return Incoming::Over,
                Ok(count) => {
                    self.used_at = now;
                    self.incoming.filled(count);
                    self.share_bytes = self.share_bytes.saturating_sub(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Incoming::Over,
            }
        }
    }

    /// Queues a frame; `false` when the peer has let too much pile up.
    #[must_use]
    pub fn queue(&mut self, frame: Frame) -> bool {
        self.outgoing_bytes += frame.size_bytes();
        self.outgoing.extend(frame.parts.into_iter().filter(|part| !part.is_empty()));
        self.outgoing_bytes <= OUTGOING_BYTES_MAX
    }

    /// Whether everything queued has been handed to the operating system.
    pub fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends as much as the socket takes.
    pub fn write(&mut self, now: Instant) -> io::Result<()> {
        while self.is_writable && !self.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_PARTS_MAX];
            let count = self.outgoing.len().min(WRITE_PARTS_MAX);
            for (slice, part) in slices.iter_mut().zip(&self.outgoing) {
                *slice = IoSlice::new(part);
            }
            match self.socket.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.used_at = now;
                    self.sent(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sent(&mut self, mut bytes: usize) {
        self.outgoing_bytes -= bytes;
        while bytes > 0 {
            let first = self.outgoing.front_mut().expect("invariant: no more is sent than was queued");
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.outgoing.pop_front();
        }
    }
}

/// Bytes read from one connection before the others have their turn, 256 KiB.
const TURN_BYTES: usize = 256 << 10;

/// Parts of frames handed to the operating system at once.
const WRITE_PARTS_MAX: usize = 64;

/// Bytes queued for a peer above which no more requests are read from it, 1 MiB.
const OUTGOING_BYTES_CHOKE: usize = 1 << 20;

/// Bytes queued for a peer above which it is given up, 256 MiB. (Above the largest Fetch answer.)
const OUTGOING_BYTES_MAX: usize = 256 << 20;
