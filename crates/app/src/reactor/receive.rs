//! Reading: from the stream through the shared buffer to the callbacks.

use std::io::{self, Read as _};

use websocket_connection::{Connection, Event, Input, Message, Response, State, UpgradeError};
use websocket_dispatcher::Io;

use super::app::{App, Control, LiveStage, Stage, check};
use super::drive::Driver;
use super::{AppId, Apps};
use crate::context::Live;
use crate::{Context, Error, Handler, Open};

/// Bytes that one connection may read or inflate in a turn before the others have theirs.
const BUDGET: usize = 512 << 10;

/// Bytes that are read at a time from who has once made so few use up the budget: they can be inflated a thousandfold before it is
/// looked at again.
const SWELLING: usize = 16 << 10;

/// After a short read of this many bytes or more, the next ones of a bulk transfer have probably come already: looking costs less than
/// being woken for them.
const BULK: usize = 16 << 10;

/// How reading came to its end.
enum Stop {
    /// The stream has no more bytes now.
    Dry,
    /// The budget is used up.
    Budget,
    End,
    Failed(io::Error),
}

impl LiveStage {
    /// How much of `buffer` bytes one read may fill.
    fn read_size(&self, buffer: usize) -> usize {
        if self.swells { buffer.min(SWELLING) } else { buffer }
    }
}

impl Driver<'_> {
    pub(super) fn read(&mut self, app: &mut App, id: AppId) {
        let drains = self.dispatcher.short_read_drains();
        let Stage::Live(live) = &mut app.stage else { return };
        let drains = drains && live.io.is_socket() && !live.read_closed;
        // The front of the buffer holds this many bytes of a frame that is not whole yet.
        let mut held = 0;
        let mut budget = BUDGET;
        let stop = loop {
            let Stage::Live(live) = &mut app.stage else { return };
            if let Some(secure) = &mut live.secure {
                held = secure.restore(self.buffer);
            }
            // What is encrypted cannot be read to where it belongs.
            let spare = if live.secure.is_none() { live.connection.spare(&mut self.apps.env) } else { None };
            let (read, room) = match spare {
                Some(spare) => (live.io.read(spare), None),
                None => {
                    let room = live.read_size(self.buffer.len() - held);
                    (live.io.read(&mut self.buffer[held..held + room]), Some(room))
                }
            };
            let len = match read {
                Ok(0) => break Stop::End,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Stop::Dry,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Stop::Failed(error),
            };
            let inflated = self.apps.env.inflated_bytes();
            held = match room {
                None => {
                    let filled = live.connection.filled(len, &mut self.apps.env);
                    let delivered = filled.map_err(Error::from);
                    self.deliver(app, id, 0, delivered)
                }
                Some(_) if live.secure.is_some() => {
                    self.deliver_secure(app, id, held + len);
                    0
                }
                Some(_) => self.deliver(app, id, held + len, Ok(())),
            };
            if self.apps.interrupted {
                return;
            }
            let Stage::Live(live) = &mut app.stage else { return };
            if live.secure.as_ref().is_some_and(|secure| secure.has_ended()) {
                break Stop::End;
            }
            let inflated = self.apps.env.inflated_bytes() - inflated;
            budget = budget.saturating_sub(len).saturating_sub(inflated as usize);
            if inflated > BUDGET.max(len * (BUDGET / SWELLING)) as u64 {
                live.swells = true;
            }
            if drains && len < BULK && room.is_some_and(|room| len < room) {
                break Stop::Dry;
            }
            if budget == 0 {
                break Stop::Budget;
            }
        };
        self.stopped_reading(app, id, held, stop);
    }

    fn stopped_reading(&mut self, app: &mut App, id: AppId, held: usize, stop: Stop) {
        let Stage::Live(live) = &mut app.stage else { return };
        let mut outcome = Ok(());
        if live.secure.is_some() {
            if held > 0 {
                self.deliver_secure(app, id, held);
            }
        } else if live.connection.error().is_none() {
            let mut rest = Input::new(&self.buffer[..held]);
            outcome = live.connection.absorb(&mut rest, &mut self.apps.env).map_err(Error::from);
        }
        let Stage::Live(live) = &mut app.stage else { return };
        // What the server said before it stopped listening has been read now.
        let stop = match stop {
            Stop::Dry => live.broken.take().map_or(Stop::Dry, Stop::Failed),
            stop => stop,
        };
        match stop {
            Stop::Dry => {}
            Stop::Budget => {
                if !std::mem::replace(&mut live.queued, true) {
                    self.apps.runnable.push_back(id);
                }
            }
            Stop::End => {
                if live.connection.state() == State::Closing {
                    // Our part of the closing handshake may still be here, and the server may have ended its own side only.
                    let _courtesy = live.write_all(&mut app.control, self.apps);
                }
                let secure = live.secure.as_ref().map_or(Ok(()), |secure| secure.end_of_stream());
                let ended = live.connection.end_of_stream(&mut self.apps.env).map_err(Error::from);
                outcome = outcome.and(secure).and(ended);
            }
            Stop::Failed(error) => {
                let closing = live.connection.state() == State::Closing;
                // A reset after the close frames, or after ours, is how some servers hang up.
                let ended = live.connection.end_of_stream(&mut self.apps.env).map_err(Error::from);
                outcome = outcome.and(match ended {
                    // The head of the response came whole, and says more.
                    Err(refusal @ Error::Upgrade(UpgradeError::Status { .. })) => Err(refusal),
                    Err(_) if !closing => Err(Error::Io(error)),
                    _ => Ok(()),
                });
            }
        }
        if live.connection.queued_bytes() > 0 {
            app.control.mark_dirty(self.apps, id);
        }
        if let Err(error) = outcome {
            self.refused(app, id, error);
        }
    }

    /// Bytes came with the end of what was before the connection: the first `len` of the buffer are its.
    pub(super) fn early(&mut self, app: &mut App, id: AppId, len: usize) {
        let Stage::Live(live) = &mut app.stage else { return };
        // What came meanwhile is not announced again.
        if !std::mem::replace(&mut live.queued, true) {
            self.apps.runnable.push_back(id);
        }
        if len == 0 {
            return;
        }
        let held = if live.secure.is_some() {
            self.deliver_secure(app, id, len);
            0
        } else {
            self.deliver(app, id, len, Ok(()))
        };
        if !self.apps.interrupted {
            self.stopped_reading(app, id, held, Stop::Dry);
        }
    }

    /// Delivers what is whole in the first `len` bytes of the buffer, and moves the rest to its front or, if it is large, into the
    /// connection. Returns the length of the rest in the buffer.
    fn deliver(&mut self, app: &mut App, id: AppId, len: usize, outcome: Result<(), Error>) -> usize {
        let mut input = Input::new(&self.buffer[..len]);
        let App { handler, control, stage, .. } = app;
        let Stage::Live(live) = stage else { return 0 };
        let LiveStage { connection, io, .. } = &mut **live;
        let outcome = outcome.and_then(|()| {
            let flush = Some(io);
            converse(&mut **handler, control, self.apps, id, connection, flush, &mut input)
        });
        // A pong or a close frame may have been queued without the handler's doing.
        if connection.queued_bytes() > 0 {
            control.mark_dirty(self.apps, id);
        }
        if let Err(error) = outcome {
            // The connection repeats its failure for ever; the app is told once.
            if app.failure.is_none() {
                self.refused(app, id, error);
            }
            return 0;
        }
        let (used, rest) = (input.used(), len - input.used());
        let Stage::Live(live) = &mut app.stage else { return 0 };
        if rest > live.read_size(self.buffer.len()) / 4 {
            let absorbed =
                live.connection.absorb(&mut Input::new(&self.buffer[used..len]), &mut self.apps.env);
            if let Err(error) = absorbed {
                app.report(id, self.apps, error.into());
            }
            return 0;
        }
        self.buffer.copy_within(used..len, 0);
        rest
    }
}

