//! A stream as bytes: a tunnel.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use websocket_app::{Entropy as _, RunOptions, SeededEntropy};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{SERVER, World, poll_once};

use super::{open, open_in, to_server};

/// A server that sends back what it gets, in other pieces.
fn echoing(world: &World) {
    world.net.serve_arrivals(SERVER, |peer| {
        peer.accept_upgrade();
        while let Some(received) = peer.read_frame() {
            if received.opcode == 8 {
                peer.write(&[frame::binary(b"the end"), frame::close(1000, "")].concat());
                peer.shutdown();
                continue;
            }
            for piece in received.payload.chunks(777) {
                peer.write(&frame::binary(piece));
            }
        }
    });
}

#[test]
fn random_bytes_pass_a_tunnel_unchanged_in_whatever_pieces() {
    for seed in 0..4 {
        let mut faults = Faults::rough();
        (faults.fin, faults.reset) = (0, 0);
        let mut world = World::on(SimNet::new(seed).with_faults(faults));
        echoing(&world);
        let mut connecting = to_server(&world, &RunOptions::new()).into_future();
        while world.reactor.apps().is_empty() || !connected(&mut world) {
            world.run_for(Duration::from_millis(1));
        }
        let stream = world.block_on(&mut connecting).unwrap();
        let (mut read, mut write) = stream.into_bytes().split();
        let mut entropy = SeededEntropy::new([seed as u8; 32]);
        let mut sent = vec![0; 200_000];
        sent.chunks_mut(4).for_each(|four| four.copy_from_slice(&entropy.next_u32().to_ne_bytes()));
        let (mut at, mut received) = (0, Vec::new());
        let mut room = vec![0; 5000];
        while received.len() < sent.len() {
            if at < sent.len()
                && let std::task::Poll::Ready(len) = poll_once(&mut write.write(&sent[at..]))
            {
                let len = len.unwrap();
                assert!((1..=64 << 10).contains(&len));
                at += len;
            }
            world.reactor.poll(Some(Duration::from_millis(1))).unwrap();
            if let std::task::Poll::Ready(len) = poll_once(&mut read.read(&mut room)) {
                received.extend_from_slice(&room[..len.unwrap()]);
            }
        }
        assert!(received == sent, "seed {seed}");
        // The server's last bytes come behind the close, then the end.
        let mut close = write.close();
        while poll_once(&mut close).is_pending() {
            world.reactor.poll(Some(Duration::from_millis(1))).unwrap();
        }
        let mut rest = Vec::new();
        world.block_on(read.read_to_end(&mut rest)).unwrap();
        assert_eq!(rest, b"the end");
        let failure = world.block_on(write.write(b"more")).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::BrokenPipe);
    }
}

/// Whether the only app of the world is open.
fn connected(world: &mut World) -> bool {
    world.in_app(|app| app.is_open())
}

#[test]
fn lines_texts_and_empty_messages_are_bytes_too() {
    let mut pair = open();
    for message in [frame::text("one\ntw"), frame::binary(b""), frame::binary(b"o\n"), frame::close(1000, "")]
    {
        pair.peer.write(&message);
    }
    pair.peer.shutdown();
    let tunnel = pair.stream.into_bytes();
    assert_eq!(tunnel.stream().response().status, 101);
    let mut lines = Vec::new();
    let mut tunnel = tunnel;
    let mut line = String::new();
    while pair.world.block_on(tunnel.read_line(&mut line)).unwrap() > 0 {
        lines.push(std::mem::take(&mut line));
    }
    assert_eq!(lines, ["one\n", "two\n"]);
    assert_eq!(pair.world.block_on(tunnel.read(&mut [0; 8])).unwrap(), 0, "the end stays the end");
    assert_eq!(pair.world.block_on(tunnel.write(b"")).unwrap(), 0);
}

#[test]
fn a_tunnel_that_is_lost_ends_with_an_error_and_makes_no_other_connection() {
    let mut pair =
        open_in(World::new(), &RunOptions::new().reconnect(Duration::from_secs(1)), |connect| connect);
    let mut tunnel = pair.stream.into_bytes();
    pair.peer.write(&frame::binary(b"before"));
    pair.peer.reset();
    let mut room = [0; 8];
    assert_eq!(pair.world.block_on(tunnel.read(&mut room)).unwrap(), 6);
    for _ in 0..2 {
        let failure = pair.world.block_on(tunnel.read(&mut room)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::ConnectionReset);
    }
    let failure = pair.world.block_on(tunnel.write(b"after")).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::ConnectionReset);
    pair.world.run_for(Duration::from_secs(10));
    assert!(pair.listener.accept().is_none());
    assert!(pair.world.reactor.apps().is_empty());
}

#[test]
fn a_tunnel_without_reconnects_ends_with_the_error_of_its_connection() {
    let mut pair = open();
    let mut tunnel = pair.stream.into_bytes();
    pair.peer.shutdown();
    let failure = pair.world.block_on(tunnel.read(&mut [0; 8])).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::UnexpectedEof);
    assert!(failure.get_ref().is_some_and(|inner| inner.is::<websocket_app::Error>()));
}
