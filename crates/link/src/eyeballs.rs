//! Which address to try when: Happy Eyeballs version 2 (RFC 8305).

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::vec;

/// The head start of an attempt over the next one, unless the user says otherwise: 250 ms (RFC 8305 section 8).
pub const DEFAULT_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The shortest head start: 10 ms. Less would send all attempts at once (RFC 8305 section 5).
pub const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// The longest head start: 2 s. More would let one dead address spoil the attempt (RFC 8305 section 5).
pub const MAX_ATTEMPT_DELAY: Duration = Duration::from_secs(2);

/// The race of connection attempts to the addresses of one host.
///
/// The families take turns, beginning with that of the first address; within a family the resolver's order stays. An attempt starts when
/// its predecessor has had its head start or when any attempt has failed. `A` is whatever the caller keeps of an attempt: the race holds
/// the attempts under way, so that whoever ends it gets every stream back and closes it in its own way.
///
/// 1. Connect to every address that [`next`](Self::next) returns; pass what has [`started`](Self::started), and forget what failed at once.
/// 2. Call [`next`](Self::next) again at the [`deadline`](Self::deadline) and after each [`failed`](Self::failed).
/// 3. Once one has [`won`](Self::won), or time is up, close what [`abandon`](Self::abandon) returns. The race is lost when it
///    [`is_exhausted`](Self::is_exhausted).
///
/// ```
/// use std::time::Instant;
/// use websocket_link::{DEFAULT_ATTEMPT_DELAY, Eyeballs};
///
/// let addresses = ["[2001:db8::1]:80", "[2001:db8::2]:80", "192.0.2.1:80"].map(|text| text.parse().unwrap());
/// let mut race = Eyeballs::new(addresses.to_vec(), DEFAULT_ATTEMPT_DELAY);
/// let now = Instant::now();
/// assert_eq!(race.next(now), Some(addresses[0]));
/// race.started("a stream to 2001:db8::1", now);
/// assert_eq!(race.next(now), None);
/// assert_eq!(race.deadline(), Some(now + DEFAULT_ATTEMPT_DELAY));
///
/// assert_eq!(race.failed(0), Some("a stream to 2001:db8::1"));
/// assert_eq!(race.next(now), Some(addresses[2]));
/// ```
pub struct Eyeballs<A> {
    waiting: vec::IntoIter<SocketAddr>,
    /// So many addresses at the end of the waiting ones are for when there is no other.
    last: u32,
    /// An attempt has failed since the latest start, or none was started.
    may_start: bool,
    running: Vec<A>,
    /// When the latest attempt was started.
    latest: Option<Instant>,
    delay: Duration,
}

impl<A> Eyeballs<A> {
    /// A race over `addresses`, which stand in the resolver's order. `delay` is the head start of each
    /// attempt; one beyond [`MIN_ATTEMPT_DELAY`] or [`MAX_ATTEMPT_DELAY`] becomes that limit.
    pub fn new(addresses: Vec<SocketAddr>, delay: Duration) -> Self {
        Self {
            waiting: interleave(addresses).into_iter(),
            last: 0,
            may_start: true,
            running: Vec::new(),
            latest: None,
            delay: delay.clamp(MIN_ATTEMPT_DELAY, MAX_ATTEMPT_DELAY),
        }
    }

    /// Adds addresses to try last, in this order: those that did not work before, for example. The first of
    /// them is due when all attempts at other addresses have failed, or when the latest of these attempts has
    /// had a head start of [`MAX_ATTEMPT_DELAY`].
    #[must_use]
    pub fn followed_by(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.last = self.last.saturating_add(u32::try_from(addresses.len()).unwrap_or(u32::MAX));
        if !addresses.is_empty() {
            self.waiting = self.waiting.chain(addresses).collect::<Vec<_>>().into_iter();
        }
        self
    }

