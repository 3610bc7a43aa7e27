//! Points 2 and 6 of the contract: interests change.

use std::time::Duration;

use websocket_dispatcher::Interest;

use super::rig::{Rig, drain};
use super::{Far, Host};

/// What is ready, was reported and not read is reported again by re-registering.
pub fn reregistration_reports_what_is_ready<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.write(b"x");
    rig.until_readable("bytes", line.key);
    for interest in [Interest::Read, Interest::ReadWrite] {
        rig.reregister(&mut line, interest);
        rig.until_readable("bytes that are still there after re-registering", line.key);
    }
    rig.reregister(&mut line, Interest::Write);
    rig.until_writable("room after re-registering", line.key);
    rig.reregister(&mut line, Interest::Read);
    rig.until_readable("bytes that are still there after reading was of no interest", line.key);
}

/// Writing joins reading and leaves again; without it, an open stream with nothing to read lets the loop
/// sleep.
pub fn an_interest_can_grow_and_shrink<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for _ in 0..3 {
        rig.rest(Duration::from_millis(5));
        rig.reregister(&mut line, Interest::ReadWrite);
        rig.until_writable("room after the interest grew", line.key);
        rig.reregister(&mut line, Interest::Read);
        rig.rest(Duration::from_millis(5));
        line.far.write(b"x");
        rig.until_readable("bytes after the interest shrank", line.key);
        drain(&mut line.io).expect("an open stream");
    }
}

/// Between being reported and being read, a stream's interest may change.
pub fn a_change_right_after_a_report_takes_effect<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for _ in 0..3 {
        line.far.write(b"x");
        rig.until_readable("bytes", line.key);
        rig.reregister(&mut line, Interest::ReadWrite);
        drain(&mut line.io).expect("an open stream");
        rig.until_writable("room after the change", line.key);
        rig.reregister(&mut line, Interest::Write);
        rig.reregister(&mut line, Interest::Read);
        rig.look();
    }
    line.far.write(b"x");
    rig.until_readable("bytes after the changes", line.key);
}
