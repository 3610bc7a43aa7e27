//! Limits, deadlines and checks of one connection.

use std::time::Duration;

#[cfg(feature = "deflate")]
use crate::Deflate;

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
    /// Largest payload of one frame, in bytes; a header that announces more fails the connection with 1009. Default 64 MiB.
    pub max_frame_size: u64,
    /// Largest payload of one message over all its fragments, in bytes; beyond it the connection fails with 1009. Default 64 MiB.
    pub max_message_size: u64,
    /// Most fragments of one message; beyond it the connection fails with 1009. Default 1 048 576.
    pub max_fragments: u32,
    /// Most bytes that may wait to be written; a message that would exceed it is refused. Default 64 MiB.
    pub max_queued_bytes: usize,
    /// Most bytes of the response's status line and headers. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Most headers in the response. Default 128.
    pub max_headers: usize,
    /// Most bytes kept of the body of a response that refuses the upgrade. Default 16 KiB.
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

impl Config {
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
            && payload.len() > crate::MAX_CONTROL_PAYLOAD
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

/// A [`Config`] that contradicts itself.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// `ping_timeout` is zero.
    PingTimeoutZero,
    /// `ping_timeout` without `ping_interval` would never do anything.
    PingTimeoutWithoutInterval,
    /// `ping_timeout` is not below `ping_interval`.
    PingTimeoutNotBelowInterval {
        /// The timeout that was given.
        timeout: Duration,
        /// The interval that was given.
        interval: Duration,
    },
    /// `ping_payload` does not fit into a control frame.
    PingPayloadTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A level of compression above 9.
    #[cfg(feature = "deflate")]
    CompressionLevel {
        /// The level that was given.
        level: u8,
    },
    /// Compression without an offer would never happen.
    #[cfg(feature = "deflate")]
    NoCompressionOffer,
    /// Window bits other than 8 to 15.
    #[cfg(feature = "deflate")]
    WindowBits {
        /// The parameter of permessage-deflate.
        parameter: &'static str,
        /// The bits that were given.
        bits: u8,
    },
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PingTimeoutZero => f.write_str("ping_timeout must be above zero"),
            Self::PingTimeoutWithoutInterval => {
                f.write_str("ping_timeout needs a ping_interval: without pings it would never fire")
            }
            Self::PingTimeoutNotBelowInterval { timeout, interval } => {
                write!(f, "ping_timeout ({timeout:?}) must be below ping_interval ({interval:?})")
            }
            Self::PingPayloadTooLong { len } => {
                write!(f, "ping_payload is {len} bytes long; a control frame carries at most 125")
            }
            #[cfg(feature = "deflate")]
            Self::CompressionLevel { level } => write!(f, "compression level {level}; allowed are 0 to 9"),
            #[cfg(feature = "deflate")]
            Self::NoCompressionOffer => f.write_str("compression needs at least one offer"),
            #[cfg(feature = "deflate")]
            Self::WindowBits { parameter, bits } => write!(f, "{parameter} is {bits}; allowed are 8 to 15"),
        }
    }
}

impl std::error::Error for ConfigError {}