    /// The address to connect to now, if there is one. Calling early or often is harmless.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.due().is_some_and(|due| now < due) {
            return None;
        }
        self.waiting.next()
    }

    /// The attempt at the address that [`next`](Self::next) returned is under way.
    pub fn started(&mut self, attempt: A, now: Instant) {
        self.running.push(attempt);
        self.latest = Some(now);
        self.may_start = false;
    }

    /// The attempts under way, oldest first.
    pub fn running(&self) -> &[A] {
        &self.running
    }

    /// The attempts under way, oldest first.
    pub fn running_mut(&mut self) -> &mut [A] {
        &mut self.running
    }

    /// The attempt at `index` of [`running`](Self::running) has failed and is given back; the next may start
    /// at once. `None` when there is no such attempt.
    pub fn failed(&mut self, index: usize) -> Option<A> {
        let attempt = self.remove(index)?;
        self.may_start = true;
        Some(attempt)
    }

    /// The attempt at `index` of [`running`](Self::running) has succeeded and is given back; no other starts
    /// any more. `None` when there is no such attempt.
    pub fn won(&mut self, index: usize) -> Option<A> {
        let attempt = self.remove(index)?;
        self.waiting = Vec::new().into_iter();
        Some(attempt)
    }

    /// Ends the race: the attempts still under way are given back to be closed, and no other starts any more.
    pub fn abandon(&mut self) -> Vec<A> {
        self.waiting = Vec::new().into_iter();
        std::mem::take(&mut self.running)
    }

    /// When to call [`next`](Self::next) again; `None` while time alone changes nothing.
    pub fn deadline(&self) -> Option<Instant> {
        self.due().filter(|_| self.waiting.len() > 0)
    }

    /// Whether no attempt is under way and no address is left.
    pub fn is_exhausted(&self) -> bool {
        self.running.is_empty() && self.waiting.len() == 0
    }

    /// When the next attempt may start; `None`: at once.
    fn due(&self) -> Option<Instant> {
        let is_first_of_last = self.waiting.len() == self.last as usize;
        let (is_free, head_start) = match is_first_of_last {
            true => (self.running.is_empty(), MAX_ATTEMPT_DELAY),
            false => (self.may_start, self.delay),
        };
        self.latest.filter(|_| !is_free).map(|latest| latest + head_start)
    }

    fn remove(&mut self, index: usize) -> Option<A> {
        (index < self.running.len()).then(|| self.running.remove(index))
    }
}

impl<A> fmt::Debug for Eyeballs<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eyeballs")
            .field("waiting", &self.waiting.as_slice())
            .field("last", &self.last)
            .field("running", &self.running.len())
            .field("due", &self.due())
            .finish()
    }
}

