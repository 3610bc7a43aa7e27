//! One client of the echo server, as a machine from bytes to bytes.

use crate::frame::{self, Head};
use crate::handshake::{self, Request};

const MAX_REQUEST: usize = 16 * 1024;
const MAX_HEAD: usize = 14;
const MAX_CONTROL: u64 = 125;
const PROTOCOL_ERROR: u16 = 1002;

/// Where one connection stands. Small, since thousands live at once: payloads are echoed as they come and
/// never stored.
#[derive(Debug)]
pub(super) enum Session {
    Handshake(Vec<u8>),
    Open(Frames),
    /// The last byte has been said; what comes is thrown away.
    Over,
}

impl Session {
    pub(super) const fn new() -> Self {
        Self::Handshake(Vec::new())
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Takes `bytes` from the client, unmasking them in place, and appends what it is to be sent to `out`.
    pub(super) fn receive(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) {
        match self {
            Self::Over => {}
            Self::Open(frames) => {
                if frames.receive(bytes, out).is_break() {
                    *self = Self::Over;
                }
            }
            Self::Handshake(inbox) => {
                inbox.extend_from_slice(bytes);
                let Some(request) = Request::parse(inbox) else {
                    if inbox.len() > MAX_REQUEST {
                        out.extend_from_slice(
                            b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n",
                        );
                        *self = Self::Over;
                    }
                    return;
                };
                let mut rest = inbox.split_off(request.bytes.len());
                if request.method == "GET" && request.header("Sec-WebSocket-Key").is_some() {
                    out.extend_from_slice(&handshake::response(&request, &[]));
                    *self = Self::Open(Frames::default());
                    self.receive(&mut rest, out);
                } else {
                    out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
                    *self = Self::Over;
                }
            }
        }
    }
}

type Flow = std::ops::ControlFlow<()>;

#[derive(Default, Debug)]
pub(super) struct Frames {
    /// A head that was cut by the end of the bytes.
    head: [u8; MAX_HEAD],
    have: usize,
    /// Payload bytes of the current frame that are still to come, and how to unmask and treat them.
    left: u64,
    mask: [u8; 4],
    discard: bool,
    closing: bool,
    /// A message is unfinished, so only a continuation may carry on.
    fragmented: bool,
}

impl Frames {
    fn receive(&mut self, mut bytes: &mut [u8], out: &mut Vec<u8>) -> Flow {
        while !bytes.is_empty() {
            if self.left == 0 {
                let taken = self.take_head(bytes, out)?;
                bytes = &mut bytes[taken..];
            }
            let (payload, rest) =
                bytes.split_at_mut(bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)));
            bytes = rest;
            self.left -= payload.len() as u64;
            if !self.discard {
                frame::apply_mask(self.mask, 0, payload);
                self.mask.rotate_left(payload.len() % 4);
                out.extend_from_slice(payload);
            }
            if self.closing && self.left == 0 && self.have == 0 {
                return Flow::Break(());
            }
        }
        Flow::Continue(())
    }

    /// Consumes as much of a head as there is, answers it once it is whole, and returns how many bytes that
    /// took.
    fn take_head(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::ops::ControlFlow<(), usize> {
        let taken = bytes.len().min(MAX_HEAD - self.have);
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
        let Some(head) = Head::parse(&self.head[..self.have + taken]) else {
            self.have += taken;
            return std::ops::ControlFlow::Continue(taken);
        };
        let taken = head.size - self.have;
        self.have = 0;
        let Some(mask) = head.mask.filter(|_| self.is_legal(&head)) else {
            out.extend_from_slice(&frame::close(PROTOCOL_ERROR, ""));
            return std::ops::ControlFlow::Break(());
        };
        let opcode = head.first_byte & 0xF;
        if opcode < frame::CLOSE {
            self.fragmented = head.first_byte & 0x80 == 0;
        }
        self.left = head.length;
        self.mask = mask;
        self.discard = opcode == frame::PONG;
        self.closing = opcode == frame::CLOSE;
        if !self.discard {
            let answer = if opcode == frame::PING { 0x80 | frame::PONG } else { head.first_byte };
            out.extend_from_slice(&[answer, self.head[1] & 0x7F]);
            out.extend_from_slice(&self.head[2..head.size - mask.len()]);
        }
        std::ops::ControlFlow::Continue(taken)
    }

    fn is_legal(&self, head: &Head) -> bool {
        let fin = head.first_byte & 0x80 != 0;
        let control = || fin && head.length <= MAX_CONTROL;
        let rsv = head.first_byte & 0x70;
        rsv == 0
            && head.shortest
            && head.length >> 63 == 0
            && match head.first_byte & 0xF {
                frame::CONTINUATION => self.fragmented,
                frame::TEXT | frame::BINARY => !self.fragmented,
                frame::CLOSE => control() && head.length != 1,
                frame::PING | frame::PONG => control(),
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

    fn open() -> Session {
        Session::Open(Frames::default())
    }

    /// The answer to `input`, given in pieces of `size` bytes, and whether the session is over.
    fn answer(mut session: Session, input: &[u8], size: usize) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        for piece in input.to_vec().chunks_mut(size) {
            session.receive(piece, &mut out);
        }
        (out, session.is_over())
    }

    #[test]
    fn every_legal_frame_is_answered_however_it_is_cut() {
        let long = vec![7; 70_000];
        let medium = vec![8; 300];
        let input = [
            frame::masked(0x81, MASK, b"hello"),
            frame::masked(0x82, MASK, &medium),
            frame::masked(0x02, MASK, b"one"),
            frame::masked(0x89, MASK, b"ping"),
            frame::masked(0x8A, MASK, b"a pong needs no reply"),
            frame::masked(0x80, MASK, &long),
            frame::masked(0x81, MASK, b""),
            frame::masked(0x88, MASK, b"\x03\xe8bye"),
            frame::masked(0x81, MASK, b"too late"),
        ]
        .concat();
        let expected = [
            frame::text("hello"),
            frame::binary(&medium),
            frame::encode(false, 0, frame::BINARY, b"one"),
            frame::pong(b"ping"),
            frame::continuation(true, &long),
            frame::text(""),
            frame::close(1000, "bye"),
        ]
        .concat();
        for size in [1, 2, 3, 7, 64, 1000, input.len()] {
            let (out, over) = answer(open(), &input, size);
            assert!(out == expected, "cut into pieces of {size}");
            assert!(over);
        }
        assert_eq!(answer(open(), &frame::masked(0x88, MASK, b""), 1), (frame::empty_close(), true));
    }

    #[test]
    fn a_breach_of_the_protocol_is_answered_with_1002() {
        let breaches = [
            frame::text("unmasked"),
            frame::masked(0xC1, MASK, b"rsv"),
            frame::masked(0x83, MASK, b"reserved"),
            frame::masked(0x80, MASK, b"nothing to continue"),
            frame::masked(0x09, MASK, b"half a ping"),
            frame::masked(0x88, MASK, b"1"),
            frame::masked(0x89, MASK, &[0; 126]),
            [frame::masked(0x01, MASK, b"begun"), frame::masked(0x81, MASK, b"begun again")].concat(),
            b"\x81\xfe\x00\x01\0\0\0\0x".to_vec(),
        ];
        for breach in breaches {
            let (out, over) = answer(open(), &breach, breach.len());
            assert!(out.ends_with(&frame::close(PROTOCOL_ERROR, "")), "{breach:?} was answered with {out:?}");
            assert!(over);
        }
    }

    #[test]
    fn what_is_no_upgrade_is_refused() {
        let (out, over) = answer(Session::new(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5);
        assert!(out.starts_with(b"HTTP/1.1 400 ") && over);
        let (out, over) = answer(Session::new(), &[b'x'; MAX_REQUEST + 1], 1000);
        assert!(out.starts_with(b"HTTP/1.1 431 ") && over);
    }

    #[test]
    fn frames_that_come_with_the_request_are_answered_after_the_response() {
        let request = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".to_vec();
        let (out, over) =
            answer(Session::new(), &[request, frame::masked(0x81, MASK, b"now")].concat(), 1 << 20);
        assert!(out.starts_with(b"HTTP/1.1 101 ") && out.ends_with(b"\r\n\r\n\x81\x03now"));
        assert!(!over);
    }
}
