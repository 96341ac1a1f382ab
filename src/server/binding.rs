//! Listening: from a configured listener to sockets, one for each of its addresses.

use std::fmt;
use std::io;

use mio::net::TcpListener;

use crate::ids::Listener;
use crate::server::addresses::resolve;

/// Why a listener could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// Which one.
    pub listener: Listener,
    /// What the operating system said.
    pub source: io::Error,
}

/// Binds each address of a listener that this machine has; at least one. `localhost` without IPv6 is IPv4 alone.
pub fn bind(listener: &Listener) -> Result<Vec<TcpListener>, BindError> {
    let failed = |source| BindError { listener: listener.clone(), source };
    let mut bound = Vec::new();
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    // The last address first: for "every interface" the IPv6 socket serves IPv4 too and makes the other superfluous.
    for address in resolve(&listener.endpoint).map_err(failed)?.into_iter().rev() {
        match TcpListener::bind(address) {
            Ok(socket) => bound.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !address.ip().is_unspecified() => {
                return Err(failed(error));
            }
            Err(error) => last_error = error,
        }
    }
    match bound.is_empty() {
        true => Err(failed(last_error)),
        false => Ok(bound),
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}://{}: {}", self.listener.name, self.listener.endpoint, self.source)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
