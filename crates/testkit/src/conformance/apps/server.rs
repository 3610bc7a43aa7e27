//! The server of one connection, moved by the test.

use std::collections::VecDeque;

use crate::conformance::Far;
use crate::frame::{self, Decoder, Frame};
use crate::handshake::{Request, response};

/// Answers the upgrade and close frames; the rest is left to the test.
pub(super) struct Server<F> {
    /// Absent when this side has left.
    far: Option<F>,
    decoder: Decoder,
    outgoing: Vec<u8>,
    frames: VecDeque<Frame>,
    is_open: bool,
    closing: bool,
    has_ended: bool,
    /// Bytes that have arrived.
    pub(super) received: u64,
    /// Bytes that were sent.
    pub(super) sent: u64,
    /// Reads nothing, so that the client's stream fills up.
    pub(super) deaf: bool,
    /// Leaves the client's request without an answer.
    pub(super) silent: bool,
}

impl<F: Far> Server<F> {
    pub(super) fn new(far: F) -> Self {
        Self {
            far: Some(far),
            decoder: Decoder::new(),
            outgoing: Vec::new(),
            frames: VecDeque::new(),
            is_open: false,
            closing: false,
            has_ended: false,
            received: 0,
            sent: 0,
            deaf: false,
            silent: false,
        }
    }

    /// Takes what has arrived, and sends what can be sent now.
    pub(super) fn attend(&mut self) {
        let Some(far) = &mut self.far else { return };
        if !self.deaf {
            let mut bytes = Vec::new();
            self.has_ended |= far.receive(&mut bytes);
            self.received += bytes.len() as u64;
            self.decoder.feed(&bytes);
        }
        if !self.is_open && !self.silent {
            let Some(request) = Request::parse(self.decoder.rest()) else { return };
            self.decoder.consume(request.bytes.len());
            self.outgoing.splice(..0, response(&request, &[]));
            self.is_open = true;
        }
        while self.is_open
            && let Some(frame) = self.decoder.next_frame()
        {
            assert_eq!(frame.fault(), None, "{frame:?}");
            self.frames.push_back(frame);
        }
        let asked_to_close = self.frames.back().is_some_and(|frame| frame.opcode == frame::CLOSE);
        if asked_to_close && !self.closing {
            self.closing = true;
            self.outgoing.extend(frame::close(1000, ""));
        }
        if !self.has_ended && !self.outgoing.is_empty() {
            let sent = far.send(&self.outgoing);
            self.outgoing.drain(..sent);
            self.sent += sent as u64;
        }
        if asked_to_close && self.outgoing.is_empty() {
            self.leave(F::close);
        }
    }

    /// Sends these bytes, before the connection is open those that follow the response.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Sends these bytes repeatedly, until so many wait to be sent.
    pub(super) fn keep_ahead(&mut self, bytes: &[u8], ahead: usize) {
        while self.outgoing.len() < ahead {
            self.send(bytes);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.send(&frame::text(text));
    }

    /// Sends a close frame.
    pub(super) fn close(&mut self, code: u16) {
        self.closing = true;
        self.send(&frame::close(code, ""));
    }

    /// Ends this side and reads on.
    pub(super) fn shutdown(&mut self) {
        if let Some(far) = &mut self.far {
            far.shutdown();
        }
    }

    /// Ends the stream by one of the methods of [`Far`].
    pub(super) fn leave(&mut self, end: fn(F)) {
        if let Some(far) = self.far.take() {
            end(far);
        }
        self.has_ended = true;
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// Whether something has arrived that is not a frame, such as a request that is not answered.
    pub(super) fn has_rest(&self) -> bool {
        !self.decoder.rest().is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open && self.outgoing.is_empty() && !self.has_ended
    }

    /// Whether nothing of the connection is left, on the client's side for sure.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }
}
