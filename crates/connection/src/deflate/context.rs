//! Contexts that the connections of one [`Env`](crate::Env) take turns with.

use std::sync::atomic::{AtomicU64, Ordering};

use super::deflater::Deflater;
use super::inflater::Inflater;

/// Contexts that nobody uses now.
///
/// Bounded: what does not fit when it comes back is freed.
#[allow(
    clippy::vec_box,
    reason = "they go back and forth between here and connections, which have one or none"
)]
pub(crate) struct Contexts {
    inflaters: Vec<Box<Inflater>>,
    deflaters: Vec<Box<Deflater>>,
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
    /// Contexts of each kind that are kept. More are in use at a time only where messages of several connections are cut.
    const MOST: usize = 8;

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

    /// A deflater that has seen nothing.
    pub(super) fn deflater(&mut self, level: u8, bits: u8) -> Box<Deflater> {
        let same = self.deflaters.iter().position(|deflater| deflater.is(level, bits));
        match same {
            Some(index) => self.deflaters.swap_remove(index),
            None => Box::new(Deflater::new(level, bits)),
        }
    }

    /// Takes a deflater back.
    pub(super) fn give_deflater(&mut self, mut deflater: Box<Deflater>) {
        deflater.reset();
        if self.deflaters.len() >= Self::MOST {
            // The one that has waited longest may be of a kind that nobody wants any more.
            self.deflaters.remove(0);
        }
        self.deflaters.push(deflater);
    }
}
