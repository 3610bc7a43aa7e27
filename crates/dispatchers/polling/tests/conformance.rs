//! The dispatcher on polling's poller keeps the contract.

use websocket_dispatcher_polling::PollingDispatcher;

websocket_testkit::conformance!(PollingDispatcher::new().unwrap());
