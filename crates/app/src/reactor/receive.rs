//! Reading: from the stream through the shared buffer to the callbacks.

use std::mem;
use std::ops::ControlFlow;

use websocket_connection::{Connection, Input, State, UpgradeError};
use websocket_dispatcher::Io;

use super::dispatch::dispatch;
use super::drive::Driver;
use super::show::show;
use crate::apps::{
    App, Apps, Batch, Connected, Context, Control, Delivery, Handler, Identity, Stage, ToRead, check,
};
use crate::error::Error;
use crate::id::AppId;
use crate::live::{Chunk, Live, Location, Stop, Undelivered};
use crate::phases::Phase;
use crate::stats::Reading;

/// Bytes that one connection may read or inflate in a turn before the others have theirs.
const BUDGET: usize = 512 << 10;

impl Driver<'_> {
    /// Reads until the stream is dry or the budget is used up. `first` is what the first read has brought, if that was done.
    pub(super) fn read(&mut self, app: &mut App, id: AppId, mut first: Option<Result<Chunk, Stop>>) {
        let short_read_drains = self.dispatcher.short_read_drains();
        if let Stage::Live(live) = &mut app.stage {
            // What was read is delivered: the stream does not bring it again.
            if first.is_none() && live.holds_back() {
                return;
            }
            self.apps.begin_visit(live.max_stride);
            self.apps.begin_work();
        }
        // The front of the buffer holds this many bytes of a frame that is not whole yet.
        let mut held = 0;
        let mut budget = BUDGET;
        loop {
            // A refusal may have sent the attempt elsewhere meanwhile.
            let Stage::Live(live) = &mut app.stage else { return };
            let chunk = first.take().unwrap_or_else(|| live.read(self.buffer, held, self.apps.env.untimed()));
            let stop = match chunk {
                Ok(chunk) => {
                    // The first read of a visit has the time at which that began; other readings of the clock are few.
                    let at = live.undelivered_since().unwrap_or_else(|| self.apps.env.current().now);
                    self.apps.reading = Some(Reading {
                        app: id,
                        at,
                        #[cfg(feature = "kernel-receive-time")]
                        kernel: live.observers.as_ref().and_then(|observers| observers.received_by_kernel()),
                    });
                    if let (Some(trace), Location::Buffer(len)) = (live.trace(), &chunk.location) {
                        trace.received(&self.buffer[len - chunk.fresh..*len]);
                        show(&app.plan, Some(trace), id, &mut self.apps.env);
                    }
                    let inflated = self.apps.env.untimed().inflated_bytes();
                    let identity = Identity { id, plan: &app.plan };
                    let delivered = self.deliver(&mut *app.handler, &mut app.control, live, identity, &chunk);
                    if self.apps.interrupted {
                        return;
                    }
                    live.connection.tx().read_at(at);
                    live.max_stride = self.apps.pace.max_stride();
                    let has_heard = mem::take(&mut app.control.has_heard);
                    live.note_delivered(has_heard, &mut self.apps.env);
                    app.control.in_batch |= has_heard;
                    let inflated = self.apps.env.untimed().inflated_bytes() - inflated;
                    budget = budget.saturating_sub(chunk.fresh).saturating_sub(inflated as usize);
                    live.note_inflated(chunk.fresh, inflated, BUDGET);
                    held = match delivered {
                        Ok(held) => held,
                        // The connection repeats its failure; it is reported once.
                        Err(_) if app.failure.is_some() => 0,
                        Err(error) => {
                            if !end_batch(app, id, self.apps) {
                                return;
                            }
                            self.failed(app, id, error);
                            if self.apps.interrupted {
                                return;
                            }
                            held = 0;
                            continue;
                        }
                    };
                    if live.holds_back() || live.has_undelivered() {
                        Some(Stop::Budget)
                    } else if live.has_ended() {
                        Some(Stop::End)
                    } else if chunk.short && live.short_read_is_last(short_read_drains) {
                        Some(Stop::Dry)
                    } else {
                        (budget == 0 || self.apps.pauses_before_more()).then_some(Stop::Budget)
                    }
                }
                Err(stop) => Some(stop),
            };
            let Some(stop) = stop else { continue };
            if matches!(stop, Stop::Budget) && !live.is_paused() && !mem::replace(&mut live.queued, true) {
                self.apps.reads.push_back(ToRead::App(id));
                self.apps.meter.reads_stopped_early += 1;
            }
            if !end_batch(app, id, self.apps) {
                return;
            }
            // `on_batch_end` had the whole app.
            let Stage::Live(live) = &mut app.stage else { return };
            if matches!(stop, Stop::End) && live.connection.state() == State::Closing {
                // Our part of the closing handshake may still be here, and the server may have ended its own side only.
                let written = live.write_all(self.apps.env.current(), &mut self.apps.scratch);
                let _courtesy = app.control.wrote(written, &mut self.apps.env);
            }
            let env = match stop {
                Stop::Dry | Stop::Budget => self.apps.env.untimed(),
                Stop::End | Stop::Failed(_) => self.apps.env.current(),
            };
            let stopped = live.stopped(&self.buffer[..held], stop, env);
            if live.connection.queued_bytes() > 0 {
                app.control.mark_dirty(self.apps, id);
            }
            return match stopped {
                Ok(()) => {}
                Err(error) => self.failed(app, id, error),
            };
        }
    }

    /// Delivers the whole messages of what was read, and returns how much of the rest is at the front of the
    /// buffer.
    fn deliver(
        &mut self,
        handler: &mut dyn Handler,
        control: &mut Control,
        live: &mut Live,
        identity: Identity<'_>,
        chunk: &Chunk,
    ) -> Result<usize, Error> {
        let mut undelivered = Undelivered::default();
        let (bytes, filled) = match chunk.location {
            Location::Encrypted(len) => {
                return self.deliver_secure(handler, control, live, identity, len).map(|()| 0);
            }
            Location::Undelivered => {
                undelivered = live.take_undelivered();
                (undelivered.rest(), Ok(()))
            }
            Location::Message => (&[][..], live.connection.filled(chunk.fresh, self.apps.env.current())),
            Location::Buffer(len) => (&self.buffer[..len], Ok(())),
        };
        let mut input = Input::new(bytes);
        let writes_at_once = live.writes_at_once();
        let stream = (&mut live.wire.io, writes_at_once);
        let outcome = filled.map_err(Error::from).and_then(|()| {
            converse(handler, control, self.apps, identity, &mut live.connection, stream, &mut input)
        });
        // A pong or a close frame may have been queued without the handler's doing.
        if live.connection.queued_bytes() > 0 {
            control.mark_dirty(self.apps, identity.id);
        }
        let used = input.used();
        match (outcome?, chunk.location) {
            (Conversation::Paused, Location::Undelivered) => live.put_back_undelivered(undelivered, used),
            (Conversation::Paused, _) => {
                live.keep_undelivered(input.rest().to_vec(), used, self.apps.read_at())
            }
            (Conversation::Ended, Location::Buffer(len)) => {
                live.all_was_delivered();
                return live.keep(self.buffer, len, len - used, self.apps.env.untimed());
            }
            (Conversation::Ended, _) => live.connection.set_aside(&mut input, self.apps.env.untimed())?,
        }
        Ok(0)
    }

    /// Decrypts the first `len` bytes of the buffer and delivers what is in them. What is cut stays with the session.
    fn deliver_secure(
        &mut self,
        handler: &mut dyn Handler,
        control: &mut Control,
        live: &mut Live,
        identity: Identity<'_>,
        len: usize,
    ) -> Result<(), Error> {
        let Live { connection, secure: Some(secure), wire, observers, .. } = live else { return Ok(()) };
        let was_handshaking = secure.is_handshaking();
        let mut outcome = Ok(());
        // Once the app has paused, the rest is decrypted, and delivered when it has its turn again.
        let (mut undelivered, mut delivered, mut is_paused) = (Vec::new(), 0, false);
        let received = secure.receive(&mut self.buffer[..len], |plaintext| {
            if let Some(trace) = observers.as_mut().and_then(|observers| observers.trace.as_mut()) {
                trace.received(plaintext);
                show(identity.plan, Some(trace), identity.id, &mut self.apps.env);
            }
            is_paused =
                is_paused || connection.is_paused() || (delivered > 0 && self.apps.pauses_before_more());
            if is_paused {
                undelivered.extend_from_slice(plaintext);
                return ControlFlow::Continue(());
            }
            let mut input = Input::new(plaintext);
            let stream = (&mut wire.io, false);
            match converse(handler, control, self.apps, identity, connection, stream, &mut input) {
                Ok(Conversation::Paused) => {
                    undelivered.extend_from_slice(&plaintext[input.used()..]);
                    is_paused = true;
                }
                Ok(Conversation::Ended) if !self.apps.interrupted => {
                    outcome = connection.set_aside(&mut input, self.apps.env.untimed()).map_err(Error::from);
                }
                Ok(Conversation::Ended) => {}
                Err(error) => outcome = Err(error),
            }
            delivered += input.used();
            match outcome {
                Ok(()) if !self.apps.interrupted => ControlFlow::Continue(()),
                // What comes behind a refusal decides whether its stream can carry another request.
                Err(_) if connection.can_ask_again() => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        if self.apps.interrupted {
            return Ok(());
        }
        if was_handshaking && !secure.is_handshaking() {
            #[cfg(feature = "tls")]
            {
                let info = secure.info();
                log::debug!(target: "websocket::tls", "{}: {info:?}", identity.id);
                if let Some(details) = &mut control.on_open {
                    details.tls = info;
                }
            }
            control.end_phase(Phase::Tls, self.apps.env.current().now);
            connection.restart_upgrade(self.apps.env.current());
        }
        if connection.queued_bytes() > 0 || secure.has_output() {
            control.mark_dirty(self.apps, identity.id);
        }
        if received.is_err() {
            // The session has more to say about it, the connection has not.
            connection.abort(self.apps.env.untimed());
        }
        if undelivered.is_empty() {
            live.all_was_delivered();
        } else {
            live.keep_undelivered(undelivered, delivered, self.apps.read_at());
        }
        outcome.and(received)
    }

    /// The opening handshake or the connection has failed. Where the response leads elsewhere, or the user can answer its challenge, the
    /// attempt continues; otherwise the app is told.
    pub(super) fn failed(&mut self, app: &mut App, id: AppId, mut error: Error) {
        let continued = match &error {
            Error::Upgrade(UpgradeError::Status { response, .. }) => {
                let can_ask_again = matches!(&app.stage, Stage::Live(live) if live.can_ask_again());
                let attempt = app.attempt.take();
                attempt.map_or(Ok(None), |attempt| attempt.refused(response, can_ask_again, &mut app.plan))
            }
            Error::NoResponse { .. } | Error::Io(_) | Error::Upgrade(UpgradeError::EndOfStream)
                if app.control.on_open.is_some() =>
            {
                let attempt = app.attempt.take_if(|attempt| attempt.reuses_connection);
                attempt.map_or(Ok(None), |attempt| attempt.unanswered(&mut app.plan))
            }
            _ => Ok(None),
        };
        match continued {
            Ok(None) => {}
            Ok(Some(continued)) => match self.proceed(app, id, continued) {
                Ok(()) => return,
                Err(other) => error = other,
            },
            Err(other) => error = other,
        }
        app.report(id, self.apps, error);
    }
}

/// Ends the batch of messages, if there were any. Returns whether the app may be delivered more.
#[inline]
pub(super) fn end_batch(app: &mut App, id: AppId, apps: &mut Apps) -> bool {
    // What a predecessor has brought is in order when the app has its own connection again.
    if !app.control.is_swapped() && mem::take(&mut app.control.in_batch) && app.control.wants_batch_end {
        app.call(id, apps, |handler, context| handler.on_batch_end(context));
    }
    !apps.interrupted
}

/// How a conversation came to its end.
enum Conversation {
    /// Every event was delivered.
    Ended,
    /// Others have their turn now; there may be more events.
    Paused,
}

/// Hands every event in `input` to the handler, until others are to have their turn. With the stream comes whether it may flush its answers
/// there meanwhile.
#[inline]
fn converse(
    handler: &mut dyn Handler,
    control: &mut Control,
    apps: &mut Apps,
    identity: Identity<'_>,
    connection: &mut Connection,
    (io, writes_at_once): (&mut Io, bool),
    input: &mut Input<'_>,
) -> Result<Conversation, Error> {
    if control.serves_predecessor() {
        return converse_as_predecessor(handler, control, apps, identity, connection, input);
    }
    let mut was_left = mem::take(&mut control.was_left);
    loop {
        if control.delivery == Delivery::Messages && !mem::take(&mut was_left) {
            let before = input.used();
            let (messages, tx) = connection.messages();
            let connected = Some(Connected { tx, io: &mut *io, writes_at_once });
            let context = Context { apps, identity, control, connected, failure: None, handler: None };
            let mut batch = Batch::new(context, messages, input);
            let result = handler.on_messages(&mut batch);
            let failed = result.is_err();
            check(handler, batch.context(), result);
            let is_paused = batch.finish();
            let took = input.used() > before;
            control.has_heard |= took;
            if apps.interrupted {
                return Ok(Conversation::Ended);
            }
            if is_paused {
                return Ok(Conversation::Paused);
            }
            if failed && took {
                continue;
            }
            if took && input.rest().is_empty() {
                // Nothing was kept for these messages that the connection could give back.
                apps.env.user_code_ran();
                return Ok(Conversation::Ended);
            }
        }
        // What comes next may depend on the time, and the messages may have taken any.
        apps.env.user_code_ran();
        let env = if input.rest().is_empty() { apps.env.untimed() } else { apps.env.current() };
        let Some((event, tx)) = connection.receive(input, env)? else {
            return Ok(Conversation::Ended);
        };
        let connected = Some(Connected { tx, io: &mut *io, writes_at_once });
        dispatch(
            handler,
            Context { apps, identity, control, connected, failure: None, handler: None },
            event,
        );
        if apps.interrupted {
            return Ok(Conversation::Ended);
        }
        // With nothing left, the connection is asked once more: it then gives back the memory of the message.
        if apps.may_pause() && !input.rest().is_empty() && apps.ends_visit(connection.is_paused()) {
            return Ok(Conversation::Paused);
        }
    }
}

/// [`converse`] for a connection that was replaced: what the handler sends goes to the one that has taken over.
#[cold]
fn converse_as_predecessor(
    handler: &mut dyn Handler,
    control: &mut Control,
    apps: &mut Apps,
    identity: Identity<'_>,
    connection: &mut Connection,
    input: &mut Input<'_>,
) -> Result<Conversation, Error> {
    let outcome = control.with_stage_in_use(|control, stage| {
        loop {
            let Some((event, _)) = connection.receive(input, apps.env.current())? else { break };
            let connected = stage.connected();
            let context = Context { apps, identity, control, connected, failure: None, handler: None };
            dispatch(handler, context, event);
            apps.env.user_code_ran();
            if apps.interrupted {
                break;
            }
            if apps.may_pause() && !input.rest().is_empty() && apps.pauses() {
                return Ok(Conversation::Paused);
            }
        }
        Ok(Conversation::Ended)
    });
    outcome.unwrap_or(Ok(Conversation::Ended))
}
