//! A unix socket whose listener has no room for another connection.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use websocket_link::{Connector, SocketOptions};

use super::steps::Wait;
use super::*;

const MS: Duration = Duration::from_millis(1);
const BY_PATH: &str = "ws+unix:/run/server.sock";
/// How long connecting may take, as a bound that falls between two tries.
const LIMIT: Duration = Duration::from_millis(290);

/// When a unix socket was tried.
type Tries = Rc<RefCell<Vec<Duration>>>;

/// A connector to one unix socket, which has no room for so many tries and then leads to [`address`] 1.
pub(super) struct Crowded {
    net: SimNet,
    left: usize,
    tries: Tries,
    /// What the try after them fails with.
    end: Option<io::ErrorKind>,
}

/// A connector that panics.
struct Broken;

impl Connector for Broken {
    fn connect(&mut self, _: SocketAddr, _: &SocketOptions) -> io::Result<Io> {
        panic!("this panic belongs to the test");
    }

    fn connect_unix(&mut self, _: &Path) -> io::Result<Io> {
        panic!("this panic belongs to the test");
    }
}

impl Crowded {
    /// Gives the rig this connector. Returns when it is tried.
    pub(super) fn wired(rig: &mut Rig, left: usize) -> Tries {
        let tries = Tries::default();
        let connector = Self { net: rig.net.clone(), left, tries: tries.clone(), end: None };
        rig.links.connector = Box::new(connector);
        tries
    }
}

impl Connector for Crowded {
    fn connect(&mut self, _: SocketAddr, _: &SocketOptions) -> io::Result<Io> {
        panic!("no address is connected to");
    }

    fn connect_unix(&mut self, path: &Path) -> io::Result<Io> {
        assert_eq!(path, Path::new("/run/server.sock"));
        self.tries.borrow_mut().push(self.net.elapsed());
        if self.left > 0 {
            self.left -= 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match self.end {
            Some(kind) => Err(kind.into()),
            None => self.net.connect(address(1), &SocketOptions::default()),
        }
    }
}

fn rig(left: usize, options: &RunOptions) -> (Rig, Tries) {
    let mut rig = Rig::new(BY_PATH, options);
    let tries = Crowded::wired(&mut rig, left);
    (rig, tries)
}

fn millis(tries: &Tries) -> Vec<u128> {
    tries.borrow().iter().map(Duration::as_millis).collect()
}

#[test]
fn l1_a_full_backlog_is_tried_again_with_a_delay_that_doubles_up_to_100_ms() {
    let (mut rig, tries) = rig(9, &options(None));
    let _listener = rig.net.listen(address(1));
    let arrived = arrival(rig.begin_and_run_until(HOUR));
    assert_eq!(millis(&tries), [0, 1, 3, 7, 15, 31, 63, 127, 227, 327]);
    assert_eq!(rig.net.elapsed(), 327 * MS);
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();
}

#[test]
fn l1_a_backlog_that_stays_full_fails_the_attempt_with_connect_timeout() {
    let (mut rig, tries) = rig(usize::MAX, &options(None).connect_timeout(LIMIT));
    waiting(rig.begin_and_run_until(LIMIT - Duration::from_nanos(1)));
    let error = failure(rig.run_until(LIMIT));
    assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error:?}");
    assert_eq!(millis(&tries), [0, 1, 3, 7, 15, 31, 63, 127, 227]);
    assert_eq!(rig.net.elapsed(), LIMIT);
    rig.assert_leaves_nothing();
}

#[test]
fn l1_a_stream_that_is_connecting_after_a_full_backlog_has_the_time_that_is_left() {
    let (mut rig, _) = rig(4, &options(None).connect_timeout(LIMIT));
    rig.net.black_hole(address(1));
    waiting(rig.begin_and_run_until(LIMIT - Duration::from_nanos(1)));
    assert_eq!(rig.dispatcher.registrations(), 1);
    let error = failure(rig.run_until(LIMIT));
    assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error:?}");
    rig.assert_leaves_nothing();
}

