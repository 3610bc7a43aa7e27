//! The suite catches broken dispatchers: each point is missed by some fault that a dispatcher could have.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, MioDispatcher, Ready, Wait};

use super::{Host, Sockets, check, points};

macro_rules! name_and_function {
    ($unused:expr; $($(#[$attribute:meta])* $point:ident)*) => {
        [$($(#[$attribute])* (stringify!($point), points::$point as fn(&mut BrokenHost))),*]
    };
}

macro_rules! faults {
    ($($fault:ident: $($point:ident)*;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        enum Fault { $($fault),* }

        /// Each fault with points that must catch it.
        const FAULTS: &[(Fault, &[&str])] = &[$((Fault::$fault, &[$(stringify!($point)),*])),*];
    };
}

faults! {
    DeafToBytes: readable_is_reported;
    DeafToRoom: writable_is_reported;
    SwallowsWhatWasReadyBefore: what_is_ready_at_registration_is_reported;
    ReportsOnceARegistration: new_bytes_after_draining_are_reported room_after_a_full_buffer_is_reported;
    HidesEnds: a_half_close_is_readable a_hang_up_is_readable;
    HidesErrors: a_reset_is_readable a_reset_ends_the_wait_for_room;
    LosesWhatExceedsABatch: many_streams_at_once_are_all_reported;
    ClearsTheList: observations_are_appended;
    DoesNotFlagEnds: a_short_read_that_drains_is_followed_by_news;
    IgnoresReregistration: reregistration_reports_what_is_ready an_interest_can_grow_and_shrink;
    IgnoresChangesAfterAReport: a_change_right_after_a_report_takes_effect;
    NeverForgetsWriting: an_interest_can_grow_and_shrink;
    ReplacesTheLive: registering_a_live_key_fails_and_changes_nothing;
    RefusesTheLiveTooLate: registering_a_live_key_fails_and_changes_nothing;
    TakesWhatItCannotWatch: a_refused_stream_leaves_its_key_free;
    KeepsTheKeyOfTheRefused: a_refused_stream_leaves_its_key_free;
    ReregistersTheDead: reregistering_a_dead_key_fails;
    NeverCloses: deregistering_closes_the_stream deregistering_a_stale_key_only_drops_the_stream;
    ClosesBehindTheLoopsBack: a_reused_slot_reports_under_its_new_key;
    DeregistersWhoeverHasTheSlot: deregistering_a_stale_key_only_drops_the_stream;
    ReportsTheDead: a_stream_removed_inside_a_batch_stays_silent a_reused_slot_reports_under_its_new_key;
    ReportsTheFirstKeyOfASlot: a_reused_slot_reports_under_its_new_key;
    ReportsTheFirstKeyOfADescriptor: a_reused_descriptor_reports_under_its_own_key;
    WatchesNoUnixStreams: unix_streams_are_watched;
    LosesWakesBeforeTheWait: a_wake_before_the_wait_ends_it a_storm_of_wakes_loses_none;
    TiresOfWaking: a_storm_of_wakes_loses_none;
    LosesWakesDuringTheWait: a_wake_from_another_thread_ends_a_wait;
    ReportsWakes: a_wake_before_the_wait_ends_it;
    StaysAwake: a_wake_is_not_sticky;
    CountsWakes: a_wake_is_not_sticky;
    WakesInsteadOfReporting: a_wake_does_not_swallow_readiness;
    PanicsWhenWokenLate: a_waker_may_outlive_its_dispatcher;
    SleepsPastDeadlines: a_deadline_in_the_past_looks_and_returns a_near_deadline_is_reached_without_circles;
    DoesNotLookWhenLate: a_deadline_in_the_past_looks_and_returns;
    NeverSleeps: a_near_deadline_is_reached_without_circles;
    RoundsDown: a_fine_deadline_is_rounded_up;
    CountsIn32Bits: a_distant_deadline_is_no_trouble;
    TurnsTheClockBack: the_clock_does_not_go_backwards;
    FailsWhenInterrupted: an_interrupted_wait_is_no_error;
    SleepsOnWhenInterrupted: an_interrupted_wait_is_no_error;
}

struct Broken {
    fault: Fault,
    inner: MioDispatcher,
    bell: Arc<Bell>,
    start: Instant,
    interests: KeyTable<Interest>,
    reported: Vec<Key>,
    dead: Vec<Key>,
    leaked: Vec<Io>,
    first_in_slot: BTreeMap<usize, Key>,
    first_of_descriptor: BTreeMap<i32, Key>,
    descriptors: BTreeMap<Key, i32>,
    to_write: Vec<Key>,
    clock: AtomicUsize,
}

struct Bell {
    fault: Fault,
    inner: Waker,
    sleeping: AtomicBool,
    rung: AtomicUsize,
    calls: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let calls = self.calls.fetch_add(1, Ordering::AcqRel);
        let sleeping = self.sleeping.load(Ordering::Acquire);
        match self.fault {
            Fault::LosesWakesBeforeTheWait if !sleeping => return,
            Fault::LosesWakesDuringTheWait if sleeping => return,
            Fault::TiresOfWaking if calls >= 1000 => return,
            _ => {}
        }
        self.rung.fetch_add(1, Ordering::AcqRel);
        self.inner.wake_by_ref();
    }
}

struct LateBell(Weak<()>);

impl Wake for LateBell {
    fn wake(self: Arc<Self>) {
        self.0.upgrade().expect("the dispatcher is there");
    }
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let inner = MioDispatcher::new().expect("a poll");
        let bell = Bell {
            fault,
            inner: inner.waker(),
            sleeping: AtomicBool::new(false),
            rung: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        };
        Self {
            fault,
            inner,
            bell: Arc::new(bell),
            start: Instant::now(),
            interests: KeyTable::new(),
            reported: Vec::new(),
            dead: Vec::new(),
            leaked: Vec::new(),
            first_in_slot: BTreeMap::new(),
            first_of_descriptor: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            to_write: Vec::new(),
            clock: AtomicUsize::new(0),
        }
    }

    /// Forgets the live stream in `slot`, which only its owner can do: by putting another in its place.
    fn deregister_slot(&mut self, slot: usize) {
        let Some(live) = self.interests.key_in(slot) else { return };
        let (other, _) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        self.interests.remove(live);
        self.inner.deregister(live, Io::unix(other).expect("a non-blocking socket"));
    }

    fn distort(&self, ready: Ready) -> Option<Ready> {
        let Ready { key, readable, writable, read_closed, .. } = ready;
        let error = readable && writable && read_closed;
        let seen = match self.fault {
            Fault::DeafToBytes => Ready::new(key, false, writable),
            Fault::DeafToRoom => Ready::new(key, readable, false),
            Fault::HidesEnds if read_closed => return None,
            Fault::HidesErrors if error => return None,
            Fault::ReportsOnceARegistration if self.reported.contains(&key) => return None,
            Fault::DoesNotFlagEnds => Ready::new(key, readable, writable),
            Fault::ReportsTheFirstKeyOfASlot => {
                Ready::new(self.first_in_slot[&key.slot()], readable, writable)
            }
            Fault::ReportsTheFirstKeyOfADescriptor => {
                Ready::new(self.first_of_descriptor[&self.descriptors[&key]], readable, writable)
            }
            _ => ready,
        };
        Some(seen)
    }

    fn deadline(&self, deadline: Option<Instant>) -> Option<Instant> {
        let at = deadline?;
        let now = Instant::now();
        let left = at.saturating_duration_since(now);
        match self.fault {
            Fault::SleepsPastDeadlines => None,
            Fault::NeverSleeps => Some(now),
            Fault::RoundsDown => Some(now + Duration::from_millis(left.as_millis() as u64)),
            Fault::CountsIn32Bits => Some(now + Duration::from_millis(u64::from(left.as_millis() as u32))),
            _ => Some(at),
        }
    }
}

impl Dispatcher for Broken {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        use std::os::fd::AsRawFd as _;
        let fd = io.fd().map(|fd| fd.as_raw_fd());
        let outcome = match self.fault {
            Fault::WatchesNoUnixStreams if format!("{io:?}").contains("Unix") => {
                Err(io::ErrorKind::Unsupported.into())
            }
            Fault::ReplacesTheLive if self.interests.get_mut(key).is_ok() => {
                self.interests.remove(key);
                Ok(())
            }
            Fault::RefusesTheLiveTooLate if self.interests.get_mut(key).is_ok() => {
                self.inner.register(Key::new(1000, 0), io, interest)?;
                Err(io::ErrorKind::AlreadyExists.into())
            }
            Fault::TakesWhatItCannotWatch if fd.is_none() => Ok(()),
            _ => self.inner.register(key, io, interest),
        };
        if outcome.is_err() && !(self.fault == Fault::KeepsTheKeyOfTheRefused && fd.is_none()) {
            return outcome;
        }
        if self.fault == Fault::SwallowsWhatWasReadyBefore {
            self.inner.wait(Some(Instant::now()), &mut Vec::new())?;
        }
        if let Some(fd) = fd {
            self.first_of_descriptor.entry(fd).or_insert(key);
            self.descriptors.insert(key, fd);
        }
        self.first_in_slot.entry(key.slot()).or_insert(key);
        self.interests.insert(key, interest)?;
        outcome
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        if interest.is_write() {
            self.to_write.push(key);
        }
        match self.fault {
            Fault::IgnoresReregistration => self.interests.get_mut(key).map(drop),
            Fault::IgnoresChangesAfterAReport if self.reported.last() == Some(&key) => Ok(()),
            Fault::ReregistersTheDead if self.interests.get_mut(key).is_err() => Ok(()),
            _ => self.inner.reregister(key, io, interest),
        }
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.dead.push(key);
        let is_stale = self.interests.remove(key).is_none();
        if is_stale && self.fault == Fault::DeregistersWhoeverHasTheSlot {
            self.deregister_slot(key.slot());
        }
        match self.fault {
            Fault::NeverCloses => self.leaked.push(io),
            Fault::ClosesBehindTheLoopsBack => drop(io),
            _ => self.inner.deregister(key, io),
        }
    }

    fn waker(&self) -> Waker {
        if self.fault == Fault::PanicsWhenWokenLate {
            return Arc::new(LateBell(Arc::downgrade(&Arc::new(())))).into();
        }
        self.bell.clone().into()
    }

    fn now(&self) -> Instant {
        if self.fault == Fault::TurnsTheClockBack && self.clock.fetch_add(1, Ordering::Relaxed) % 16 == 15 {
            return self.start;
        }
        self.inner.now()
    }

    fn short_read_drains(&self) -> bool {
        self.inner.short_read_drains()
    }
}

impl Wait for Broken {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if self.fault == Fault::DoesNotLookWhenLate && deadline.is_some_and(|at| at <= Instant::now()) {
            return Ok(());
        }
        if self.fault == Fault::NeverForgetsWriting && !self.to_write.is_empty() {
            ready.extend(self.to_write.iter().map(|&key| Ready::new(key, false, true)));
            return self.inner.wait(Some(Instant::now()), ready);
        }
        let mut seen = Vec::new();
        self.bell.sleeping.store(true, Ordering::Release);
        loop {
            let deadline = self.deadline(deadline);
            self.inner.wait(deadline, &mut seen)?;
            let rung = self.bell.rung.load(Ordering::Acquire) > 0;
            if rung || !seen.is_empty() || deadline.is_some() {
                break;
            }
            match self.fault {
                Fault::FailsWhenInterrupted => return Err(io::ErrorKind::Interrupted.into()),
                Fault::SleepsOnWhenInterrupted => {}
                _ => break,
            }
        }
        self.bell.sleeping.store(false, Ordering::Release);
        let rung = self.bell.rung.swap(0, Ordering::AcqRel);
        match self.fault {
            Fault::ReportsWakes if rung > 0 => seen.push(Ready::new(Key::new(0, 0), true, false)),
            Fault::StaysAwake if rung > 0 => self.bell.wake_by_ref(),
            Fault::CountsWakes if rung > 1 => {
                self.bell.rung.store(rung - 1, Ordering::Release);
                self.bell.inner.wake_by_ref();
            }
            Fault::WakesInsteadOfReporting if rung > 0 => seen.clear(),
            Fault::LosesWhatExceedsABatch => seen.truncate(64),
            Fault::ClearsTheList => ready.clear(),
            Fault::ReportsTheDead => ready.extend(self.dead.iter().map(|&key| Ready::new(key, true, false))),
            _ => {}
        }
        for seen in seen {
            ready.extend(self.distort(seen));
            self.reported.push(seen.key);
        }
        Ok(())
    }
}

struct BrokenHost(Fault, Sockets<fn() -> MioDispatcher>);

impl Host for BrokenHost {
    /// What is broken stays silent longer than this.
    const PATIENCE: Duration = Duration::from_millis(400);
    type Dispatcher = Broken;
    type Far = TcpStream;

    fn dispatcher(&mut self) -> Broken {
        Broken::new(self.0)
    }

    fn pair(&mut self) -> (Io, TcpStream) {
        self.1.pair()
    }
}

fn all_points() -> BTreeMap<&'static str, fn(&mut BrokenHost)> {
    let streams = crate::__conformance_points! { streams: [name_and_function] () };
    let sockets = crate::__conformance_points! { sockets: [name_and_function] () };
    streams.into_iter().chain(sockets).collect()
}

#[test]
fn every_broken_dispatcher_is_caught() {
    let points = all_points();
    let attempts: Vec<_> = FAULTS
        .iter()
        .flat_map(|&(fault, names)| names.iter().map(move |&name| (fault, name)))
        .map(|(fault, name)| {
            let point = points[name];
            let attempt = move || {
                let host = move || BrokenHost(fault, Sockets::new(|| unreachable!()));
                catch_unwind(AssertUnwindSafe(|| check(host, point))).is_err()
            };
            (fault, name, thread::spawn(attempt))
        })
        .collect();
    let missed: Vec<_> = attempts
        .into_iter()
        .filter_map(|(fault, name, attempt)| (!attempt.join().unwrap()).then_some((fault, name)))
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn every_point_catches_something() {
    let idle: Vec<_> = all_points()
        .into_keys()
        .filter(|point| !FAULTS.iter().any(|(_, points)| points.contains(point)))
        .collect();
    assert!(idle.is_empty(), "no fault is there for {idle:?}");
}
