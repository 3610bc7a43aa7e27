//! Random traffic with tungstenite's server at the other end: what one end sends the other receives.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Result, Write};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use crate::fuzzing::harness::{Client, Leave, Seen};
use crate::{CloseCode, Config, Kind, State};

/// The server's end of a stream: bytes of the client, and bytes for it.
#[derive(Default)]
struct Wire {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Pair {
    random: StdRng,
    client: Client,
    server: WebSocket<Wire>,
}

impl Pair {
    fn new(seed: u64, config: Config) -> Self {
        // Frames leave at once, so that a test knows what is on the wire.
        let theirs = WebSocketConfig::default().write_buffer_size(0).read_buffer_size(4096);
        Self {
            random: StdRng::seed_from_u64(seed),
            client: Client::open(config),
            server: WebSocket::from_raw_socket(Wire::default(), Role::Server, Some(theirs)),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u64() as usize % bound
    }

    /// Mostly short, sometimes round the lengths at which a header changes its form.
    fn len(&mut self, most: usize) -> usize {
        let len = match self.below(32) {
            0..4 => 120 + self.below(12),
            4..6 => 65_530 + self.below(12),
            6 => self.below(20_000),
            _ => self.below(100),
        };
        len.min(most)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.len(most)];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    fn text(&mut self, most: usize) -> String {
        const LETTERS: [char; 6] = ['a', 'ß', '€', '\u{7ff}', '😀', '\u{10ffff}'];
        (0..self.len(most) / 4).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    /// Our output to the server, in pieces; what the server makes of it.
    fn upstream(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let most = 1 + self.below(5000);
            let written = self.client.write(most);
            self.server.get_mut().incoming.extend(&written);
            loop {
                match self.server.read() {
                    Ok(message) => messages.push(message),
                    Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            if written.is_empty() {
                return messages;
            }
        }
    }

    /// The server's output to us, in pieces; what we make of it.
    fn downstream(&mut self) -> Vec<Seen> {
        let bytes = std::mem::take(&mut self.server.get_mut().outgoing);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.below(9000)).min(rest.len()));
            let leave = [Leave::InBuffer, Leave::Absorb, Leave::Spare][self.below(3)];
            self.client.feed(piece, leave).unwrap();
            rest = after;
        }
        self.client.came(&[]).unwrap();
        self.client.take()
    }
}

#[test]
fn what_we_send_is_what_a_server_receives() {
    for seed in 0..12 {
        let mut pair = Pair::new(seed, Config::default());
        for _ in 0..20 {
            let mut expected = Vec::new();
            for _ in 0..pair.below(5) {
                let choice = pair.below(5);
                let (text, bytes) = (pair.text(70_000), pair.bytes(70_000));
                let short = bytes[..bytes.len().min(125)].to_vec();
                let fragments: Vec<_> = (0..pair.below(4)).map(|_| pair.bytes(5000)).collect();
                let Client { conn, env, .. } = &mut pair.client;
                let tx = conn.tx();
                match choice {
                    0 => {
                        tx.send_text(&text, env).unwrap();
                        expected.push(Message::text(text));
                    }
                    1 => {
                        tx.send_binary(&bytes, env).unwrap();
                        expected.push(Message::binary(bytes));
                    }
                    2 => {
                        tx.ping(&short, env).unwrap();
                        expected.push(Message::Ping(short.into()));
                    }
                    3 => {
                        tx.pong(&short, env).unwrap();
                        expected.push(Message::Pong(short.into()));
                    }
                    _ => {
                        let mut kind = Some(Kind::Binary);
                        for fragment in &fragments {
                            tx.send_fragment(kind.take(), fragment, false, env).unwrap();
                        }
                        tx.send_fragment(kind.take(), &bytes, true, env).unwrap();
                        expected.push(Message::binary([fragments.concat(), bytes].concat()));
                    }
                }
            }
            assert_eq!(pair.upstream(), expected, "seed {seed}");
            // Their answers to our pings find them.
            assert!(pair.downstream().iter().all(|seen| matches!(seen, Seen::Pong(_, Some(_)))));
        }
    }
}

#[test]
fn what_a_server_sends_is_what_we_receive() {
    for seed in 0..12 {
        let mut pair = Pair::new(seed, Config::default());
        for _ in 0..20 {
            let (mut expected, mut pings) = (Vec::new(), Vec::new());
            for _ in 0..pair.below(5) {
                let (text, bytes) = (pair.text(70_000), pair.bytes(70_000));
                let short = bytes[..bytes.len().min(125)].to_vec();
                match pair.below(4) {
                    0 => {
                        pair.server.write(Message::text(text.clone())).unwrap();
                        expected.push(Seen::Text(text));
                    }
                    1 => {
                        pair.server.write(Message::binary(bytes.clone())).unwrap();
                        expected.push(Seen::Binary(bytes));
                    }
                    2 => {
                        pair.server.write(Message::Ping(short.clone().into())).unwrap();
                        expected.push(Seen::Ping(short.clone()));
                        pings.push(Message::Pong(short.into()));
                    }
                    _ => {
                        let cut = pair.below(text.len() + 1);
                        let (first, second) = text.as_bytes().split_at(cut);
                        for (payload, opcode, fin) in [
                            (first, Data::Text, false),
                            (&[], Data::Continue, false),
                            (second, Data::Continue, true),
                        ] {
                            let frame = Frame::message(payload.to_vec(), OpCode::Data(opcode), fin);
                            pair.server.write(Message::Frame(frame)).unwrap();
                        }
                        expected.push(Seen::Text(text));
                    }
                }
            }
            pair.server.flush().unwrap();
            assert_eq!(pair.downstream(), expected, "seed {seed}");
            assert_eq!(pair.upstream(), pings, "seed {seed}");
        }
    }
}

#[test]
fn b115_closing_handshakes_with_a_server_from_either_side() {
    let frame = |code: u16, reason: &str| CloseFrame { code: code.into(), reason: reason.into() };

    let mut pair = Pair::new(1, Config::default());
    pair.client.conn.tx().close(&(CloseCode::from(3001), "ours").into(), &mut pair.client.env).unwrap();
    assert_eq!(pair.upstream(), [Message::Close(Some(frame(3001, "ours")))]);
    assert_eq!(pair.downstream(), [Seen::Close(Some(3001), "ours".into())]);
    pair.client.end().unwrap();
    assert_eq!(pair.client.conn.state(), State::Closed);

    let mut pair = Pair::new(2, Config::default());
    pair.server.close(Some(frame(1001, "theirs"))).unwrap();
    assert_eq!(pair.downstream(), [Seen::Close(Some(1001), "theirs".into())]);
    assert_eq!(pair.upstream(), [Message::Close(Some(frame(1001, "")))]);
    assert!(!pair.server.can_read());
}
