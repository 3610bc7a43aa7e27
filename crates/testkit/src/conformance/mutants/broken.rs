//! A dispatcher that has one fault.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, KeyTable, MioDispatcher, Ready, Wait};

use super::Fault;
use super::hoarder::Hoard;

pub(super) struct Broken {
    fault: Fault,
    inner: MioDispatcher,
    bell: Arc<Bell>,
    start: Instant,
    interests: KeyTable<Interest>,
    reported: Vec<Key>,
    dead: Vec<Key>,
    leaked: Vec<Io>,
    newest: Option<Key>,
    first_in_slot: BTreeMap<usize, Key>,
    first_of_descriptor: BTreeMap<i32, Key>,
    descriptors: BTreeMap<Key, i32>,
    to_write: Vec<Key>,
    readings: Arc<AtomicUsize>,
    /// Of the last wait.
    batch: Vec<Key>,
    looks: usize,
    late: Vec<Io>,
    pub(super) entries: usize,
    /// Those that had bytes while they waited for room.
    deaf_to_room: Vec<Key>,
    sources: BTreeSet<Key>,
    /// Those that ended while they were watched for nothing.
    ended_unwatched: BTreeSet<Key>,
    hoard: Hoard,
}

impl Drop for Broken {
    fn drop(&mut self) {
        std::mem::forget(std::mem::take(&mut self.late));
    }
}

struct Bell {
    fault: Fault,
    inner: Waker,
    sleeping: AtomicBool,
    watching: AtomicBool,
    farewell: AtomicBool,
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
            Fault::LosesWakesAfterAFarewell if self.farewell.load(Ordering::Acquire) => return,
            Fault::LosesWakesWhileWatching if sleeping && self.watching.load(Ordering::Acquire) => return,
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
    pub(super) fn new(fault: Fault) -> Self {
        let inner = MioDispatcher::new().expect("a poll");
        let bell = Bell {
            fault,
            inner: inner.waker(),
            sleeping: AtomicBool::new(false),
            watching: AtomicBool::new(false),
            farewell: AtomicBool::new(false),
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
            newest: None,
            first_in_slot: BTreeMap::new(),
            first_of_descriptor: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            to_write: Vec::new(),
            readings: Arc::default(),
            batch: Vec::new(),
            looks: 0,
            late: Vec::new(),
            entries: 0,
            deaf_to_room: Vec::new(),
            sources: BTreeSet::new(),
            ended_unwatched: BTreeSet::new(),
            hoard: Hoard::default(),
        }
    }

