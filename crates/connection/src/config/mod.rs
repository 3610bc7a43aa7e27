//! Limits, deadlines and checks of one connection.

mod error;

pub use error::ConfigError;

use std::time::Duration;

#[cfg(feature = "deflate")]
use crate::Deflate;
use crate::MAX_CONTROL_PAYLOAD;

/// What counts as a sign of life while a ping waits for its pong.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(clippy::exhaustive_enums, reason = "these are the two answers to one question")]
pub enum Liveness {
    /// Any byte from the peer that arrives after the ping was written.
    #[default]
    AnyData,
    /// Only the pong that carries the ping's payload.
    PongOnly,
}

/// Limits, deadlines and checks. No limit is infinite by default.
///
/// ```
/// let mut config = websocket_connection::Config::default();
/// config.max_message_size = 1 << 20;
/// config.check()?;
/// # Ok::<(), websocket_connection::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Largest payload of one frame, in bytes; a header that announces more fails the connection with 1009. Default 64 MiB. Never above
    /// half of what memory can address: just below 1 GiB on 32-bit systems, whatever this says.
    pub max_frame_size: u64,
    /// Largest payload of one message over all its fragments, in bytes; beyond it the connection fails with 1009. Default 64 MiB. Capped
    /// as [`max_frame_size`](Self::max_frame_size) is.
    pub max_message_size: u64,
    /// Most fragments of one message; beyond it the connection fails with 1009. Default 1 048 576.
    pub max_fragments: u32,
    /// Most bytes that may wait to be written; a message that would exceed it is refused. Default 64 MiB.
    pub max_queued_bytes: usize,
    /// Most bytes of the response's status line and headers, and of the interim responses (1xx) before it together. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Most headers in the response that accepts the upgrade; of one that refuses it, more are left out. Default 128.
    pub max_headers: usize,
    /// Most bytes kept of the body of a response that refuses the upgrade. It is awaited for half a second at most. Default 16 KiB.
    pub max_error_body: usize,
    /// Deliver each fragment of a fragmented message as it comes, instead of the whole. Default `false`.
    pub deliver_fragments: bool,
    /// Check that text is UTF-8 (RFC 6455 section 8.1). Without it text is delivered as bytes. Default `true`.
    pub validate_utf8: bool,
    /// Accept masked frames from the server, which RFC 6455 section 5.1 forbids. Default `false`.
    pub accept_masked_frames: bool,
    /// Accept lengths of data frames in more bytes than needed, which RFC 6455 section 5.2 forbids. Default `false`.
    pub accept_non_minimal_lengths: bool,
    /// Time from the start of the connection object to the complete response. Default 10 s.
    pub upgrade_timeout: Duration,
    /// Time without progress while bytes wait to be written; the connection is lost then. Default 30 s.
    pub write_timeout: Duration,
    /// Time for the closing handshake, and for the peer to close the stream after it. Zero waits for neither, which is no failure. Default 3 s.
    pub close_timeout: Duration,
    /// Time between keep-alive pings; zero means none. Default zero.
    pub ping_interval: Duration,
    /// Time from writing a ping to the sign of life that [`liveness`](Self::liveness) wants; `None` waits for ever. Must be below
    /// `ping_interval`. Default `None`.
    pub ping_timeout: Option<Duration>,
    /// Payload of keep-alive pings, at most 125 bytes. Default `None`: a counter, so that each pong finds its ping.
    pub ping_payload: Option<Box<[u8]>>,
    /// What answers a keep-alive ping. Default [`Liveness::AnyData`].
    pub liveness: Liveness,
    /// Offer compression with permessage-deflate (RFC 7692). Default `None`.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_size: 64 << 20,
            max_message_size: 64 << 20,
            max_fragments: 1 << 20,
            max_queued_bytes: 64 << 20,
            max_header_bytes: 64 << 10,
            max_headers: 128,
            max_error_body: 16 << 10,
            deliver_fragments: false,
            validate_utf8: true,
            accept_masked_frames: false,
            accept_non_minimal_lengths: false,
            upgrade_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(3),
            ping_interval: Duration::ZERO,
            ping_timeout: None,
            ping_payload: None,
            liveness: Liveness::AnyData,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

/// The largest payload that can be held: a buffer may double its size once more.
pub(crate) const MAX_HELD: u64 = (isize::MAX / 2) as u64;

impl Config {
    /// The largest message that is taken and can be held.
    #[inline]
    pub(crate) fn message_limit(&self) -> u64 {
        self.max_message_size.min(MAX_HELD)
    }

    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// The first value that does not, with what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(timeout) = self.ping_timeout {
            if timeout.is_zero() {
                return Err(ConfigError::PingTimeoutZero);
            }
            if self.ping_interval.is_zero() {
                return Err(ConfigError::PingTimeoutWithoutInterval);
            }
            if timeout >= self.ping_interval {
                return Err(ConfigError::PingTimeoutNotBelowInterval {
                    timeout,
                    interval: self.ping_interval,
                });
            }
        }
        if let Some(payload) = &self.ping_payload
            && payload.len() > MAX_CONTROL_PAYLOAD
        {
            return Err(ConfigError::PingPayloadTooLong { len: payload.len() });
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            deflate.check()?;
        }
        Ok(())
    }
}
