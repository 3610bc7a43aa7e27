//! Opening a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use websocket_app::{ReactorHandle, RunOptions, Unsent, WebSocketApp};

use crate::error::Error;
use crate::feeder::{Feeder, Lease};
use crate::link::{Link, Shared};
use crate::stream::WebSocketStream;

/// How much is queued by default.
const BUFFER: usize = 256 << 10;

type Configure = Box<dyn FnOnce(WebSocketApp) -> WebSocketApp + Send>;

/// Connects to `url` on the reactor of `handle`: await what it returns.
///
/// [`RunOptions`] says how the server is reached: TLS, proxies, deadlines, keep-alive, reconnecting. With a
/// [`reconnect`](RunOptions::reconnect) policy the first connection is tried for as the policy says, too.
///
/// Dropping the future ends the attempt.
///
/// ```
/// use std::time::Duration;
/// use websocket_app::{ReactorHandle, RunOptions};
/// use websocket_stream::{Error, WebSocketStream, connect};
///
/// async fn feed(reactor: &ReactorHandle, token: String) -> Result<WebSocketStream, Error> {
///     let options = RunOptions::new().ping_interval(Duration::from_secs(20)).reconnect(Duration::from_secs(1));
///     connect("wss://feed.example/", &options, reactor)
///         .configure(move |app| app.header("Authorization", format!("Bearer {token}")).subprotocols(["v2"]))
///         .await
/// }
/// # let _ = feed;
/// ```
///
/// # Errors
/// The future ends with [`Error::Connection`] when the connection is not made, or the URL, a header or an option cannot be used, and with
/// [`Error::Stopped`] when the reactor is gone.
pub fn connect(url: impl Into<String>, options: &RunOptions, handle: &ReactorHandle) -> Connect {
    Connect {
        url: url.into(),
        options: options.clone().unsent(Unsent::Keep),
        handle: handle.clone(),
        configure: None,
        buffer: BUFFER,
    }
}

/// A connection that is to be made: see [`connect()`].
#[must_use = "it connects when it is awaited"]
pub struct Connect {
    url: String,
    options: RunOptions,
    handle: ReactorHandle,
    configure: Option<Configure>,
    buffer: usize,
}

impl Connect {
    /// Passes the app of the connection through `configure`, on the reactor's thread: for headers, cookies, subprotocols, functions that are
    /// called for every attempt. Callbacks that it sets are not called.
    pub fn configure(
        mut self,
        configure: impl FnOnce(WebSocketApp) -> WebSocketApp + Send + 'static,
    ) -> Self {
        self.configure = Some(match self.configure.take() {
            None => Box::new(configure),
            Some(before) => Box::new(move |app| configure(before(app))),
        });
        self
    }

    /// Sets how many bytes of received messages are queued; each message counts its payload and 64 bytes. When so much is queued, the reactor does
    /// not read from the connection until the stream takes what there is, all at once; so up to twice as much is held, and one
    /// message more. Zero queues one message at a time. Default 256 KiB.
    ///
    /// As long as nothing is read, nothing that the server says is noticed, not even that it has closed: see
    /// [`pause_reading`](websocket_app::Context::pause_reading).
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }
}

impl IntoFuture for Connect {
    type Output = Result<WebSocketStream, Error>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        let Self { url, options, handle, configure, buffer } = self;
        // With no room at all there would be nothing to take.
        let shared = Arc::new(Shared::new(buffer.max(1)));
        let lease = Arc::new(Lease(shared.clone()));
        let feeder = Feeder::new(lease.clone());
        let make = move || {
            let app = WebSocketApp::with_handler(url, feeder);
            match configure {
                Some(configure) => configure(app),
                None => app,
            }
        };
        let sender = handle.add(options, make, move |error| lease.refused(error));
        Connecting { link: Some(Link { sender, shared }) }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password.
        f.debug_struct("Connect").field("buffer", &self.buffer).finish_non_exhaustive()
    }
}

/// The future of [`connect()`]. Dropping it ends the attempt.
#[must_use = "dropping it ends the attempt"]
pub struct Connecting {
    /// Until it is ready.
    link: Option<Link>,
}

impl Future for Connecting {
    type Output = Result<WebSocketStream, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Polled again after its end, it waits for nothing.
        let Some(link) = &self.link else { return Poll::Pending };
        let waker = cx.waker().clone();
        let mut inbound = link.shared.lock();
        if let Some(response) = inbound.opened.take() {
            drop(inbound);
            let link = self.link.take();
            return link.map_or(Poll::Pending, |link| Poll::Ready(Ok(WebSocketStream::new(link, response))));
        }
        if let Some(end) = &mut inbound.end {
            // Without an error, the app was closed by a function that had its sender.
            let error = end.error.take().unwrap_or(Error::Stopped);
            drop(inbound);
            self.link = None;
            return Poll::Ready(Err(error));
        }
        let old = inbound.wait_to_read(waker);
        drop(inbound);
        drop(old);
        Poll::Pending
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}
