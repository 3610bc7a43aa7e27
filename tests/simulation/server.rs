//! The scripted far ends: what they answer, what they say by themselves, and how they misbehave.

use std::time::Duration;

use websocket_testkit::frame::{self, Frame, Length};
use websocket_testkit::handshake::{self, Request};
use websocket_testkit::sim::{End, SimPeer};

use crate::compression::{self, Compression};
use crate::world::{World, world};

/// Pauses of servers and users come from one list, so that both often act at the same moment.
pub const PAUSES: [u64; 8] = [0, 0, 100, 300, 500, 1000, 2000, 4000];

/// One connection, as its server knows it.
pub struct Conversation {
    pub peer: SimPeer,
    stage: Stage,
    reads: bool,
    answers_pings: bool,
    at_close: AtClose,
    compression: Compression,
    /// Messages sent so far.
    sent: u32,
    /// It has sent what no server may.
    pub garbage: bool,
    /// It has sent a close frame.
    closed: bool,
    /// That was not an answer.
    pub began: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The request is still to come.
    Asked,
    Open,
    /// Whatever comes now, nothing is done about it.
    Deaf,
}

/// What is done about the client's close frame.
#[derive(Clone, Copy)]
enum AtClose {
    AnswerAndLeave,
    AnswerAndWait,
    AnswerLater(Duration),
    LeaveWithoutAnswer,
    Ignore,
}

impl Conversation {
    fn draw(world: &World, peer: &SimPeer) -> Self {
        let dice = &world.dice;
        let later = Duration::from_millis(dice.pick(&PAUSES));
        Self {
            peer: peer.clone(),
            stage: Stage::Asked,
            reads: !dice.one_in(8),
            answers_pings: !dice.one_in(4),
            at_close: match dice.below(8) {
                0..4 => AtClose::AnswerAndLeave,
                4 => AtClose::AnswerAndWait,
                5 => AtClose::AnswerLater(later),
                6 => AtClose::LeaveWithoutAnswer,
                _ => AtClose::Ignore,
            },
            compression: Compression::default(),
            sent: 0,
            garbage: false,
            closed: false,
            began: false,
        }
    }
}

impl Conversation {
    /// Frees what is only needed while messages come and go.
    pub fn forget_contexts(&mut self) {
        self.compression.forget();
    }
}

fn with<R>(peer: &SimPeer, work: impl FnOnce(&mut Conversation) -> R) -> R {
    let world = world();
    let mut all = world.conversations.borrow_mut();
    work(all.entry(peer.index()).or_insert_with(|| Conversation::draw(&world, peer)))
}

/// Something has arrived, or the connection has just opened.
pub fn react(peer: &SimPeer) {
    let world = world();
    world.something_done();
    if !world.conversations.borrow().contains_key(&peer.index()) {
        meet(&world, peer);
    }
    match with(peer, |it| it.stage) {
        Stage::Asked => {
            if let Some(request) = peer.read_request() {
                answer(&world, peer, &request);
            }
        }
        Stage::Open if with(peer, |it| it.reads) => listen(&world, peer),
        Stage::Open | Stage::Deaf => {}
    }
}

fn meet(world: &World, peer: &SimPeer) {
    with(peer, |_| ());
    if world.dice.one_in(6) {
        // In whatever phase the connection is then.
        let doom = world.dice.below(3);
        after(peer, world.dice.pick(&PAUSES), move |peer| match doom {
            0 => peer.shutdown(),
            1 => peer.close(),
            _ => peer.reset(),
        });
    }
}

/// Calls `work` after so many milliseconds, on the agenda of the network.
fn after(peer: &SimPeer, millis: u64, work: impl FnOnce(&SimPeer) + 'static) {
    let held = peer.clone();
    peer.net().after(Duration::from_millis(millis), move |_| {
        world().something_done();
        work(&held);
    });
}

