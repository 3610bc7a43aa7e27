//! The dispatcher keeps the contract, on a runtime whose only thread does everything and on one whose sockets another thread looks after.

mod support;

use support::Blocking;

websocket_testkit::conformance!(Blocking::on_one_thread());

/// The thread that waits is none that a signal could interrupt.
mod multi_thread {
    use websocket_testkit::conformance::Sockets;

    use super::support::Blocking;

    websocket_testkit::conformance!(signals_pass: Sockets::new(Blocking::on_two_threads));
}
