//! A connection driven as a caller with one receive buffer drives it, and the wire formats of both ends, written separately so that
//! they do not share the mistakes of the code under test.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::SEC_WEBSOCKET_KEY;

use super::clock::start;
use crate::{
    Config, Connection, Entropy, Env, Error, Event, Fragment, Input, Kind, Message, Opcode, ProtocolError,
    Request, SeededEntropy, State,
};

/// The key of RFC 6455 section 1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What the server answers to it.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An event that owns what it shows.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Seen {
    Open,
    Text(String),
    Binary(Vec<u8>),
    UncheckedText(Vec<u8>),
    Fragment { kind: Kind, payload: Vec<u8>, first: bool, last: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>, Option<Duration>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Open(_) => Self::Open,
            Event::Message(Message::Text(text)) => Self::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Message(Message::UncheckedText(bytes)) => Self::UncheckedText(bytes.to_vec()),
            Event::Fragment(Fragment { kind, payload, first, last }) => {
                Self::Fragment { kind, payload: payload.to_vec(), first, last }
            }
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong { payload, rtt } => Self::Pong(payload.to_vec(), rtt),
            Event::Close(frame) => Self::Close(frame.code.map(u16::from), frame.reason),
        }
    }
}

/// Events up to the server's close frame, and the failure that ended them.
pub(super) type Outcome = (Vec<Seen>, Option<ProtocolError>);

/// How bytes are handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    /// The start of a frame stays in the caller's buffer: more bytes are at hand.
    InBuffer,
    /// The start of a frame goes to `absorb`: the stream would block.
    Absorb,
    /// As `Absorb`, and large payloads are read into `spare`.
    Spare,
}

/// A connection with its surroundings and its caller's buffer.
pub(crate) struct Client {
    pub(crate) env: Env,
    pub(crate) conn: Connection,
    /// Events so far.
    pub(crate) seen: Vec<Seen>,
    buffer: Vec<u8>,
}

impl Client {
    /// A connection whose handshake has begun; the request has been written.
    pub(crate) fn connecting(config: Config) -> Self {
        Self::with_entropy(config, SeededEntropy::new([7; 32]))
    }

    pub(crate) fn with_entropy(config: Config, entropy: impl Entropy + 'static) -> Self {
        let mut env = Env::new(start(), entropy);
        let mut request = Request::new("/");
        request.headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
        let Ok(mut conn) = Connection::new(Arc::new(config), &request, &mut env) else {
            unreachable!("the request is valid")
        };
        conn.wrote(conn.output().len(), &mut env);
        Self { env, conn, seen: Vec::new(), buffer: Vec::new() }
    }

    /// An open connection whose server has answered with `extensions`.
    #[cfg(feature = "deflate")]
    pub(crate) fn extended(config: Config, extensions: &str) -> Result<Self, Error> {
        let mut client = Self::connecting(config);
        let head = RESPONSE.strip_suffix(b"\r\n").unwrap_or_default();
        let lines = format!("Sec-WebSocket-Extensions: {extensions}\r\n\r\n");
        client.feed(&[head, lines.as_bytes()].concat(), Leave::Absorb)?;
        assert_eq!(client.take(), [Seen::Open]);
        Ok(client)
    }

    /// An open connection that has seen nothing yet.
    pub(crate) fn open(config: Config) -> Self {
        let mut client = Self::connecting(config);
        assert_eq!(client.feed(RESPONSE, Leave::Absorb), Ok(()));
        assert_eq!(client.take(), [Seen::Open]);
        client
    }

