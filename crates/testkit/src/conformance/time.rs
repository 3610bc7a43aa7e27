//! Points 7, 9 and 11 of the contract: deadlines, sleep and the clock.

use std::time::Duration;

use websocket_dispatcher::{Dispatcher as _, Interest};

use super::rig::{Rig, drain};
use super::{Far, Host};

/// A deadline that has passed means to look and not to sleep.
pub fn a_deadline_in_the_past_looks_and_returns<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let past = rig.dispatcher.now();
    rig.rest(Duration::from_micros(10));
    rig.wait(Some(past));
    let mut line = rig.open(0, Interest::Read);
    rig.wait(Some(past));
    line.receive_all_but_first(b"two");
    // A stream that is ready needs no sleep to be seen; what is under way in the loop itself may take some
    // waits.
    let seen =
        (0..100).any(|_| rig.wait(Some(past)).iter().any(|ready| ready.key == line.key && ready.readable));
    assert!(seen, "bytes were not seen by looking");
}

/// With nothing to do, waits reach their deadline without returning in circles, with streams registered and
/// without.
pub fn a_near_deadline_is_reached_without_circles<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    rig.rest(Duration::from_millis(30));
    let mut lines = [rig.open(0, Interest::Read), rig.open(1, Interest::Read)];
    rig.rest(Duration::from_millis(30));
    lines[1].far.write(b"x");
    rig.until_readable("bytes", lines[1].key);
    drain(&mut lines[1].io).expect("an open stream");
    rig.rest(Duration::from_millis(30));
}

/// A deadline finer than the clock of the host is rounded up; rounded down, the loop would spin until it has
/// come.
pub fn a_fine_deadline_is_rounded_up<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let _line = rig.open(0, Interest::Read);
    for _ in 0..10 {
        rig.rest(Duration::from_micros(900));
        rig.rest(Duration::from_micros(1900));
    }
}

/// A deadline beyond what a host can count, in milliseconds in 32 bits for one, is as good as none.
pub fn a_distant_deadline_is_no_trouble<H: Host>(host: &mut H) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for days in [24, 25, 49, 50, 36_500] {
        let deadline = rig.dispatcher.now() + days * DAY;
        line.receive_all_but_first(b"two");
        while !rig.wait(Some(deadline)).iter().any(|ready| ready.key == line.key && ready.readable) {
            assert!(rig.dispatcher.now() < deadline, "bytes: not reported");
        }
        drain(&mut line.io).expect("an open stream");
    }
    for days in [24, 25, 49, 50, 36_500] {
        rig.dispatcher.waker().wake();
        let deadline = rig.dispatcher.now() + days * DAY;
        rig.wait(Some(deadline));
        rig.rest(Duration::from_millis(1));
    }
}

/// The clock of deadlines does not go backwards, and moves while the loop sleeps.
pub fn the_clock_does_not_go_backwards<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let start = rig.dispatcher.now();
    let mut last = start;
    for _ in 0..20 {
        rig.rest(Duration::from_micros(200));
        for _ in 0..10 {
            let now = rig.dispatcher.now();
            assert!(now >= last, "the clock went back by {:?}", last - now);
            last = now;
        }
    }
    assert!(last > start);
}
