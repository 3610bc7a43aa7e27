//! The ordinary visit: one small message has come on an open connection without TLS, and nothing else is under way there. It is delivered, and
//! what the app answers is written.
//!
//! With many connections nearly every visit is one, so whether anything is unusual is asked once, and not at each step. It does what
//! [`Driver::read`] and [`Driver::write`] do in this case, and leaves everything else to them.

use std::mem;

use websocket_connection::Input;
use websocket_dispatcher::Ready;

use super::drive::Driver;
use super::receive::end_batch;
use crate::apps::{App, Batch, Connected, Context, Identity, Stage, check};
use crate::id::AppId;
use crate::live::{Chunk, Location, Written, is_large, write_all};
use crate::stats::Reading;

/// What has become of a visit.
pub(super) enum Visit {
    /// Nothing was done, since something is unusual.
    Unusual,
    /// The stream was read and its bytes delivered. What follows from that is yet to be done.
    Served,
    /// Everything was done, and no deadline of the app has come nearer.
    Quiet,
}

/// Serves a stream that the dispatcher has reported.
pub(super) fn visit(driver: &mut Driver<'_>, app: &mut App, id: AppId, ready: Ready) -> Visit {
    let short_read_drains = driver.dispatcher.short_read_drains();
    let Stage::Live(live) = &mut app.stage else { return Visit::Unusual };
    let is_only_readable = ready.readable && !(ready.writable || ready.read_closed);
    let is_open = app.attempt.is_none() && app.control.is_ordinary() && live.is_ordinary(ready.key);
    if !(short_read_drains && is_only_readable && is_open) {
        return Visit::Unusual;
    }
    let pings = live.connection.pings_sent();
    let chunk = live.read_to_buffer(driver.buffer, 0);
    let bytes = match chunk {
        Ok(Chunk { location: Location::Buffer(len), short: true, .. }) => &driver.buffer[..len],
        _ => &[],
    };
    let mut input = Input::new(bytes);
    let (messages, tx) = live.connection.messages();
    if !messages.is_one(&input) {
        driver.read(app, id, Some(chunk));
        return Visit::Served;
    }
    let at = driver.apps.env.current().now;
    driver.apps.reading = Some(Reading {
        app: id,
        at,
        #[cfg(feature = "kernel-receive-time")]
        kernel: None,
    });
    let identity = Identity { id, plan: &app.plan };
    let connected = Some(Connected { tx, io: &mut live.wire.io, writes_at_once: true });
    let (apps, control) = (&mut *driver.apps, &mut app.control);
    let context = Context { apps, identity, control, connected, failure: None, handler: None };
    let mut batch = Batch::new(context, messages, &mut input);
    let result = app.handler.on_messages(&mut batch);
    check(&mut *app.handler, batch.context(), result);
    batch.finish();
    driver.apps.env.user_code_ran();
    let is_left = !input.rest().is_empty();
    if driver.apps.interrupted {
        return Visit::Served;
    }
    if is_left {
        // It is not UTF-8, or the handler does not want it in a batch.
        app.control.was_left = true;
        driver.read(app, id, Some(chunk));
        return Visit::Served;
    }
    live.connection.tx().read_at(at);
    app.control.in_batch = true;
    if !end_batch(app, id, driver.apps) {
        return Visit::Served;
    }
    answer(driver, app, id, pings)
}

/// Writes what the app has sent. `pings` is how many it had sent before.
fn answer(driver: &mut Driver<'_>, app: &mut App, id: AppId, pings: u64) -> Visit {
    let Stage::Live(live) = &mut app.stage else { return Visit::Served };
    let has_output = mem::take(&mut app.control.dirty);
    let written = if has_output {
        driver.apps.forget_written(id);
        write_all(live.connection.tx(), &mut live.wire.io, driver.apps.env.current())
    } else {
        Written { bytes: 0, emptied: Ok(true) }
    };
    let is_all = matches!(written.emptied, Ok(true)) && !is_large(written.bytes);
    let connection = &live.connection;
    if is_all && app.control.is_ordinary() && connection.is_flowing() && connection.pings_sent() == pings {
        if let Some(outbox) = &mut app.control.outbox {
            outbox.wrote(written.bytes, &mut driver.apps.env);
        }
        return Visit::Quiet;
    }
    if has_output {
        driver.written(app, id, written);
    }
    Visit::Served
}
