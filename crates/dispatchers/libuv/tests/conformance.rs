//! The dispatcher keeps the contract.
#![cfg(unix)]

mod support;

websocket_testkit::conformance!(support::Looping::new());
