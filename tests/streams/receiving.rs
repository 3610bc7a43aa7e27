//! What a stream receives: order, ends, the limit on what is queued, reconnects.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::stream::FusedStream as _;
use futures_util::{SinkExt as _, Stream as _, StreamExt as _};
use websocket_app::{Error as AppError, RunOptions, Side};
use websocket_stream::{Error, Event, Message};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Wakes, World, poll_for, poll_once};

use super::{open, open_in, text, texts};

const SECOND: Duration = Duration::from_secs(1);

fn reconnecting() -> RunOptions {
    RunOptions::new().reconnect(SECOND)
}

#[test]
fn messages_come_in_order_then_the_end_with_its_code() {
    let mut pair = open();
    for number in 0..3 {
        pair.peer.write(&frame::text(&format!("message {number}")));
    }
    pair.peer.write(&frame::ping(b"not shown"));
    pair.peer.write(&frame::binary(&vec![7; 100_000]));
    pair.peer.write(&frame::close(4000, "enough"));
    pair.peer.shutdown();
    let all = pair.world.block_on(pair.stream.by_ref().collect::<Vec<_>>());
    let all: Vec<Message> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all, [text(0), text(1), text(2), vec![7; 100_000].into()]);
    let closed = pair.stream.closed().unwrap();
    assert_eq!(
        (closed.code.map(u16::from), &*closed.reason, closed.by),
        (Some(4000), "enough", Some(Side::Server))
    );
    assert!(pair.stream.is_terminated() && matches!(poll_once(&mut pair.stream.next()), Poll::Ready(None)));
}

#[test]
fn a_loss_is_the_last_item_behind_the_messages() {
    let mut pair = open();
    pair.peer.write(&frame::text("message 0"));
    pair.peer.reset();
    assert_eq!(pair.world.block_on(pair.stream.next()).unwrap().unwrap(), text(0));
    let end = pair.world.block_on(pair.stream.next());
    assert!(matches!(end, Some(Err(Error::Connection(AppError::Io(_))))), "{end:?}");
    assert!(pair.world.block_on(pair.stream.next()).is_none());
    assert!(pair.world.reactor.apps().is_empty());
}

#[test]
fn a_task_is_woken_once_for_all_messages_of_a_read() {
    let mut pair = open();
    let wakes = Arc::new(Wakes::default());
    assert!(poll_for(&wakes, &mut pair.stream.next()).is_pending());
    let burst: Vec<u8> = (0..100).flat_map(|_| frame::text("x")).collect();
    pair.peer.write(&burst);
    pair.world.settle();
    assert_eq!(wakes.count(), 1);
    for _ in 0..100 {
        assert!(poll_for(&wakes, &mut pair.stream.next()).is_ready());
    }
    assert!(poll_for(&wakes, &mut pair.stream.next()).is_pending());
    assert_eq!(wakes.count(), 1);
}

#[test]
fn a_server_is_held_back_while_nothing_is_read_and_nothing_is_lost() {
    const LIMIT: usize = 10_000;
    const MESSAGES: usize = 3000;
    let mut faults = Faults::default();
    faults.send_buffer = 4000;
    let world = World::on(SimNet::new(1).with_faults(faults));
    let mut pair = open_in(world, &RunOptions::new(), |connect| connect.buffer(LIMIT));
    let message = |number| format!("{number:1000}");
    let mut bytes: Vec<u8> = (0..MESSAGES).flat_map(|number| frame::text(&message(number))).collect();
    bytes.extend(frame::close(1000, ""));
    pair.peer.write(&bytes);
    pair.peer.shutdown();
    pair.world.run_for(SECOND);
    // The queue of the stream is full, so the socket is, and what the server writes waits at its end.
    let waiting = pair.peer.client_end();
    assert!(waiting.unread > bytes.len() - (300 << 10), "{waiting:?}");
    for number in 0..MESSAGES {
        let next = pair.world.block_on(pair.stream.next()).unwrap().unwrap();
        assert_eq!(next.as_text(), Some(&*message(number)));
    }
    assert!(pair.world.block_on(pair.stream.next()).is_none());
    assert_eq!(pair.stream.closed().unwrap().by, Some(Side::Server));
}

#[test]
fn a_full_queue_takes_no_more_than_its_limit_and_one_message() {
    for (limit, expected) in [(0, 1), (73, 1), (74, 2), (730, 10), (731, 11)] {
        let mut pair = open_in(World::new(), &RunOptions::new(), |connect| connect.buffer(limit));
        let burst: Vec<u8> = (10..60).flat_map(|number| frame::text(&format!("number {number}"))).collect();
        pair.peer.write(&burst);
        pair.world.settle();
        // Each counts 9 bytes and 64. What is taken out is all that is queued; the queue fills again in a later turn.
        let received = pair.world.in_app(|app| app.stats().received.messages);
        assert_eq!(received, expected, "limit {limit}");
        for number in 10..60 {
            let next = pair.world.block_on(pair.stream.next()).unwrap().unwrap();
            assert_eq!(next.as_text(), Some(&*format!("number {number}")));
        }
    }
}