/// RFC 8305 section 4, with a First Address Family Count of 1.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else { return addresses };
    let count = addresses.len();
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::with_capacity(count);
    while turns.len() < count {
        turns.extend(same.next().into_iter().chain(other.next()));
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(100);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 80)).collect()
    }

    fn race(texts: &[&str]) -> (Eyeballs<SocketAddr>, Instant) {
        (Eyeballs::new(addresses(texts), DELAY), Instant::now())
    }

    /// Starts everything that may start now, and tells what that was.
    fn start(race: &mut Eyeballs<SocketAddr>, now: Instant) -> Vec<String> {
        let mut started = Vec::new();
        while let Some(address) = race.next(now) {
            started.push(address.ip().to_string());
            race.started(address, now);
        }
        started
    }

    #[test]
    fn b194_the_families_take_turns_and_each_keeps_its_order() {
        let order = |texts: &[&str]| {
            let mut race = Eyeballs::<()>::new(addresses(texts), DELAY);
            let now = Instant::now();
            std::iter::from_fn(|| race.next(now)).map(|address| address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            order(&["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"]),
            ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]
        );
        assert_eq!(
            order(&["1.1.1.1", "2.2.2.2", "::1", "3.3.3.3"]),
            ["1.1.1.1", "::1", "2.2.2.2", "3.3.3.3"]
        );
        assert_eq!(order(&["::2", "::1"]), ["::2", "::1"]);
        assert_eq!(order(&["9.9.9.9"]), ["9.9.9.9"]);
        assert_eq!(order(&[]), [""; 0]);
    }

    #[test]
    fn b194_an_attempt_that_says_nothing_gets_a_rival_after_the_delay_and_stays_in_the_race() {
        let (mut race, now) = race(&["::1", "1.1.1.1", "::2"]);
        assert_eq!(start(&mut race, now), ["::1"]);
        assert_eq!(race.deadline(), Some(now + DELAY));
        assert_eq!(start(&mut race, now + DELAY - Duration::from_nanos(1)), [""; 0]);

        // Late by half a delay: the head start counts from the start itself.
        let late = now + DELAY * 3 / 2;
        assert_eq!(start(&mut race, late), ["1.1.1.1"]);
        assert_eq!(race.deadline(), Some(late + DELAY));
        assert_eq!(start(&mut race, late + DELAY), ["::2"]);
        assert_eq!(race.running(), addresses(&["::1", "1.1.1.1", "::2"]));
        assert_eq!(race.deadline(), None);
        assert!(!race.is_exhausted());
    }

    #[test]
    fn b194_a_failure_of_whatever_attempt_starts_the_next_at_once() {
        let (mut race, now) = race(&["::1", "1.1.1.1", "::2", "2.2.2.2"]);
        start(&mut race, now);
        start(&mut race, now + DELAY);
        let failed = race.running().iter().position(|address| address.ip().to_string() == "::1").unwrap();
        assert_eq!(race.failed(failed).unwrap().ip().to_string(), "::1");
        let soon = now + DELAY + Duration::from_millis(1);
        assert_eq!(start(&mut race, soon), ["::2"]);
        assert_eq!(race.deadline(), Some(soon + DELAY));
    }

    #[test]
    fn b194_an_attempt_that_fails_at_once_costs_no_time() {
        let (mut race, now) = race(&["::1", "1.1.1.1", "::2"]);
        assert_eq!(race.next(now).unwrap().ip().to_string(), "::1");
        assert_eq!(start(&mut race, now), ["1.1.1.1"]);

        assert_eq!(start(&mut race, now + DELAY), ["::2"]);
        assert_eq!(race.deadline(), None);
    }

    #[test]
    fn b194_the_first_success_wins_and_the_losers_are_handed_back() {
        let (mut race, now) = race(&["::1", "1.1.1.1", "::2", "2.2.2.2"]);
        for turn in 0..3 {
            start(&mut race, now + DELAY * turn);
        }
        assert_eq!(race.won(1), Some(addresses(&["1.1.1.1"])[0]));
        assert_eq!(race.deadline(), None);
        assert_eq!(start(&mut race, now + DELAY * 9), [""; 0]);
        assert_eq!(race.abandon(), addresses(&["::1", "::2"]));
        assert!(race.is_exhausted());
    }

    #[test]
    fn b194_the_race_is_lost_when_the_last_has_failed() {
        let (mut race, now) = race(&["::1", "1.1.1.1"]);
        assert!(!race.is_exhausted());
        start(&mut race, now);
        race.failed(0).unwrap();
        assert!(!race.is_exhausted());
        start(&mut race, now);
        race.failed(0).unwrap();
        assert!(race.is_exhausted());
        assert_eq!(start(&mut race, now + DELAY), [""; 0]);
        assert!(Eyeballs::<()>::new(Vec::new(), DELAY).is_exhausted());
    }

    #[test]
    fn b194_an_abandoned_race_starts_nothing_and_a_wrong_index_is_no_panic() {
        let (mut race, now) = race(&["::1", "1.1.1.1"]);
        start(&mut race, now);
        assert_eq!((race.failed(1), race.won(7)), (None, None));
        assert_eq!(race.deadline(), Some(now + DELAY));
        assert_eq!(race.abandon(), addresses(&["::1"]));
        assert_eq!(start(&mut race, now + DELAY), [""; 0]);
        assert!(race.is_exhausted());
    }

    #[test]
    fn b194_the_delay_is_kept_within_its_limits() {
        for (given, used) in [(Duration::ZERO, MIN_ATTEMPT_DELAY), (Duration::MAX, MAX_ATTEMPT_DELAY)] {
            let mut race = Eyeballs::new(addresses(&["::1", "::2"]), given);
            let now = Instant::now();
            race.started((), now);
            assert_eq!(race.deadline(), Some(now + used));
        }
    }

    #[test]
    fn b194_it_is_small() {
        assert!(size_of::<Eyeballs<SocketAddr>>() <= 96);
    }

    #[test]
    fn addresses_for_last_keep_their_order_behind_all_others() {
        let all = addresses(&["::1", "::2", "1.1.1.1"]);
        let last = addresses(&["9.9.9.9", "::9", "8.8.8.8"]);
        let order = |race: Eyeballs<()>| {
            let (mut race, now) = (race, Instant::now());
            let next = std::iter::from_fn(|| race.next(now)).map(|address| address.ip().to_string());
            next.collect::<Vec<_>>()
        };
        let race = Eyeballs::new(all, DELAY).followed_by(last.clone());
        assert_eq!(order(race), ["::1", "1.1.1.1", "::2", "9.9.9.9", "::9", "8.8.8.8"]);
        assert_eq!(order(Eyeballs::new(Vec::new(), DELAY).followed_by(last)), ["9.9.9.9", "::9", "8.8.8.8"]);
    }

    #[test]
    fn attempts_at_other_addresses_have_the_longest_head_start_over_the_last() {
        let (race, now) = race(&["::1", "1.1.1.1"]);
        let mut race = race.followed_by(addresses(&["8.8.8.8", "9.9.9.9"]));
        start(&mut race, now);
        let then = now + DELAY;
        assert_eq!(start(&mut race, then), ["1.1.1.1"]);
        // One of two has failed, and the other may still succeed.
        race.failed(0).unwrap();
        let due = then + MAX_ATTEMPT_DELAY;
        assert_eq!(race.deadline(), Some(due));
        assert_eq!(start(&mut race, due - Duration::from_nanos(1)), [""; 0]);
        assert_eq!(start(&mut race, due), ["8.8.8.8"]);
        // Among each other they have the usual one.
        assert_eq!(race.deadline(), Some(due + DELAY));
        assert_eq!(start(&mut race, due + DELAY), ["9.9.9.9"]);
        assert_eq!(race.deadline(), None);
        assert!(!race.is_exhausted());
    }

    #[test]
    fn the_last_are_due_at_once_when_all_others_have_failed() {
        let (race, now) = race(&["::1"]);
        let mut race = race.followed_by(addresses(&["8.8.8.8", "9.9.9.9"]));
        start(&mut race, now);
        race.failed(0).unwrap();
        assert!(!race.is_exhausted());
        assert_eq!(start(&mut race, now), ["8.8.8.8"]);
        race.failed(0).unwrap();
        assert_eq!(start(&mut race, now), ["9.9.9.9"]);
        race.failed(0).unwrap();
        assert!(race.is_exhausted());
    }

    #[test]
    fn none_of_the_last_starts_after_a_success() {
        let (race, now) = race(&["::1"]);
        let mut race = race.followed_by(addresses(&["8.8.8.8"]));
        start(&mut race, now);
        race.won(0).unwrap();
        assert_eq!(race.deadline(), None);
        assert_eq!(start(&mut race, now + 2 * MAX_ATTEMPT_DELAY), [""; 0]);
        assert!(race.is_exhausted());
    }
}
