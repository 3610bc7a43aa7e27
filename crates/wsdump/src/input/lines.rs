//! From bytes to lines to messages.

use websocket_app::{SendError, Sender};

/// No more than this is read ahead of a connection that does not keep up.
const AHEAD: usize = 1 << 20;

/// What was read and not sent yet.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// How many lines there were.
    count: u64,
    /// There is nothing more to read.
    has_ended: bool,
}

/// What is to follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// More input.
    More,
    /// The same lines again, when the connection has taken others.
    Later,
    /// Nothing: the input has ended and was sent, or no connection will take it.
    Nothing,
}

impl Lines {
    /// Adds what was read; nothing is the end.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.has_ended |= bytes.is_empty();
    }

    /// Sends every line that is whole.
    pub(super) fn send(&mut self, sender: &Sender, is_patient: bool) -> Wanted {
        let mut sent = 0;
        let wanted = loop {
            let rest = &self.bytes[sent..];
            let (line, len) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), end + 1),
                None if self.has_ended && !rest.is_empty() => (rest, rest.len()),
                None => break if self.has_ended { Wanted::Nothing } else { Wanted::More },
            };
            match send_line(sender, line, self.count + 1, is_patient) {
                Wanted::More => {
                    sent += len;
                    self.count += 1;
                }
                wanted => break wanted,
            }
        };
        self.bytes.drain(..sent);
        wanted
    }
}

/// Sends a line when there is room for it, or says why it is not sent.
fn send_line(sender: &Sender, line: &[u8], number: u64, is_patient: bool) -> Wanted {
    if sender.queued_bytes() > AHEAD && (is_patient || sender.is_open()) {
        return Wanted::Later;
    }
    let Ok(text) = str::from_utf8(line) else {
        eprintln!("wsdump: line {number} was not sent: it is not UTF-8");
        return Wanted::More;
    };
    match sender.send_text(text) {
        Ok(()) => Wanted::More,
        Err(refused) if matches!(refused.reason, SendError::NotOpen(_) | SendError::WaitingToReconnect) => {
            if is_patient {
                Wanted::Later
            } else {
                Wanted::Nothing
            }
        }
        Err(refused) => {
            eprintln!("wsdump: line {number} was not sent: {refused}");
            Wanted::More
        }
    }
}
