//! The far ends: how they answer, what they say, and how they end.

use std::rc::{Rc, Weak};
use std::time::Duration;

use websocket_testkit::frame;
use websocket_testkit::handshake;
use websocket_testkit::sim::SimPeer;
use websocket_tests::SERVER;

use super::{MOST_FEEDS, Scene};
use crate::world::port;

/// What one server does.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    answer: Answer,
    at_close: AtClose,
    is_open: bool,
}

#[derive(Clone, Copy, Default)]
enum Answer {
    #[default]
    Accept,
    Refuse,
    Never,
    Leave,
    Reset,
}

/// What is done about the client's close frame.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum AtClose {
    #[default]
    AnswerAndLeave,
    AnswerLater(Duration),
    LeaveWithoutAnswer,
    Ignore,
}

impl Manner {
    fn draw(scene: &Scene) -> Self {
        let dice = &scene.dice;
        let at_close = match dice.below(8) {
            0..5 => AtClose::AnswerAndLeave,
            5 => AtClose::AnswerLater(scene.pause()),
            6 => AtClose::LeaveWithoutAnswer,
            _ => AtClose::Ignore,
        };
        let answer = match dice.below(20) {
            0 => Answer::Refuse,
            1 => Answer::Never,
            2 => Answer::Leave,
            3 => Answer::Reset,
            _ => Answer::Accept,
        };
        Self { answer, at_close, is_open: false }
    }

    /// Whether it ends each connection as the RFC says.
    pub(super) fn is_polite(self) -> bool {
        self.at_close == AtClose::AnswerAndLeave
    }
}

/// The servers of the network, and what sees all that clients read and write.
pub(super) fn populate(scene: &Rc<Scene>) {
    for me in 0..MOST_FEEDS {
        let weak = Rc::downgrade(scene);
        let address = (SERVER.ip(), port(me)).into();
        scene.net.serve_arrivals(address, move |peer| {
            if let Some(scene) = weak.upgrade() {
                react(&scene, peer);
            }
        });
    }
    let weak = Rc::downgrade(scene);
    scene.net.tap(move |index, what| {
        if let Some(scene) = weak.upgrade() {
            scene.tapped(index, what);
        }
    });
}

/// Calls `work` after this long.
fn after(
    scene: &Rc<Scene>,
    peer: &SimPeer,
    time: Duration,
    work: impl FnOnce(&Rc<Scene>, &SimPeer) + 'static,
) {
    let (weak, peer): (Weak<Scene>, _) = (Rc::downgrade(scene), peer.clone());
    scene.net.after(time, move |_| {
        if let Some(scene) = weak.upgrade() {
            work(&scene, &peer);
        }
    });
}

fn react(scene: &Rc<Scene>, peer: &SimPeer) {
    let index = peer.index();
    if scene.line(index, |line| line.peer.is_none()) {
        let manner = Manner::draw(scene);
        scene.line(index, |line| (line.peer, line.manner) = (Some(peer.clone()), manner));
    }
    let manner = scene.line(index, |line| line.manner);
    if manner.is_open {
        return listen(scene, peer);
    }
    let Some(request) = peer.read_request() else { return };
    match manner.answer {
        Answer::Accept => after(scene, peer, scene.pause(), move |scene, peer| {
            peer.write(&handshake::response(&request, &[]));
            scene.line(index, |line| line.manner.is_open = true);
            listen(scene, peer);
            talk(scene, peer);
        }),
        Answer::Refuse => peer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        Answer::Never => {}
        Answer::Leave => peer.close(),
        Answer::Reset => peer.reset(),
    }
}

/// Says something, and more later, until the connection ends.
fn talk(scene: &Rc<Scene>, peer: &SimPeer) {
    let (index, dice) = (peer.index(), &scene.dice);
    if peer.ended().is_some() || scene.line(index, |line| line.has_left) {
        return;
    }
    if dice.one_in(60) {
        scene.cover("a server ended a connection");
        scene.line(index, |line| line.has_left = true);
        match dice.below(4) {
            0 => peer.reset(),
            1 => peer.close(),
            _ => peer.write(&frame::close(dice.pick(&[1000, 1001, 1012]), "")),
        }
        return;
    }
    let mut batch = Vec::new();
    for _ in 0..dice.pick(&[1, 1, 2, 20]) {
        let number = scene.line(index, |line| {
            line.sent += 1;
            line.sent
        });
        let filler = "x".repeat(dice.pick(&[0, 5, 300]));
        batch.extend(frame::text(&format!("{index}.{number}.{filler}")));
    }
    peer.write(&batch);
    if !dice.one_in(40) {
        after(scene, peer, scene.pause(), talk);
    }
}

fn listen(scene: &Rc<Scene>, peer: &SimPeer) {
    let index = peer.index();
    while let Some(frame) = peer.read_frame() {
        if frame.opcode == frame::PING {
            peer.write(&frame::pong(&frame.payload));
        }
        if frame.opcode != frame::CLOSE {
            continue;
        }
        let (began, manner) =
            scene.line(index, |line| (std::mem::replace(&mut line.has_left, true), line.manner));
        if began {
            return peer.shutdown();
        }
        let answer = frame::encode(true, 0, frame::CLOSE, &frame.payload);
        match manner.at_close {
            AtClose::AnswerAndLeave => {
                peer.write(&answer);
                peer.shutdown();
            }
            AtClose::AnswerLater(pause) => after(scene, peer, pause, move |_, peer| {
                peer.write(&answer);
                peer.shutdown();
            }),
            AtClose::LeaveWithoutAnswer => peer.shutdown(),
            AtClose::Ignore => {}
        }
    }
}
