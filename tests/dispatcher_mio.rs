//! The default dispatcher keeps the contract.

use websocket_dispatcher::MioDispatcher;

websocket_testkit::dispatcher_conformance!(MioDispatcher::new().unwrap());
