//! Options for pings that find out whether the server is there.

use std::time::Duration;

use websocket_connection::Liveness;

use super::RunOptions;

impl RunOptions {
    /// Sends a keep-alive ping this often; zero means never. Default zero.
    #[must_use]
    pub fn ping_interval(self, interval: Duration) -> Self {
        self.with(|config| config.ping_interval = interval)
    }

    /// Ends a connection whose server gives no sign of life for this long after a keep-alive ping was
    /// written. Must be below [`ping_interval`](Self::ping_interval), which it needs. Default: no end.
    #[must_use]
    pub fn ping_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.ping_timeout = Some(timeout))
    }

    /// The payload of keep-alive pings, at most 125 bytes. Default: a counter, so that each pong finds its
    /// ping.
    #[must_use]
    pub fn ping_payload(self, payload: impl Into<Vec<u8>>) -> Self {
        let payload = payload.into().into_boxed_slice();
        self.with(|config| config.ping_payload = Some(payload))
    }

    /// What counts as a sign of life. Default [`Liveness::AnyData`].
    #[must_use]
    pub fn liveness(self, liveness: Liveness) -> Self {
        self.with(|config| config.liveness = liveness)
    }
}
