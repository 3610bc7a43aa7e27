//! How a stream ends from this side.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use websocket_app::{CloseCode, RunOptions, SendError, Side};
use websocket_stream::Error;
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{World, poll_once};

use super::{open, open_in, text, texts};

/// The close frames that have arrived at the server, with what came before them.
fn frames(peer: &SimPeer) -> Vec<String> {
    std::iter::from_fn(|| peer.read_frame())
        .map(|frame| match frame.close().filter(|_| frame.opcode == 8) {
            Some((code, reason)) => format!("close {code} {reason}"),
            None => frame.text(),
        })
        .collect()
}

#[test]
fn close_sends_what_was_fed_and_waits_for_the_answer() {
    let mut pair = open();
    assert!(poll_once(&mut pair.stream.feed(text(0))).is_ready());
    let mut close = Box::pin(pair.stream.close_with((CloseCode::Away, "bye")));
    assert!(poll_once(&mut close).is_pending());
    pair.world.settle();
    assert!(poll_once(&mut close).is_pending(), "the message is written");
    pair.world.settle();
    assert_eq!(frames(&pair.peer), ["message 0", "close 1001 bye"]);
    assert!(poll_once(&mut close).is_pending());
    pair.peer.write(&[frame::text("last words"), frame::close(1001, "bye")].concat());
    pair.peer.shutdown();
    pair.world.block_on(close).unwrap();
    assert_eq!(pair.stream.closed().unwrap().by, Some(Side::Client));
    let last = pair.world.block_on(pair.stream.next()).unwrap().unwrap();
    assert_eq!(last.as_text(), Some("last words"));
    assert!(pair.world.block_on(pair.stream.next()).is_none());
    pair.world.block_on(pair.stream.close()).unwrap();
    let refusal = pair.world.block_on(pair.stream.send(text(1))).unwrap_err();
    assert!(matches!(refusal, Error::Send(SendError::NotOpen(_))), "{refusal}");
}

#[test]
fn a_close_that_must_not_be_sent_is_refused_and_the_stream_continues() {
    let mut pair = open();
    let refusal = pair.world.block_on(pair.stream.close_with(CloseCode::from(1005))).unwrap_err();
    assert!(matches!(refusal, Error::Send(SendError::InvalidCloseCode(1005))), "{refusal}");
    pair.world.block_on(pair.stream.send(text(0))).unwrap();
    assert_eq!(texts(&pair.peer), ["message 0"]);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let mut pair = open();
    let mut close = Box::pin(pair.stream.close());
    assert!(poll_once(&mut close).is_pending());
    pair.world.run_for(Duration::from_secs(3));
    let failure = pair.world.block_on(close).unwrap_err();
    assert!(matches!(failure, Error::Connection(websocket_app::Error::Timeout(_))), "{failure}");
}

#[test]
fn closing_ends_also_where_the_queue_is_full_and_keeps_what_fits() {
    let mut pair = open_in(World::new(), &RunOptions::new(), |connect| connect.buffer(200));
    let burst: Vec<u8> = (0..50).flat_map(|number| frame::text(&format!("message {number}"))).collect();
    pair.peer.write(&[burst, frame::close(1000, "")].concat());
    pair.peer.shutdown();
    pair.world.settle();
    pair.world.block_on(pair.stream.close()).unwrap();
    let unread = pair.world.block_on(pair.stream.by_ref().collect::<Vec<_>>());
    assert_eq!(unread.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [text(0), text(1), text(2)]);
}

#[test]
fn a_stream_that_is_dropped_says_goodbye_behind_what_was_fed() {
    let mut pair =
        open_in(World::new(), &RunOptions::new().reconnect(Duration::from_secs(1)), |connect| connect);
    assert!(poll_once(&mut pair.stream.feed(text(0))).is_ready());
    drop(pair.stream);
    pair.world.settle();
    assert_eq!(frames(&pair.peer), ["message 0", "close 1001 "]);
    assert!(pair.peer.ended().is_some() && pair.world.reactor.apps().is_empty(), "nothing is waited for");
    pair.world.run_for(Duration::from_secs(60));
    assert!(pair.listener.accept().is_none(), "no other attempt follows");
}

#[test]
fn a_stream_that_is_dropped_with_a_full_queue_ends_too() {
    let mut pair = open_in(World::new(), &RunOptions::new(), |connect| connect.buffer(0));
    pair.peer.write(&[frame::text("0"), frame::text("1"), frame::text("2")].concat());
    pair.world.settle();
    drop(pair.stream);
    pair.world.settle();
    assert_eq!(frames(&pair.peer), ["close 1001 "]);
    assert!(pair.world.reactor.apps().is_empty());
}

#[test]
fn the_connection_lives_until_both_halves_are_dropped() {
    let pair = open();
    let (mut world, peer) = (pair.world, pair.peer);
    let (write, mut read) = pair.stream.split();
    drop(write);
    peer.write(&frame::text("message 0"));
    assert_eq!(world.block_on(read.next()).unwrap().unwrap(), text(0));
    drop(read);
    world.settle();
    assert_eq!(frames(&peer), ["close 1001 "]);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn a_stream_whose_app_is_removed_ends_with_a_typed_error() {
    let mut pair = open();
    pair.stream.sender().remove();
    let end = pair.world.block_on(pair.stream.next());
    assert!(matches!(end, Some(Err(Error::Stopped))), "{end:?}");
}

#[test]
fn a_stream_is_closed_while_it_waits_to_connect_again() {
    let mut pair =
        open_in(World::new(), &RunOptions::new().reconnect(Duration::from_secs(1)), |connect| connect);
    pair.peer.reset();
    pair.world.settle();
    // The connection has ended with a failure, and no other was made.
    let failure = pair.world.block_on(pair.stream.close()).unwrap_err();
    assert!(matches!(failure, Error::Connection(websocket_app::Error::Io(_))), "{failure}");
    assert!(pair.world.block_on(pair.stream.next()).is_none());
    assert!(pair.world.reactor.apps().is_empty());
}
