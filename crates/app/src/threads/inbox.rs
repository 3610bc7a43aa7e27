//! What other threads ask of a reactor: a queue and a wake-up.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::apps::Apps;
use crate::id::{AppId, QueryId};
use crate::meter::ReactorStats;

/// One thing to do on the loop.
pub(crate) enum Job {
    /// The app's sender has queued commands.
    Commands(AppId),
    /// The resolver has answered the query of this number.
    Resolved {
        app: AppId,
        query: QueryId,
        addresses: io::Result<Vec<SocketAddr>>,
    },
    Run(Box<dyn FnOnce(&mut Apps) + Send>),
}

/// The queue of one reactor. Jobs are pushed first, then the loop is woken; it clears the flag before it
/// takes the queue.
pub(crate) struct Inbox {
    /// `None` once the reactor is gone.
    jobs: Mutex<Option<Vec<Job>>>,
    notified: AtomicBool,
    /// A handle has asked for the reactor's numbers: they are published at the end of every turn.
    wants_stats: AtomicBool,
    /// The numbers that were published last.
    stats: Mutex<Option<ReactorStats>>,
    waker: Waker,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            jobs: Mutex::new(Some(Vec::new())),
            notified: AtomicBool::new(false),
            wants_stats: AtomicBool::new(false),
            stats: Mutex::default(),
            waker,
        })
    }

    pub(crate) fn push(&self, job: Job) {
        if let Some(jobs) = &mut *self.lock() {
            jobs.push(job);
        } else {
            return;
        }
        self.notify();
    }

    /// Wakes the loop, unless that has been done since it last looked.
    pub(crate) fn notify(&self) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            self.waker.wake_by_ref();
        }
    }

    /// Whether there are jobs to take. It is asked after each message, and orders nothing.
    #[inline]
    pub(crate) fn has_jobs(&self) -> bool {
        self.notified.load(Ordering::Relaxed)
    }

    /// Moves all jobs to the end of `jobs`.
    pub(crate) fn take(&self, jobs: &mut VecDeque<Job>) {
        self.notified.store(false, Ordering::Release);
        if let Some(queued) = &mut *self.lock() {
            jobs.extend(queued.drain(..));
        }
    }

    /// Whether such a job waits to be taken.
    pub(crate) fn has(&self, is_such: impl Fn(&Job) -> bool) -> bool {
        self.lock().as_ref().is_some_and(|jobs| jobs.iter().any(is_such))
    }

    /// Whether the reactor's numbers are to be published.
    pub(crate) fn wants_stats(&self) -> bool {
        self.wants_stats.load(Ordering::Relaxed)
    }

    /// Publishes the reactor's numbers.
    pub(crate) fn set_stats(&self, stats: ReactorStats) {
        *self.lock_stats() = Some(stats);
    }

    fn lock_stats(&self) -> MutexGuard<'_, Option<ReactorStats>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reactor is gone: what is queued is dropped, and so is what comes.
    pub(crate) fn close(&self) {
        // Jobs are the user's closures: they are dropped without the lock.
        let jobs = self.lock().take();
        drop(jobs);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reactor as other threads see it: they queue work and wake it.
///
/// It outlives its reactor; then what it is given is dropped.
#[derive(Clone)]
pub struct ReactorHandle(pub(crate) Arc<Inbox>);

impl ReactorHandle {
    /// Runs `work` on the reactor's thread, in one of its next turns.
    pub fn run(&self, work: impl FnOnce(&mut Apps) + Send + 'static) {
        self.0.push(Job::Run(Box::new(work)));
    }

    /// Returns the reactor's numbers as of its last turn. Never blocks on the loop.
    ///
    /// They are published only once they were asked for: the first call wakes the loop and returns `None`, and so may calls until it
    /// has taken a turn. When the reactor is gone, they are those of its end, also if nothing has asked before.
    pub fn stats(&self) -> Option<ReactorStats> {
        if !self.0.wants_stats.swap(true, Ordering::Relaxed) {
            self.0.notify();
        }
        *self.0.lock_stats()
    }

    /// Stops the reactor, as [`Apps::stop`].
    pub fn stop(&self) {
        self.run(Apps::stop);
    }

    /// Closes all apps and stops the reactor, as [`Apps::stop_within`].
    pub fn stop_within(&self, timeout: Duration) {
        self.run(move |apps| apps.stop_within(timeout));
    }
}

impl std::fmt::Debug for ReactorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReactorHandle")
    }
}
