//! Large messages, which are written while they are masked.

use crate::frame::First;
use crate::{Env, Kind, Message, Opcode, SendError, Tx};

/// Bytes that are masked at a time: they are still in the cache when they are written.
const PIECE: usize = 32 << 10;

impl Tx {
    /// Sends a message, and has it written while it is masked. A large one costs less so than sent first and written then, since its bytes
    /// do not leave the cache in between, and it needs little memory.
    ///
    /// `write` gets the bytes to write next, which begin with those that wait in [`output`](Self::output). It returns how many of them the
    /// stream has taken: they count as [written](Self::wrote). With 0, for whatever reason, it is not called again, and what is left waits.
    ///
    /// ```
    /// use std::io::Write;
    /// use websocket_connection::{Env, Message, SendError, Tx};
    ///
    /// fn send(tx: &mut Tx, message: Message<'_>, env: &mut Env, stream: &mut dyn Write) -> Result<(), SendError> {
    ///     // A stream that is broken says so again when what is left is written.
    ///     tx.send_through(message, env, |bytes| stream.write(bytes).unwrap_or(0))
    /// }
    /// # let _ = send;
    /// ```
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued or written.
    pub fn send_through(
        &mut self,
        message: Message<'_>,
        env: &mut Env,
        write: impl FnMut(&[u8]) -> usize,
    ) -> Result<(), SendError> {
        let opcode = match message {
            Message::UncheckedText(bytes) if std::str::from_utf8(bytes).is_err() => {
                return Err(SendError::NotUtf8);
            }
            Message::Text(_) | Message::UncheckedText(_) => Opcode::Text,
            Message::Binary(_) => Opcode::Binary,
        };
        self.message(opcode, message.as_bytes(), env, |tx, first, payload, env| {
            tx.frame_through(first, payload, env, write);
        })
    }

    /// Sends one fragment of a message, as [`send_fragment`](Self::send_fragment), and has it written as
    /// [`send_through`](Self::send_through).
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued or written.
    pub fn send_fragment_through(
        &mut self,
        kind: Option<Kind>,
        payload: &[u8],
        fin: bool,
        env: &mut Env,
        write: impl FnMut(&[u8]) -> usize,
    ) -> Result<(), SendError> {
        self.fragment(kind, payload, fin, env, |tx, first, payload, env| {
            tx.frame_through(first, payload, env, write);
        })
    }

    fn frame_through(
        &mut self,
        first: First,
        payload: &[u8],
        env: &mut Env,
        mut write: impl FnMut(&[u8]) -> usize,
    ) {
        let key = self.start_frame(first, payload.len(), payload.len().min(PIECE), env);
        let mut rest = Rest { tx: self, payload, key };
        loop {
            rest.mask(PIECE);
            if !rest.tx.write(env, &mut write) || rest.payload.is_empty() {
                break;
            }
        }
        drop(rest);
        self.settle(env);
    }

    /// Writes the output. Returns whether nothing is left of it; its memory is kept.
    fn write(&mut self, env: &Env, write: &mut impl FnMut(&[u8]) -> usize) -> bool {
        while self.queued_bytes() > 0 {
            match write(self.output()) {
                0 => return false,
                len => self.took(len, env),
            }
        }
        true
    }
}

/// What is not masked yet of a payload whose frame has begun. Whatever happens meanwhile, even a panic of the caller's stream, the frame
/// is made whole.
struct Rest<'t, 'p> {
    tx: &'t mut Tx,
    payload: &'p [u8],
    key: [u8; 4],
}

impl Rest<'_, '_> {
    /// Masks the next `most` bytes, a multiple of four, into the output.
    fn mask(&mut self, most: usize) {
        let (piece, rest) = self.payload.split_at(most.min(self.payload.len()));
        self.tx.output.payload(piece, self.key);
        self.payload = rest;
    }
}

impl Drop for Rest<'_, '_> {
    fn drop(&mut self) {
        self.mask(self.payload.len());
    }
}
