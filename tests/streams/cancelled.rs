//! Futures over a stream are dropped at every point at which they wait: no message is lost, none is doubled.
#![allow(clippy::await_holding_refcell_ref, reason = "only one of the futures exists at a time")]

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use websocket_app::RunOptions;
use websocket_stream::{Error, Message, WebSocketStream};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{SERVER, World, poll_once};

use super::{text, to_server};

const MESSAGES: usize = 12;

/// Drops futures while they wait.
struct Cancels {
    /// The waits that are still let be; `None` drops every time.
    waits: Option<usize>,
    /// How often a future was dropped.
    dropped: usize,
}

impl Cancels {
    /// Does what the futures of `make` do. When one waits, the reactor has a turn; then it is dropped and made again, if its time has come.
    fn run<F: Future>(&mut self, world: &mut World, mut make: impl FnMut() -> F) -> F::Output {
        for _ in 0..1000 {
            let mut future = Box::pin(make());
            loop {
                match poll_once(&mut future) {
                    std::task::Poll::Ready(output) => return output,
                    std::task::Poll::Pending => {}
                }
                world.reactor.poll(Some(Duration::from_secs(1))).unwrap();
                match &mut self.waits {
                    None => break,
                    Some(0) => {
                        self.waits = Some(usize::MAX);
                        break;
                    }
                    Some(left) => *left -= 1,
                }
            }
            self.dropped += 1;
        }
        panic!("nothing comes of it");
    }
}

/// The usual program against a server that sends back what it gets. Returns what has come back, and how often a future was dropped.
fn program(seed: u64, waits: Option<usize>) -> (Vec<Message>, usize) {
    let mut faults = Faults::rough();
    (faults.fin, faults.reset) = (0, 0);
    faults.send_buffer = 60;
    let mut world = World::on(SimNet::new(seed).with_faults(faults));
    let echo = |peer: &SimPeer| {
        peer.accept_upgrade();
        while let Some(received) = peer.read_frame() {
            if received.opcode == 8 {
                peer.write(&frame::close(1000, ""));
                peer.shutdown();
            } else {
                peer.write(&frame::text(&received.text()));
            }
        }
    };
    world.net.serve_arrivals(SERVER, echo);
    let mut cancels = Cancels { waits, dropped: 0 };
    let options = RunOptions::new().max_queued_bytes(100);
    // A connection that is given up is made again.
    let stream = loop {
        let mut connecting = Some(to_server(&world, &options).buffer(100).into_future());
        let mut connected = None;
        let mut wait = cancels.waits;
        while let Some(future) = &mut connecting {
            match poll_once(future) {
                std::task::Poll::Ready(stream) => {
                    connected = Some(stream.unwrap());
                    break;
                }
                std::task::Poll::Pending => {
                    world.reactor.poll(Some(Duration::from_secs(1))).unwrap();
                    match &mut wait {
                        Some(0) => connecting = None,
                        Some(left) => *left -= 1,
                        None => {}
                    }
                }
            }
        }
        cancels.waits = wait;
        match connected {
            Some(stream) => break stream,
            None => (cancels.waits, cancels.dropped) = (Some(usize::MAX), cancels.dropped + 1),
        }
    };
    let stream = std::cell::RefCell::new(stream);
    let mut received = Vec::new();
    for number in 0..MESSAGES {
        // Fed once it says so, and never before.
        cancels
            .run(&mut world, || async {
                let mut stream = stream.borrow_mut();
                stream.feed(text(number)).await
            })
            .unwrap();
        if number % 3 == 2 {
            cancels.run(&mut world, || async { stream.borrow_mut().flush().await }).unwrap();
            for _ in 0..3 {
                received.push(next(&mut cancels, &mut world, &stream).unwrap().unwrap());
            }
        }
    }
    cancels.run(&mut world, || async { stream.borrow_mut().close().await }).unwrap();
    while let Some(message) = next(&mut cancels, &mut world, &stream) {
        received.push(message.unwrap());
    }
    (received, cancels.dropped)
}

fn next(
    cancels: &mut Cancels,
    world: &mut World,
    stream: &std::cell::RefCell<WebSocketStream>,
) -> Option<Result<Message, Error>> {
    cancels.run(world, || async { stream.borrow_mut().next().await })
}

#[test]
fn a_stream_is_dropped_at_every_await_without_a_lost_or_doubled_message() {
    let expected: Vec<_> = (0..MESSAGES).map(text).collect();
    for seed in 0..8 {
        assert_eq!(program(seed, Some(usize::MAX)), (expected.clone(), 0), "seed {seed}");
        let (received, dropped) = program(seed, None);
        assert!(dropped > MESSAGES, "{dropped}");
        assert_eq!(received, expected, "seed {seed}, dropped whenever it waits");
        let points = (0..).take_while(|&point| {
            let (received, dropped) = program(seed, Some(point));
            assert_eq!(received, expected, "seed {seed}, dropped at wait {point}");
            dropped == 1
        });
        assert!(points.count() > MESSAGES);
    }
}
