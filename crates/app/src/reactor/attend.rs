//! One piece of work on one app, with the app out of its slot and panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use websocket_connection::{CloseCode, State};

use super::drive::Driver;
use super::ordinary::{Visit, visit};
use super::slow::end_work;
use super::successor;
use super::work::Work;
use crate::apps::{App, Stage};
use crate::id::AppId;
use crate::panics::{contain_panic, panic_message};

/// Takes the app out of its slot, does the work and puts it back, or drops it if it was removed meanwhile.
pub(super) fn attend(driver: &mut Driver<'_>, id: AppId, work: Work) {
    let Some(mut app) = driver.apps.take(id) else { return };
    (driver.apps.running, driver.apps.interrupted) = (Some(id), false);
    let is_write = matches!(work, Work::Write);
    if !(is_write && spares_clock(&app)) {
        driver.apps.begin_work();
    }
    let work = AssertUnwindSafe(|| {
        let visit = match &work {
            Work::Ready(ready) => visit(driver, &mut app, id, *ready),
            _ => Visit::Unusual,
        };
        match visit {
            Visit::Quiet => return true,
            Visit::Served => {}
            Visit::Unusual => begin(driver, &mut app, id, work),
        }
        if !is_write {
            driver.apps.env.user_code_ran();
            write(driver, &mut app, id);
        }
        conclude(driver, &mut app, id);
        false
    });
    let caught = match catch_unwind(work) {
        Ok(true) => {
            driver.apps.running = None;
            app.publish(&mut driver.apps.env);
            driver.apps.put_back(id, app);
            return end_work(driver.apps, Some(id));
        }
        Ok(false) => None,
        Err(panic) => Some(panic),
    };
    if let Some(panic) = &caught {
        driver.apps.env.user_code_ran();
        contain_panic(id, || successor::put_in_order(driver, &mut app, id));
        driver.panicked(&mut app, id, panic_message(&**panic));
    }
    driver.apps.running = None;
    if caught.is_some() || !spares_clock(&app) {
        driver.apps.env.user_code_ran();
    }
    driver.settle(app, id);
    end_work(driver.apps, Some(id));
    if let Some(panic) = caught {
        driver.apps.keep_panic(panic);
    }
}

/// Whether a write to the app's stream runs only the system's code. A callback that follows from it, and the end of an app, note themselves that
/// the user's code has run.
fn spares_clock(app: &App) -> bool {
    app.control.companion.is_none() && matches!(&app.stage, Stage::Live(live) if live.wire.io.is_socket())
}

/// Does the work, unless the app has ended or is to.
fn begin(driver: &mut Driver<'_>, app: &mut App, id: AppId, work: Work) {
    if app.control.ended {
        return;
    }
    if app.is_unwanted() {
        return driver.end(app, id, None);
    }
    if app.control.rare.is_to_be_dropped() {
        // What is due of a connection that is dropped now is not done, and its entry is used up.
        app.control.armed = app.control.armed.filter(|armed| !work.uses_up(*armed));
        return;
    }
    match (work, &app.control.companion) {
        (work, Some(_)) => successor::work(driver, app, id, work),
        (Work::Look, None) if app.control.wants_successor => successor::begin(driver, app, id),
        (work, None) => driver.work(app, id, work),
    }
}

/// Writes what the app has sent in this visit: a second visit for it would cost as much again. What others make it send is written at the
/// end of the turn.
fn write(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    if app.control.dirty && app.control.companion.is_none() && !driver.apps.interrupted {
        driver.write(app, id);
        driver.apps.forget_written(id);
    }
}

/// Ends the attempt if its connection has ended, or if the user wants another one.
fn conclude(driver: &mut Driver<'_>, app: &mut App, id: AppId) {
    if let Some(error) = app.control.rare.take_drop() {
        if !driver.apps.is_removed(id) {
            app.say_goodbye(CloseCode::Away, driver.apps);
            driver.end(app, id, Some(error));
        }
    } else if let Stage::Live(live) = &app.stage
        && live.connection.state() == State::Closed
    {
        driver.end(app, id, None);
    }
}
