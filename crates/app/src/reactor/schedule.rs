//! Deadlines and timers: one heap for all apps, re-armed lazily.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use super::{AppId, Apps};
use crate::{CallbackResult, Context};

/// Names one timer on its reactor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimerId(u64);

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    /// A deadline of the app's connection; it may have moved on.
    Deadline,
    /// A timer of the user's; it may have been cancelled.
    Timer(TimerId),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry {
    pub(super) at: Instant,
    sequence: u64,
    pub(super) app: AppId,
    pub(super) due: Due,
}

impl Entry {
    /// The entry as its app remembers it.
    pub(super) const fn armed(&self) -> Armed {
        Armed { at: self.at, sequence: self.sequence }
    }
}

/// The entry that an app's deadline is armed with. Another of the same time may be left of an earlier deadline, and means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Armed {
    pub(super) at: Instant,
    sequence: u64,
}

/// All that is due some day, the earliest first. Entries that no longer mean anything stay until their time or until they are many.
#[derive(Default, Debug)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    stale: usize,
}

impl Schedule {
    pub(super) fn push(&mut self, at: Instant, app: AppId, due: Due) -> Armed {
        self.sequence += 1;
        let entry = Entry { at, sequence: self.sequence, app, due };
        self.heap.push(Reverse(entry));
        entry.armed()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next entry that is due at `now` and was there before the entry of number `until`.
    pub(super) fn pop_due(&mut self, now: Instant, until: u64) -> Option<Entry> {
        let Reverse(entry) = self.heap.peek()?;
        if entry.at > now || entry.sequence > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// The number of the newest entry.
    pub(super) const fn newest(&self) -> u64 {
        self.sequence
    }

    /// One entry more means nothing any more.
    pub(super) const fn forget(&mut self, entries: usize) {
        self.stale += entries;
    }

    /// Drops entries that mean nothing, when these are more than the others.
    pub(super) fn tidy(&mut self, mut is_live: impl FnMut(&Entry) -> bool) {
        // Each entry that is looked at is paid for by one that was forgotten.
        if self.stale > self.heap.len() / 2 {
            self.heap.retain(|Reverse(entry)| is_live(entry));
            self.stale = 0;
        }
    }
}

/// `now` and `after` more; what is too far for the clock is as far as anybody will wait.
pub(super) fn later(now: Instant, after: Duration) -> Instant {
    const AN_AGE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(after).unwrap_or_else(|| now + AN_AGE)
}

type Call = Box<dyn FnMut(&mut Context<'_>) -> CallbackResult>;

struct Timer {
    every: Option<Duration>,
    /// Absent while it runs.
    call: Option<Call>,
}

/// The timers of one app; they end with it.
#[derive(Default)]
pub(crate) struct AppTimers(BTreeMap<TimerId, Timer>);

impl AppTimers {
    pub(crate) fn add(
        &mut self,
        app: AppId,
        apps: &mut Apps,
        after: Duration,
        every: Option<Duration>,
        call: Call,
    ) -> TimerId {
        let at = later(apps.env.now, after);
        let timer = TimerId(apps.schedule.sequence + 1);
        apps.schedule.push(at, app, Due::Timer(timer));
        self.0.insert(timer, Timer { every, call: Some(call) });
        timer
    }

    pub(crate) fn cancel(&mut self, timer: TimerId, apps: &mut Apps) -> bool {
        let cancelled = self.0.remove(&timer).is_some();
        apps.schedule.forget(usize::from(cancelled));
        cancelled
    }

    /// Takes the callback of a timer that is due.
    pub(super) fn fire(&mut self, timer: TimerId) -> Option<Call> {
        let slot = self.0.get_mut(&timer)?;
        let call = slot.call.take();
        if slot.every.is_none() {
            self.0.remove(&timer);
        }
        call
    }

    /// Puts the callback of an interval back, unless it was cancelled meanwhile. Missed times are skipped.
    pub(super) fn rearm(&mut self, timer: TimerId, call: Call, at: Instant, app: AppId, apps: &mut Apps) {
        if let Some(Timer { every: Some(every), call: slot }) = self.0.get_mut(&timer) {
            *slot = Some(call);
            let next = later(at, *every);
            let next = if next < apps.env.now { later(apps.env.now, *every) } else { next };
            apps.schedule.push(next, app, Due::Timer(timer));
        }
    }

    pub(super) fn contains(&self, timer: TimerId) -> bool {
        self.0.contains_key(&timer)
    }

    pub(super) fn clear(&mut self, apps: &mut Apps) {
        apps.schedule.forget(self.0.len());
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use websocket_testkit::frame;
    use websocket_testkit::sim::{SimDispatcher, SimNet};

    use crate::{Reactor, RunOptions, WebSocketApp};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A reactor with one app, whose server opens the connection and answers pings.
    fn reactor(options: &RunOptions) -> (SimNet, Reactor<SimDispatcher>, AppId) {
        let net = SimNet::new(1);
        net.serve("192.0.2.1:80".parse().unwrap(), |peer| {
            peer.accept_upgrade();
            while let Some(frame) = peer.read_frame() {
                peer.write(&frame::pong(&frame.payload));
            }
        });
        let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
        let mut reactor = reactor.connector(net.clone());
        let id = WebSocketApp::new("ws://192.0.2.1/").run_on(&mut reactor, options).unwrap();
        (net, reactor, id)
    }

    fn run_for(net: &SimNet, reactor: &mut Reactor<SimDispatcher>, time: Duration) {
        let end = net.elapsed() + time;
        while net.elapsed() < end {
            reactor.poll(Some(end - net.elapsed())).unwrap();
        }
    }

    #[test]
    fn cancelled_timers_leave_the_schedule_before_their_time() {
        let (net, mut reactor, id) = reactor(&RunOptions::new());
        run_for(&net, &mut reactor, HOUR);
        let timers: Vec<_> = (0..100)
            .map(|_| reactor.apps.with(id, |app| app.set_timeout(1000 * HOUR, |_| ())).unwrap())
            .collect();
        for _ in 0..1000 {
            reactor.apps.with(id, |app| {
                let many: Vec<_> = (0..100).map(|_| app.set_timeout(1000 * HOUR, |_| ())).collect();
                assert!(many.into_iter().all(|timer| app.cancel(timer)));
            });
            reactor.poll(Some(Duration::ZERO)).unwrap();
            assert!(reactor.apps.schedule.heap.len() <= 400);
        }
        reactor.apps.with(id, |app| assert!(timers.into_iter().all(|timer| app.cancel(timer))));
        reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(reactor.apps.schedule.heap.len(), 0);
    }

    #[test]
    fn a_deadline_armed_twice_for_the_same_time_leaves_nothing_when_its_app_ends() {
        let (net, mut reactor, id) = reactor(&RunOptions::new());
        run_for(&net, &mut reactor, HOUR);
        let at = later(net.now(), HOUR);
        reactor.apps.schedule.push(at, id, Due::Deadline);
        let mut app = reactor.apps.take(id).unwrap();
        app.control.armed = Some(reactor.apps.schedule.push(at, id, Due::Deadline));
        reactor.apps.put_back(id, app);
        // The first one is left of a deadline that was moved on and back: it was forgotten, and tidied up with others since.
        reactor.apps.schedule.forget(2);
        reactor.apps.tidy_schedule();
        assert_eq!(reactor.apps.schedule.heap.len(), 1);
        reactor.apps.remove(id);
        reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(reactor.next_deadline(), None);
    }

    #[test]
    fn b102_keep_alive_does_not_fill_the_schedule() {
        let options = RunOptions::new().ping_interval(HOUR).ping_timeout(HOUR / 2);
        let (net, mut reactor, id) = reactor(&options);
        for _ in 0..1000 {
            run_for(&net, &mut reactor, HOUR);
            let heap = &reactor.apps.schedule.heap;
            assert!(heap.len() <= 4, "{heap:?}");
        }
        assert!(reactor.apps.with(id, |app| app.rtt().last).unwrap().is_some());
    }

    #[test]
    fn b126_retries_do_not_fill_the_schedule() {
        let net = SimNet::new(1);
        net.serve("192.0.2.1:80".parse().unwrap(), |peer| {
            peer.accept_upgrade();
            peer.reset();
        });
        let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
        let mut reactor = reactor.connector(net.clone());
        let options = RunOptions::new().reconnect(HOUR).ping_interval(HOUR / 2);
        let app = WebSocketApp::new("ws://192.0.2.1/").on_open(|app, _| {
            app.set_timeout(1000 * HOUR, |_| ());
        });
        app.run_on(&mut reactor, &options).unwrap();
        for _ in 0..1000 {
            run_for(&net, &mut reactor, HOUR);
            let heap = &reactor.apps.schedule.heap;
            assert!(heap.len() <= 8, "{heap:?}");
        }
        assert_eq!(net.attempts().len(), 1001);
    }

    #[test]
    fn intervals_leave_one_entry_each_and_go_with_their_app() {
        let (net, mut reactor, id) = reactor(&RunOptions::new());
        reactor.apps.with(id, |app| {
            for seconds in 1..=50 {
                app.set_interval(Duration::from_secs(seconds), |_| ());
            }
        });
        run_for(&net, &mut reactor, HOUR);
        assert_eq!(reactor.apps.schedule.heap.len(), 50);
        reactor.apps.remove(id);
        reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(reactor.apps.schedule.heap.len(), 0);
    }
}
