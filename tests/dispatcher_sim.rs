//! The simulated dispatcher keeps the contract, also where it reports what is not and in any order.

use websocket_testkit::sim::{Faults, SimNet, Trigger};

mod edge {
    use super::*;
    websocket_testkit::conformance!(host: SimNet::new(1));
}

mod level {
    use super::*;
    websocket_testkit::conformance!(host: SimNet::new(1).with_trigger(Trigger::Level));
}

fn vague() -> SimNet {
    let mut faults = Faults::default();
    faults.spurious = 30;
    faults.shuffle = true;
    SimNet::new(1).with_faults(faults)
}

mod vague_edge {
    websocket_testkit::conformance!(host: super::vague());
}

mod vague_level {
    use super::*;
    websocket_testkit::conformance!(host: vague().with_trigger(Trigger::Level));
}
