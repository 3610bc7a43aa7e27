//! From bytes to lines.

use std::sync::mpsc::SyncSender;

use websocket_app::Apps;
#[cfg(unix)]
use websocket_app::{SourceId, dispatcher::Interest};

/// What was read and not sent yet.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// The bytes before this were taken.
    start: usize,
    /// How many lines were taken.
    count: u64,
    has_ended: bool,
    /// What brings more.
    pub(crate) refill: Option<Refill>,
}

/// What waits until all lines were taken, to read more.
pub(crate) enum Refill {
    #[cfg(unix)]
    Source(SourceId),
    Thread(SyncSender<()>),
}

/// A line without its end, and its number from 1.
pub(crate) struct Line {
    pub(crate) bytes: Vec<u8>,
    pub(crate) number: u64,
}

impl Lines {
    /// Adds what was read; nothing is the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.start));
        self.bytes.extend_from_slice(bytes);
        self.has_ended |= bytes.is_empty();
    }

    /// Takes the next line that is whole.
    pub(crate) fn next(&mut self) -> Option<Line> {
        let rest = &self.bytes[self.start..];
        let (line, len) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), end + 1),
            None if self.has_ended && !rest.is_empty() => (rest, rest.len()),
            None => return None,
        };
        let bytes = line.to_vec();
        self.start += len;
        self.count += 1;
        Some(Line { bytes, number: self.count })
    }

    /// Whether all lines were taken, and there are no more.
    pub(crate) fn have_ended(&self) -> bool {
        self.has_ended && self.start == self.bytes.len()
    }

    /// All lines were taken: more may be read.
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no source"))]
    pub(crate) fn refill(&mut self, apps: &mut Apps) {
        match &self.refill {
            #[cfg(unix)]
            Some(Refill::Source(source)) if self.has_ended => drop(apps.unwatch(*source)),
            #[cfg(unix)]
            Some(Refill::Source(source)) => drop(apps.set_interest(*source, Interest::Read)),
            // It has ended if nothing waits.
            Some(Refill::Thread(more)) => drop(more.try_send(())),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_were_cut_and_the_last_needs_no_end() {
        let mut lines = Lines::default();
        let mut taken = Vec::new();
        for byte in b"one\r\n\ntwo\nthree" {
            lines.push(&[*byte]);
            taken.extend(std::iter::from_fn(|| lines.next()));
        }
        assert!(!lines.have_ended());
        lines.push(b"");
        taken.extend(std::iter::from_fn(|| lines.next()));
        assert!(lines.have_ended());
        let taken: Vec<_> = taken.iter().map(|line| (line.number, &*line.bytes)).collect();
        assert_eq!(taken, [(1, &b"one"[..]), (2, b""), (3, b"two"), (4, b"three")]);
    }
}
