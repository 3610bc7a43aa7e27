//! An app that notices when it is held up, and one that holds others up.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Context, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;

use crate::World;

/// Puts an app on the reactor that sends a message every second to a decent server of its own and wants an answer to its pings. Returns
/// how many of its messages have come back.
///
/// # Panics
/// When it is refused.
pub fn neighbour(world: &mut World) -> Rc<Cell<u32>> {
    world.net.serve_arrivals(([192, 0, 2, 2], 80).into(), echo);
    let echoes = Rc::new(Cell::new(0));
    let heard = echoes.clone();
    let second = Duration::from_secs(1);
    let options = RunOptions::new().ping_interval(second).ping_timeout(second / 2);
    WebSocketApp::new("ws://192.0.2.2/")
        .on_open(move |app, _| {
            app.set_interval(second, |app| app.send_text("tick"));
        })
        .on_message(move |_, _| heard.set(heard.get() + 1))
        .run_on(&mut world.reactor, &options)
        .expect("the app is accepted");
    world.settle();
    echoes
}

/// Lets the reactor spend `time` in the callback of an app that does nothing else, `after` from now.
///
/// # Panics
/// When it is refused.
pub fn busy(world: &mut World, after: Duration, time: Duration) {
    world.net.black_hole(([192, 0, 2, 9], 80).into());
    let options = RunOptions::new().connect_timeout(Duration::MAX).attempt_timeout(Duration::MAX);
    let id = WebSocketApp::new("ws://192.0.2.9/")
        .run_on(&mut world.reactor, &options)
        .expect("the app is accepted");
    let net = world.net.clone();
    let set = |app: &mut Context<'_>| app.set_timeout(after, move |_| net.advance(time));
    world.reactor.apps().with(id, set).expect("the app is there");
}

/// Opens each connection and answers pings, messages and closes.
pub(crate) fn echo(peer: &SimPeer) {
    peer.accept_upgrade();
    while let Some(it) = peer.read_frame() {
        match it.opcode {
            frame::PING => peer.write(&frame::pong(&it.payload)),
            frame::CLOSE => {
                peer.write(&frame::encode(true, 0, frame::CLOSE, &it.payload));
                peer.shutdown();
            }
            frame::PONG => {}
            opcode => peer.write(&frame::encode(true, 0, opcode, &it.payload)),
        }
    }
}