#[test]
fn l1_any_other_failure_of_a_later_try_ends_the_attempt_at_once() {
    let mut rig = Rig::new(BY_PATH, &options(None));
    let (net, tries) = (rig.net.clone(), Tries::default());
    let end = Some(io::ErrorKind::ConnectionRefused);
    rig.links.connector = Box::new(Crowded { net, left: 2, tries: tries.clone(), end });
    let error = failure(rig.begin_and_run_until(HOUR));
    let refused = io::ErrorKind::ConnectionRefused;
    assert!(
        matches!(&error, Error::Connect { address: None, source } if source.kind() == refused),
        "{error:?}"
    );
    assert_eq!(millis(&tries), [0, 1, 3]);
    rig.assert_leaves_nothing();
}

#[test]
fn l1_after_a_callback_that_outlasts_the_deadline_the_socket_is_tried_once_more() {
    for (left, tried) in [(1, 2), (2, 2)] {
        let (mut rig, tries) = rig(left, &options(None).connect_timeout(LIMIT));
        let _listener = rig.net.listen(address(1));
        waiting(rig.begin());
        // The reactor looks at nothing meanwhile.
        rig.net.advance(SECOND);
        let progress = rig.feed(Dial::expired);
        assert_eq!(tries.borrow().len(), tried);
        if left == 1 {
            let arrived = arrival(progress);
            rig.net().unwatch(arrived.wire);
        } else {
            assert!(matches!(failure(progress), Error::Timeout(Timeout::Connect)));
        }
        rig.assert_leaves_nothing();
    }
}

#[test]
fn l1_the_place_at_the_gate_is_kept_while_there_is_no_room() {
    let (mut rig, _) = rig(3, &options(None));
    rig.links.connections.set_max_per_server(1);
    let _listener = rig.net.listen(address(1));
    waiting(rig.begin());
    let ticket = rig.queue_for(Server::Unix(PathBuf::from("/run/server.sock")));
    let arrived = arrival(rig.run_until(HOUR));
    assert_eq!(rig.called, [], "the connection is not open yet");
    rig.net().unwatch(arrived.wire);
    rig.hang_up();
    waiting(rig.turn(&[]).0);
    assert_eq!(rig.called, [OTHER_APP]);
    drop(ticket);
    rig.assert_leaves_nothing();
}

#[test]
fn l1_after_hanging_up_nothing_is_tried_any_more() {
    let mut rig = Wait::ForBacklog.rig(&options(None));
    let tries = Crowded::wired(&mut rig, usize::MAX);
    waiting(rig.run_until(10 * MS));
    assert_eq!(millis(&tries), [1, 3, 7]);
    rig.hang_up();
    waiting(rig.run_until(SECOND));
    assert_eq!(millis(&tries), [1, 3, 7]);
    rig.assert_leaves_nothing();
}

#[test]
fn l1_a_connector_that_panics_at_a_later_try_leaves_nothing_behind() {
    let mut rig = Wait::ForBacklog.rig(&options(None));
    rig.links.connector = Box::new(Broken);
    let ran = catch_unwind(AssertUnwindSafe(|| rig.run_until(SECOND)));
    assert!(ran.is_err());
    rig.assert_leaves_nothing();
}

#[test]
fn l1_an_address_that_would_block_has_failed_and_the_next_one_is_tried() {
    let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&[1, 2]);
    rig.net.fail(address(1), io::ErrorKind::WouldBlock);
    let _listener = rig.net.listen(address(2));
    let arrived = arrival(rig.begin_and_run_until(Duration::ZERO));
    assert_eq!(rig.net.attempts(), [(Duration::ZERO, address(1)), (Duration::ZERO, address(2))]);
    rig.net().unwatch(arrived.wire);
    rig.hang_up();

    rig.resolver.name(NAME, &[address(1).ip()]);
    let error = failure(rig.begin_and_run_until(HOUR));
    let blocked = io::ErrorKind::WouldBlock;
    let first = Some(address(1));
    assert!(
        matches!(&error, Error::Connect { address, source } if *address == first && source.kind() == blocked),
        "{error:?}"
    );
    assert_eq!(rig.net.attempts().len(), 3);
    rig.assert_leaves_nothing();
}
