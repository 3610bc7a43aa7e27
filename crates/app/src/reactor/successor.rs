//! Two connections of one app: a successor in the making beside the open connection, and a predecessor that is closed
//! beside the successor that has taken over.

use websocket_connection::{Close, State};

use super::drive::Driver;
use super::receive::end_batch;
use super::work::Work;
use crate::apps::{App, Stage};
use crate::dial::{Attempt, Dial};
use crate::failed_addresses::FailedAddresses;
use crate::id::AppId;

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
    app.failure.is_some() || app.control.close_requested || app.control.rare.is_to_be_dropped()
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
            with_companion(driver, app, id, |driver, app| driver.work(app, id, Work::Ready(ready)));
        }
        work @ (Work::Resolved(..) | Work::MayAsk(_) | Work::MayConnect(_)) => {
            with_companion(driver, app, id, |driver, app| driver.work(app, id, work));
        }
        Work::Read => {
            let others = app.control.companion.as_ref().is_some_and(|it| is_queued(&it.stage));
            if is_queued(&app.stage) {
                driver.work(app, id, Work::Read);
            }
            if others && !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.work(app, id, Work::Read));
            }
        }
        Work::Write => {
            driver.work(app, id, Work::Write);
            if !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.write(app, id));
            }
        }
        Work::Due(entry) => {
            driver.work(app, id, Work::Due(entry));
            let now = driver.apps.env.now();
            let is_due = |app: &App| {
                app.control.companion.as_ref().and_then(|it| it.due()).is_some_and(|at| at <= now)
            };
            if is_due(app) && !driver.apps.interrupted {
                with_companion(driver, app, id, |driver, app| driver.deadline(app, id));
            }
        }
        work => driver.work(app, id, work),
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
        _ => driver.hang_up_companion(app, id),
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
    put_in_order(driver, app, id);
    end_batch(app, id, driver.apps);
}

/// Gives the app its own connection back, unless the other one has taken over. One that has ended is forgotten.
pub(super) fn put_in_order(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    if app.control.is_swapped() {
        app.swap();
    }
    let Some(companion) = &app.control.companion else { return };
    if !matches!(companion.stage, Stage::Over) {
        return;
    }
    let is_predecessor = companion.is_predecessor;
    let failure = app.remove_companion();
    if app.control.outbox.as_ref().is_some_and(|outbox| outbox.has_backlog()) {
        app.control.mark_dirty(driver.apps, id);
    }
    match failure {
        Some(error) if is_predecessor => {
            log::debug!(target: "websocket::life_cycle", "{id}: the connection that was replaced has failed: {error}");
        }
        Some(error) => app.report_of_successor(id, driver.apps, error),
        None => {}
    }
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
