//! The dispatcher keeps the contract. The point about signals is left out: async-io takes no notice of one, and sleeps on by itself.

mod support;

use websocket_testkit::conformance::{Sockets, check, points};

use support::Blocking;

websocket_testkit::conformance!(host: Sockets::new(Blocking::new));

#[test]
fn a_wake_from_another_thread_ends_a_wait() {
    check(|| Sockets::new(Blocking::new), points::a_wake_from_another_thread_ends_a_wait);
}

#[test]
fn a_storm_of_wakes_loses_none() {
    check(|| Sockets::new(Blocking::new), points::a_storm_of_wakes_loses_none);
}

#[cfg(unix)]
#[test]
fn unix_streams_are_watched() {
    check(|| Sockets::new(Blocking::new), points::unix_streams_are_watched);
}

#[cfg(unix)]
#[test]
fn a_reused_descriptor_reports_under_its_own_key() {
    check(|| Sockets::new(Blocking::new), points::a_reused_descriptor_reports_under_its_own_key);
}

#[test]
fn other_threads_reach_the_apps() {
    check(|| Sockets::new(Blocking::new), points::other_threads_reach_the_apps);
}
