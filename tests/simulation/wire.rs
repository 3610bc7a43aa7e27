//! What goes over one connection, as the client's end of it reads and writes.

use std::time::Duration;

use websocket_app::Kind;
use websocket_testkit::frame::{self, Decoder, Frame};
use websocket_testkit::handshake::Request;

use crate::compression::Compression;
use crate::settings::Settings;
use crate::world::world;

/// A callback that is due since its frame has been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    Message(Kind, Vec<u8>),
    Fragment { kind: Kind, payload: Vec<u8>, first: bool, last: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// What the client has written.
#[derive(PartialEq, Eq, Debug)]
pub enum Said {
    /// The request is complete.
    Request {
        me: usize,
        attempt: u32,
    },
    /// A whole message.
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    /// What no client may send.
    Wrong(String),
}

/// One connection.
#[derive(Default)]
pub struct Wire {
    pub me: Option<usize>,
    pub attempt: u32,
    /// The client may send another request, or drop the stream and send it on another.
    pub asked_again: bool,
    /// The request is complete.
    requested: bool,
    head: Vec<u8>,
    out: Decoder,
    out_fragments: Option<Vec<u8>>,
    out_compression: Compression,
    /// The code in the client's close frame, once that has been written.
    pub close_written: Option<Option<u16>>,
    answer: Vec<u8>,
    /// The whole response to the upgrade request has been read, and it opens the connection.
    pub upgraded: bool,
    incoming: Decoder,
    incoming_compression: Compression,
    fragments: Option<(Kind, Vec<u8>)>,
    /// Code and reason of the server's close frame, once that has been read.
    pub close_read: Option<(Option<u16>, String)>,
    /// The server has broken the protocol; nothing that follows counts.
    pub broken: bool,
    pub last_read: Duration,
    pub last_written: Duration,
    /// When the client's close frame was written.
    pub closed_at: Option<Duration>,
    /// Keep-alive pings that no sign of life has followed, with when they were written.
    pinged: Vec<(u64, Duration)>,
    /// All pings, with when they were written.
    pings: Vec<(Vec<u8>, Duration)>,
}

impl Wire {
    /// The server's challenge is answered with another request.
    pub fn ask_again(&mut self, now: Duration) {
        let (me, attempt, last_read) = (self.me, self.attempt, self.last_read);
        *self = Self { me, attempt, last_read, last_written: now, asked_again: true, ..Self::default() };
    }

    /// The client has written `bytes`.
    pub fn written(&mut self, bytes: &[u8], now: Duration) -> Vec<Said> {
        self.last_written = now;
        let mut said = Vec::new();
        if self.requested {
            self.out.feed(bytes);
        } else {
            self.head.extend_from_slice(bytes);
            let Some(request) = Request::parse(&self.head) else { return said };
            let mut path = request.path.trim_start_matches('/').split('/').map(str::parse);
            let (Some(Ok(me)), Some(Ok(attempt))) = (path.next(), path.next()) else {
                return vec![Said::Wrong(format!("path {}", request.path))];
            };
            (self.me, self.attempt, self.requested) = (Some(me), attempt as u32, true);
            said.push(Said::Request { me, attempt: self.attempt });
            self.out.feed(&self.head[request.bytes.len()..]);
        }
        while let Some(frame) = self.out.next_frame() {
            said.extend(self.said(frame));
        }
        said
    }

    fn said(&mut self, mut frame: Frame) -> Option<Said> {
        let compressed = self.out_compression.unmark(&mut frame);
        if let Some(fault) = frame.fault() {
            return Some(Said::Wrong(fault.to_owned()));
        }
        if self.close_written.is_some() {
            return Some(Said::Wrong("a frame after the close frame".to_owned()));
        }
        match frame.opcode {
            frame::CLOSE => {
                let code = frame.close().map(|(code, _)| code);
                self.close_written = Some(code);
                self.closed_at = Some(self.last_written);
                Some(Said::Close(code))
            }
            frame::PONG => Some(Said::Pong),
            frame::PING => {
                if let Some(number) = keep_alive(&frame.payload) {
                    self.pinged.push((number, self.last_written));
                }
                self.pings.push((frame.payload.clone(), self.last_written));
                Some(Said::Ping(frame.payload))
            }
            frame::CONTINUATION => {
                let Some(mut message) = self.out_fragments.take() else {
                    return Some(Said::Wrong("a continuation of nothing".to_owned()));
                };
                message.extend(frame.payload);
                if frame.fin {
                    return Some(self.said_whole(message, compressed));
                }
                self.out_fragments = Some(message);
                None
            }
            _ if self.out_fragments.is_some() => Some(Said::Wrong("a message inside another".to_owned())),
            _ if frame.fin => Some(self.said_whole(frame.payload, compressed)),
            _ => {
                self.out_fragments = Some(frame.payload);
                None
            }
        }
    }

    fn said_whole(&mut self, payload: Vec<u8>, compressed: bool) -> Said {
        if !compressed {
            return Said::Message(payload);
        }
        world().cover("compressed: said");
        match self.out_compression.inflate(&payload) {
            Some(message) => Said::Message(message),
            None => Said::Wrong("what is no deflate".to_owned()),
        }
    }

    /// The user does not listen, or did not: no ping that was written so far needs a sign of life.
    pub fn forgive(&mut self) {
        self.pinged.clear();
    }

    /// When the first keep-alive ping was written that no sign of life has followed.
    pub fn silent_since(&self) -> Option<Duration> {
        self.pinged.first().map(|(_, at)| *at)
    }

    /// Whether a ping with this payload was written at `at`.
    pub fn has_pinged(&self, payload: &[u8], at: Option<Duration>) -> bool {
        self.pings.iter().any(|(pinged, written)| *pinged == payload && Some(*written) == at)
    }

    /// Frees what is only needed while messages come and go.
    pub fn forget_contexts(&mut self) {
        self.out_compression.forget();
        self.incoming_compression.forget();
    }

    /// The client of this app has read `bytes`; returns the callbacks that are due.
    pub fn read(&mut self, bytes: &[u8], now: Duration, settings: &Settings) -> Vec<Heard> {
        let (singly, limit) = (settings.fragments, settings.max_message);
        self.last_read = now;
        if !settings.pong_only {
            self.pinged.clear();
        }
        if self.upgraded {
            self.incoming.feed(bytes);
        } else {
            self.answer.extend_from_slice(bytes);
            let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Vec::new();
            };
            if !self.answer.starts_with(b"HTTP/1.1 101") {
                return Vec::new();
            }
            self.upgraded = true;
            let head = String::from_utf8_lossy(&self.answer[..end]);
            (self.out_compression, self.incoming_compression) = Compression::readers(&head);
            self.incoming.feed(&self.answer[end + 4..]);
        }
        let mut heard = Vec::new();
        while !self.broken && self.close_read.is_none() {
            let Some(frame) = self.incoming.next_frame() else { break };
            match self.heard(frame, singly, limit) {
                Some(due) => heard.extend(due),
                None => self.broken = true,
            }
        }
        heard
    }

    /// The callback for this frame, if there is one; `None` for a breach of the protocol.
    fn heard(&mut self, mut frame: Frame, singly: bool, limit: u64) -> Option<Option<Heard>> {
        if self.incoming_compression.unmark(&mut frame) {
            frame.payload = self.incoming_compression.inflate(&frame.payload)?;
            world().cover("compressed: heard");
        }
        let Frame { fin, opcode, payload, .. } = frame;
        if frame.mask.is_some() || frame.rsv != 0 || !frame.shortest {
            return None;
        }
        if opcode >= frame::CLOSE && (!fin || payload.len() > 125) {
            return None;
        }
        let kind = |text| if text { Kind::Text } else { Kind::Binary };
        match opcode {
            frame::PING => Some(Some(Heard::Ping(payload))),
            frame::PONG => {
                if let Some(number) = keep_alive(&payload) {
                    self.pinged.retain(|(pinged, _)| *pinged > number);
                }
                Some(Some(Heard::Pong(payload)))
            }
            frame::CLOSE => {
                let (code, reason) = match payload.split_first_chunk() {
                    None if payload.is_empty() => (None, String::new()),
                    None => return None,
                    Some((code, reason)) => {
                        (Some(u16::from_be_bytes(*code)), reason.to_vec().try_into().ok()?)
                    }
                };
                if code.is_some_and(|code| !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)) {
                    return None;
                }
                self.close_read = Some((code, reason));
                Some(None)
            }
            frame::TEXT | frame::BINARY if self.fragments.is_some() => None,
            frame::TEXT | frame::BINARY if fin => {
                let kind = kind(opcode == frame::TEXT);
                let legal = is_legal(kind, &payload) && payload.len() as u64 <= limit;
                legal.then_some(Some(Heard::Message(kind, payload)))
            }
            frame::TEXT | frame::BINARY | frame::CONTINUATION => {
                let first = opcode != frame::CONTINUATION;
                let (kind, mut whole) = match first {
                    true => (kind(opcode == frame::TEXT), Vec::new()),
                    false => self.fragments.take()?,
                };
                whole.extend_from_slice(&payload);
                let held = if singly { payload.len() } else { whole.len() };
                if held as u64 > limit || (fin && !is_legal(kind, &whole)) {
                    return None;
                }
                if !fin {
                    self.fragments = Some((kind, whole));
                    return Some(singly.then_some(Heard::Fragment { kind, payload, first, last: false }));
                }
                Some(Some(match singly {
                    true => Heard::Fragment { kind, payload, first, last: true },
                    false => Heard::Message(kind, whole),
                }))
            }
            _ => None,
        }
    }
}

/// The number of a ping that no user has sent.
fn keep_alive(payload: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(payload.try_into().ok()?);
    (number < 1 << 32).then_some(number)
}

fn is_legal(kind: Kind, payload: &[u8]) -> bool {
    kind == Kind::Binary || std::str::from_utf8(payload).is_ok()
}
