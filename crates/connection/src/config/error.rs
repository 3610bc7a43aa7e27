//! Configurations that contradict themselves.

use std::fmt;
use std::time::Duration;

/// A [`Config`](crate::Config) that contradicts itself.
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

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
