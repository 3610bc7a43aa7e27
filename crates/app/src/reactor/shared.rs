//! What belongs to the reactor and to no app: its timers, sources, and the work of other threads.

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use websocket_dispatcher::{Io, Ready};

use super::drive::Driver;
use super::slow::end_work;
use crate::apps::{Apps, CallbackResult, SourceCall, SourceEvent};
use crate::error::BoxError;
use crate::id::{Holder, SourceId, TimerId};
use crate::panics::{contain_panic, panic_message};
use crate::schedule::Due;
use crate::watched::KeyOwner;

/// Calls user code that belongs to no app, and logs its errors and panics. Returns whether it did not panic.
pub(super) fn call(
    apps: &mut Apps,
    whose: impl Display,
    work: impl FnOnce(&mut Apps) -> CallbackResult,
) -> bool {
    apps.begin_work();
    let called = catch_unwind(AssertUnwindSafe(|| work(apps)));
    apps.env.user_code_ran();
    end_work(apps, None);
    match called {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            log::error!(target: "websocket::app", "{whose}: the callback returned an error: {error}")
        }
        Err(panic) => {
            log::error!(target: "websocket::app", "{whose}: the callback panicked: {}", panic_message(&*panic));
            apps.keep_panic(panic);
            return false;
        }
    }
    true
}

/// Fires a timer of the reactor that was due at `at`.
pub(super) fn fire_timer(driver: &mut Driver<'_>, timer: TimerId, at: Instant) {
    let apps = &mut *driver.apps;
    let Some(mut callback) = apps.timers.fire(timer) else { return };
    if call(apps, "a timer", |apps| callback(apps)) {
        let times = (at, apps.env.now());
        apps.timers.rearm(timer, callback, times, Due::Timer(timer), &mut apps.schedule);
    } else {
        apps.cancel(timer);
    }
    if !apps.timers.contains(timer) {
        apps.holders.remove(&Holder::Timer(timer));
    }
}

/// Calls the callback of a source that the dispatcher has reported.
pub(super) fn serve_source(driver: &mut Driver<'_>, id: SourceId, ready: Ready) {
    let Some((mut io, mut callback)) = driver.apps.sources.take(id, ready.key) else { return };
    call_source(driver.apps, id, &mut io, &mut *callback, ready.into());
    if let Some(watch) = driver.apps.sources.get_mut(id) {
        // What it has not read is to be reported again, also by a loop that reports changes only.
        watch.registered = Some((ready.key, watch.interest));
        if let Err(error) = driver.dispatcher.reregister(ready.key, &mut io, watch.interest) {
            refuse(driver.apps, id, &mut io, &mut *callback, error.into());
        }
    }
    driver.apps.sources.put_back(id, (io, callback));
}

/// Registers, changes and removes sources at the dispatcher, as callbacks have asked for.
pub(super) fn settle_sources(driver: &mut Driver<'_>) {
    for id in driver.apps.sources.take_changes() {
        let Some((mut io, mut callback)) = driver.apps.sources.take_changed(id) else { continue };
        let Some(watch) = driver.apps.sources.get_mut(id) else {
            let key = driver.apps.sources.forget(id);
            contain_panic(id, || match key {
                Some(key) => {
                    driver.links.watched.remove(key);
                    driver.dispatcher.deregister(key, io);
                }
                None => drop(io),
            });
            contain_panic(id, || drop(callback));
            driver.apps.env.user_code_ran();
            continue;
        };
        let interest = watch.interest;
        let watched = match watch.registered {
            Some((_, known)) if known == interest => Ok(()),
            Some((key, _)) => {
                watch.registered = Some((key, interest));
                driver.dispatcher.reregister(key, &mut io, interest)
            }
            None => {
                let key = driver.links.watched.insert(KeyOwner::Source(id));
                let registered = driver.dispatcher.register(key, &mut io, interest);
                match registered {
                    Ok(()) => watch.registered = Some((key, interest)),
                    Err(_) => driver.links.watched.remove(key),
                }
                registered
            }
        };
        if let Err(error) = watched {
            refuse(driver.apps, id, &mut io, &mut *callback, error.into());
        }
        driver.apps.sources.put_back(id, (io, callback));
    }
}

/// Reports to a source that the dispatcher refuses it, and removes it.
fn refuse(apps: &mut Apps, id: SourceId, io: &mut Io, callback: &mut SourceCall, event: SourceEvent) {
    if let Some(error) = &event.refused {
        log::warn!(target: "websocket::app", "{id} cannot be watched: {error}");
    }
    call_source(apps, id, io, callback, event);
    apps.unwatch(id);
}

/// Calls the callback of a source, and removes the source if that panics.
fn call_source(apps: &mut Apps, id: SourceId, io: &mut Io, callback: &mut SourceCall, event: SourceEvent) {
    let work = |apps: &mut Apps| match callback(io, apps, id, event) {
        // Readiness is a hint.
        Err(error) if is_would_block(&error) => Ok(()),
        result => result,
    };
    if !call(apps, id, work) {
        apps.unwatch(id);
    }
}

/// Whether a read or write found that it would have to wait.
fn is_would_block(error: &BoxError) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