    /// Bytes came.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], leave: Leave) -> Result<(), Error> {
        while leave == Leave::Spare
            && self.buffer.is_empty()
            && let Some(spare) = self.conn.spare(&mut self.env)
        {
            let len = spare.len().min(bytes.len());
            spare[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            self.conn.filled(len, &mut self.env)?;
            self.receive(&mut Input::new(&[]))?;
            if len == 0 {
                return self.conn.absorb(&mut Input::new(&[]), &mut self.env);
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut input = Input::new(&buffer);
        self.receive(&mut input)?;
        if leave == Leave::InBuffer {
            let used = input.used();
            buffer.drain(..used);
            self.buffer = buffer;
            return Ok(());
        }
        self.conn.absorb(&mut input, &mut self.env)
    }

    fn receive(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        while let Some((event, _)) = self.conn.receive(input, &mut self.env)? {
            self.seen.push(event.into());
        }
        Ok(())
    }

    /// The stream has ended.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.conn.end_of_stream(&mut self.env)
    }

    /// Nothing more comes: what is due next is done.
    pub(crate) fn wait(&mut self) -> Result<(), Error> {
        let deadline = self.conn.deadline();
        assert!(deadline.is_some(), "a connection that is not over has a deadline");
        self.env.now = deadline.unwrap_or(self.env.now);
        self.conn.handle_timeout(&mut self.env)
    }

    /// Events since the last call.
    pub(crate) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// Writes up to `most` bytes of the output.
    pub(crate) fn write(&mut self, most: usize) -> Vec<u8> {
        let output = self.conn.output();
        let written = output[..most.min(output.len())].to_vec();
        self.conn.wrote(written.len(), &mut self.env);
        written
    }

    /// Writes all output and parses it.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let output = self.write(usize::MAX);
        let (sent, rest) = parse_sent(&output);
        assert_eq!(rest, b"", "part of a frame");
        sent
    }

    /// A connection that is over holds nothing, sends nothing and waits for nothing.
    pub(crate) fn assert_over(&self) {
        assert_eq!(self.conn.state(), State::Closed);
        assert_eq!(self.conn.output(), b"");
        assert_eq!(self.conn.deadline(), None);
        assert_eq!(self.conn.held_bytes(), 0);
    }
}

/// A frame from the server.
pub(crate) fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    raw_frame(u8::from(fin) << 7 | opcode as u8, payload)
}

/// A frame from the server with this first byte.
pub(crate) fn raw_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(len as u8),
        len @ 126..65_536 => {
            frame.push(126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A close frame from the server.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(true, Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A frame of ours, unmasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) fin: bool,
    /// RSV1.
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) mask: [u8; 4],
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    /// Code and reason of a close frame.
    pub(crate) fn close(&self) -> Option<(u16, &str)> {
        match (self.opcode, self.payload.as_slice()) {
            (8, [high, low, reason @ ..]) => {
                Some((u16::from_be_bytes([*high, *low]), std::str::from_utf8(reason).ok()?))
            }
            _ => None,
        }
    }
}

/// Parses frames of ours, as strictly as RFC 6455 section 5 allows a server to; returns what is left of a frame that was cut.
pub(crate) fn parse_sent(bytes: &[u8]) -> (Vec<Sent>, &[u8]) {
    let mut sent = Vec::new();
    let mut rest = bytes;
    while let Some((frame, after)) = parse_one(rest) {
        sent.push(frame);
        rest = after;
    }
    (sent, rest)
}

fn parse_one(bytes: &[u8]) -> Option<(Sent, &[u8])> {
    let ([first, second], rest) = bytes.split_first_chunk()?;
    let (fin, compressed, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
    assert_eq!(first & 0x30, 0, "reserved bits");
    assert!(!compressed || matches!(opcode, 1 | 2), "RSV1 in a frame of opcode {opcode}");
    assert!(matches!(opcode, 0..=2 | 8..=10), "opcode {opcode}");
    assert_eq!(second & 0x80, 0x80, "a client masks");
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from(u16::from_be_bytes(*len));
            assert!(len > 125, "length {len} in 16 bits");
            (len, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 65_535, "length {len} in 64 bits");
            (len, rest)
        }
        len => (u64::from(len), rest),
    };
    if opcode >= 8 {
        assert!(fin && len <= 125, "control frame: FIN {fin}, {len} bytes");
    }
    let (mask, rest) = rest.split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Sent { fin, compressed, opcode, mask: *mask, payload }, rest))
}
