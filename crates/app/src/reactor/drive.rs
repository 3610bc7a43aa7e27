//! One piece of work on one app, which is out of its slot.

use std::panic::resume_unwind;
use std::time::Instant;

use websocket_connection::{CloseCode, State};
use websocket_dispatcher::{Dispatcher, Ready};

use super::begin::{begin, start_trace};
use super::show::show;
use super::work::Work;
use crate::apps::{App, Apps, Delivery, OpenDetails, Stage, ToRead, check_lent};
use crate::dial::{Arrival, Attempt, Continued, Dial, Links, Net, Progress};
use crate::error::Error;
use crate::id::AppId;
use crate::live::{Judgement, Live, Written, is_large};
use crate::phases::Phase;
use crate::plan::Plan;
use crate::schedule::{Due, Entry};
use crate::threads::{Job, Order};

/// The parts of a reactor while it takes a turn.
pub(super) struct Driver<'a> {
    pub(super) dispatcher: &'a mut dyn Dispatcher,
    pub(super) apps: &'a mut Apps,
    pub(super) links: &'a mut Links,
    pub(super) buffer: &'a mut [u8],
}

impl Driver<'_> {
    /// Does the work that concerns the connection in the app's own fields.
    pub(super) fn work(&mut self, app: &mut App, id: AppId, work: Work) {
        match work {
            Work::Ready(ready) => self.ready(app, id, ready),
            Work::Read => {
                if let Stage::Live(live) = &mut app.stage {
                    live.queued = false;
                }
                self.read(app, id, None);
            }
            Work::Write => self.write(app, id),
            Work::Due(entry) => self.due(app, id, entry),
            Work::Look if app.is_new() => self.start(app, id),
            Work::Look => {}
            Work::Commands => self.commands(app, id),
            Work::Resolved(query, addresses) => {
                self.dial(app, id, |dial, plan, net| dial.resolved(query, addresses, plan, net));
            }
            Work::MayAsk(place) => self.dial(app, id, |dial, plan, net| dial.may_ask(place, plan, net)),
            Work::MayConnect(place) => {
                self.dial(app, id, |dial, plan, net| dial.may_connect(place, plan, net));
            }
            Work::Drain => match &app.stage {
                Stage::Live(live) if live.connection.state() != State::Connecting => {
                    app.split(id, self.apps).1.request_close(&CloseCode::Away.into());
                }
                _ => self.stop(app, id, None),
            },
            Work::Stop(broken) => self.stop(app, id, broken),
        }
    }

    /// A stream of the app has moved.
    fn ready(&mut self, app: &mut App, id: AppId, ready: Ready) {
        match &mut app.stage {
            Stage::Dialling(_) => self.dial(app, id, |dial, plan, net| dial.ready(ready.key, plan, net)),
            Stage::Live(live) if live.wire.key == ready.key => {
                live.note(ready);
                let queued = live.queued;
                if ready.writable {
                    self.write(app, id);
                }
                if ready.readable && !queued && !self.apps.interrupted {
                    self.read(app, id, None);
                }
            }
            _ => {}
        }
    }

    /// Begins an attempt, unless the reactor is to stop.
    pub(super) fn start(&mut self, app: &mut App, id: AppId) {
        if self.apps.stop_at.is_some() {
            return self.stop(app, id, None);
        }
        app.control.log_state(id, State::Connecting);
        app.outcome = None;
        let failed_addresses = app.control.begin_attempt();
        match Attempt::begin(&mut app.plan, failed_addresses, self.apps.env.clock()) {
            Ok(attempt) => {
                log::debug!(target: "websocket::connect", "{id}: an attempt begins, to {}", app.plan.url());
                app.stage = Stage::Dialling(Dial::new(attempt));
                self.dial(app, id, Dial::set_out);
            }
            Err(error) => self.end(app, id, Some(error)),
        }
    }

    fn due(&mut self, app: &mut App, id: AppId, entry: Entry) {
        let timer = match entry.due {
            Due::AppTimer(_, timer) => timer,
            Due::Deadline(_) if app.control.armed == Some(entry.armed()) => {
                app.control.armed = None;
                return self.deadline(app, id);
            }
            // One that was armed before may come after its successor.
            Due::Deadline(_) | Due::Timer(_) => return,
        };
        let Some(mut call) = app.control.timers.fire(timer) else { return };
        let mut context = app.lend(id, self.apps);
        let result = call(&mut context);
        check_lent(&mut context, result);
        let times = (entry.at, self.apps.env.now());
        app.control.timers.rearm(timer, call, times, entry.due, &mut self.apps.schedule);
    }

    /// A deadline of the app may be due.
    pub(super) fn deadline(&mut self, app: &mut App, id: AppId) {
        if app.due().is_none_or(|due| due > self.apps.env.now()) {
            return;
        }
        match &app.stage {
            // The answer has come, and is only yet to be handled.
            Stage::Dialling(dial) if dial.is_resolving() && self.apps.has_answer_for(id) => {}
            Stage::Dialling(_) => {
                self.dial(app, id, Dial::expired);
                // A stream that has just arrived may still be too late to be opened.
                let now = self.apps.env.now();
                self.judge(app, id, now);
            }
            Stage::Live(_) => {
                // Time in which the reactor did not look at the stream is not held against the server.
                if matches!(&app.stage, Stage::Live(live) if live.connection.state() != State::Connecting) {
                    if !app.control.is_swapped() && app.sends_at().is_some() {
                        app.send_backlog(id, self.apps);
                    }
                    self.write(app, id);
                }
                let looked = self.apps.env.now();
                // A dispatcher that reads the socket itself has received what was there when it last waited: the second read asks the system.
                let reads =
                    if matches!(&app.stage, Stage::Live(live) if live.wire.io.is_driven()) { 2 } else { 1 };
                for _ in 0..reads {
                    if matches!(&app.stage, Stage::Live(live) if !live.queued) && !self.apps.interrupted {
                        self.read(app, id, None);
                    }
                }
                self.judge(app, id, looked);
            }
            Stage::Over => self.start(app, id),
        }
    }

    /// Judges a live connection by its deadline, now that what had arrived when the reactor `looked` was read.
    fn judge(&mut self, app: &mut App, id: AppId, looked: Instant) {
        let opens_by = app.opens_by();
        // It may have ended, or been removed, by what was read.
        let Stage::Live(live) = &mut app.stage else { return };
        if self.apps.interrupted {
            return;
        }
        // `on_drain`, which writing may have called, may have resumed.
        resume_reading(live, id, self.apps);
        let state = live.connection.state();
        if state == State::Closing || (state == State::Open && !live.is_broken()) {
            // Our close frame may have been queued in this very turn: its time begins when it is written. And room may have come during the
            // read. What else follows from writing waits until the app is judged: a callback would take time in which more arrives.
            app.control.mark_dirty(self.apps, id);
            let written = live.write_all(self.apps.env.current(), &mut self.apps.scratch);
            if let Err(error) = app.control.wrote(written, &mut self.apps.env)
                && state == State::Open
            {
                live.break_with(error);
                return self.read(app, id, None);
            }
        }
        let verdict = live.judge(opens_by, looked, self.buffer, &mut self.apps.env);
        if live.connection.queued_bytes() > 0 {
            app.control.mark_dirty(self.apps, id);
        }
        match verdict {
            Judgement::Open | Judgement::Met(Ok(())) => {}
            Judgement::Met(Err(error)) => self.failed(app, id, error),
            Judgement::Timeout(timeout) => {
                // A server that is silent on an open connection may be there.
                app.say_goodbye(CloseCode::Away, self.apps);
                self.end(app, id, Some(Error::Timeout(timeout)));
            }
        }
    }

    /// Gives the dial an input, and follows what comes of it.
    pub(super) fn dial(
        &mut self,
        app: &mut App,
        id: AppId,
        step: impl FnOnce(&mut Dial, &mut Plan, &mut Net<'_>) -> Progress,
    ) {
        // Otherwise the answer or the place comes too late.
        if let Stage::Dialling(dial) = &mut app.stage {
            let progress = step(dial, &mut app.plan, &mut self.net(id));
            app.control.phases = dial.phases();
            match progress {
                Progress::Waiting => {}
                Progress::Arrived(arrival) => {
                    if let Stage::Dialling(dial) = std::mem::replace(&mut app.stage, Stage::Over) {
                        self.arrived(app, id, dial.into_attempt(), arrival);
                    }
                }
                Progress::Failed(error) => self.end(app, id, Some(error)),
            }
        }
    }

    /// Begins the opening handshake on a stream that leads to the server.
    fn arrived(&mut self, app: &mut App, id: AppId, attempt: Box<Attempt>, arrival: Arrival) {
        let Arrival { wire, already_read } = arrival;
        let (mut connection, secure) = match begin(&app.plan, &attempt, self.apps.env.current()) {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                self.net(id).unwatch(wire);
                return self.end(app, id, Some(error));
            }
            Err(panic) => {
                self.net(id).unwatch(wire);
                resume_unwind(panic)
            }
        };
        connection.tx().set_mask_key(app.plan.take(|extras| &mut extras.mask_key));
        let jar = app.plan.jar();
        let cookies = jar.map(|jar| (jar.clone(), attempt.target.clone()));
        app.control.on_open = Some(OpenDetails::new(self.apps.env.current().now, cookies));
        // The first write, at the end of this turn, sets what to watch from then on.
        let live =
            Live::new(wire, secure, connection, &app.plan.options.connect.feed, start_trace(&app.plan));
        app.stage = Stage::Live(live);
        app.control.set_on_trial(attempt.connected_to);
        app.attempt = Some(attempt);
        app.control.mark_dirty(self.apps, id);
        // Asked when all is in its place: it is the user's and may panic.
        let wants_fragments = app.handler.wants_fragments();
        let wants_data = app.handler.wants_data();
        app.control.delivery = if wants_data { Delivery::Data } else { Delivery::Messages };
        app.control.wants_batch_end = app.handler.wants_batch_end();
        if let Stage::Live(live) = &mut app.stage {
            live.connection.set_deliver_fragments(wants_fragments);
        }
        if let (Stage::Live(live), Some(len)) = (&mut app.stage, already_read) {
            let chunk = live.already_read(len);
            self.read(app, id, Some(Ok(chunk)));
        }
    }

    /// An attempt continues after a refusal.
    pub(super) fn proceed(&mut self, app: &mut App, id: AppId, continued: Continued) -> Result<(), Error> {
        app.control.end_phase(Phase::Upgrade, self.apps.env.current().now);
        match continued {
            Continued::SameConnection(attempt) => {
                if let Stage::Live(live) = &mut app.stage {
                    live.ask_again(&attempt.request, self.apps.env.current())?;
                    app.attempt = Some(attempt);
                    app.control.mark_dirty(self.apps, id);
                }
            }
            Continued::NewConnection(mut attempt, stream) => {
                attempt.timer.phases = app.control.phases;
                self.close_stream(app, id);
                app.stage = Stage::Dialling(Dial::new(attempt));
                self.dial(app, id, |dial, plan, net| match stream {
                    Some(io) => dial.adopt(io, plan, net),
                    None => dial.set_out(plan, net),
                });
            }
        }
        Ok(())
    }

    /// Does what senders asked for, in their order.
    fn commands(&mut self, app: &mut App, id: AppId) {
        if let Some(outbox) = &mut app.control.outbox {
            outbox.fetch();
        }
        while !(self.apps.interrupted || app.control.ended)
            && let Some(order) = app.control.outbox.as_mut().and_then(|outbox| outbox.next_order())
        {
            app.send_backlog(id, self.apps);
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
                Order::Run(work) => {
                    let mut context = app.lend(id, self.apps);
                    let result = work(&mut context);
                    context.apps.env.user_code_ran();
                    check_lent(&mut context, result);
                    if app.control.has_orders() && self.apps.turn_is_over() {
                        // The rest comes behind what others have asked for.
                        self.apps.jobs.push_back(Job::Commands(id));
                        break;
                    }
                }
            }
        }
        app.send_backlog(id, self.apps);
    }

    /// Writes what was sent, and watches for room for the rest.
    pub(super) fn write(&mut self, app: &mut App, id: AppId) {
        if !app.control.is_swapped()
            && matches!(&app.stage, Stage::Live(live) if live.connection.has_mask_source())
            && app.plan.take_mask_failure().is_some_and(|error| !app.report_of_callback(id, self.apps, error))
        {
            return;
        }
        app.control.dirty = false;
        // It may have ended since the output grew.
        let Stage::Live(live) = &mut app.stage else { return };
        if live.is_broken() {
            return;
        }
        let written = live.write_all(self.apps.env.current(), &mut self.apps.scratch);
        self.written(app, id, written);
    }

    /// Does what follows from a write.
    pub(super) fn written(&mut self, app: &mut App, id: AppId, written: Written) {
        let is_swapped = app.control.is_swapped();
        let Stage::Live(live) = &mut app.stage else { return };
        if is_large(written.bytes) {
            // It has taken so long that the clock is read before anything is measured or judged by it.
            self.apps.env.user_code_ran();
        }
        let wrote = app.control.wrote(written, &mut self.apps.env);
        show(&app.plan, live.trace(), id, &mut self.apps.env);
        let emptied = match wrote {
            Ok(emptied) => emptied,
            Err(error) => {
                live.break_with(error);
                return self.read(app, id, None);
            }
        };
        resume_reading(live, id, self.apps);
        if let Err(error) = live.watch(emptied, self.dispatcher) {
            return self.end(app, id, Some(Error::Io(error)));
        }
        let open = live.connection.state() == State::Open;
        if emptied && !is_swapped {
            app.send_backlog(id, self.apps);
            // What the backlog has filled again drains another time, and so does what has to wait.
            if app.control.blocked && !app.control.dirty && app.control.waiting_bytes() == 0 {
                app.control.blocked = false;
                if open {
                    self.apps.begin_work();
                    app.call(id, self.apps, |handler, context| handler.on_drain(context));
                }
            }
        }
    }

    /// What dialling needs.
    pub(super) fn net(&mut self, id: AppId) -> Net<'_> {
        Net {
            app: id,
            dispatcher: self.dispatcher,
            links: self.links,
            clock: self.apps.env.clock(),
            buffer: self.buffer,
        }
    }
}

/// Queues the reading of a connection that is not paused any more.
fn resume_reading(live: &mut Live, id: AppId, apps: &mut Apps) {
    if live.resumes(&mut apps.env) && !std::mem::replace(&mut live.queued, true) {
        apps.reads.push_back(ToRead::App(id));
    }
}
