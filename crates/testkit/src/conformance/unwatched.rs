//! Point 12 of the contract: streams that are watched for nothing.

use std::io;
use std::time::Duration;

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key};

use super::identity::Unknown;
use super::rig::{Rig, drain};
use super::{Far, Host};

/// Long enough to tell a loop that sleeps from one that returns in circles.
const REST: Duration = Duration::from_millis(5);

/// Neither bytes nor room of a stream that is watched for nothing are reported, and the loop sleeps beside
/// them.
pub fn a_stream_watched_for_nothing_is_silent<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for (slot, before) in (0..).zip([Interest::Read, Interest::Write, Interest::ReadWrite]) {
        let mut line = rig.open(slot, before);
        rig.reregister(&mut line, Interest::None);
        rig.look();
        line.receive_all_but_first(b"two");
        let reported = rig.rest(REST);
        assert!(reported.is_empty(), "reported although watched for nothing: {reported:?}");
        rig.reregister(&mut line, Interest::None);
        let reported = rig.rest(REST);
        assert!(reported.is_empty(), "reported although still watched for nothing: {reported:?}");
    }
}

/// A stream that ends or breaks while it is watched for nothing lets the loop sleep.
pub fn a_hang_up_of_what_is_watched_for_nothing_lets_the_loop_sleep<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut broken = rig.open(0, Interest::Read);
    rig.reregister(&mut broken, Interest::None);
    broken.far.reset();
    rig.rest(REST);
    let mut ended = rig.open(1, Interest::ReadWrite);
    rig.reregister(&mut ended, Interest::None);
    ended.far.close();
    rig.rest(REST);
    let mut other = rig.open(2, Interest::Read);
    other.far.write(b"x");
    rig.until_readable("bytes beside streams that ended while they were watched for nothing", other.key);
}

/// An interest that comes back reports the bytes, the room, the end or the error that is there by then.
pub fn an_interest_that_comes_back_reports_what_is_there<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for _ in 0..3 {
        rig.reregister(&mut line, Interest::None);
        rig.look();
        line.receive_all_but_first(b"two");
        rig.look();
        rig.reregister(&mut line, Interest::Read);
        rig.until_readable("bytes from when nothing was of interest", line.key);
        drain(&mut line.io).expect("an open stream");
        line.far.write(b"x");
        rig.until_readable("bytes after the interest came back", line.key);
        drain(&mut line.io).expect("an open stream");
        rig.reregister(&mut line, Interest::None);
        rig.reregister(&mut line, Interest::ReadWrite);
        rig.until_writable("room after the interest came back", line.key);
    }
    rig.reregister(&mut line, Interest::None);
    rig.look();
    line.far.shutdown();
    rig.rest(REST);
    rig.reregister(&mut line, Interest::Read);
    rig.until_readable("an end from when nothing was of interest", line.key);
    assert!(drain(&mut line.io).expect("an orderly end").1, "the end was reported before it came");
    rig.dispatcher.deregister(line.key, line.io);

    let mut line = rig.open(1, Interest::Read);
    rig.reregister(&mut line, Interest::None);
    rig.look();
    line.far.reset();
    rig.rest(REST);
    rig.dispatcher.reregister(line.key, &mut line.io, Interest::Read).expect("a live key");
    rig.until_readable("a reset from when nothing was of interest", line.key);
    drain(&mut line.io).expect_err("reading tells of the reset");
}

/// A stream may be registered for nothing. It holds its key, and is reported when an interest comes.
pub fn a_stream_can_be_registered_for_nothing<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::None);
    line.receive_all_but_first(b"two");
    let reported = rig.rest(REST);
    assert!(reported.is_empty(), "reported although watched for nothing: {reported:?}");
    let (mut other, _far) = rig.pair();
    let error = rig.dispatcher.register(line.key, &mut other, Interest::Read);
    let error = error.expect_err("a key that is watched for nothing is live");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    rig.reregister(&mut line, Interest::Read);
    rig.until_readable("bytes after the first interest", line.key);
}

/// The errors are the same where nothing is of interest: for a live key, for a dead one, and for a stream
/// that the loop cannot watch.
pub fn errors_do_not_depend_on_the_interest<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let line = rig.open_as(Key::new(0, 1), Interest::Read);
    let (mut io, _far) = rig.pair();
    let error = rig.dispatcher.register(line.key, &mut io, Interest::None);
    let error = error.expect_err("a live key cannot be registered again");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    for dead in [Key::new(0, 0), Key::new(0, 2), Key::new(1, 0)] {
        let error = rig.dispatcher.reregister(dead, &mut io, Interest::None);
        let error = error.expect_err("a dead key cannot be re-registered");
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }
    let error = rig.dispatcher.register(Key::new(2, 0), &mut Io::custom(Unknown), Interest::None);
    let error = error.expect_err("what cannot be watched cannot be registered");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
}

/// Deregistering closes a stream that is watched for nothing, and its slot can be used again.
pub fn deregistering_closes_what_is_watched_for_nothing<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for (generation, before) in (0..).zip([Interest::None, Interest::Read, Interest::Write]) {
        let mut line = rig.open_as(Key::new(0, generation), before);
        rig.reregister(&mut line, Interest::None);
        rig.dispatcher.deregister(line.key, line.io);
        rig.until_done("the end of a stream that was watched for nothing", |_| line.far.has_ended());
    }
    let mut line = rig.open_as(Key::new(0, 3), Interest::Read);
    line.far.write(b"x");
    rig.until_readable("the heir of a slot", line.key);
}