/// Hands every event in `input` to the handler. `io` is where it may flush its answers to meanwhile.
#[inline]
pub(super) fn converse(
    handler: &mut dyn Handler,
    control: &mut Control,
    apps: &mut Apps,
    id: AppId,
    connection: &mut Connection,
    mut io: Option<&mut Io>,
    input: &mut Input<'_>,
) -> Result<(), Error> {
    loop {
        while let Some((message, tx)) = connection.receive_message(input) {
            let live = Some(Live { tx, io: io.as_deref_mut() });
            let mut context = Context { apps, id, control, live };
            dispatch_message(handler, &mut context, message);
            if apps.interrupted {
                return Ok(());
            }
        }
        let Some((event, tx)) = connection.receive(input, &mut apps.env)? else { return Ok(()) };
        let live = Some(Live { tx, io: io.as_deref_mut() });
        dispatch(handler, Context { apps, id, control, live }, event);
        if apps.interrupted {
            return Ok(());
        }
    }
}

/// Calls the handler for one message.
#[inline]
fn dispatch_message(handler: &mut dyn Handler, context: &mut Context<'_>, message: Message<'_>) {
    let data = handler.on_data(context, message.as_bytes(), message.kind().into(), true);
    check(handler, context, data);
    if !context.apps.interrupted {
        let result = handler.on_message(context, message);
        check(handler, context, result);
    }
}

/// Calls the handler for one event.
#[inline]
fn dispatch(handler: &mut dyn Handler, mut context: Context<'_>, event: Event<'_>) {
    let context = &mut context;
    let result = match event {
        Event::Message(message) => return dispatch_message(handler, context, message),
        Event::Fragment(fragment) => {
            let data = handler.on_data(context, fragment.payload, fragment.kind.into(), fragment.last);
            check(handler, context, data);
            if context.apps.interrupted {
                return;
            }
            handler.on_cont_message(context, fragment)
        }
        Event::Ping(payload) => handler.on_ping(context, payload),
        Event::Pong { payload, rtt } => handler.on_pong(context, payload, rtt),
        Event::Open(response) => return opened(handler, context, &response),
        // The closing handshake ends with on_close, when the stream does.
        _ => Ok(()),
    };
    check(handler, context, result);
}

#[cold]
fn opened(handler: &mut dyn Handler, context: &mut Context<'_>, response: &Response) {
    let control = &mut *context.control;
    control.note(context.id, State::Open);
    control.attempts.opened = control.attempts.opened.saturating_add(1);
    if let Some(row) = &mut control.row {
        row.opened = Some(context.apps.env.now);
    }
    let on_open = control.on_open.take();
    if let Some((jar, target)) = on_open.as_ref().and_then(|on_open| on_open.cookies.as_ref()) {
        jar.store(target, &response.headers);
    }
    if let Some(outbox) = &control.outbox {
        outbox.shared().set_state(State::Open);
        if outbox.has_backlog() {
            control.mark_dirty(context.apps, context.id);
        }
    }
    let open = Open {
        response,
        attempts: context.control.attempts,
        #[cfg(feature = "tls")]
        tls: on_open.as_ref().and_then(|on_open| on_open.tls.as_ref()),
    };
    let result = handler.on_open(context, &open);
    check(handler, context, result);
    if open.attempts.is_reconnect() && !context.apps.interrupted {
        let result = handler.on_reconnect(context, &open);
        check(handler, context, result);
    }
}
