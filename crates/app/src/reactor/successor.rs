//! Two connections of one app: a successor in the making beside the open connection, and a predecessor that is closed
//! beside the successor that has taken over.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use websocket_connection::{Close, CloseCode, Connection, Input, State};

use super::drive::{Driver, Work};
use super::receive::{Conversation, dispatch};
use crate::apps::{App, Apps, Context, Control, Handler, Identity, Stage, call_on_error};
use crate::dial::{Attempt, Dial};
use crate::error::Error;
use crate::failed_addresses::FailedAddresses;
use crate::id::AppId;
use crate::panics::contain_panic;

/// Begins to make a successor, if the app is open.
pub(super) fn begin(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    app.control.wants_successor = false;
    let is_open = matches!(&app.stage, Stage::Live(live) if live.connection.state() == State::Open);
    if !is_open || is_to_end(app) || app.control.companion.is_some() || driver.apps.is_stopping() {
        return;
    }
    let attempts = &mut app.control.attempts;
    attempts.started = attempts.started.saturating_add(1);
    app.add_successor();
    with_companion(driver, app, id, |driver, app| {
        match Attempt::begin(&mut app.plan, FailedAddresses::default(), driver.apps.env.clock()) {
            Ok(attempt) => {
                log::debug!(target: "websocket::connect", "{id}: a successor is made, to {}", app.plan.url());
                app.stage = Stage::Dialling(Dial::new(attempt));
                driver.dial(app, id, Dial::set_out);
            }
            Err(error) => driver.end(app, id, Some(error)),
        }
    });
    close_predecessor(driver, app, id);
}

/// Whether the connection that the app uses has failed or is closed by the program: nothing is to take its place.
fn is_to_end(app: &App) -> bool {
    app.failure.is_some() || app.control.close_requested || app.control.drop_for.is_some()
}

/// Does the work of an app with two connections.
pub(super) fn work(driver: &mut Driver<'_>, app: &mut App, id: AppId, work: Work) {
    if is_to_end(app) {
        leave_to_app(driver, app, id);
    }
    let is_own = |app: &App, key| matches!(&app.stage, Stage::Live(live) if live.wire.key == key);
    let is_queued = |stage: &Stage| matches!(stage, Stage::Live(live) if live.queued);
    match work {
        Work::Ready(ready) if !is_own(app, ready.key) => {
            with_companion(driver, app, id, |driver, app| driver.work_on(app, id, Work::Ready(ready)));
        }
        work @ (Work::Resolved(..) | Work::MayAsk(_) | Work::MayConnect(_)) => {
            with_companion(driver, app, id, |driver, app| driver.work_on(app, id, work));
        }
        Work::Read => {
            let others = app.control.companion.as_ref().is_some_and(|it| is_queued(&it.stage));
            if is_queued(&app.stage) {
                driver.work_on(app, id, Work::Read);
            }
            if others && !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.work_on(app, id, Work::Read));
            }
        }
        Work::Write => {
            driver.work_on(app, id, Work::Write);
            if !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.write(app, id));
            }
        }
        Work::Due(entry) => {
            driver.work_on(app, id, Work::Due(entry));
            let now = driver.apps.env.now();
            let is_due = |app: &App| {
                app.control.companion.as_ref().and_then(|it| it.due()).is_some_and(|at| at <= now)
            };
            if is_due(app) && !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.deadline(app, id));
            }
        }
        work => driver.work_on(app, id, work),
    }
    close_predecessor(driver, app, id);
}

/// The connection that the app uses is to end: a successor is dropped, and a predecessor waits no longer.
fn leave_to_app(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    let now = driver.apps.env.now();
    match &mut app.control.companion {
        Some(companion) if companion.is_predecessor => {
            if let Some(closes_at) = &mut companion.closes_at {
                *closes_at = now.min(*closes_at);
            }
        }
        _ => hang_up(driver, app, id),
    }
}

