//! The conformance suite on a loop over poll(2) that calls back.
#![cfg(unix)]

#[path = "../examples/callback/mini_loop.rs"]
mod mini_loop;
mod rounds;

websocket_testkit::conformance!(rounds::Rounds::new().unwrap());
