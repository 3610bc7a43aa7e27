//! What a reactor's connections borrow: time, entropy, memory. Only this file reads the clock.

use std::time::{Duration, Instant};

use websocket_connection::{Entropy, Env};
use websocket_dispatcher::Clock;

use crate::schedule::later;

/// While the pools hold more bytes than this, what is not used of them is freed.
const MUCH: usize = 256 << 10;

/// It is freed when it was not used for so long, or up to twice as long.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// The [`Env`] of a reactor's connections, with the clock that keeps it current.
///
/// The user's code may take any time. Whatever depends on the time gets the environment from [`current`](Self::current), which reads the
/// clock if the user's code has run since it was last read, so that nothing is armed or judged by a time before a slow callback. What needs only
/// entropy and memory, as sending does, spares the clock with [`untimed`](Self::untimed).
pub(crate) struct Surroundings {
    env: Env,
    clock: Clock,
    made: Instant,
    /// The nanoseconds from `made` to the last reading of the clock.
    nanos: u64,
    is_stale: bool,
    /// When memory that was not used is freed next.
    frees_at: Option<Instant>,
}

impl Surroundings {
    pub(crate) fn new(clock: Clock, entropy: impl Entropy + 'static) -> Self {
        let made = clock.now();
        Self { env: Env::new(made, entropy), clock, made, nanos: 0, is_stale: false, frees_at: None }
    }

    /// Takes entropy from another source.
    pub(crate) fn set_entropy(&mut self, entropy: impl Entropy + 'static) {
        self.env = Env::new(self.clock.now(), entropy);
    }

    /// The clock, for what reads it more than once.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the clock.
    pub(crate) fn now(&mut self) -> Instant {
        self.env.now = self.clock.now();
        self.nanos = nanos(self.env.now.saturating_duration_since(self.made));
        self.is_stale = false;
        self.env.now
    }

    /// The time as in [`current`](Self::current), in nanoseconds: what is looked at after each message works with integers.
    #[inline]
    pub(crate) fn nanos(&mut self) -> u64 {
        self.current();
        self.nanos
    }

    /// The environment with the time as it is, or was before the last code of the user's ran.
    #[inline]
    pub(crate) fn current(&mut self) -> &mut Env {
        if self.is_stale {
            self.now();
        }
        &mut self.env
    }

    /// The environment as of an earlier time, for what is judged by what was known then.
    pub(crate) const fn as_of(&mut self, time: Instant) -> &mut Env {
        self.env.now = time;
        self.is_stale = true;
        &mut self.env
    }

    /// The environment for what needs no time.
    #[inline]
    pub(crate) const fn untimed(&mut self) -> &mut Env {
        &mut self.env
    }

    /// A turn ends: frees memory that was not used for a while.
    pub(crate) fn free_unused(&mut self) {
        match self.frees_at {
            Some(at) if self.env.now < at => return,
            Some(_) => self.env.free_unused(),
            None => {}
        }
        self.frees_at = (self.env.pooled_bytes() > MUCH).then(|| later(self.env.now, KEPT_FOR));
    }

    /// When [`free_unused`](Self::free_unused) is to be called at the latest.
    pub(crate) const fn frees_at(&self) -> Option<Instant> {
        self.frees_at
    }

    /// The user's code has run: it may have taken any time.
    #[inline]
    pub(crate) const fn user_code_ran(&mut self) {
        self.is_stale = true;
    }
}

/// The nanoseconds of `time`, or the most there are.
pub(crate) fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into())
}
