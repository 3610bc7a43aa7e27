//! Connections as streams and sinks, on reactors of every kind.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bytes;
mod cancelled;
mod closing;
mod opening;
mod receiving;
#[cfg(unix)]
mod runtimes;
mod sending;

use websocket_app::RunOptions;
use websocket_stream::{Connect, Message, WebSocketStream, connect};
use websocket_testkit::sim::{SimListener, SimPeer};
use websocket_tests::{SERVER, URL, World};

/// The connection of a stream, at both ends.
struct Pair {
    world: World,
    listener: SimListener,
    stream: WebSocketStream,
    peer: SimPeer,
}

/// A stream that is to be connected.
fn to_server(world: &World, options: &RunOptions) -> Connect {
    connect(URL, options, &world.reactor.handle())
}

/// Opens a stream in `world`.
fn open_in(mut world: World, options: &RunOptions, change: impl FnOnce(Connect) -> Connect) -> Pair {
    let listener = world.net.listen(SERVER);
    let mut connecting = change(to_server(&world, options)).into_future();
    world.settle();
    let peer = world.accept(&listener);
    let stream = world.block_on(&mut connecting).unwrap();
    Pair { world, listener, stream, peer }
}

fn open() -> Pair {
    open_in(World::new(), &RunOptions::new(), |connect| connect)
}

fn text(number: usize) -> Message {
    format!("message {number}").into()
}

/// The texts of the frames that have arrived at the server.
fn texts(peer: &SimPeer) -> Vec<String> {
    std::iter::from_fn(|| peer.read_frame())
        .filter(|frame| frame.opcode == 1)
        .map(|frame| frame.text())
        .collect()
}
