//! The conformance suite on a loop that calls back: over poll(2), on Windows over polling.

#[cfg_attr(unix, path = "../examples/callback/mini_loop.rs")]
#[cfg_attr(windows, path = "rounds/polling_loop.rs")]
mod mini_loop;
mod rounds;

websocket_testkit::conformance!(rounds::Rounds::new().unwrap());
