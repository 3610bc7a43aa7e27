//! One connection: what its two ends have done.

use std::time::Duration;

use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::handshake::Request;
use websocket_testkit::sim::SimPeer;

use super::server::Manner;

#[derive(Default)]
pub(super) struct Line {
    /// The app and its attempt, once something has been written.
    pub(super) owner: Option<(usize, u32)>,
    has_request: bool,
    head: Vec<u8>,
    out: Decoder,
    answer: Vec<u8>,
    incoming: Decoder,
    /// The whole response has been read, and it opens the connection.
    pub(super) upgraded: bool,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    /// Messages that were read by the client, and those that were delivered to the app.
    pub(super) read: u32,
    pub(super) delivered: u32,
    /// Since which turn there is something that was not read, or not delivered, with nothing read or delivered meanwhile.
    pub(super) behind_since: Option<u64>,
    pub(super) delivered_at_last_look: (u32, u64),
    /// The last message that a callback has sent.
    pub(super) last_direct: Option<u64>,
    /// The server's close frame has been read.
    pub(super) close_read: bool,
    /// When the client's close frame was written.
    pub(super) closed_at: Option<Duration>,
    /// The server's end, and what it does.
    pub(super) peer: Option<SimPeer>,
    pub(super) manner: Manner,
    pub(super) sent: u32,
    /// The server has sent a close frame, or has left without.
    pub(super) has_left: bool,
}

/// What the client has written.
pub(super) enum Said {
    Message(String),
    Close(Option<u16>),
    Wrong(String),
}

impl Line {
    pub(super) fn written(&mut self, bytes: &[u8], now: Duration) -> Vec<Said> {
        self.bytes_written += bytes.len() as u64;
        if self.has_request {
            self.out.feed(bytes);
        } else {
            self.head.extend_from_slice(bytes);
            let Some(request) = Request::parse(&self.head) else { return Vec::new() };
            if self.owner.is_none_or(|(me, attempt)| request.path != format!("/{me}/{attempt}")) {
                return vec![Said::Wrong(format!("asks for {} instead of {:?}", request.path, self.owner))];
            }
            self.has_request = true;
            self.out.feed(&self.head[request.bytes.len()..]);
        }
        let mut said = Vec::new();
        while let Some(frame) = self.out.next_frame() {
            if let Some(fault) = frame.fault() {
                said.push(Said::Wrong(fault.to_owned()));
            }
            if self.closed_at.is_some() {
                said.push(Said::Wrong("a frame behind the close frame".to_owned()));
            }
            match frame.opcode {
                frame::CLOSE => {
                    self.closed_at = Some(now);
                    said.push(Said::Close(frame.close().map(|(code, _)| code)));
                }
                frame::TEXT => said.push(Said::Message(frame.text())),
                _ => {}
            }
        }
        said
    }

    pub(super) fn has_read(&mut self, bytes: &[u8]) {
        self.bytes_read += bytes.len() as u64;
        if self.upgraded {
            self.incoming.feed(bytes);
        } else {
            self.answer.extend_from_slice(bytes);
            let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            if !self.answer.starts_with(b"HTTP/1.1 101") {
                return;
            }
            self.upgraded = true;
            self.incoming.feed(&self.answer[end + 4..]);
        }
        while !self.close_read
            && let Some(frame) = self.incoming.next_frame()
        {
            match frame.opcode {
                frame::TEXT => self.read += 1,
                frame::CLOSE => self.close_read = true,
                _ => {}
            }
        }
    }

    /// Whether the server has noticed that the client's end is gone, or the connection is broken.
    pub(super) fn is_gone(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.ended().is_some() || peer.client_end().reset)
    }
}
