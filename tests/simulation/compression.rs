//! Compressed messages: what apps offer, what servers answer, and what both ends make of it.

use websocket_app::{Deflate, DeflateOffer};
use websocket_testkit::deflate::Codec;
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::handshake::Request;

use crate::dice::Dice;

const HEADER: &str = "Sec-WebSocket-Extensions";

/// Ends the data of a fragment that others follow.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What an app offers; most offer nothing.
pub fn offers(dice: &Dice) -> Option<Deflate> {
    let frugal = DeflateOffer::new().server_no_context_takeover().client_no_context_takeover();
    let deflate = match dice.below(6) {
        0 => Deflate::new(),
        1 => frugal.into(),
        2 => Deflate::with_offers([frugal, DeflateOffer::new()]),
        _ => return None,
    };
    Some(deflate.level(dice.pick(&[0, 1, 6])).threshold(dice.pick(&[0, 100])))
}

/// The server's answer to what was offered, if it accepts.
pub fn answer(dice: &Dice, request: &Request) -> Option<String> {
    let offered = request.header(HEADER)?;
    let parameters = match dice.below(5) {
        0 => return None,
        _ if offered.contains("server_no_context_takeover") => {
            "; server_no_context_takeover; client_no_context_takeover"
        }
        1 => "; client_max_window_bits=8",
        2 => "; server_no_context_takeover; server_max_window_bits=9",
        3 => "; client_no_context_takeover",
        _ => "",
    };
    Some(format!("permessage-deflate{parameters}"))
}

/// The line of a response with this answer.
pub fn line(answer: &str) -> String {
    format!("{HEADER}: {answer}")
}

/// The answer in the head of a response.
fn answered(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix(HEADER)?.strip_prefix(": "))
}

/// What was agreed, and one end's contexts, which are made when they are needed.
#[derive(Default)]
pub struct Compression {
    answer: Option<String>,
    codec: Option<Codec>,
    /// The message under way is compressed.
    inside: bool,
}

impl Compression {
    pub const fn agreed(answer: Option<String>) -> Self {
        Self { answer, codec: None, inside: false }
    }

    /// As the server reads after this head of a response, and as the client does.
    pub fn readers(head: &str) -> (Self, Self) {
        let answer = answered(head);
        // What a server does is named from the client's side.
        let mirrored = answer.map(|answer| match answer.contains("server_no_context_takeover") {
            true => "permessage-deflate; client_no_context_takeover".to_owned(),
            false => "permessage-deflate".to_owned(),
        });
        (Self::agreed(answer.map(str::to_owned)), Self::agreed(mirrored))
    }

    /// Frees the contexts.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    fn codec(&mut self) -> Option<&mut Codec> {
        let answer = self.answer.as_deref()?;
        Some(self.codec.get_or_insert_with(|| Codec::new(answer)))
    }

    /// A server's message in a frame for each of `parts`, compressed where that was agreed and `wanted`.
    pub fn frames(&mut self, opcode: u8, parts: &[&[u8]], wanted: bool) -> Vec<Vec<u8>> {
        let last = parts.len() - 1;
        let mut codec = self.codec().filter(|_| wanted);
        let frame = |(index, part): (usize, &&[u8])| {
            let (fin, opcode) = (index == last, if index == 0 { opcode } else { frame::CONTINUATION });
            let Some(codec) = &mut codec else { return frame::encode(fin, 0, opcode, part) };
            let mut payload = codec.compress(part);
            if !fin {
                payload.extend(TAIL);
            }
            frame::encode(fin, if index == 0 { 4 } else { 0 }, opcode, &payload)
        };
        parts.iter().enumerate().map(frame).collect()
    }

    /// Whether the frame is part of a compressed message. RSV1, which says so, is taken off.
    pub fn unmark(&mut self, frame: &mut Frame) -> bool {
        match frame.opcode {
            frame::TEXT | frame::BINARY => {
                self.inside = self.answer.is_some() && frame.rsv == 4;
                if self.inside {
                    frame.rsv = 0;
                }
                self.inside
            }
            frame::CONTINUATION => self.inside,
            _ => false,
        }
    }

    /// What a message is inflated to, or a fragment of a server's; `None` for what begins with a block of no known type.
    pub fn inflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.first().is_some_and(|first| first & 6 == 6) {
            return None;
        }
        let payload = payload.strip_suffix(&TAIL).unwrap_or(payload);
        self.codec().map(|codec| codec.inflate(payload))
    }
}