#[test]
fn a_half_that_is_dropped_drops_what_comes_and_the_rest_works() {
    let mut pair = open_in(World::new(), &RunOptions::new(), |connect| connect.buffer(100));
    let burst: Vec<u8> = (0..50).flat_map(|_| frame::text("unread")).collect();
    pair.peer.write(&burst);
    pair.world.settle();
    let (mut write, read) = pair.stream.split();
    drop(read);
    pair.peer.write(&frame::ping(b"there?"));
    pair.world.block_on(write.send(text(0))).unwrap();
    pair.world.settle();
    let frames: Vec<_> = std::iter::from_fn(|| pair.peer.read_frame()).map(|frame| frame.opcode).collect();
    assert!(frames.contains(&1) && frames.contains(&10), "{frames:?}");
    pair.peer.write(&frame::close(1000, ""));
    pair.peer.shutdown();
    pair.world.block_on(write.close()).unwrap();
}

#[test]
fn reconnects_are_hidden_from_a_stream() {
    let mut pair = open_in(World::new(), &reconnecting(), |connect| connect);
    pair.peer.write(&frame::text("message 0"));
    pair.peer.reset();
    pair.world.run_for(SECOND);
    let peer = pair.world.accept(&pair.listener);
    peer.write(&frame::text("message 1"));
    for number in 0..2 {
        assert_eq!(pair.world.block_on(pair.stream.next()).unwrap().unwrap(), text(number));
    }
    assert!(poll_once(&mut pair.stream.next()).is_pending());
}

#[test]
fn events_show_losses_and_reconnects_among_messages() {
    let mut pair = open_in(World::new(), &reconnecting(), |connect| connect);
    let mut events = pair.stream.events();
    pair.peer.write(&frame::text("message 0"));
    pair.peer.write(&frame::close(1001, "restart"));
    pair.peer.shutdown();
    pair.world.settle();
    // An attempt that fails is not shown.
    pair.world.run_for(SECOND);
    pair.listener.accept().unwrap().reset();
    pair.world.run_for(2 * SECOND);
    let peer = pair.world.accept(&pair.listener);
    peer.write(&frame::text("message 1"));
    assert_eq!(pair.world.block_on(events.next()).unwrap().unwrap(), Event::Message(text(0)));
    let Some(Ok(Event::Lost(lost))) = pair.world.block_on(events.next()) else { panic!() };
    assert_eq!((lost.code.map(u16::from), &*lost.reason, lost.retry_in), (Some(1001), "restart", SECOND));
    assert_eq!(lost.error, None);
    assert!(matches!(pair.world.block_on(events.next()), Some(Ok(Event::Reopened(_)))));
    assert_eq!(pair.world.block_on(events.next()).unwrap().unwrap(), Event::Message(text(1)));

    // Connections that bring nothing leave one loss, however many there are.
    peer.reset();
    for _ in 0..5 {
        pair.world.run_for(SECOND);
        pair.world.accept(&pair.listener).reset();
        pair.world.settle();
    }
    let Some(Ok(Event::Lost(lost))) = pair.world.block_on(events.next()) else { panic!() };
    assert!(lost.error.unwrap().starts_with("the connection broke"));
    assert!(poll_once(&mut events.next()).is_pending());
    // From now on they are hidden.
    let mut stream = events.into_stream();
    pair.world.run_for(SECOND);
    let peer = pair.world.accept(&pair.listener);
    peer.write(&frame::text("message 2"));
    assert_eq!(pair.world.block_on(stream.next()).unwrap().unwrap(), text(2));
    pair.world.block_on(stream.send(text(3))).unwrap();
    assert_eq!(texts(&peer), ["message 3"]);
}

#[test]
fn a_queue_that_is_full_when_the_connection_is_lost_holds_back_the_next_one() {
    let mut pair = open_in(World::new(), &reconnecting(), |connect| connect.buffer(0));
    pair.peer.write(&frame::text("message 0"));
    pair.world.settle();
    pair.world.in_app(|app| app.reconnect("a test"));
    pair.world.run_for(SECOND);
    let peer = pair.world.accept(&pair.listener);
    peer.write(&[frame::text("message 1"), frame::text("message 2")].concat());
    pair.world.settle();
    assert_eq!(pair.world.in_app(|app| app.stats().received.messages), 0);
    for number in 0..3 {
        assert_eq!(pair.world.block_on(pair.stream.next()).unwrap().unwrap(), text(number));
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_ends_its_stream_and_no_other() {
    let mut pair = open();
    let waker = Waker::from(Arc::new(Panics));
    let poll = std::pin::Pin::new(&mut pair.stream).poll_next(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    pair.peer.write(&frame::text("message 0"));
    pair.world.settle();
    assert_eq!(pair.world.block_on(pair.stream.next()).unwrap().unwrap(), text(0));
    let end = pair.world.block_on(pair.stream.next());
    assert!(matches!(end, Some(Err(Error::Connection(AppError::CallbackPanicked(_))))), "{end:?}");
}
