//! A dispatcher that spins keeps the contract of the one inside, however long it spins.

use std::time::Duration;

use websocket_dispatcher_busy_poll::BusyPoll;

mod mio {
    use super::*;
    websocket_testkit::conformance!(BusyPoll::new().unwrap());
}

mod without_spinning {
    use super::*;
    websocket_testkit::conformance!(BusyPoll::new().unwrap().spin(Duration::ZERO));
}

mod mostly_spinning {
    use super::*;
    websocket_testkit::conformance!(BusyPoll::new().unwrap().spin(Duration::from_millis(100)));
}
