//! The option that shows a program what passes over its connections.

use std::sync::Arc;

use crate::id::AppId;
use crate::options::RunOptions;
use crate::wire_event::{Tap, WireEvent};

impl RunOptions {
    /// Calls `tap` with the heads of the upgrade request and its responses and with every frame, of each app that runs with
    /// these options: what the log target `websocket::wire` shows at level trace. Secrets in headers and URLs are masked;
    /// payloads of messages are shown by their first 32 bytes. It is called on the reactor's thread and must not block. A panic in it is
    /// one of the app.
    ///
    /// While a tap or that log is in use, [`Context::flush`](crate::Context::flush) leaves the writing to the reactor, which does it when
    /// the callbacks of the app have returned. Without them nothing is recorded.
    ///
    /// ```
    /// use websocket_app::RunOptions;
    ///
    /// let options = RunOptions::new().wire_tap(|id, event| println!("{id} {event}"));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn wire_tap(self, tap: impl Fn(AppId, &WireEvent) + Send + Sync + 'static) -> Self {
        self.with_connect(|connect| connect.tap = Some(Tap(Arc::new(tap))))
    }
}
