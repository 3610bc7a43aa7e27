//! The dispatcher keeps the contract, on a runtime whose only thread does everything and on one whose sockets another thread looks after.
#![cfg(unix)]

mod support;

use support::Blocking;

websocket_testkit::conformance!(Blocking::on_one_thread());

/// Without the point about signals: the thread that waits is none that they could interrupt.
mod multi_thread {
    use websocket_testkit::conformance::{Sockets, check, points};

    use super::support::Blocking;

    websocket_testkit::conformance!(host: Sockets::new(Blocking::on_two_threads));

    #[test]
    fn a_wake_from_another_thread_ends_a_wait() {
        check(|| Sockets::new(Blocking::on_two_threads), points::a_wake_from_another_thread_ends_a_wait);
    }

    #[test]
    fn a_storm_of_wakes_loses_none() {
        check(|| Sockets::new(Blocking::on_two_threads), points::a_storm_of_wakes_loses_none);
    }

    #[test]
    fn unix_streams_are_watched() {
        check(|| Sockets::new(Blocking::on_two_threads), points::unix_streams_are_watched);
    }

    #[test]
    fn a_reused_descriptor_reports_under_its_own_key() {
        check(
            || Sockets::new(Blocking::on_two_threads),
            points::a_reused_descriptor_reports_under_its_own_key,
        );
    }

    #[test]
    fn other_threads_reach_the_apps() {
        check(|| Sockets::new(Blocking::on_two_threads), points::other_threads_reach_the_apps);
    }
}
