//! The dispatcher on io_uring keeps the contract, where the kernel has one.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use websocket_dispatcher::{MioDispatcher, Wait};
use websocket_dispatcher_io_uring::IoUringDispatcher;

/// So that the tests end well where io_uring is refused.
fn or_mio() -> Box<dyn Wait> {
    match IoUringDispatcher::new() {
        Ok(dispatcher) => Box::new(dispatcher),
        Err(error) => {
            eprintln!("skipped: {error}");
            Box::new(MioDispatcher::new().unwrap())
        }
    }
}

websocket_testkit::conformance!(or_mio());
