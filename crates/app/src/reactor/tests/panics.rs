//! Panics between the stream that has arrived and the connection on it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_testkit::sim::SimNet;

use crate::{Entropy, Error, Reactor, RunOptions, WebSocketApp};

/// Has no numbers.
struct Dry;

impl Entropy for Dry {
    fn next_u32(&mut self) -> u32 {
        panic!("this panic belongs to the test")
    }
}

#[test]
fn entropy_that_panics_leaves_no_stream_behind() {
    let net = SimNet::new(1);
    drop(net.listen("192.0.2.1:80".parse().unwrap()));
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let mut reactor = reactor.connector(net).entropy(Dry);
    let panics = Rc::new(Cell::new(0));
    let counter = panics.clone();
    let app = WebSocketApp::new("ws://192.0.2.1/").on_error(move |_, error| {
        assert!(matches!(error, Error::CallbackPanicked(_)), "{error:?}");
        counter.set(counter.get() + 1);
    });
    app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    for _ in 0..8 {
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert!(reactor.apps().is_empty());
    assert_eq!((panics.get(), reactor.links.watched.len(), reactor.dispatcher().registrations()), (1, 0, 0));
    assert!(reactor.links.connections.is_unused());
}
