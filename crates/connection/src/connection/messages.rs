//! The short way for what comes most: small messages that are whole in the input, one after the other.

use std::marker::PhantomData;

use super::Connection;
use crate::frame::LEN_16;
use crate::receive::Rx;
use crate::{Config, Input, Kind, Message, Opcode, State, Tx, utf8};

/// Takes small messages that are whole in an input, while the sending half is free to answer them: see [`Connection::messages`].
#[derive(Debug)]
pub struct Messages<'c> {
    /// Small messages may be this long. Absent while something else is under way, which does not change as long as the receiving half is lent.
    limit: Option<u16>,
    validate_utf8: bool,
    _lent: PhantomData<&'c Rx>,
}

impl<'c> Messages<'c> {
    #[inline]
    fn new(rx: &'c Rx, config: &Config) -> Self {
        let limit = config.max_frame_size.min(config.max_message_size);
        let limit = rx.is_between_messages().then(|| u16::try_from(limit).unwrap_or(u16::MAX));
        Self { limit, validate_utf8: config.validate_utf8, _lent: PhantomData }
    }

    /// Whether `input` is one message and nothing else, which [`next`](Self::next) takes unless it is a text that is not UTF-8.
    #[inline]
    pub fn is_one(&self, input: &Input<'_>) -> bool {
        let whole = self.limit.and_then(|limit| whole(input, limit));
        whole.is_some_and(|(.., len)| len == input.rest().len())
    }

    /// Returns the message at the front of `input`, or `None` where there is none that is small, in one frame and whole: what is left stays
    /// for [`Connection::receive`]. `tx` is the half that came with this one.
    #[inline(always)]
    pub fn next<'b>(&self, tx: &mut Tx, input: &mut Input<'b>) -> Option<Message<'b>> {
        if tx.state() != State::Open {
            return None;
        }
        let (kind, payload, len) = whole(input, self.limit?)?;
        let message = match kind {
            Kind::Binary => Message::Binary(payload),
            Kind::Text if !self.validate_utf8 => Message::UncheckedText(payload),
            Kind::Text => Message::Text(utf8::check(payload)?),
        };
        input.skip(len);
        tx.pings.received += len as u64;
        tx.counters().received.whole(payload.len());
        Some(message)
    }
}

impl Connection {
    /// Lends what takes small messages from an input, and the sending half beside it, so that one borrow serves all messages of a read. It is
    /// cheaper than [`receive`](Self::receive), and takes nothing else: where it stops, `receive` continues.
    ///
    /// ```
    /// use websocket_connection::{Connection, Env, Input, SendError};
    ///
    /// /// Sends small binary messages back. Returns the bytes that are not used: anything else is yet to be received.
    /// fn echo<'b>(connection: &mut Connection, bytes: &'b [u8], env: &mut Env) -> Result<&'b [u8], SendError> {
    ///     let mut input = Input::new(bytes);
    ///     let (messages, tx) = connection.messages();
    ///     while let Some(message) = messages.next(tx, &mut input) {
    ///         tx.send_binary(message.as_bytes(), env)?;
    ///     }
    ///     Ok(&bytes[input.used()..])
    /// }
    /// # let _ = echo;
    /// ```
    #[inline]
    pub fn messages(&mut self) -> (Messages<'_>, &mut Tx) {
        (Messages::new(&self.rx, &self.config), &mut self.tx)
    }
}

/// Kind, payload and length of the frame at the front of the input, if it is a message of at most `limit` bytes that is whole.
#[inline]
fn whole<'b>(input: &Input<'b>, limit: u16) -> Option<(Kind, &'b [u8], usize)> {
    let (&[first, second], rest) = input.rest().split_first_chunk()?;
    let kind = Opcode::whole_message(first)?;
    let (len, size, rest) = if second < LEN_16 {
        (u16::from(second), 2, rest)
    } else if second == LEN_16 {
        let (&len, rest) = rest.split_first_chunk()?;
        let len = u16::from_be_bytes(len);
        if len < u16::from(LEN_16) {
            return None;
        }
        (len, 4, rest)
    } else {
        return None;
    };
    if len > limit {
        return None;
    }
    let len = usize::from(len);
    Some((kind, rest.get(..len)?, size + len))
}
