//! Pings that wait for their pongs, and keep-alive (RFC 6455 sections 5.5.2 and 5.5.3).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Config, Liveness};

/// Pings remembered while their pongs are due; an older one is forgotten.
const MAX_OUTSTANDING: usize = 16;

#[derive(Debug)]
struct Outstanding {
    payload: Box<[u8]>,
    /// Where its frame ends in the stream of outgoing bytes.
    end: u64,
    /// When its last byte was written.
    written: Option<Instant>,
    purpose: Purpose,
}

/// Why a ping is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// The caller has sent it, and nothing depends on its answer.
    Caller,
    /// Keep-alive. The configuration says how long it may take.
    KeepAlive,
    /// A sign of life must come within this time.
    Probe(Duration),
}

#[derive(Clone, Copy, Debug)]
struct PongDue {
    at: Instant,
    /// Where the ping's frame ended in the stream of outgoing bytes.
    end: u64,
    /// Bytes received when the ping was written; more than that is a sign of life.
    received: u64,
}

impl PongDue {
    /// Whether there was a sign of life other than the pong, once `received` bytes have come.
    fn is_met(&self, config: &Config, received: u64) -> bool {
        config.liveness == Liveness::AnyData && received > self.received
    }
}

/// Round-trip times of pings.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Rtt {
    /// The latest.
    pub last: Option<Duration>,
    /// Smoothed over about eight pings, as TCP does (RFC 6298 section 2).
    pub smoothed: Option<Duration>,
    /// The shortest.
    pub min: Option<Duration>,
}

/// The pings of one connection. One that never sends any, which is most of those that are idle, holds no memory for them.
#[derive(Default, Debug)]
pub(crate) struct Pings {
    /// Bytes received so far.
    pub(crate) received: u64,
    ledger: Option<Box<Ledger>>,
}

impl Pings {
    /// The connection is open: keep-alive starts, one interval from `now`.
    pub(crate) fn start(&mut self, config: &Config, now: Instant) {
        if !config.ping_interval.is_zero() {
            let ledger = self.ledger.get_or_insert_default();
            ledger.next_keep_alive = now.checked_add(config.ping_interval);
            ledger.timeout = config.ping_timeout;
        }
    }

    /// The connection closes: nothing is due any more.
    pub(crate) fn stop(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.next_keep_alive = None;
            ledger.owed_pong = None;
        }
        self.forgive();
    }

    /// Whether no ping was ever sent or is to be.
    #[inline]
    pub(crate) const fn is_unused(&self) -> bool {
        self.ledger.is_none()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ledger.as_ref()?.deadline()
    }

    /// The payload of the keep-alive ping that is due now, if one is. The next is an interval away.
    pub(crate) fn due(&mut self, config: &Config, now: Instant) -> Option<Box<[u8]>> {
        self.ledger.as_mut()?.due(config, now)
    }

    /// A ping was queued; its frame ends at `end` in the stream of outgoing bytes.
    pub(crate) fn queued(&mut self, payload: Box<[u8]>, end: u64, purpose: Purpose) {
        self.ledger.get_or_insert_default().queued(payload, end, purpose);
    }

    /// The payload of a ping by which its pong is found.
    pub(crate) fn next_payload(&mut self) -> Box<[u8]> {
        self.ledger.get_or_insert_default().next_payload()
    }

    /// All outgoing bytes up to `position` were written. A keep-alive ping among them arms its deadline.
    /// Unless the caller `reads`, a sign of life would not be noticed.
    #[inline]
    pub(crate) fn written(&mut self, position: u64, now: Instant, reads: bool) {
        if let Some(ledger) = &mut self.ledger {
            ledger.written(position, self.received, now, reads);
        }
    }

    /// No ping that was sent so far waits for a sign of life any more.
    pub(crate) fn forgive(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.pong_due = None;
            ledger.probe_due = None;
        }
    }

    /// A pong came. The round-trip time, if it answers a ping of ours; earlier pings need no answer any more.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        self.ledger.as_mut()?.pong(payload, now)
    }

    /// Whether the peer has been silent for too long after a ping.
    pub(crate) fn is_dead(&mut self, config: &Config, now: Instant) -> bool {
        self.ledger.as_mut().is_some_and(|ledger| ledger.is_dead(config, self.received, now))
    }

    /// Whether the peer has been silent for too long after a probe.
    pub(crate) fn is_dead_after_probe(&mut self, config: &Config, now: Instant) -> bool {
        self.ledger.as_mut().is_some_and(|ledger| ledger.is_dead_after_probe(config, self.received, now))
    }

    pub(crate) fn rtt(&self) -> Rtt {
        self.ledger.as_ref().map_or_else(Rtt::default, |ledger| ledger.rtt)
    }

    /// Pings that were queued so far.
    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        self.ledger.as_ref().map_or(0, |ledger| ledger.sent)
    }

    /// A ping of the server could not be answered since too much was queued. Only the latest needs an answer (RFC 6455 section 5.5.3).
    pub(crate) fn owe_pong(&mut self, payload: &[u8]) {
        self.ledger.get_or_insert_default().owed_pong = Some(payload.into());
    }

    /// Takes the payload of the pong that is still to be sent.
    pub(crate) fn take_owed_pong(&mut self) -> Option<Box<[u8]>> {
        self.ledger.as_mut()?.owed_pong.take()
    }
}

