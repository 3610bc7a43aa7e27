//! What a stream sends: order, room, flushing, the time between two connections.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use websocket_app::{RunOptions, SendError, State};
use websocket_stream::{Error, Message};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Wakes, World, poll_for, poll_once};

use super::{Pair, open, open_in, text, texts};

const SECOND: Duration = Duration::from_secs(1);

/// A stream whose system takes 1000 bytes for a server that does not read.
fn slow(options: &RunOptions) -> Pair {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    open_in(World::on(SimNet::new(1).with_faults(faults)), options, |connect| connect)
}

#[test]
fn what_is_fed_leaves_in_order_with_one_wake_of_the_task_per_flush() {
    let mut pair = open();
    for number in 0..100 {
        assert!(poll_once(&mut pair.stream.feed(text(number))).is_ready());
    }
    let wakes = Arc::new(Wakes::default());
    let mut flush = pair.stream.flush();
    assert!(poll_for(&wakes, &mut flush).is_pending());
    pair.world.settle();
    assert_eq!(wakes.count(), 1);
    assert!(matches!(poll_for(&wakes, &mut flush), std::task::Poll::Ready(Ok(()))));
    let expected: Vec<_> = (0..100).map(|number| format!("message {number}")).collect();
    assert_eq!(texts(&pair.peer), expected);
}

#[test]
fn a_flush_ends_when_the_system_has_the_last_byte() {
    let mut pair = slow(&RunOptions::new());
    pair.world.block_on(pair.stream.send(Message::from(vec![1; 100]))).unwrap();
    assert!(poll_once(&mut pair.stream.feed(vec![2; 5000].into())).is_ready());
    let mut flush = pair.stream.flush();
    assert!(poll_once(&mut flush).is_pending());
    pair.world.settle();
    assert!(poll_once(&mut flush).is_pending(), "the server does not read");
    let mut taken = 0;
    while poll_once(&mut flush).is_pending() {
        taken += pair.peer.read_available().len();
        pair.world.settle();
    }
    taken += pair.peer.read_available().len();
    assert!(taken > 5000, "{taken}");
    assert!(poll_once(&mut pair.stream.flush()).is_ready(), "nothing was sent since");
}

#[test]
fn a_sink_that_has_no_room_takes_one_message_more_and_then_none() {
    let mut pair = slow(&RunOptions::new().max_queued_bytes(3000));
    let mut fed = 0;
    while poll_once(&mut pair.stream.feed(vec![fed; 900].into())).is_ready() {
        fed += 1;
        pair.world.settle();
        assert!(fed < 10, "there is no limit");
    }
    // 1000 bytes at the system, 3000 in the queue, and one in the sink.
    assert!((3..=6).contains(&fed), "{fed}");
    let too_big = pair.stream.sender().send_bytes(vec![0; 3000]).unwrap_err();
    assert!(matches!(too_big.reason, SendError::TooBig { .. }));
    let mut received = Vec::new();
    let mut rest = pair.stream.flush();
    while poll_once(&mut rest).is_pending() {
        pair.world.settle();
        received.extend(std::iter::from_fn(|| pair.peer.read_frame()).map(|frame| frame.payload[0]));
    }
    pair.world.settle();
    received.extend(std::iter::from_fn(|| pair.peer.read_frame()).map(|frame| frame.payload[0]));
    assert_eq!(received, (0..fed).collect::<Vec<_>>());
}

#[test]
fn a_message_that_is_never_accepted_is_an_error_and_the_stream_continues() {
    let mut pair = slow(&RunOptions::new().max_queued_bytes(3000));
    let refusal = pair.world.block_on(pair.stream.send(vec![0; 3000].into())).unwrap_err();
    assert!(matches!(refusal, Error::Send(SendError::TooBig { .. })), "{refusal}");
    let refusal = pair.world.block_on(pair.stream.send(Message::Ping(vec![0; 126].into()))).unwrap_err();
    assert!(matches!(refusal, Error::Send(SendError::ControlTooLong { len: 126 })), "{refusal}");
    pair.world.block_on(pair.stream.send(text(0))).unwrap();
    assert_eq!(texts(&pair.peer), ["message 0"]);
}

