//! What a connection has sent and received, in numbers.

use std::ops::AddAssign;
use std::time::Instant;

use crate::{Rtt, Tx};

/// What went in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages. A message that was received counts when it is complete, one that was sent when it was queued.
    pub messages: u64,
    /// Frames of messages: more than messages where these were fragmented. Control frames do not count.
    pub frames: u64,
    /// Bytes of messages, without frame headers and before compression.
    pub payload_bytes: u64,
    /// Bytes on the stream: frame headers, control frames and the opening handshake count, too. Over TLS these are the bytes inside of it.
    pub wire_bytes: u64,
    /// Pings. Those of keep-alive count, too.
    pub pings: u64,
    /// Of `payload_bytes`, those of messages that were compressed.
    pub deflated_payload_bytes: u64,
    /// What these bytes were compressed to.
    pub compressed_bytes: u64,
}

impl Traffic {
    /// Returns how many times smaller compression has made the messages that were compressed: 4.0 means that a quarter of their bytes
    /// went over the stream. `None` if no message was compressed.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a ratio of more than 2^53 bytes is as good without the last digits"
    )]
    pub fn compression_ratio(&self) -> Option<f64> {
        let bytes = self.compressed_bytes;
        (bytes > 0).then(|| self.deflated_payload_bytes as f64 / bytes as f64)
    }
}

/// Adds what went over another connection in the same direction.
impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.frames += other.frames;
        self.payload_bytes += other.payload_bytes;
        self.wire_bytes += other.wire_bytes;
        self.pings += other.pings;
        self.deflated_payload_bytes += other.deflated_payload_bytes;
        self.compressed_bytes += other.compressed_bytes;
    }
}

/// What went over one connection.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// What the server has sent.
    pub received: Traffic,
    /// What this end has sent.
    pub sent: Traffic,
    /// Round-trip times of pings.
    pub rtt: Rtt,
    /// When bytes came last, as the caller has said with [`Tx::read_at`](crate::Tx::read_at). `None` until something came after the first
    /// message, or after the numbers were first asked for.
    pub last_byte: Option<Instant>,
    /// When the last message came.
    pub last_message: Option<Instant>,
    /// The most bytes that ever waited to be written, since the first message or since the numbers were first asked for. Of a message that is
    /// written while it is masked ([`Tx::send_through`](crate::Tx::send_through)), what was masked and not written yet.
    pub peak_queued_bytes: usize,
}

/// What is counted for each message, and little else: a message in one frame changes two numbers.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) payload_bytes: u64,
    /// Frames that did not end a message.
    more_frames: u64,
    deflated_payload_bytes: u64,
    compressed_bytes: u64,
}

impl Counts {
    /// A message in one frame.
    #[inline(always)]
    pub(crate) const fn whole(&mut self, payload: usize) {
        self.messages += 1;
        self.payload_bytes += payload as u64;
    }

    /// Frames with so much payload, which end a message or do not. `compressed` is the length to which it was compressed.
    pub(crate) fn frames(&mut self, frames: u32, payload: usize, ends: bool, compressed: Option<u64>) {
        self.messages += u64::from(ends);
        self.more_frames += u64::from(frames) - u64::from(ends);
        self.payload_bytes += payload as u64;
        if let Some(len) = compressed {
            self.deflated_payload_bytes += payload as u64;
            self.compressed_bytes += len;
        }
    }

    const fn traffic(&self, wire_bytes: u64, pings: u64) -> Traffic {
        Traffic {
            messages: self.messages,
            frames: self.messages + self.more_frames,
            payload_bytes: self.payload_bytes,
            wire_bytes,
            pings,
            deflated_payload_bytes: self.deflated_payload_bytes,
            compressed_bytes: self.compressed_bytes,
        }
    }
}

/// The numbers of a connection that has had a message, or was asked for them. Others hold no memory for them.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) received: Counts,
    pub(crate) sent: Counts,
    pub(crate) peak_queued_bytes: usize,
    last_byte: Option<Instant>,
    last_message: Option<Instant>,
    /// Messages that `last_message` is known of.
    dated: u64,
}

impl Counters {
    /// What came since the last call came at this time.
    pub(crate) const fn read_at(&mut self, at: Instant) {
        self.last_byte = Some(at);
        if self.received.messages > self.dated {
            self.dated = self.received.messages;
            self.last_message = Some(at);
        }
    }

    /// The numbers, with those that are counted elsewhere: bytes on the stream and pings, first those received.
    pub(crate) fn stats(&self, wire_bytes: [u64; 2], pings: [u64; 2], rtt: Rtt) -> ConnectionStats {
        ConnectionStats {
            received: self.received.traffic(wire_bytes[0], pings[0]),
            sent: self.sent.traffic(wire_bytes[1], pings[1]),
            rtt,
            last_byte: self.last_byte,
            last_message: self.last_message,
            peak_queued_bytes: self.peak_queued_bytes,
        }
    }
}

impl Tx {
    /// Notes that the caller has so many bytes that wait besides [`queued_bytes`](Self::queued_bytes), for the peak in
    /// [`stats`](Self::stats).
    pub fn note_waiting(&mut self, bytes: usize) {
        let queued = self.queued_bytes() + bytes;
        let counters = self.counters();
        counters.peak_queued_bytes = counters.peak_queued_bytes.max(queued);
    }
}
