//! What goes wrong in the simulation, and the dice that decide when.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::SimNet;
use super::peer::End;

/// How the simulated loop reports readiness.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Trigger {
    /// Once for each change, as epoll with `EPOLLET`; a reactor that does not read or write to `WouldBlock`
    /// gets no further report.
    #[default]
    Edge,
    /// At every wait for as long as it lasts, as poll(2).
    Level,
}

/// What may go wrong, and how often. Probabilities are in percent and end at 90, so that everything gets
/// through at last.
///
/// The default is a network without faults: instant, and with the buffers of a usual socket.
///
/// ```
/// use std::time::Duration;
/// use websocket_testkit::sim::{Faults, SimNet};
///
/// let mut faults = Faults::default();
/// faults.short = 50;
/// faults.latency = Duration::from_millis(1)..=Duration::from_millis(40);
/// let net = SimNet::new(7).with_faults(faults);
/// # drop(net);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Faults {
    /// A read or write of the client takes only a part of what it could.
    pub short: u8,
    /// A read or write of the client would block although it need not; not once the connection was reset.
    pub would_block: u8,
    /// A wait reports a stream that nothing happened to.
    pub spurious: u8,
    /// Streams that are ready together are reported in any order, instead of that of their slots.
    pub shuffle: bool,
    /// How long bytes travel in each direction. They never overtake each other. Connecting takes as long,
    /// too.
    pub latency: RangeInclusive<Duration>,
    /// What is sent travels longer by [`stall_time`](Self::stall_time), and all that follows it waits behind.
    pub stall: u8,
    /// See [`stall`](Self::stall).
    pub stall_time: Duration,
    /// What the peer sends is cut anywhere, and the stream ends there with a FIN.
    pub fin: u8,
    /// What the peer sends is cut anywhere, and the connection is reset there.
    pub reset: u8,
    /// Bytes that the client may have sent and the peer not yet read.
    pub send_buffer: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            short: 0,
            would_block: 0,
            spurious: 0,
            shuffle: false,
            latency: Duration::ZERO..=Duration::ZERO,
            stall: 0,
            stall_time: Duration::ZERO,
            fin: 0,
            reset: 0,
            send_buffer: 256 * 1024,
        }
    }
}

impl Faults {
    /// Everything that a client must bear without its user noticing more than a delay: all faults but
    /// [`fin`](Self::fin) and [`reset`](Self::reset), often.
    pub fn rough() -> Self {
        Self {
            short: 50,
            would_block: 30,
            spurious: 20,
            shuffle: true,
            latency: Duration::ZERO..=Duration::from_millis(50),
            stall: 5,
            stall_time: Duration::from_secs(1),
            send_buffer: 512,
            ..Self::default()
        }
    }
}

impl SimNet {
    pub(super) fn hit(&self, percent: u8) -> bool {
        self.dice().hit(percent)
    }

    pub(super) fn shuffle<T>(&self, items: &mut [T]) {
        self.dice().shuffle(items);
    }

    /// `length`, or with this probability a part of it.
    pub(super) fn shorten(&self, length: usize, percent: u8) -> usize {
        let mut dice = self.dice();
        if length > 1 && dice.hit(percent) { dice.between(1, length - 1) } else { length }
    }

    /// Where and how what the peer sends is cut; mostly it is not.
    pub(super) fn cut(&self, length: usize) -> Option<(usize, End)> {
        let faults = self.faults();
        let mut dice = self.dice();
        let end = if dice.hit(faults.fin) {
            End::Fin
        } else if dice.hit(faults.reset) {
            End::Reset
        } else {
            return None;
        };
        Some((dice.between(0, length), end))
    }

    /// How long something takes that is sent now.
    pub(super) fn travel_time(&self) -> Duration {
        let faults = self.faults();
        let mut dice = self.dice();
        let stall = if dice.hit(faults.stall) { faults.stall_time } else { Duration::ZERO };
        dice.duration(&faults.latency) + stall
    }
}

/// SplitMix64: small, and the same in every release, so that a seed in a bug report stays good.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whether something of this probability in percent happens now. What never happens throws no dice.
    pub(super) fn hit(&mut self, percent: u8) -> bool {
        percent > 0 && self.next() % 100 < u64::from(percent.min(90))
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        match high.saturating_sub(low) as u64 {
            0 => low,
            span => low + (self.next() % (span + 1)) as usize,
        }
    }

    /// A duration in the range.
    pub(super) fn duration(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let span = range.end().saturating_sub(*range.start()).as_nanos() as u64;
        if span == 0 {
            return *range.start();
        }
        *range.start() + Duration::from_nanos(self.next() % (span + 1))
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.between(0, last));
        }
    }
}
