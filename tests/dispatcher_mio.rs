//! The default dispatcher keeps the contract.

use websocket_dispatcher::MioDispatcher;

websocket_testkit::conformance!(MioDispatcher::new().unwrap());
