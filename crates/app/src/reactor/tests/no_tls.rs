//! A build without TLS.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_testkit::sim::SimNet;

use crate::{Error, Reactor, RunOptions, UrlError, WebSocketApp};

#[test]
fn b207_a_redirect_to_wss_is_refused_and_never_followed_in_the_clear() {
    let net = SimNet::new(1);
    net.serve("192.0.2.1:80".parse().unwrap(), |peer| {
        peer.write(b"HTTP/1.1 302 Found\r\nLocation: wss://192.0.2.1/\r\nContent-Length: 0\r\n\r\n");
    });
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let mut reactor = reactor.connector(net.clone());
    let errors = Rc::new(RefCell::new(Vec::new()));
    let reported = errors.clone();
    let app = WebSocketApp::new("ws://192.0.2.1/").on_error(move |_, error| {
        reported.borrow_mut().push(matches!(error, Error::Url(UrlError::TlsUnavailable)));
    });
    app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    for _ in 0..20 {
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(net.attempts().len(), 1);
    assert_eq!(*errors.borrow(), [true]);
}