fn answer(world: &World, peer: &SimPeer, request: &Request) {
    let dice = &world.dice;
    let agreed = compression::answer(dice, request);
    let line = agreed.as_deref().map(compression::line);
    let accept = handshake::response(request, line.as_deref().as_slice());
    let pause = dice.pick(&PAUSES);
    let choice = dice.below(if world.calm { 80 } else { 40 });
    with(peer, |it| {
        it.stage = Stage::Deaf;
        it.compression = Compression::agreed(agreed);
    });
    match choice {
        0 => drip(peer, refusal(world), 1, pause / 4, listen_again),
        1..4 => {
            peer.write(&refusal(world));
            match dice.below(6) {
                0 => {}
                4 => after(peer, pause, SimPeer::close),
                5 => listen_again(peer),
                1 => peer.reset(),
                2 => peer.close(),
                _ => peer.shutdown(),
            }
        }
        4 => peer.write(b"SSH-2.0-OpenSSH_9.9\r\n"),
        5 if dice.one_in(2) => {
            let never = compression::line("permessage-deflate; server_max_window_bits=7");
            peer.write(&handshake::response(request, &[&never]));
        }
        5 => peer
            .write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        6 => peer.close(),
        7 => peer.reset(),
        8 => {}
        9 => {
            let endless = [b"HTTP/1.1 101 Sure\r\n", "X-Drip: drip\r\n".repeat(400).as_bytes()].concat();
            drip(peer, endless, 16, 50, |_| ());
        }
        10 => drip(peer, accept, dice.pick(&[1, 20]), pause / 100, opened),
        11..14 => after(peer, pause, move |peer| {
            peer.write(&accept);
            opened(peer);
        }),
        14..17 => {
            // Frames in one packet with the response.
            let first = with(peer, |it| message(it, 20, frame::TEXT));
            let mut packet = [accept, first, frame::ping(b"hello")].concat();
            if dice.one_in(4) {
                with(peer, |it| (it.closed, it.began) = (true, true));
                packet.extend(frame::close(1000, "so soon"));
            }
            peer.write(&packet);
            opened(peer);
        }
        _ => {
            peer.write(&accept);
            opened(peer);
        }
    }
}

/// Another request may come.
fn listen_again(peer: &SimPeer) {
    with(peer, |it| it.stage = Stage::Asked);
}

fn refusal(world: &World) -> Vec<u8> {
    let status = world
        .dice
        .pick(&[200, 300, 401, 401, 401, 403, 404, 408, 425, 429, 429, 500, 501, 502, 503, 503, 505]);
    let wait = world.dice.pick(&[
        "",
        "Retry-After: 0\r\n",
        "Retry-After: 2\r\n",
        "Retry-After: 100\r\n",
        "Retry-After: soon\r\n",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:40 GMT\r\n",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:30 GMT\r\n",
        "Retry-After: 99999999999999999999999\r\n",
    ]);
    let body =
        world.dice.pick(&["Content-Length: 4\r\n\r\nbusy", "Content-Length: 9\r\n\r\nbusy", "\r\nbusy"]);
    format!("HTTP/1.1 {status} No\r\n{wait}{body}").into_bytes()
}

/// Sends `bytes` a few at a time, then goes on with `then`.
fn drip(peer: &SimPeer, bytes: Vec<u8>, step: usize, pause: u64, then: fn(&SimPeer)) {
    let now = step.min(bytes.len());
    peer.write(&bytes[..now]);
    if now == bytes.len() {
        then(peer);
    } else if peer.ended().is_none() {
        let rest = bytes[now..].to_vec();
        after(peer, pause, move |peer| drip(peer, rest, step, pause, then));
    }
}

fn opened(peer: &SimPeer) {
    with(peer, |it| it.stage = Stage::Open);
    act_later(peer, 12);
    react(peer);
}

/// Does up to `left` things of the server's own accord.
fn act_later(peer: &SimPeer, left: usize) {
    let world = world();
    if left == 0 || world.dice.one_in(10) {
        return;
    }
    after(peer, world.dice.pick(&PAUSES), move |peer| {
        if peer.ended() != Some(End::Reset) {
            act(peer);
            act_later(peer, left - 1);
        }
    });
}

fn act(peer: &SimPeer) {
    let world = world();
    let dice = &world.dice;
    let size = dice.pick(&[0, 5, 5, 30, 126, 400, 700]);
    let huge = if dice.one_in(300) { 150_000 * (1 + dice.below(4)) } else { size };
    let opcode = dice.pick(&[frame::TEXT, frame::BINARY]);
    match dice.below(if world.calm { 34 } else { 26 }) {
        0 => {
            let code = dice.pick(&[1000, 1001, 1008, 1011, 1012, 1013, 3000, 4999]);
            close(peer, code);
        }
        1 => {
            with(peer, |it| it.closed = true);
            peer.write(&frame::empty_close());
        }
        2 => match dice.below(3) {
            0 => peer.shutdown(),
            1 => peer.close(),
            _ => peer.reset(),
        },
        3 => garbage(&world, peer),
        4 => with(peer, |it| it.reads = !it.reads),
        5..8 => {
            let flood: Vec<u8> =
                (0..20).flat_map(|_| with(peer, |it| message(it, size / 4, frame::BINARY))).collect();
            peer.write(&flood);
        }
        8..11 => peer.write(&frame::ping(format!("q{}", dice.below(1000)).as_bytes())),
        11 => peer.write(&frame::pong(b"unasked")),
        12..16 => fragmented(peer, size + 4, opcode, dice.one_in(2)),
        _ => {
            let bytes = with(peer, |it| message(it, huge, opcode));
            world.huge.set(world.huge.get() || huge > 100_000);
            peer.write(&bytes);
        }
    }
    if with(peer, |it| it.reads && it.stage == Stage::Open) {
        listen(&world, peer);
    }
}

