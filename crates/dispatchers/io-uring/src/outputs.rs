//! What is to be sent with the next call of the kernel.

use std::io;
use std::os::fd::RawFd;

use websocket_dispatcher::Key;

use crate::request;
use crate::ring::{MANY_ENTRIES, Ring};

/// Bytes that wait on one stream at most; larger writes go to the socket itself, which costs no copy.
pub(crate) const MAX: usize = 16 << 10;

/// Spare memory that is kept, in bytes for one stream.
const SPARE: usize = 4 << 10;

/// The output of all streams that have some: each stream's is handed over whole and once, since the next piece must not overtake the rest of one
/// that was refused.
#[derive(Default)]
pub(crate) struct Outputs {
    /// Streams that have output. One may be named twice.
    due: Vec<Key>,
    /// Output that the kernel may still read.
    under_way: Vec<(Key, Vec<u8>)>,
    /// Memory for more.
    spare: Vec<Vec<u8>>,
}

impl Outputs {
    /// Lists a stream as one that has output.
    pub(crate) fn list(&mut self, key: Key) {
        self.due.push(key);
    }

    /// Memory for the output of a stream.
    pub(crate) fn memory(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub(crate) fn recycle(&mut self, mut memory: Vec<u8>) {
        if (1..=SPARE).contains(&memory.capacity()) && self.spare.len() < MANY_ENTRIES as usize {
            memory.clear();
            self.spare.push(memory);
        }
    }

    /// Whether there is output to hand over.
    pub(crate) fn are_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether the kernel may yet refuse some.
    pub(crate) fn are_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Puts requests into the ring for all output that is due. `exchange` takes it from a stream, or gives back what found no room.
    pub(crate) fn send(
        &mut self,
        ring: &mut Ring,
        mut exchange: impl FnMut(Key, Option<Vec<u8>>) -> Option<(RawFd, Vec<u8>)>,
    ) -> io::Result<()> {
        if self.are_under_way() {
            return Ok(());
        }
        let mut done = 0;
        for key in &self.due {
            if let Some((fd, output)) = exchange(*key, None) {
                let place = self.under_way.len();
                self.under_way.push((*key, output));
                // SAFETY: the memory stays in `under_way`, where it is not touched, until `settle` finds that the request was handed over.
                if !unsafe { ring.send(fd, &self.under_way[place].1, request::send(place)) }? {
                    exchange(*key, self.under_way.pop().map(|(_, output)| output));
                    break;
                }
            }
            done += 1;
        }
        self.due.drain(..done);
        Ok(())
    }

    /// Takes back the output that a request was not able to send whole.
    pub(crate) fn take(&mut self, place: usize) -> Option<(Key, Vec<u8>)> {
        self.under_way.get_mut(place).map(|(key, output)| (*key, std::mem::take(output)))
    }

    /// All requests were handed over, and all failures taken: what is left was sent.
    pub(crate) fn settle(&mut self) {
        let mut under_way = std::mem::take(&mut self.under_way);
        for (_, output) in under_way.drain(..) {
            self.recycle(output);
        }
        self.under_way = under_way;
    }
}
