//! From the path of a unix socket to a stream.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use websocket_dispatcher::Io;

use super::net::Net;
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::schedule::later;

/// How long a dial waits before its second try at a listener that has no room. Each further wait is twice as
/// long.
const FIRST_DELAY: Duration = Duration::from_millis(1);

/// The longest wait between two tries.
const MAX_DELAY: Duration = Duration::from_millis(100);

/// A unix socket to connect to. Where its listener has no room for another connection (`EAGAIN`), the system
/// queues nothing and reports nothing later, so the socket is tried again.
pub(super) struct UnixSocket {
    path: PathBuf,
    /// When to [`connect`](Self::connect) next.
    pub(super) next_try: Instant,
    /// From the next try to the one after it.
    delay: Duration,
    /// By when a stream must be connected.
    pub(super) deadline: Instant,
}

impl UnixSocket {
    pub(super) fn new(path: PathBuf, options: &ConnectOptions, now: Instant) -> Self {
        Self { path, next_try: now, delay: FIRST_DELAY, deadline: later(now, options.connect_timeout) }
    }

    /// Returns a stream that is connecting or connected; `None` if there is no room.
    ///
    /// # Errors
    /// Why there will be none.
    pub(super) fn connect(&mut self, net: &mut Net<'_>) -> Result<Option<Io>, Error> {
        match net.links.connector.connect_unix(&self.path) {
            Ok(io) => Ok(Some(io)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                log::debug!(
                    target: "websocket::connect",
                    "{}: {} has no room, next try in {:?}", net.app, self.path.display(), self.delay
                );
                self.next_try = later(net.now(), self.delay);
                self.delay = (self.delay * 2).min(MAX_DELAY);
                Ok(None)
            }
            Err(source) => Err(Error::Connect { address: None, source }),
        }
    }
}
