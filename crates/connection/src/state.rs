//! The states of a connection (RFC 6455 sections 4.1 and 7.1), and every transition between them.

use std::time::{Duration, Instant};

use crate::Config;

/// Where a connection stands, in the words of RFC 6455 section 4.1 and 7.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the four states of RFC 6455")]
pub enum State {
    /// The opening handshake is under way.
    Connecting,
    /// Messages flow.
    Open,
    /// A close frame was sent or received; the rest of the closing handshake is under way.
    Closing,
    /// Nothing more will come or go: drop the stream.
    Closed,
}

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Side {
    /// This end.
    Client,
    /// The peer.
    Server,
}

/// The state of one connection. Only the methods here change it.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: State,
    /// Set once the closing handshake has begun: most connections are open, and hold no memory for it.
    closing: Option<Box<Closing>>,
}

impl Lifecycle {
    pub(crate) const fn new() -> Self {
        Self { state: State::Connecting, closing: None }
    }

    #[inline]
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// The closing handshake, if it has begun.
    pub(crate) fn closing(&self) -> Option<&Closing> {
        self.closing.as_deref()
    }

    /// Connecting -> Open: the response to the upgrade request was accepted.
    pub(crate) const fn open(&mut self) {
        self.state = State::Open;
    }

    /// Open -> Closing: the first close frame came from `by`, and ours is queued. It ends at `end` in the stream of outgoing bytes.
    /// `timeout` replaces the configured one.
    pub(crate) fn begin_closing(&mut self, by: Side, end: u64, timeout: Option<Duration>, now: Instant) {
        self.state = State::Closing;
        self.closing =
            Some(Box::new(Closing { by, since: now, has_left: false, end, timeout, hurried: None }));
    }

    /// Our close frame was written, or the stream takes no bytes: the server's time to answer begins.
    pub(crate) const fn close_has_left(&mut self, now: Instant) {
        if let Some(closing) = &mut self.closing
            && !std::mem::replace(&mut closing.has_left, true)
        {
            closing.since = now;
        }
    }

    /// Any state -> Closed.
    pub(crate) const fn end(&mut self) {
        self.state = State::Closed;
    }

    /// Ends a closing handshake that has begun within `timeout` from now, if that is sooner; zero means that the answer is not waited for.
    pub(crate) fn hurry(&mut self, timeout: Duration, now: Instant) {
        let Some(closing) = &mut self.closing else { return };
        if timeout.is_zero() {
            closing.timeout = Some(Duration::ZERO);
        } else {
            closing.hurried = [closing.hurried, now.checked_add(timeout)].into_iter().flatten().min();
        }
    }
}

/// A closing handshake under way.
#[derive(Debug)]
pub(crate) struct Closing {
    /// The side whose close frame came first.
    pub(crate) by: Side,
    /// Where our close frame ends in the stream of outgoing bytes.
    pub(crate) end: u64,
    /// When the close frame was written or, before that, queued.
    since: Instant,
    has_left: bool,
    /// Replaces the configured one.
    timeout: Option<Duration>,
    /// A later close wants the end by then.
    hurried: Option<Instant>,
}

impl Closing {
    /// When the stream is dropped, whether or not the server has answered.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        let first = self.since.checked_add(self.timeout(config));
        [first, self.hurried].into_iter().flatten().min()
    }

    /// Whether the answer is waited for at all.
    pub(crate) fn waits(&self, config: &Config) -> bool {
        !self.timeout(config).is_zero()
    }

    fn timeout(&self, config: &Config) -> Duration {
        self.timeout.unwrap_or(config.close_timeout)
    }
}
