//! Which of a name's addresses to try last.

use std::net::SocketAddr;

/// Addresses that are remembered. A name rarely has as many.
const MAX: usize = 16;

/// Addresses that took a connection which then did not open, the one that failed longest ago first.
#[derive(Clone, Default, Debug)]
pub(crate) struct FailedAddresses(Vec<SocketAddr>);

impl FailedAddresses {
    /// Remembers `address` as the one that has failed last.
    pub(crate) fn add(&mut self, address: SocketAddr) {
        self.0.retain(|known| *known != address);
        if self.0.len() == MAX {
            self.0.remove(0);
        }
        self.0.push(address);
    }

    /// Forgets all of them, and gives their memory back.
    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Returns those of a name's addresses that have not failed, in their order, and those that have, the one
    /// that failed longest ago first.
    pub(crate) fn split(&self, addresses: Vec<SocketAddr>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let rank = |address: &SocketAddr| self.0.iter().position(|known| known == address);
        let (fresh, mut failed): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| rank(address).is_none());
        failed.sort_by_key(rank);
        (fresh, failed)
    }

    /// Puts those that have failed behind the others.
    pub(crate) fn sort(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let (mut sorted, failed) = self.split(addresses);
        sorted.extend(failed);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(numbers: &[u8]) -> Vec<SocketAddr> {
        numbers.iter().map(|number| SocketAddr::from(([192, 0, 2, *number], 80))).collect()
    }

    fn failed(numbers: &[u8]) -> FailedAddresses {
        let mut failed = FailedAddresses::default();
        addresses(numbers).into_iter().for_each(|address| failed.add(address));
        failed
    }

    #[test]
    fn what_has_failed_comes_last_and_the_latest_failure_at_the_end() {
        let all = addresses(&[1, 2, 3, 4]);
        assert_eq!(failed(&[]).sort(all.clone()), all);
        assert_eq!(failed(&[1]).sort(all.clone()), addresses(&[2, 3, 4, 1]));
        assert_eq!(failed(&[3, 1]).sort(all.clone()), addresses(&[2, 4, 3, 1]));
        assert_eq!(failed(&[3, 1, 3]).split(all.clone()), (addresses(&[2, 4]), addresses(&[1, 3])));
        assert_eq!(failed(&[4, 3, 2, 1]).sort(all.clone()), addresses(&[4, 3, 2, 1]));
        assert_eq!(failed(&[9, 2]).sort(all.clone()), addresses(&[1, 3, 4, 2]));
        assert_eq!(failed(&[1]).sort(addresses(&[1])), addresses(&[1]));
        assert_eq!(failed(&[1]).sort(Vec::new()), []);
        let other_port = SocketAddr::new(all[0].ip(), 81);
        assert_eq!(failed(&[1]).sort(vec![other_port, all[1]]), [other_port, all[1]]);
        let mut forgotten = failed(&[1, 2]);
        forgotten.clear();
        assert_eq!(forgotten.sort(all.clone()), all);
    }

    #[test]
    fn the_one_that_failed_longest_ago_is_forgotten_when_there_are_many() {
        let many: Vec<u8> = (1..=17).collect();
        let (fresh, late) = failed(&many).split(addresses(&many));
        assert_eq!((fresh, late), (addresses(&[1]), addresses(&many[1..])));
    }
}