/// Works on the companion as if it were the connection that the app uses.
fn with_companion(
    driver: &mut Driver<'_>,
    app: &mut App,
    id: AppId,
    work: impl FnOnce(&mut Driver<'_>, &mut App),
) {
    if app.control.companion.is_none() {
        return;
    }
    app.swap();
    work(driver, app);
    let has_ended = matches!(&app.stage, Stage::Live(live) if live.connection.state() == State::Closed);
    if has_ended && app.control.is_swapped() {
        driver.end(app, id, None);
    }
    put_in_order(driver.apps, app, id);
}

/// Gives the app its own connection back, unless the other one has taken over. One that has ended is forgotten.
pub(super) fn put_in_order(apps: &mut Apps, app: &mut App, id: AppId) {
    if app.control.is_swapped() {
        app.swap();
    }
    if !matches!(&app.control.companion, Some(companion) if matches!(companion.stage, Stage::Over)) {
        return;
    }
    let failure = app.remove_companion();
    if app.control.outbox.as_ref().is_some_and(|outbox| outbox.has_backlog()) {
        app.control.mark_dirty(apps, id);
    }
    if let Some(error) = failure {
        let (handler, mut context) = app.split(id, apps);
        call_on_error(handler, &mut context, &Error::Successor(error));
    }
}

/// The attempt of a companion has ended: its stream is given back, and [`put_in_order`] does the rest.
pub(super) fn ended(driver: &mut Driver<'_>, app: &mut App, id: AppId, error: Option<Error>) {
    if let Some(error) = error {
        app.failure.get_or_insert_with(|| Box::new(error));
    }
    if let (Some(error), true) =
        (&app.failure, app.control.companion.as_ref().is_some_and(|it| it.is_predecessor))
    {
        log::debug!(target: "websocket::life_cycle", "{id}: the connection that was replaced has failed: {error}");
    }
    driver.close_stream(app, id);
}

/// Sends a close frame to a predecessor whose time is over.
fn close_predecessor(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    let now = driver.apps.env.now();
    let Some(companion) = &mut app.control.companion else { return };
    if companion.closes_at.is_none_or(|at| at > now) {
        return;
    }
    companion.closes_at = None;
    if let Stage::Live(live) = &mut companion.stage {
        // The server may have closed it before.
        let _begun = live.connection.tx().close(&Close::default(), driver.apps.env.current());
        app.control.mark_dirty(driver.apps, id);
    }
}

/// Drops the companion without a word to the app.
pub(super) fn hang_up(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    if app.control.companion.is_none() {
        return;
    }
    app.swap();
    contain_panic(id, || app.say_goodbye(CloseCode::Normal, driver.apps));
    driver.close_stream(app, id);
    app.swap();
    drop(app.remove_companion());
}

/// Hands every event in `input`, which has come on a predecessor, to the handler, until others are to have their turn. What the
/// handler sends goes to the connection that has taken over.
pub(super) fn converse(
    handler: &mut dyn Handler,
    control: &mut Control,
    apps: &mut Apps,
    identity: Identity<'_>,
    connection: &mut Connection,
    input: &mut Input<'_>,
) -> Result<Conversation, Error> {
    let Some(mut stage) = control.companion.as_mut().map(|it| it.take_stage()) else {
        return Ok(Conversation::Ended);
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        loop {
            let Some((event, _)) = connection.receive(input, apps.env.current())? else {
                return Ok(Conversation::Ended);
            };
            let connected = stage.connected();
            dispatch(handler, Context { apps, identity, control, connected, handler: None }, event);
            apps.env.user_code_ran();
            if apps.interrupted {
                return Ok(Conversation::Ended);
            }
            if apps.may_pause() && !input.rest().is_empty() && apps.pauses() {
                return Ok(Conversation::Paused);
            }
        }
    }));
    if let Some(companion) = &mut control.companion {
        companion.stage = stage;
    }
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}