#[test]
fn what_is_fed_between_two_connections_goes_to_the_next_one_in_order() {
    let mut pair = open_in(World::new(), &RunOptions::new().reconnect(SECOND), |connect| connect);
    // Accepted, and not on the wire when the connection is lost.
    assert!(poll_once(&mut pair.stream.feed(text(0))).is_ready());
    pair.peer.reset();
    pair.world.net.refuse(websocket_tests::SERVER);
    pair.world.settle();
    assert!(poll_once(&mut pair.stream.feed(text(1))).is_ready(), "one waits in the sink");
    assert!(poll_once(&mut pair.stream.feed(text(2))).is_pending());
    // An attempt is under way, and fails.
    pair.world.run_for(SECOND);
    assert!(poll_once(&mut pair.stream.feed(text(2))).is_pending());
    let listener = pair.world.net.listen(websocket_tests::SERVER);
    pair.world.run_for(SECOND);
    let peer = pair.world.accept(&listener);
    pair.world.block_on(pair.stream.send(text(2))).unwrap();
    let mut all = texts(&pair.peer);
    all.extend(texts(&peer));
    assert_eq!(all, ["message 0", "message 1", "message 2"]);
}

#[test]
fn sending_fails_when_the_connection_has_ended_and_says_what_was_not_sent() {
    let mut pair = slow(&RunOptions::new());
    assert!(poll_once(&mut pair.stream.feed(vec![1; 5000].into())).is_ready());
    let mut flush = pair.stream.flush();
    assert!(poll_once(&mut flush).is_pending());
    pair.world.settle();
    pair.peer.reset();
    let failure = pair.world.block_on(&mut flush).unwrap_err();
    assert!(matches!(failure, Error::Send(SendError::NotOpen(State::Closed))), "{failure}");
    let failure = pair.world.block_on(pair.stream.send(text(1))).unwrap_err();
    assert!(matches!(failure, Error::Send(SendError::NotOpen(State::Closed))), "{failure}");
    assert!(matches!(pair.world.block_on(pair.stream.next()), Some(Err(Error::Connection(_)))));
    assert_eq!(pair.stream.closed().unwrap().unsent, [Message::from(vec![1; 5000])]);
}

#[test]
fn a_message_that_waits_for_a_connection_fails_when_none_follows() {
    let mut pair = open_in(World::new(), &RunOptions::new().reconnect(SECOND), |connect| connect);
    pair.peer.reset();
    pair.world.settle();
    let mut send = pair.stream.feed(text(0));
    assert!(poll_once(&mut send).is_ready());
    let mut flush = pair.stream.flush();
    assert!(poll_once(&mut flush).is_pending());
    pair.world.reactor.handle().stop();
    let failure = pair.world.block_on(flush).unwrap_err();
    assert!(matches!(failure, Error::Send(SendError::NotOpen(State::Closed))), "{failure}");
}

#[test]
fn halves_work_in_two_tasks_and_several_streams_share_a_reactor() {
    let mut pair = open();
    let mut connecting = super::to_server(&pair.world, &RunOptions::new()).into_future();
    pair.world.settle();
    let other_peer = pair.world.accept(&pair.listener);
    let mut other = pair.world.block_on(&mut connecting).unwrap();
    let (mut write, mut read) = pair.stream.split();
    let mut next = read.next();
    assert!(poll_once(&mut next).is_pending());
    pair.world.block_on(write.send(text(1))).unwrap();
    pair.world.block_on(other.send(text(2))).unwrap();
    assert_eq!((texts(&pair.peer), texts(&other_peer)), (vec!["message 1".into()], vec!["message 2".into()]));
    other_peer.write(&frame::text("for the other"));
    pair.peer.write(&frame::text("for this one"));
    assert_eq!(pair.world.block_on(next).unwrap().unwrap().as_text(), Some("for this one"));
    assert_eq!(pair.world.block_on(other.next()).unwrap().unwrap().as_text(), Some("for the other"));
}
