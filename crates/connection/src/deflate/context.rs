//! Contexts that the connections of one [`Env`](crate::Env) take turns with.

use std::sync::atomic::{AtomicU64, Ordering};

use super::deflater::Deflater;
use super::inflater::Inflater;
use super::window::Window;

/// Contexts that no connection uses now.
///
/// Bounded: what does not fit when it comes back is freed.
#[allow(
    clippy::vec_box,
    reason = "they go back and forth between here and connections, which have one or none"
)]
pub(crate) struct Contexts {
    inflaters: Vec<Box<Inflater>>,
    /// Each with the stamp that its connection knows it by, or 0 if it belongs to none; the one that has waited longest first.
    deflaters: Vec<(u64, Box<Deflater>)>,
    /// The latest that was given. None is given twice in a process: a connection may come with a stamp of another [`Env`](crate::Env).
    stamp: u64,
}

impl Default for Contexts {
    fn default() -> Self {
        /// Those who have had stamps: enough for a million, with some 10^13 stamps each.
        static GIVERS: AtomicU64 = AtomicU64::new(0);
        let stamp = GIVERS.fetch_add(1, Ordering::Relaxed) << 44;
        Self { inflaters: Vec::new(), deflaters: Vec::new(), stamp }
    }
}

impl Contexts {
    /// Inflaters that are kept. More are in use at a time only where messages of several connections are cut.
    const MOST: usize = 8;

    /// Deflaters that are kept: as many connections can take turns without loading their windows.
    const MOST_DEFLATERS: usize = 32;

    /// An inflater; if it is still there, the one that was given back with this stamp.
    pub(super) fn inflater(&mut self, stamp: u64) -> Box<Inflater> {
        let same = self.inflaters.iter().position(|inflater| inflater.stamp == stamp);
        match same {
            Some(index) => self.inflaters.swap_remove(index),
            None => self.inflaters.pop().unwrap_or_default(),
        }
    }

    /// Takes an inflater back. Returns the stamp that it has from now on.
    pub(super) fn give_inflater(&mut self, mut inflater: Box<Inflater>) -> u64 {
        self.stamp += 1;
        inflater.stamp = self.stamp;
        if self.inflaters.len() < Self::MOST {
            self.inflaters.push(inflater);
        }
        self.stamp
    }

    /// The deflater that was given back with this stamp, if it is still there, or else one that may refer to `window`.
    pub(super) fn deflater(&mut self, stamp: u64, level: u8, bits: u8, window: &Window) -> Box<Deflater> {
        if stamp != 0
            && let Some(index) = self.deflaters.iter().rposition(|&(owner, _)| owner == stamp)
        {
            return self.deflaters.remove(index).1;
        }
        let free =
            self.deflaters.iter().rposition(|(owner, deflater)| *owner == 0 && deflater.is(level, bits));
        // Where each belongs to a connection, the one that has waited longest changes hands.
        let index = free.or((self.deflaters.len() >= Self::MOST_DEFLATERS).then_some(0));
        let used =
            index.map(|index| self.deflaters.remove(index).1).filter(|deflater| deflater.is(level, bits));
        let mut deflater = match used {
            Some(mut deflater) => {
                deflater.reset();
                deflater
            }
            None => Box::new(Deflater::new(level, bits)),
        };
        deflater.load(window);
        deflater
    }

    /// Takes a deflater back. Returns the stamp by which its connection gets it again, 0 if it is to belong to none.
    pub(super) fn give_deflater(&mut self, deflater: Box<Deflater>, owned: bool) -> u64 {
        self.stamp += 1;
        let stamp = if owned { self.stamp } else { 0 };
        if self.deflaters.len() >= Self::MOST_DEFLATERS {
            self.deflaters.remove(0);
        }
        self.deflaters.push((stamp, deflater));
        stamp
    }

    /// The connection with this stamp needs its deflater no longer.
    pub(super) fn free_deflater(&mut self, stamp: u64) {
        for (owner, _) in &mut self.deflaters {
            if *owner == stamp {
                *owner = 0;
            }
        }
    }
}