fn payload(it: &mut Conversation, size: usize) -> Vec<u8> {
    it.sent += 1;
    format!("m{}.{}", it.sent, "é".repeat(size / 2)).into_bytes()
}

fn message(it: &mut Conversation, size: usize, opcode: u8) -> Vec<u8> {
    let payload = payload(it, size);
    it.compression.frames(opcode, &[&payload], !it.sent.is_multiple_of(4)).concat()
}

fn fragmented(peer: &SimPeer, size: usize, opcode: u8, with_ping: bool) {
    let payload = with(peer, |it| payload(it, size));
    let (first, rest) = payload.split_at(payload.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let frames =
        with(peer, |it| it.compression.frames(opcode, &[first, second, third], !it.sent.is_multiple_of(4)));
    for (index, frame) in frames.iter().enumerate() {
        if index == 1 && with_ping {
            peer.write(&frame::ping(b"between"));
        }
        peer.write(frame);
    }
}

fn close(peer: &SimPeer, code: u16) {
    with(peer, |it| (it.closed, it.began) = (true, true));
    peer.write(&frame::close(code, "bye"));
    match world().dice.below(6) {
        0 => peer.shutdown(),
        1 => peer.close(),
        2 => peer.reset(),
        // Sent after the close frame, so nobody may hear it.
        3 => peer.write(&frame::text("late")),
        _ => {}
    }
}

fn garbage(world: &World, peer: &SimPeer) {
    with(peer, |it| it.garbage = true);
    let wrong = match world.dice.below(8) {
        0 => frame::masked(0x82, [1, 2, 3, 4], b"masked"),
        // Reserved bits, or a block of a type that there is not.
        1 => frame::encode(true, 4, frame::TEXT, &[6]),
        2 => frame::encode(true, 0, 3, b"unknown"),
        3 => b"\x81\x02\xff\xfe".to_vec(),
        4 => frame::continuation(true, b"of what"),
        5 => frame::raw(0x82, Length::Bits64, b"long"),
        6 => frame::close(1005, ""),
        _ => frame::encode(false, 0, frame::PING, b"fragmented"),
    };
    peer.write(&wrong);
    if world.dice.one_in(4) {
        peer.write(&frame::text("after garbage"));
    }
}

/// Reacts to what the client has sent.
fn listen(world: &World, peer: &SimPeer) {
    while let Some(frame) = peer.read_frame() {
        match frame.opcode {
            frame::PING if with(peer, |it| it.answers_pings) => peer.write(&frame::pong(&frame.payload)),
            frame::CLOSE => hear_close(world, peer, &frame),
            frame::TEXT | frame::BINARY if world.dice.one_in(3) => {
                let reply = with(peer, |it| message(it, 10, frame::TEXT));
                peer.write(&reply);
            }
            _ => {}
        }
    }
}

fn hear_close(world: &World, peer: &SimPeer, frame: &Frame) {
    let began = with(peer, |it| std::mem::replace(&mut it.closed, true));
    if began {
        peer.shutdown();
        return;
    }
    let answer = frame::encode(true, 0, frame::CLOSE, &frame.payload);
    match with(peer, |it| it.at_close) {
        AtClose::AnswerAndLeave if world.dice.one_in(2) => {
            peer.write(&answer);
            peer.close();
        }
        AtClose::AnswerAndLeave => {
            peer.write(&answer);
            peer.shutdown();
        }
        AtClose::AnswerAndWait => peer.write(&answer),
        AtClose::AnswerLater(pause) => after(peer, pause.as_millis() as u64, move |peer| {
            peer.write(&answer);
            peer.shutdown();
        }),
        AtClose::LeaveWithoutAnswer => peer.shutdown(),
        AtClose::Ignore => {}
    }
}
