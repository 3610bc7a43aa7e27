//! A turn: everything that there is to do now, within the turn's budget.

use std::any::Any;
use std::io;
use std::mem;
use std::panic::resume_unwind;

use websocket_dispatcher::{Dispatcher, Next, Ready};

use super::Reactor;
use super::attend::attend;
use super::drive::Driver;
use super::shared;
use super::work::Work;
use crate::apps::{Apps, ToRead};
use crate::error::Error;
use crate::id::AppId;
use crate::pace::TurnPart;
use crate::schedule::Due;
use crate::threads::Job;
use crate::watched::KeyOwner;

/// Apps whose turn to resolve, or to connect, comes in one turn of the reactor, at most.
const ADMITTED: usize = 64;

/// How much of each part was there when the turn began: what the turn itself adds waits for the next one, so a turn always ends.
struct Backlog {
    jobs: usize,
    /// The number of the newest entry in the schedule.
    newest: u64,
    reads: usize,
}

impl<D: Dispatcher> Reactor<D> {
    /// What is next, or a panic that is to go on.
    pub(super) fn take_turn(&mut self, ready: &[Ready]) -> Result<Next, Box<dyn Any + Send>> {
        let apps = &mut self.apps;
        apps.env.now();
        apps.in_turn = true;
        apps.meter.turns += 1;
        apps.meter.ready_streams += ready.len() as u64;
        apps.pace.begin_turn(apps.env.nanos());
        apps.fetch_jobs();
        apps.queue_streams(ready, &mut self.links.watched);
        let backlog =
            Backlog { jobs: apps.jobs.len(), newest: apps.schedule.newest(), reads: apps.reads.len() };
        let mut listed = mem::take(&mut self.listed);
        let first = mem::take(&mut self.first_part);
        let mut driver = self.driver();
        let mut left_out = None;
        for (index, part) in first.and_the_others().into_iter().enumerate() {
            if driver.apps.stopping {
                break;
            }
            if index > 0 && driver.apps.turn_is_over() {
                left_out = left_out.or_else(|| has_work(&driver, part).then_some(part));
            } else {
                serve(&mut driver, part, &backlog, &mut listed);
                drain_apps(&mut driver);
                if matches!(part, TurnPart::Jobs) {
                    // What other threads have asked for, a close first of all, does not wait for the callbacks of this turn.
                    write(&mut driver, &mut listed);
                }
            }
        }
        write(&mut driver, &mut listed);
        shared::settle_sources(&mut driver);
        // Before the stop, which is over when no app is left, and for what the stop itself removes.
        each(&mut driver, &mut listed, |apps| &mut apps.removals, Driver::discard);
        stop_apps(&mut driver);
        each(&mut driver, &mut listed, |apps| &mut apps.removals, Driver::discard);
        self.listed = listed;
        self.first_part = left_out.unwrap_or_default();
        self.apps.tidy_schedule();
        self.apps.env.free_unused();
        self.apps.in_turn = false;
        if self.apps.inbox.wants_stats() {
            self.apps.inbox.set_stats(self.apps.stats());
        }
        match self.apps.panic.take() {
            Some(panic) => Err(panic),
            None => Ok(self.next()),
        }
    }

    /// The event loop is broken: every app ends with this error, which is returned.
    ///
    /// # Panics
    /// When a callback does, and panics are to propagate.
    pub(super) fn break_down(&mut self, error: io::Error) -> Error {
        let copy = || match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        let mut listed = mem::take(&mut self.listed);
        // No app is to connect again.
        (self.apps.stopping, self.apps.in_turn) = (true, true);
        let mut driver = self.driver();
        for id in driver.apps.ids() {
            attend(&mut driver, id, Work::Stop(Some(Error::Dispatcher(copy()))));
        }
        each(&mut driver, &mut listed, |apps| &mut apps.removals, Driver::discard);
        self.listed = listed;
        let apps = &mut self.apps;
        (apps.stopping, apps.draining, apps.stop_at, apps.in_turn) = (false, false, None, false);
        match apps.panic.take() {
            Some(panic) => resume_unwind(panic),
            None => Error::Dispatcher(error),
        }
    }

    /// What the reactor waits for.
    pub(super) fn next(&self) -> Next {
        let next = self.apps.next();
        let may_start = self.links.names.can_call() || self.links.connections.can_call();
        Next::new(next.deadline, next.again || may_start)
    }
}

/// Whether `part` of a turn has something to do.
fn has_work(driver: &Driver<'_>, part: TurnPart) -> bool {
    let apps = &driver.apps;
    match part {
        TurnPart::Jobs => !apps.jobs.is_empty(),
        TurnPart::Due => apps.schedule.next().is_some_and(|at| at <= apps.env.clock().now()),
        TurnPart::Reads => !apps.reads.is_empty(),
        TurnPart::Starts => {
            !apps.waiting.is_empty() || driver.links.names.can_call() || driver.links.connections.can_call()
        }
    }
}

