//! One piece of work on one app, with the app out of its slot and panics caught.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use websocket_connection::{CloseCode, SendError, State};
use websocket_dispatcher::{Dispatcher, Interest, Ready};

use super::app::{App, Stage, check};
use super::end::Next;
use super::schedule::{Due, Entry};
use super::{AppId, Apps, PanicPolicy};
use crate::inbox::Job;
use crate::sender::Order;
use crate::{Error, Outcome, Timeout};

/// What there is to do about one app.
pub(super) enum Work {
    Ready(Ready),
    /// Reading stopped early.
    Read,
    Write,
    Due(Entry),
    /// The app was added, or a close was asked for before there was a connection.
    Look,
    Commands,
    Resolved(u64, std::io::Result<Vec<std::net::SocketAddr>>),
    /// Begin to stop.
    Drain,
    Stop,
}

/// The parts of a reactor while it takes a turn.
pub(super) struct Driver<'a> {
    pub(super) dispatcher: &'a mut dyn Dispatcher,
    pub(super) apps: &'a mut Apps,
    pub(super) buffer: &'a mut Vec<u8>,
}

impl Driver<'_> {
    pub(super) fn job(&mut self, job: Job) {
        match job {
            Job::Commands(id) => self.attend(id, Work::Commands),
            Job::Resolved { app, query, addresses } => self.attend(app, Work::Resolved(query, addresses)),
            Job::Run(work) => {
                let ran = catch_unwind(AssertUnwindSafe(|| work(self.apps)));
                if let Err(panic) = ran {
                    log::error!(target: "websocket::app", "work from another thread panicked: {}", text(&*panic));
                    self.keep_panic(panic);
                }
            }
        }
    }

    /// Takes the app out of its slot, does the work and puts it back, or drops it if it was removed meanwhile.
    pub(super) fn attend(&mut self, id: AppId, work: Work) {
        let Some(mut app) = self.apps.take(id) else { return };
        self.apps.running = Some(id);
        self.apps.interrupted = false;
        let caught = catch_unwind(AssertUnwindSafe(|| self.work(&mut app, id, work))).err();
        if let Some(panic) = &caught {
            self.panicked(&mut app, id, text(&**panic));
        }
        self.apps.running = None;
        self.settle(app, id);
        if let Some(panic) = caught {
            self.keep_panic(panic);
        }
    }

    /// Closes all apps if that was asked for.
    pub(super) fn drain_apps(&mut self) {
        if std::mem::take(&mut self.apps.draining) {
            for id in self.apps.ids() {
                self.attend(id, Work::Drain);
            }
        }
    }

    /// Stops the reactor if that was asked for, or if it has been drained.
    pub(super) fn stop_apps(&mut self) {
        let drained = |apps: &Apps| apps.is_empty() || apps.stop_at.is_some_and(|at| at <= apps.env.now);
        if self.apps.stopping || (self.apps.stop_at.is_some() && drained(self.apps)) {
            self.apps.stopped = true;
            for id in self.apps.ids() {
                self.attend(id, Work::Stop);
            }
            // Whoever asked again in the meantime has what they want.
            (self.apps.stopping, self.apps.draining, self.apps.stop_at) = (false, false, None);
        }
    }

    /// Does something for each app on a list; what is added to the list meanwhile stays there. No list gives its memory up.
    pub(super) fn each(
        &mut self,
        listed: &mut Vec<AppId>,
        list: impl FnOnce(&mut Apps) -> &mut Vec<AppId>,
        mut work: impl FnMut(&mut Self, AppId),
    ) {
        std::mem::swap(listed, list(self.apps));
        for id in listed.drain(..) {
            work(self, id);
        }
    }

    /// Drops a removed app.
    pub(super) fn discard(&mut self, id: AppId) {
        if let Some(app) = self.apps.take_removed(id) {
            self.release(app, id);
        }
    }

    fn work(&mut self, app: &mut App, id: AppId, work: Work) {
        if app.control.ended {
            return;
        }
        if app.is_unwanted() {
            return self.end(app, id, None);
        }
        match work {
            Work::Ready(ready) => match &mut app.stage {
                Stage::Connecting(_) => self.connecting(app, id, ready.key),
                Stage::Tunnelling(tunnelling) if tunnelling.key == ready.key => self.tunnelling(app, id),
                Stage::Live(live) if live.key == ready.key => {
                    live.read_closed |= ready.read_closed;
                    let queued = live.queued;
                    if ready.writable {
                        self.write(app, id);
                    }
                    if ready.readable && !queued && !self.apps.interrupted {
                        self.read(app, id);
                    }
                }
                _ => {}
            },
            Work::Read => {
                if let Stage::Live(live) = &mut app.stage {
                    live.queued = false;
                }
                self.read(app, id);
            }
            Work::Write => self.write(app, id),
            Work::Due(entry) => self.due(app, id, entry),
            Work::Look => {
                if matches!(app.stage, Stage::New) {
                    match self.apps.stop_at {
                        Some(_) => self.stop(app, id),
                        None => self.start(app, id),
                    }
                }
            }
            Work::Commands => self.commands(app, id),
            Work::Resolved(query, addresses) => self.resolved(app, id, query, addresses),
            Work::Drain => self.drain(app, id),
            Work::Stop => self.stop(app, id),
        }
        if let Stage::Live(live) = &app.stage
            && live.connection.state() == State::Closed
        {
            self.end(app, id, None);
        }
    }

    fn due(&mut self, app: &mut App, id: AppId, entry: Entry) {
        let timer = match entry.due {
            Due::Timer(timer) => timer,
            // One that was armed before may come after its successor.
            Due::Deadline if app.control.armed != Some(entry.armed()) => return,
            Due::Deadline => {
                app.control.armed = None;
                return self.deadline(app, id);
            }
        };
        let Some(mut call) = app.control.timers.fire(timer) else { return };
        let (handler, mut context) = app.split(id, self.apps);
        let result = call(&mut context);
        check(handler, &mut context, result);
        app.control.timers.rearm(timer, call, entry.at, id, self.apps);
    }

    fn deadline(&mut self, app: &mut App, id: AppId) {
        if app.deadline().is_none_or(|deadline| deadline > self.apps.env.now) {
            return;
        }
        let now = self.apps.env.now;
        let timeout = |deadline, timeout| if deadline <= now { timeout } else { Timeout::Attempt };
        match &mut app.stage {
            Stage::Resolving(resolving) => {
                let timeout = timeout(resolving.deadline, Timeout::Resolve);
                self.end(app, id, Some(Error::Timeout(timeout)));
            }
            Stage::Connecting(connecting) if connecting.deadline.min(connecting.attempt.deadline) > now => {
                self.race(app, id);
            }
            Stage::Connecting(connecting) => {
                let timeout = timeout(connecting.deadline, Timeout::Connect);
                self.end(app, id, Some(Error::Timeout(timeout)));
            }
            Stage::Tunnelling(tunnelling) => {
                let timeout = timeout(tunnelling.deadline, Timeout::Proxy);
                self.end(app, id, Some(Error::Timeout(timeout)));
            }
            Stage::Live(live) if live.secure.as_ref().is_some_and(|secure| secure.deadline().is_some()) => {
                let handshake = live.secure.as_ref().and_then(|secure| secure.deadline());
                let timeout = timeout(handshake.unwrap_or(now), Timeout::Tls);
                self.end(app, id, Some(Error::Timeout(timeout)));
            }
            Stage::Live(live)
                if live.connection.state() == State::Connecting
                    && live.connection.deadline().is_none_or(|deadline| deadline > now) =>
            {
                self.end(app, id, Some(Error::Timeout(Timeout::Attempt)));
            }
            Stage::Live(live) => {
                if live.connection.state() == State::Closing {
                    // Our close frame may have been queued in this very turn, and not be written yet.
                    let _courtesy = live.write_all(&mut app.control, self.apps);
                }
                let outcome = live.connection.handle_timeout(&mut self.apps.env);
                if live.connection.queued_bytes() > 0 {
                    app.control.mark_dirty(self.apps, id);
                }
                if let Err(error) = outcome {
                    app.report(id, self.apps, error.into());
                }
            }
            Stage::Over => self.start(app, id),
            Stage::New => {}
        }
    }

    /// Does what senders asked for, in their order.
    fn commands(&mut self, app: &mut App, id: AppId) {
        if let Some(outbox) = &mut app.control.outbox {
            outbox.fetch();
        }
        while !(self.apps.interrupted || app.control.ended)
            && let Some(order) = app.control.outbox.as_mut().and_then(|outbox| outbox.next_order())
        {
            self.send_backlog(app, id);
            match order {
                Order::Close(close) => {
                    app.split(id, self.apps).1.request_close(&close);
                    if app.is_unwanted() {
                        self.end(app, id, None);
                    }
                }
                Order::Remove => {
                    self.apps.remove(id);
                }
                Order::Run(work) => app.call(id, self.apps, |_, context| work(context)),
            }
        }
        self.send_backlog(app, id);
    }

    /// Encodes the messages of senders, until the output is full.
    fn send_backlog(&mut self, app: &mut App, id: AppId) {
        let (control, Stage::Live(live)) = (&mut app.control, &mut app.stage) else { return };
        let Some(outbox) = control.outbox.as_mut().filter(|outbox| outbox.has_backlog()) else { return };
        let tx = live.connection.tx();
        let before = tx.queued_bytes();
        let encoded = outbox.encode(tx, &mut self.apps.env);
        control.blocked |= matches!(encoded, Err(SendError::QueueFull { .. }));
        if tx.queued_bytes() > before {
            control.mark_dirty(self.apps, id);
        }
    }

    /// Writes what was sent, and watches for room for the rest.
    pub(super) fn write(&mut self, app: &mut App, id: AppId) {
        app.control.dirty = false;
        let Stage::Live(live) = &mut app.stage else { return };
        if live.broken.is_some() {
            return;
        }
        let interest = match live.write_all(&mut app.control, self.apps) {
            Ok(true) => Interest::Read,
            Ok(false) => Interest::ReadWrite,
            Err(error) => {
                live.broken = Some(error);
                return self.read(app, id);
            }
        };
        if interest != live.interest {
            live.interest = interest;
            if let Err(error) = self.dispatcher.reregister(live.key, &mut live.io, interest) {
                return self.end(app, id, Some(Error::Io(error)));
            }
        }
        let open = live.connection.state() == State::Open;
        if interest == Interest::Read {
            self.send_backlog(app, id);
            // What the backlog has filled again drains another time.
            if !app.control.dirty && std::mem::take(&mut app.control.blocked) && open {
                app.call(id, self.apps, |handler, context| handler.on_drain(context));
            }
        }
    }

    /// Closes an app whose callback has panicked, and tells it. Each step calls the user's code, which may panic again.
    fn panicked(&mut self, app: &mut App, id: AppId, message: String) {
        let unheard = std::mem::take(&mut app.control.unheard);
        let over = matches!(app.stage, Stage::Over);
        if unheard || self.apps.interrupted || (over && app.control.ended) {
            log::error!(target: "websocket::app", "{id}: a callback panicked and no other can be told: {message}");
        }
        if self.apps.interrupted || (over && app.control.ended) {
            return self.give_up(app, id);
        }
        let error = Error::CallbackPanicked(message);
        if !over {
            again(id, || self.say_goodbye(app, CloseCode::Error));
        }
        again(id, || match unheard {
            true => drop(app.failure.get_or_insert_with(|| Box::new(error))),
            false => app.report(id, self.apps, error),
        });
        if over {
            // It waits to connect again: its last attempt has had its on_close.
            app.outcome = app.failure.take().map(|error| Box::new(Outcome::Lost(*error)));
            return self.give_up(app, id);
        }
        again(id, || self.finish(app, id, Next::Nothing));
    }

    /// Sends a close frame if the connection is open and its socket takes it at once.
    pub(super) fn say_goodbye(&mut self, app: &mut App, code: CloseCode) {
        if let Stage::Live(live) = &mut app.stage
            && live.connection.tx().close(&code.into(), &mut self.apps.env).is_ok()
        {
            // It is a courtesy: the stream is dropped next, whatever becomes of it.
            let _courtesy = live.write_all(&mut app.control, self.apps);
        }
    }

    /// Puts the app back into its slot with its deadline armed, or drops it.
    fn settle(&mut self, mut app: Box<App>, id: AppId) {
        if self.apps.is_removed(id) {
            self.release(app, id);
            return;
        }
        if app.control.ended {
            self.apps.take_removed(id);
            self.retire(app, id);
            return;
        }
        if let Stage::Live(live) = &mut app.stage {
            let state = live.connection.state();
            app.control.note(id, state);
            if state != State::Connecting {
                live.attempt = None;
            }
        }
        self.arm(&mut app, id);
        app.publish();
        self.apps.put_back(id, app);
    }

    /// Sees to it that the schedule knows of the app's deadline: an entry that comes too early serves, and is looked at again then.
    fn arm(&mut self, app: &mut App, id: AppId) {
        let (deadline, armed) = (app.deadline(), app.control.armed);
        let serves = match (deadline, armed) {
            (Some(deadline), Some(armed)) => armed.at <= deadline,
            (deadline, armed) => deadline.is_none() && armed.is_none(),
        };
        if serves {
            return;
        }
        self.apps.schedule.forget(usize::from(armed.is_some()));
        app.control.armed = deadline.map(|deadline| self.apps.schedule.push(deadline, id, Due::Deadline));
    }

    /// Keeps a panic that is to go on for the end of the turn: until then the neighbours have theirs.
    pub(super) fn keep_panic(&mut self, panic: Box<dyn Any + Send>) {
        if self.apps.panic_policy == PanicPolicy::Propagate {
            self.apps.panic = Some(panic);
        }
    }
}

/// Does what may panic where a panic must not go on: after another one, or while what is the user's is dropped.
pub(super) fn again(id: AppId, step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        log::error!(target: "websocket::app", "{id}: the user's code panicked where nobody can be told");
    }
}

/// What a panic says.
pub(super) fn text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
