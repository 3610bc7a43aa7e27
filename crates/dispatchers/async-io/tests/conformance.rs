//! The dispatcher keeps the contract. async-io takes no notice of a signal, and sleeps on by itself.

mod support;

use websocket_testkit::conformance::Sockets;

use support::Blocking;

websocket_testkit::conformance!(signals_pass: Sockets::new(Blocking::new));