/// Serves one part: at least one piece of its work, and as many as the budget allows.
fn serve(driver: &mut Driver<'_>, part: TurnPart, backlog: &Backlog, listed: &mut Vec<AppId>) {
    match part {
        TurnPart::Jobs => {
            for _ in 0..backlog.jobs {
                let Some(job) = driver.apps.jobs.pop_front() else { break };
                work_off(driver, job);
                if driver.apps.turn_is_over() {
                    break;
                }
            }
        }
        TurnPart::Due => loop {
            let now = driver.apps.env.current().now;
            let Some(entry) = driver.apps.schedule.pop_due(now, backlog.newest) else { break };
            match entry.due {
                Due::Deadline(id) | Due::AppTimer(id, _) => attend(driver, id, Work::Due(entry)),
                Due::Timer(timer) => shared::fire_timer(driver, timer, entry.at),
            }
            if driver.apps.turn_is_over() {
                break;
            }
        },
        TurnPart::Reads => {
            driver.apps.begin_reads();
            for _ in 0..backlog.reads {
                match driver.apps.reads.pop_front() {
                    Some(ToRead::Stream(key)) => match driver.links.watched.take_report(key) {
                        Some((KeyOwner::App(id), ready)) => attend(driver, id, Work::Ready(ready)),
                        Some((KeyOwner::Source(id), ready)) => shared::serve_source(driver, id, ready),
                        None => {}
                    },
                    Some(ToRead::App(id)) => attend(driver, id, Work::Read),
                    None => break,
                }
                if driver.apps.turn_is_over() {
                    break;
                }
            }
        }
        TurnPart::Starts => start_apps(driver, listed),
    }
}

/// Starts apps, and lets those go ahead whose turn to resolve or to connect has come.
fn start_apps(driver: &mut Driver<'_>, listed: &mut Vec<AppId>) {
    mem::swap(listed, &mut driver.apps.waiting);
    let mut started = 0;
    for id in &*listed {
        attend(driver, *id, Work::Look);
        started += 1;
        if driver.apps.turn_is_over() {
            break;
        }
    }
    // Those that the budget left out come before those that were added meanwhile.
    listed.drain(..started);
    listed.append(&mut driver.apps.waiting);
    mem::swap(listed, &mut driver.apps.waiting);
    for _ in 0..ADMITTED {
        let Some((id, place)) = driver.links.names.call() else { break };
        attend(driver, id, Work::MayAsk(place));
        if driver.apps.turn_is_over() {
            break;
        }
    }
    for _ in 0..ADMITTED {
        let Some((id, place)) = driver.links.connections.call() else { break };
        attend(driver, id, Work::MayConnect(place));
        if driver.apps.turn_is_over() {
            break;
        }
    }
}

/// Writes what was sent.
fn write(driver: &mut Driver<'_>, listed: &mut Vec<AppId>) {
    each(driver, listed, |apps| &mut apps.dirty, |driver, id| attend(driver, id, Work::Write));
}

/// Does something for each app on a list; what is added to the list meanwhile stays there. No list gives its memory up.
fn each<'a>(
    driver: &mut Driver<'a>,
    listed: &mut Vec<AppId>,
    list: impl FnOnce(&mut Apps) -> &mut Vec<AppId>,
    mut work: impl FnMut(&mut Driver<'a>, AppId),
) {
    mem::swap(listed, list(driver.apps));
    for id in listed.drain(..) {
        work(driver, id);
    }
}

/// Does what another thread has asked for.
fn work_off(driver: &mut Driver<'_>, job: Job) {
    match job {
        Job::Commands(id) => attend(driver, id, Work::Commands),
        Job::Resolved { app, query, addresses } => attend(driver, app, Work::Resolved(query, addresses)),
        Job::Run(work) => {
            let work = |apps: &mut Apps| {
                work(apps);
                Ok(())
            };
            shared::call(driver.apps, "work from another thread", work);
        }
    }
}

/// Closes all apps if that was asked for.
#[inline]
fn drain_apps(driver: &mut Driver<'_>) {
    if mem::take(&mut driver.apps.draining) {
        for id in driver.apps.ids() {
            attend(driver, id, Work::Drain);
        }
    }
}

/// Stops the reactor if that was asked for, or if it has been drained.
fn stop_apps(driver: &mut Driver<'_>) {
    let apps = &mut *driver.apps;
    let drained = apps.stop_at.is_some_and(|at| apps.is_empty() || at <= apps.env.now());
    if apps.stopping || drained {
        apps.stopped = true;
        for id in apps.ids() {
            attend(driver, id, Work::Stop(None));
        }
        // What was asked again in the meantime has happened.
        let apps = &mut *driver.apps;
        (apps.stopping, apps.draining, apps.stop_at) = (false, false, None);
    }
}
