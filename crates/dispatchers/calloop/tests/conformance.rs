//! The conformance suite on a calloop loop.

mod rounds;

websocket_testkit::conformance!(rounds::Rounds::new().unwrap());
