//! The numbers of an app, in its callbacks and for other threads.

use std::time::Instant;
#[cfg(feature = "kernel-receive-time")]
use std::time::SystemTime;

use websocket_connection::ConnectionStats;

use super::{App, Apps, Context, Control, Stage};
use crate::id::AppId;
use crate::meter::{LongCallback, ReactorStats};
use crate::phases::Phase;
use crate::stats::{Stats, add};
use crate::surroundings::Surroundings;

impl Context<'_> {
    /// Returns the numbers of the current connection, or of the last one while there is none: in `on_close`, and until the next
    /// attempt begins. See [`total_stats`](Self::total_stats) for the whole run.
    pub fn stats(&mut self) -> Stats {
        let live = self.connection_stats();
        let connection = live.or_else(|| self.control.rare.last_stats()).unwrap_or_default();
        self.stats_of(&connection)
    }

    /// Returns the numbers of all connections of this run together.
    pub fn total_stats(&mut self) -> Stats {
        let live = self.connection_stats();
        let total = self.control.total(live.as_ref());
        self.stats_of(&total)
    }

    /// Returns when the reactor read what this callback is called for, on the dispatcher's clock: for a message the read that brought its last
    /// byte. `on_batch_end`, and `on_error` and `on_close` that follow from a read, have the time of that read, too. A callback that is not called for
    /// something received, as a timer's, gets the time now.
    ///
    /// With [`now`](Self::now) it tells how long a message had to wait for the callbacks of others before it. How long it lay
    /// in the system's buffers is not known here. The clock is not read for each message: the time of the first
    /// read of a visit is taken just before it, and that of others just after.
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_message(|app, _message| {
    ///     println!("delivered {:?} after it was read", app.now() - app.received_at());
    /// });
    /// # let _ = app;
    /// ```
    pub fn received_at(&self) -> Instant {
        let reading = self.apps.reading.filter(|reading| reading.app == self.identity.id);
        reading.map_or_else(|| self.now(), |reading| reading.at)
    }

    /// Returns when the kernel received what this callback is called for, if
    /// [`RunOptions::kernel_receive_time`](crate::RunOptions::kernel_receive_time) asks for it: the time of the newest bytes in the
    /// read that brought the last byte of the message, on the wall clock (`CLOCK_REALTIME`). Over TLS it is the last read from the
    /// socket below.
    ///
    /// With the time now it tells how long a message lay in the system's buffers and then waited for the callbacks before it;
    /// [`received_at`](Self::received_at), on a clock that is never set, tells the second alone. The wall clock may be set meanwhile,
    /// so be prepared for a time that lies ahead.
    ///
    /// All messages of one read have the same time. Where bytes arrive in quick succession, the kernel merges packets and keeps the
    /// newest time, so the message itself may have come a little earlier, and never later.
    ///
    /// Returns `None`
    ///
    /// - without the option, and on other systems than Linux;
    /// - in callbacks that are not called for something received, such as a timer's;
    /// - for streams that are not TCP sockets of the system: unix sockets, TLS to a proxy, streams of
    ///   [`socket_with`](crate::WebSocketApp::socket_with) that [`Io::tcp`](crate::dispatcher::Io::tcp) has not made;
    /// - for packets that the kernel has not stamped: it begins a moment after the option was set for the first time on the machine.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use websocket_app::{RunOptions, WebSocketApp};
    ///
    /// let options = RunOptions::new().kernel_receive_time(true);
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_message(|app, _message| {
    ///     if let Some(age) = app.kernel_received_at().and_then(|at| SystemTime::now().duration_since(at).ok()) {
    ///         println!("delivered {age:?} after the kernel had received it");
    ///     }
    /// });
    /// # let _ = (options, app);
    /// ```
    #[cfg(feature = "kernel-receive-time")]
    pub fn kernel_received_at(&self) -> Option<SystemTime> {
        self.apps.reading.filter(|reading| reading.app == self.identity.id)?.kernel
    }

    fn connection_stats(&mut self) -> Option<ConnectionStats> {
        let connected = self.connected.as_mut()?;
        if let Some(reading) = self.apps.reading.filter(|reading| reading.app == self.identity.id) {
            // It is noted when all of it was delivered, too, which is later.
            connected.tx.read_at(reading.at);
        }
        Some(connected.tx.stats())
    }

    fn stats_of(&self, connection: &ConnectionStats) -> Stats {
        let phases = self.control.phases.expand();
        Stats::new(self.now(), connection, self.queued_bytes(), self.control.attempts, phases)
    }
}

impl App {
    /// Publishes the numbers of the run to the app's senders.
    pub(crate) fn publish_stats(&mut self, env: &mut Surroundings) {
        if self.control.outbox.is_some() {
            let stats = self.total_stats(env.current().now);
            self.control.outbox.iter().for_each(|outbox| outbox.mailbox().set_stats(stats));
        }
    }

    /// The numbers of the run, for other threads.
    fn total_stats(&mut self, now: Instant) -> Stats {
        let (live, queued_bytes) = match &mut self.stage {
            Stage::Live(live) => {
                let queued_bytes = live.connection.queued_bytes() + self.control.waiting_bytes();
                (Some(live.connection.tx().stats()), queued_bytes)
            }
            _ => (None, 0),
        };
        let total = self.control.total(live.as_ref());
        Stats::new(now, &total, queued_bytes, self.control.attempts, self.control.phases.expand())
    }
}

impl Control {
    /// The numbers of all connections so far.
    fn total(&mut self, live: Option<&ConnectionStats>) -> ConnectionStats {
        let mut total = self.rare.ended_stats();
        if let Some(live) = live {
            add(&mut total, live);
        }
        // One that was replaced counts at once, and a successor from when it is the one in use.
        if let Some(companion) = self.companion.as_mut().filter(|it| it.is_predecessor)
            && let Stage::Live(live) = &mut companion.stage
        {
            add(&mut total, &live.connection.tx().stats());
        }
        total
    }

    /// Notes the end of a phase of the opening handshake.
    pub(crate) fn end_phase(&mut self, phase: Phase, now: Instant) {
        if let Some(details) = &mut self.on_open {
            self.phases.add(phase, now.saturating_duration_since(details.since));
            details.since = now;
        }
    }
}

impl Apps {
    /// Returns the numbers of the reactor since it was made.
    pub fn stats(&self) -> ReactorStats {
        self.meter.stats()
    }

    /// Work on an app begins. The clock is not read if it was since the user's code last ran.
    pub(crate) fn begin_work(&mut self) {
        if !self.meter.is_running() {
            self.meter.begin(self.env.nanos());
        }
    }

    /// The work has ended, if it was measured. Returns what was slow in it.
    pub(crate) fn end_work(&mut self, app: Option<AppId>) -> Option<LongCallback> {
        self.reading = None;
        if !self.meter.is_running() {
            return None;
        }
        self.meter.end(self.env.nanos(), app)
    }

    /// When what is being delivered was read.
    pub(crate) fn read_at(&self) -> Option<Instant> {
        self.reading.map(|reading| reading.at)
    }
}
