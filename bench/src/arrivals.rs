//! How the connections of a load server arrived.

use serde::{Deserialize, Serialize};

/// What the load server counts, and prints when it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Arrivals {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Those of them that were upgraded.
    pub upgraded: u64,
    /// Those of these that resumed a TLS session.
    pub resumed: u64,
    /// Accepted connections that are neither upgraded nor over.
    pub waiting: u64,
    /// The largest number of these so far.
    pub most_waiting: u64,
}

impl Arrivals {
    /// Counts a connection that was accepted.
    pub fn accept(&mut self) {
        self.accepted += 1;
        self.waiting += 1;
        self.most_waiting = self.most_waiting.max(self.waiting);
    }

    /// Counts a connection that waits no longer: it was upgraded, or it is over.
    pub fn leave(&mut self, upgraded: bool, resumed: bool) {
        self.waiting -= 1;
        self.upgraded += u64::from(upgraded);
        self.resumed += u64::from(upgraded && resumed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_waited_are_remembered() {
        let mut arrivals = Arrivals::default();
        for upgraded in [true, false] {
            arrivals.accept();
            arrivals.accept();
            arrivals.leave(upgraded, true);
            arrivals.leave(true, false);
        }
        assert_eq!(arrivals, Arrivals { accepted: 4, upgraded: 3, resumed: 1, waiting: 0, most_waiting: 2 });
    }
}