    /// Forgets a live stream, which only its owner can do: by putting another in its place.
    fn forget(&mut self, live: Key) {
        let (other, _) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
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
            Fault::ForgetsRoomForBytes if self.deaf_to_room.contains(&key) => {
                Ready::new(key, readable, false)
            }
            Fault::ReportsOnceARegistration if self.reported.contains(&key) => return None,
            Fault::HearsOnlyTheNewest if self.newest != Some(key) => return None,
            Fault::DeafToSources if self.sources.contains(&key) => return None,
            Fault::SpinsOverEndsOfTheUnwatched
                if self.interests.get(key).is_some_and(|interest| interest.is_none()) =>
            {
                return None;
            }
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
            Fault::SpinsOverManyStreams if self.interests.iter().count() > 2 => Some(now),
            Fault::SpinsOverTheUnwatched if self.interests.iter().any(|(_, interest)| interest.is_none()) => {
                Some(now)
            }
            Fault::SpinsOverEndsOfTheUnwatched if !self.ended_unwatched.is_empty() => Some(now),
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
        let is_source = format!("{io:?}").contains("source");
        let interest = match self.fault {
            Fault::IgnoresThatNothingIsOfInterest if interest.is_none() => Interest::Read,
            Fault::KeepsNoKeyForTheUnwatched if interest.is_none() => return Ok(()),
            _ => interest,
        };
        let outcome = match self.fault {
            Fault::TakesAnythingToWatchForNothing if interest.is_none() && fd.is_none() => Ok(()),
            Fault::WatchesOnlyStreams if is_source && io.source_mut::<Io>().is_none() => {
                Err(io::ErrorKind::Unsupported.into())
            }
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
            _ => {
                self.hoard.drive(self.fault, io);
                self.inner.register(key, io, interest)
            }
        };
        let is_refused_file = is_source && outcome.is_err();
        let outcome =
            if is_refused_file && self.fault == Fault::NeverReportsAFile { Ok(()) } else { outcome };
        let keeps_its_key = match self.fault {
            Fault::KeepsTheKeyOfTheRefused => fd.is_none(),
            Fault::KeepsTheKeyOfAFile => is_refused_file,
            _ => false,
        };
        if outcome.is_err() && !keeps_its_key {
            return outcome;
        }
        if is_source {
            self.sources.insert(key);
        }
        self.hoard.keep(self.fault, key, io);
        if self.fault == Fault::SwallowsWhatWasReadyBefore {
            self.inner.wait(Some(Instant::now()), &mut Vec::new())?;
        }
        if let Some(fd) = fd {
            self.first_of_descriptor.entry(fd).or_insert(key);
            self.descriptors.insert(key, fd);
        }
        self.newest = Some(key);
        self.first_in_slot.entry(key.slot()).or_insert(key);
        self.interests.insert(key, interest)?;
        self.entries += 1;
        outcome
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        if interest.is_write() {
            self.to_write.push(key);
        }
        self.deaf_to_room.retain(|deaf| *deaf != key);
        let was_unwatched = self.interests.get(key).is_some_and(|interest| interest.is_none());
        match self.fault {
            Fault::IgnoresThatNothingIsOfInterest if interest.is_none() => {
                self.interests.get_mut(key).map(drop)
            }
            Fault::ForgetsToComeBack if was_unwatched => Ok(()),
            Fault::DoesNotLookWhenInterestComesBack if was_unwatched => {
                self.inner.reregister(key, io, interest)?;
                self.inner.wait(Some(Instant::now()), &mut Vec::new())?;
                self.interests.get_mut(key).map(|known| *known = interest)
            }
            Fault::SpinsOverEndsOfTheUnwatched if interest.is_none() => {
                self.inner.reregister(key, io, Interest::Read)?;
                self.interests.get_mut(key).map(|known| *known = interest)
            }
            Fault::UnwatchesTheDead if interest.is_none() && self.interests.get(key).is_none() => Ok(()),
            Fault::ReportsASourceOnce if self.sources.contains(&key) => Ok(()),
            Fault::IgnoresReregistration => self.interests.get_mut(key).map(drop),
            Fault::IgnoresChangesAfterAReport if self.reported.last() == Some(&key) => Ok(()),
            Fault::ReregistersTheDead if self.interests.get_mut(key).is_err() => Ok(()),
            _ => {
                self.inner.reregister(key, io, interest)?;
                self.interests.get_mut(key).map(|known| *known = interest)
            }
        }
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.dead.push(key);
        self.hoard.forget(key);
        self.bell.farewell.store(true, Ordering::Release);
        let was_grown = self.to_write.contains(&key)
            && self.interests.get_mut(key).is_ok_and(|interest| interest.is_write());
        let known = self.interests.remove(key);
        let is_stale = known.is_none();
        self.entries -= usize::from(!is_stale && self.fault != Fault::KeepsEntriesOfTheDead);
        if is_stale
            && self.fault == Fault::DeregistersWhoeverHasTheSlot
            && let Some(live) = self.interests.key_in(key.slot())
        {
            self.interests.remove(live);
            self.forget(live);
        }
        match self.fault {
            Fault::NeverCloses => self.leaked.push(io),
            Fault::LeaksTheUnwatched if known == Some(Interest::None) => {
                self.forget(key);
                self.leaked.push(io);
            }
            Fault::NeverClosesSources if self.sources.contains(&key) => {
                self.forget(key);
                self.leaked.push(io);
            }
            Fault::ClosesTooLate => {
                self.forget(key);
                self.late.push(io);
            }
            Fault::LeaksWhatIsToBeWritten if was_grown => {
                self.forget(key);
                self.leaked.push(io);
            }
            Fault::LeaksWhatWasReportedBesideOthers if self.batch.len() > 1 && self.batch.contains(&key) => {
                self.forget(key);
                self.leaked.push(io);
            }
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

    fn clock(&self) -> Clock {
        let clock = self.inner.clock();
        if self.fault != Fault::TurnsTheClockBack {
            return clock;
        }
        let (readings, start) = (self.readings.clone(), self.start);
        Clock::new(move || {
            let is_wrong = readings.fetch_add(1, Ordering::Relaxed) % 16 == 15;
            if is_wrong { start } else { clock.now() }
        })
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
        self.late.clear();
        self.hoard.exchange();
        self.looks = if deadline.is_some_and(|at| at <= Instant::now()) { self.looks + 1 } else { 0 };
        if self.fault == Fault::StarvesWhileBusy && self.looks > 1 {
            return Ok(());
        }
        self.bell.watching.store(self.entries > 0, Ordering::Release);
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
        let is_unwatched = |key| self.interests.get(key).is_some_and(|interest| interest.is_none());
        let ended = seen.iter().filter(|seen| seen.read_closed && is_unwatched(seen.key));
        self.ended_unwatched.extend(ended.map(|seen| seen.key));
        self.batch = seen.iter().map(|seen| seen.key).collect();
        for seen in seen {
            ready.extend(self.distort(seen));
            self.reported.push(seen.key);
            let has_room_to_come = self.interests.get_mut(seen.key).is_ok_and(|interest| interest.is_write());
            if seen.readable && has_room_to_come {
                self.deaf_to_room.push(seen.key);
            }
        }
        Ok(())
    }
}
