//! A task of the host's own beside the apps, on tokio.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use websocket_bench::Result;
use websocket_bench::contract::Task;
use websocket_bench::hosts::{HostReport, PIECE, TICK, Turns};
use websocket_hosts::Host;

/// How long a task has waited for each of its turns, and since when it runs.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<(Vec<u64>, Option<Instant>)>>);

impl Waits {
    fn push(&self, wait: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(wait.as_nanos() as u64);
    }

    fn spawn<F>(&self, task: impl FnOnce(Self) -> F) -> Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| "this host runs no tasks of tokio")?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
        runtime.spawn(task(self.clone()));
        Ok(())
    }

    fn take(&self, ended: Instant) -> Turns {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = inner.1.map(|begun| ended.saturating_duration_since(begun)).unwrap_or_default();
        Turns::new(std::mem::take(&mut inner.0), wall)
    }
}

/// The workload `echo` beside the task.
pub(crate) fn echo<F>(
    host: &Host,
    task: &Task,
    beside: impl FnOnce(Waits) -> F + 'static,
) -> Result<HostReport>
where
    F: Future<Output = ()> + Send + 'static,
{
    let waits = Waits::default();
    let counted = waits.clone();
    let report = crate::echo::run(host, task, move |_| counted.spawn(beside))?;
    Ok(HostReport { echo: Some(report), turns: Some(waits.take(Instant::now())) })
}

/// Ticks beside apps that wait.
pub(crate) fn idle(host: &Host, task: &Task) -> Result<HostReport> {
    let waits = Waits::default();
    let (counted, span) = (waits.clone(), TICK * u32::try_from(task.messages)?);
    crate::apps::run(
        host,
        task,
        |_, app| app,
        move |app, _| {
            app.set_timeout(span, |app| app.apps().stop());
            counted.spawn(ticks)
        },
    )?;
    Ok(HostReport { echo: None, turns: Some(waits.take(Instant::now())) })
}

/// Wants a turn every [`TICK`]; those that are late come in a row, as tokio makes up for them.
pub(crate) async fn ticks(waits: Waits) {
    let mut interval = tokio::time::interval(TICK);
    interval.tick().await;
    loop {
        let due = interval.tick().await;
        waits.push(due.elapsed());
    }
}

/// Works all the time, and gives way after each [`PIECE`].
pub(crate) async fn pieces(waits: Waits) {
    let mut given = Instant::now();
    loop {
        let begun = Instant::now();
        waits.push(begun.duration_since(given));
        while begun.elapsed() < PIECE {
            std::hint::spin_loop();
        }
        given = Instant::now();
        tokio::task::yield_now().await;
    }
}
