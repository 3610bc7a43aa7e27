//! What the client offers (RFC 7692 section 7.1), and how it compresses once that was accepted.

use super::parameters::{
    CLIENT_MAX_WINDOW_BITS, CLIENT_NO_CONTEXT_TAKEOVER, MAX_BITS, MAX_LEVEL, MIN_BITS, NAME,
    SERVER_MAX_WINDOW_BITS, SERVER_NO_CONTEXT_TAKEOVER,
};
use crate::ConfigError;

/// Compression with permessage-deflate: what to offer, and how to compress once the server has accepted. A server may refuse, and then
/// nothing is compressed; [`Response::deflate`](crate::Response::deflate) tells.
///
/// Do not compress what has to stay secret together with what an attacker may choose: lengths tell what they have in common. Messages
/// can be left out one by one with [`Tx::set_compression`](crate::Tx::set_compression).
///
/// ```
/// use websocket_connection::{Config, Deflate, DeflateOffer};
///
/// let mut config = Config::default();
/// // The first that suits the server: nothing kept between messages, or a small window.
/// config.deflate = Some(
///     Deflate::with_offers([
///         DeflateOffer::new().server_no_context_takeover().client_no_context_takeover(),
///         DeflateOffer::new().server_max_window_bits(10).client_max_window_bits(10),
///     ])
///     .threshold(200),
/// );
/// config.check()?;
/// # Ok::<(), websocket_connection::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deflate {
    pub(super) offers: Vec<DeflateOffer>,
    pub(super) level: u8,
    pub(super) threshold: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Self::from(DeflateOffer::new())
    }
}

impl From<DeflateOffer> for Deflate {
    fn from(offer: DeflateOffer) -> Self {
        Self::with_offers([offer])
    }
}

impl Deflate {
    /// Offers [`DeflateOffer::new`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes these offers, the preferred one first; the server accepts one of them or none. There must be at least one. An answer may leave
    /// open which one it accepts: then what each of those announces of the client holds.
    pub fn with_offers(offers: impl IntoIterator<Item = DeflateOffer>) -> Self {
        Self { offers: offers.into_iter().collect(), level: 1, threshold: 128 }
    }

    /// How hard to compress, from 0, not at all, to 9. Level 6 takes some seven times the time of level 1 and saves a third of the
    /// bytes that level 1 leaves. Default 1.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Messages below this length, in bytes, are sent as they are. It does not concern messages that are sent in fragments. Default 128.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.level > MAX_LEVEL {
            return Err(ConfigError::CompressionLevel { level: self.level });
        }
        if self.offers.is_empty() {
            return Err(ConfigError::NoCompressionOffer);
        }
        self.offers.iter().try_for_each(DeflateOffer::check)
    }

    /// All offers, in order (RFC 7692 section 5.2).
    pub(super) fn header(&self) -> String {
        self.offers.iter().map(DeflateOffer::header).collect::<Vec<_>>().join(", ")
    }
}

/// What the client says of the window that it compresses with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientWindow {
    /// The server must not limit it.
    Unlimited,
    /// The server may limit it.
    Any,
    /// It has so many bits at most, and the server may limit it further.
    Bits(u8),
}

/// One offer of permessage-deflate (RFC 7692 section 7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeflateOffer {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    pub(super) client_window: ClientWindow,
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_window: ClientWindow::Any,
        }
    }
}

impl DeflateOffer {
    /// Asks for nothing, and lets the server limit the client's window, as browsers do.
    pub fn new() -> Self {
        Self::default()
    }

    /// The server is to start each message with an empty window, so that nothing need be kept of those before. A server that does not
    /// accept this fails the upgrade.
    #[must_use]
    pub const fn server_no_context_takeover(mut self) -> Self {
        self.server_no_context_takeover = true;
        self
    }

    /// The client starts each message with an empty window, whatever the server answers, and connections of one [`Env`](crate::Env) take
    /// turns with one context. Small messages compress less.
    #[must_use]
    pub const fn client_no_context_takeover(mut self) -> Self {
        self.client_no_context_takeover = true;
        self
    }

    /// The server is to look back 2^`bits` bytes at most, 8 to 15. A server that does not accept this fails the upgrade.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = Some(bits);
        self
    }

    /// The client looks back 2^`bits` bytes at most, 8 to 15, whatever the server answers.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_window = ClientWindow::Bits(bits);
        self
    }

    /// Leaves `client_max_window_bits` out: the server cannot limit the client's window.
    #[must_use]
    pub const fn without_client_max_window_bits(mut self) -> Self {
        self.client_window = ClientWindow::Unlimited;
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let client = match self.client_window {
            ClientWindow::Bits(bits) => Some(bits),
            ClientWindow::Any | ClientWindow::Unlimited => None,
        };
        for (parameter, bits) in
            [(SERVER_MAX_WINDOW_BITS, self.server_max_window_bits), (CLIENT_MAX_WINDOW_BITS, client)]
        {
            if let Some(bits) = bits.filter(|bits| !(MIN_BITS..=MAX_BITS).contains(bits)) {
                return Err(ConfigError::WindowBits { parameter, bits });
            }
        }
        Ok(())
    }

    fn header(&self) -> String {
        let mut header = NAME.to_owned();
        if self.server_no_context_takeover {
            header += &format!("; {SERVER_NO_CONTEXT_TAKEOVER}");
        }
        if self.client_no_context_takeover {
            header += &format!("; {CLIENT_NO_CONTEXT_TAKEOVER}");
        }
        if let Some(bits) = self.server_max_window_bits {
            header += &format!("; {SERVER_MAX_WINDOW_BITS}={bits}");
        }
        match self.client_window {
            ClientWindow::Unlimited => {}
            ClientWindow::Any => header += &format!("; {CLIENT_MAX_WINDOW_BITS}"),
            ClientWindow::Bits(bits) => header += &format!("; {CLIENT_MAX_WINDOW_BITS}={bits}"),
        }
        header
    }
}
