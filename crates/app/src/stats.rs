//! An app in numbers.

use std::time::Instant;
#[cfg(feature = "kernel-receive-time")]
use std::time::SystemTime;

use websocket_connection::{ConnectionStats, Rtt, Traffic};

use crate::attempts::Attempts;
use crate::id::AppId;
use crate::phases::Phases;

/// One connection of an app in numbers, or all connections of its run together.
///
/// Counters only grow. What is counted for each message costs less than a nanosecond; there is nothing to switch on.
///
/// ```
/// use std::time::Duration;
/// use websocket_app::WebSocketApp;
///
/// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_open(|app, _open| {
///     app.set_interval(Duration::from_secs(1), |app| {
///         let stats = app.stats();
///         println!("{} messages, {} bytes wait", stats.received.messages, stats.queued_bytes);
///     });
/// });
/// # let _ = app;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// When these numbers were taken, on the dispatcher's clock.
    pub taken_at: Instant,
    /// What the server has sent. The message of the callback that runs counts, too.
    pub received: Traffic,
    /// What this app has sent. A message counts when it is queued, or when a `send_limit` lets it pass; its bytes on the stream count
    /// when they are written.
    pub sent: Traffic,
    /// Round-trip times of pings. Over several connections `last` and `smoothed` are those of the latest that has any.
    pub rtt: Rtt,
    /// When bytes were read last. `None` until something came after the first message, or after the first look at these numbers.
    pub last_byte: Option<Instant>,
    /// When the last message was read.
    pub last_message: Option<Instant>,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// The most bytes that waited at any time since the connection's first message, or since the first look at these numbers. Of a message that
    /// is written while it is masked, what was masked and not written yet.
    pub peak_queued_bytes: usize,
    /// The attempts of this run.
    pub attempts: Attempts,
    /// How long the steps of the last attempt took.
    pub phases: Phases,
}

impl Stats {
    pub(crate) const fn new(
        taken_at: Instant,
        connection: &ConnectionStats,
        queued_bytes: usize,
        attempts: Attempts,
        phases: Phases,
    ) -> Self {
        Self {
            taken_at,
            received: connection.received,
            sent: connection.sent,
            rtt: connection.rtt,
            last_byte: connection.last_byte,
            last_message: connection.last_message,
            queued_bytes,
            peak_queued_bytes: connection.peak_queued_bytes,
            attempts,
            phases,
        }
    }
}

/// The app that is being read for, and when what it is delivered was read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) app: AppId,
    pub(crate) at: Instant,
    /// When the kernel received it.
    #[cfg(feature = "kernel-receive-time")]
    pub(crate) kernel: Option<SystemTime>,
}

/// What went over the connections of an app that have ended.
#[derive(Default)]
pub(crate) struct Ended {
    /// All of them.
    pub(crate) sum: ConnectionStats,
    /// The last one, until the next attempt begins.
    pub(crate) last: Option<Box<ConnectionStats>>,
}

impl Ended {
    /// A connection has ended.
    pub(crate) fn keep(&mut self, connection: ConnectionStats) {
        add(&mut self.sum, &connection);
        self.last = Some(Box::new(connection));
    }
}

/// Adds the numbers of a later connection.
pub(crate) fn add(sum: &mut ConnectionStats, later: &ConnectionStats) {
    sum.received += later.received;
    sum.sent += later.sent;
    sum.rtt.last = later.rtt.last.or(sum.rtt.last);
    sum.rtt.smoothed = later.rtt.smoothed.or(sum.rtt.smoothed);
    sum.rtt.min = [sum.rtt.min, later.rtt.min].into_iter().flatten().min();
    sum.last_byte = later.last_byte.or(sum.last_byte);
    sum.last_message = later.last_message.or(sum.last_message);
    sum.peak_queued_bytes = sum.peak_queued_bytes.max(later.peak_queued_bytes);
}
