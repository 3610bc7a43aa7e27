//! A whole reactor on io_uring.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_io_uring::IoUringDispatcher;
use websocket_testkit::server::{EchoServer, ScriptedServer};

fn reactor() -> Option<Reactor<IoUringDispatcher>> {
    match IoUringDispatcher::new() {
        Ok(dispatcher) => Some(Reactor::with_dispatcher(dispatcher).unwrap()),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn the_end_of_a_peer_that_stays_to_read_does_not_make_the_loop_spin() {
    let Some(mut reactor) = reactor() else { return };
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("last words");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    WebSocketApp::new(server.url()).run_on(&mut reactor, &RunOptions::new()).unwrap();
    let mut turns = 0;
    while !reactor.apps().is_empty() {
        reactor.poll(None).unwrap();
        turns += 1;
    }
    assert!(turns < 100, "{turns} turns");
    server.join();
}

/// Each of them stops for want of room, and goes on when there is some.
#[test]
fn messages_larger_than_any_buffer_come_back_on_many_apps() {
    let Some(mut reactor) = reactor() else { return };
    let server = EchoServer::start().unwrap();
    let (text, apps) = ("x".repeat(1 << 18), 20);
    let received = std::rc::Rc::new(std::cell::Cell::new(0));
    for _ in 0..apps {
        let (text, received) = (text.clone(), received.clone());
        WebSocketApp::new(server.url())
            .on_open(move |app, _| app.send_text(&text))
            .on_message(move |app, message| {
                received.set(received.get() + message.len());
                app.close();
            })
            .run_on(&mut reactor, &RunOptions::new())
            .unwrap();
    }
    reactor.run().unwrap();
    assert_eq!(received.get(), apps << 18);
}
