//! The conformance suite on a host that only a thread can wake, over both dispatchers that such a thread may have.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use websocket_dispatcher::MioDispatcher;
use websocket_dispatcher_polling::PollingDispatcher;
use websocket_testkit::conformance::Sockets;

use support::Blocking;

mod mio {
    use super::*;
    websocket_testkit::conformance!(signals_pass: Sockets::new(|| Blocking::over(MioDispatcher::new().unwrap()).unwrap()));
}

mod polling {
    use super::*;
    websocket_testkit::conformance!(signals_pass: Sockets::new(|| Blocking::over(PollingDispatcher::new().unwrap()).unwrap()));
}