/// Which pings are out, when the next is due and by when the last must be answered.
#[derive(Debug, Default)]
struct Ledger {
    outstanding: VecDeque<Outstanding>,
    next_keep_alive: Option<Instant>,
    /// The time that a keep-alive ping has for its answer.
    timeout: Option<Duration>,
    pong_due: Option<PongDue>,
    /// By when a probe must be answered: the earliest, where several are out.
    probe_due: Option<Box<PongDue>>,
    counter: u64,
    rtt: Rtt,
    /// Pings of both kinds.
    sent: u64,
    /// What the latest ping of the server carried, if it was not answered yet.
    owed_pong: Option<Box<[u8]>>,
}

impl Ledger {
    fn deadline(&self) -> Option<Instant> {
        let pong = self.pong_due.map(|due| due.at);
        let probe = self.probe_due.as_ref().map(|due| due.at);
        [self.next_keep_alive, pong, probe].into_iter().flatten().min()
    }

    fn due(&mut self, config: &Config, now: Instant) -> Option<Box<[u8]>> {
        let due = self.next_keep_alive.filter(|due| *due <= now)?;
        // After a long sleep the pings that were missed are not made up for.
        let next = due.checked_add(config.ping_interval).filter(|next| *next > now);
        self.next_keep_alive = next.or_else(|| now.checked_add(config.ping_interval));
        // Where the stream is stuck, one ping waits, not one for each interval.
        if self.outstanding.iter().any(|ping| ping.purpose == Purpose::KeepAlive && ping.written.is_none()) {
            return None;
        }
        Some(match &config.ping_payload {
            Some(payload) => payload.clone(),
            None => self.next_payload(),
        })
    }

    fn next_payload(&mut self) -> Box<[u8]> {
        self.counter += 1;
        Box::new(self.counter.to_be_bytes())
    }

    fn queued(&mut self, payload: Box<[u8]>, end: u64, purpose: Purpose) {
        self.sent += 1;
        if self.outstanding.len() == MAX_OUTSTANDING {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(Outstanding { payload, end, written: None, purpose });
    }

    fn written(&mut self, position: u64, received: u64, now: Instant, reads: bool) {
        for ping in self.outstanding.iter_mut().filter(|ping| ping.written.is_none() && ping.end <= position)
        {
            ping.written = Some(now);
            let end = ping.end;
            let due = |timeout| now.checked_add(timeout).map(|at| PongDue { at, end, received });
            match (ping.purpose, self.timeout) {
                _ if !reads => {}
                (Purpose::KeepAlive, Some(timeout)) if self.pong_due.is_none() => {
                    self.pong_due = due(timeout);
                }
                (Purpose::Probe(timeout), _) => {
                    let known = self.probe_due.as_ref().map(|due| due.at);
                    if let Some(due) = due(timeout).filter(|due| known.is_none_or(|known| due.at < known)) {
                        self.probe_due = Some(Box::new(due));
                    }
                }
                _ => {}
            }
        }
    }

    fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let index =
            self.outstanding.iter().rposition(|ping| ping.written.is_some() && *ping.payload == *payload)?;
        let answered = self.outstanding.drain(..=index).next_back()?;
        if self.outstanding.is_empty() {
            self.outstanding = VecDeque::new();
        }
        // The ping that waits for a sign of life may have been forgotten among many of the user's.
        self.pong_due = self.pong_due.filter(|due| due.end > answered.end);
        self.probe_due = self.probe_due.take().filter(|due| due.end > answered.end);
        let rtt = now.saturating_duration_since(answered.written?);
        self.rtt.last = Some(rtt);
        self.rtt.min = Some(self.rtt.min.map_or(rtt, |min| min.min(rtt)));
        self.rtt.smoothed = Some(self.rtt.smoothed.map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8));
        Some(rtt)
    }

    fn is_dead(&mut self, config: &Config, received: u64, now: Instant) -> bool {
        let Some(due) = self.pong_due.filter(|due| due.at <= now) else { return false };
        let alive = due.is_met(config, received);
        if alive {
            self.pong_due = None;
        }
        !alive
    }

    fn is_dead_after_probe(&mut self, config: &Config, received: u64, now: Instant) -> bool {
        let Some(due) = self.probe_due.as_ref().filter(|due| due.at <= now) else { return false };
        let alive = due.is_met(config, received);
        if alive {
            self.probe_due = None;
        }
        !alive
    }
}
