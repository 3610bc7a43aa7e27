//! The apps, all on one reactor, and what is counted about their attempts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use websocket_app::{AppId, Error, Reactor, Reconnect, RunOptions, WebSocketApp};
use websocket_bench::Result;

/// Failed attempts, or lost connections, by the kind of their error.
pub(crate) type Kinds = BTreeMap<String, usize>;

/// What happened in one phase.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Events {
    /// Open connections that ended.
    pub(crate) lost: Kinds,
    /// Attempts that ended before they were open.
    pub(crate) failed: Kinds,
}

/// What the callbacks count.
#[derive(Default)]
struct Counts {
    /// Apps whose connection is open.
    open: Cell<usize>,
    events: RefCell<Events>,
}

/// The sockets that attempts have begun and not finished with. Shared with a closure of the socket options,
/// which must be `Send`.
#[derive(Default)]
struct Sockets {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Sockets {
    fn begin(&self) {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(under_way, Ordering::Relaxed);
    }

    /// An attempt that fails may never have begun a socket.
    fn finish(&self) {
        let less = |under_way: usize| under_way.checked_sub(1);
        let _none_left = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The apps of the storm.
pub(crate) struct Storm {
    reactor: Reactor,
    apps: Vec<AppId>,
    counts: Rc<Counts>,
    sockets: Arc<Sockets>,
    /// Attempts that had been started when the phase began.
    started_before: u64,
}

impl Storm {
    /// Puts `apps` apps on a reactor, with the default options but for `policy`.
    pub(crate) fn new(url: &str, apps: usize, policy: Reconnect) -> Result<Self> {
        let (counts, sockets) = (Rc::<Counts>::default(), Arc::<Sockets>::default());
        let begun = sockets.clone();
        let options = RunOptions::new().reconnect(policy).sockopt(move |_| {
            begun.begin();
            Ok(())
        });
        let mut reactor = Reactor::new()?;
        let apps = (0..apps)
            .map(|_| app(url, &counts, &sockets).run_on(&mut reactor, &options))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { reactor, apps, counts, sockets, started_before: 0 })
    }

    /// Begins a phase: counts from zero.
    pub(crate) fn begin_phase(&mut self) {
        self.started_before += self.started();
        self.counts.events.take();
        self.sockets.most.store(self.sockets.under_way.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Runs until every app is open, or none is, or until `limit`; returns how long that took, `None` beyond
    /// the limit.
    pub(crate) fn run_until(&mut self, open: bool, limit: Duration) -> Result<Option<Duration>> {
        let wanted = if open { self.apps.len() } else { 0 };
        let begun = Instant::now();
        while self.open() != wanted {
            let Some(left) = limit.checked_sub(begun.elapsed()) else { return Ok(None) };
            self.reactor.poll(Some(left))?;
        }
        Ok(Some(begun.elapsed()))
    }

    /// Runs for this long.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<()> {
        let begun = Instant::now();
        while let Some(left) = time.checked_sub(begun.elapsed()) {
            self.reactor.poll(Some(left))?;
        }
        Ok(())
    }

    /// How many apps are open.
    pub(crate) fn open(&self) -> usize {
        self.counts.open.get()
    }

    /// The attempts that this phase has started.
    pub(crate) fn started(&mut self) -> u64 {
        let apps = self.reactor.apps();
        let started = |id: &AppId| apps.with(*id, |app| u64::from(app.attempts().started)).unwrap_or(0);
        self.apps.iter().map(started).sum::<u64>() - self.started_before
    }

    /// The largest number of sockets that were connecting or upgrading at once.
    pub(crate) fn most_under_way(&self) -> usize {
        self.sockets.most.load(Ordering::Relaxed)
    }

    /// What has happened in this phase.
    pub(crate) fn events(&self) -> Events {
        self.counts.events.borrow().clone()
    }
}

/// One app, which counts what becomes of its attempts.
fn app(url: &str, counts: &Rc<Counts>, sockets: &Arc<Sockets>) -> WebSocketApp {
    let is_open = Rc::new(Cell::new(false));
    let (opened, counted, finished) = (is_open.clone(), counts.clone(), sockets.clone());
    let (counts, sockets) = (counts.clone(), sockets.clone());
    WebSocketApp::new(url)
        .on_open(move |_, _| {
            opened.set(true);
            counted.open.set(counted.open.get() + 1);
            finished.finish();
        })
        .on_close(move |_, closed| {
            let mut events = counts.events.borrow_mut();
            let kinds = if is_open.replace(false) {
                counts.open.set(counts.open.get() - 1);
                &mut events.lost
            } else {
                sockets.finish();
                &mut events.failed
            };
            let kind = closed.error.map_or_else(|| "no error".to_owned(), kind);
            *kinds.entry(kind).or_default() += 1;
        })
}

/// The kind of an error: its name, and what the system said. Details such as ports are left out.
fn kind(error: &Error) -> String {
    match error {
        Error::Resolve { source, .. } => format!("Resolve: {}", source.kind()),
        Error::Connect { source, .. } => format!("Connect: {}", source.kind()),
        Error::Io(source) => format!("Io: {}", source.kind()),
        Error::Timeout(timeout) => format!("Timeout({timeout:?})"),
        Error::EndOfStream => "EndOfStream".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use websocket_app::Timeout;

    #[test]
    fn kinds_name_the_error_and_leave_out_the_details() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(kind(&Error::Io(reset())), "Io: connection reset");
        assert_eq!(kind(&Error::Timeout(Timeout::Connect)), "Timeout(Connect)");
        assert_eq!(kind(&Error::EndOfStream), "EndOfStream");
    }

    #[test]
    fn the_most_sockets_at_once_are_remembered() {
        let sockets = Sockets::default();
        sockets.finish();
        sockets.begin();
        sockets.begin();
        sockets.finish();
        sockets.begin();
        assert_eq!((sockets.under_way.into_inner(), sockets.most.into_inner()), (2, 2));
    }
}
