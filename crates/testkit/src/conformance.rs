//! A conformance suite for dispatchers: one test for each point of the contract of
//! [`Dispatcher`](websocket_dispatcher::Dispatcher), and whole apps on top.
//!
//! One line in a test file makes all of them, on real sockets:
//!
//! ```
//! use websocket_dispatcher::MioDispatcher;
//!
//! websocket_testkit::conformance!(MioDispatcher::new().unwrap());
//! ```
//!
//! A dispatcher over its own streams, such as a simulation, implements [`Host`] and runs the points that need
//! no socket:
//!
//! ```
//! use websocket_testkit::sim::SimNet;
//!
//! websocket_testkit::conformance!(host: SimNet::new(1));
//! ```
//!
//! The points are of two kinds. Most are about one rule: they hold a dispatcher and a few streams, and know
//! no reactor. The others run apps of `websocket-app`, whose servers the test moves between two turns, and
//! look at what a user would notice:
//!
//! - a scenario (connect, timers, a burst larger than a turn reads, more sent than a socket takes, losses,
//!   close) in which each app must see the events that it sees on mio, one by one; how often the loop
//!   reported readiness may differ
//! - apps at rest let the loop sleep, and changes from outside of turns or from other threads need no
//!   readiness to take effect
//! - what runs and feeds are promised holds: each run ends once, and a connection is made again on demand; timers of the
//!   reactor outlive connections; silence, unanswered probes and pauses have their effect and no other; a successor takes over
//!   without a gap; batches have an end
//! - the numbers of an app are what its servers have counted, and those of the reactor what the dispatcher has reported, also
//!   for another thread
//! - nothing stays behind when the reactor is dropped or stopped, when callbacks panic, and when apps are
//!   removed in mid-turn: every far end sees the end of its stream, so no descriptor is left, not even a
//!   duplicate, and the dispatcher serves new streams as before. A host that can count its registrations
//!   ([`Sockets::counting`], [`Host::registrations`]) must be back where it was
//!
//! A loop that runs futures, or owns the thread and calls back, is tested through a
//! [`Wait`](websocket_dispatcher::Wait) made for the test: it runs the loop until something was collected, a
//! wake came, or the deadline passed.
//!
//! The suite asks for what the contract promises and no more: it takes edges and levels, spurious
//! observations and late changes, and never looks at how long something took. What it does not take is
//! silence, another's key, or a wait that returns in circles. Its time limits only turn a hanging test into a
//! failing one.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic is what a point does with a dispatcher that misses it"
)]

mod apps;
mod changes;
mod host;
mod identity;
#[cfg(all(test, unix))]
mod mutants;
mod readiness;
mod rig;
mod simulated;
mod sources;
mod time;
mod transfer;
mod unwatched;
mod waking;

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

pub use self::host::{Far, Host, Sockets};

/// The points, each a function that panics when a dispatcher misses it.
/// [`conformance!`](crate::conformance!) makes tests of them.
pub mod points {
    pub use super::apps::*;
    pub use super::changes::*;
    pub use super::identity::*;
    pub use super::readiness::*;
    pub use super::sources::*;
    pub use super::time::*;
    pub use super::transfer::*;
    pub use super::unwatched::*;
    pub use super::waking::*;
}

/// Runs one point on the host that `make` builds, and panics when the dispatcher misses it or hangs.
///
/// # Panics
/// When the dispatcher misses the point.
pub fn check<H: Host + 'static>(make: impl FnOnce() -> H + Send + 'static, point: fn(&mut H)) {
    let (done, outcome) = mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name("conformance".into())
        .spawn(move || {
            // Dropped at the end or by a panic, which is what the channel tells.
            let _done = done;
            point(&mut make());
        })
        .expect("a thread for the test");
    if outcome.recv_timeout(2 * H::PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("a wait did not return in {:?}", 2 * H::PATIENCE);
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Makes one `#[test]` for each point of the dispatchers' contract.
///
/// The argument is an expression that builds a new dispatcher, or one that builds a
/// [`Host`](trait@crate::conformance::Host): after `sockets:` one whose dispatchers watch sockets and are
/// woken by other threads, after `host:` any other. Loops that sleep on when a signal has interrupted them,
/// or that other threads sleep for, are tested after `signals_pass:`, without the point about signals. To
/// test several dispatchers in one file, invoke the macro in a module for each.
///
/// ```
/// mod mio {
///     use websocket_dispatcher::MioDispatcher;
///     websocket_testkit::conformance!(MioDispatcher::new().unwrap());
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    (host: $host:expr) => {
        $crate::__conformance_points! { streams: [$crate::__conformance_tests] $host }
    };
    (sockets: $host:expr) => {
        $crate::conformance!(signals_pass: $host);
        $crate::__conformance_points! { signals: [$crate::__conformance_tests] $host }
    };
    (signals_pass: $host:expr) => {
        $crate::conformance!(host: $host);
        $crate::__conformance_points! { sockets: [$crate::__conformance_tests] $host }
    };
    ($dispatcher:expr) => {
        $crate::conformance!(sockets: $crate::conformance::Sockets::new(|| $dispatcher));
    };
}

/// The list of points: those that any stream can show, and those that need sockets and threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_points {
    (streams: [$($each:tt)*] $host:expr) => {
        $($each)*! { $host;
            readable_is_reported
            writable_is_reported
            what_is_ready_at_registration_is_reported
            new_bytes_after_draining_are_reported
            room_after_a_full_buffer_is_reported
            a_half_close_is_readable
            a_hang_up_is_readable
            a_reset_is_readable
            a_reset_ends_the_wait_for_room
            many_streams_at_once_are_all_reported
            observations_are_appended
            a_short_read_that_drains_is_followed_by_news
            reregistration_reports_what_is_ready
            an_interest_can_grow_and_shrink
            a_change_right_after_a_report_takes_effect
            registering_a_live_key_fails_and_changes_nothing
            a_refused_stream_leaves_its_key_free
            reregistering_a_dead_key_fails
            deregistering_closes_the_stream
            deregistering_a_stale_key_only_drops_the_stream
            a_stream_removed_inside_a_batch_stays_silent
            a_reused_slot_reports_under_its_new_key
            a_stream_watched_for_nothing_is_silent
            a_hang_up_of_what_is_watched_for_nothing_lets_the_loop_sleep
            an_interest_that_comes_back_reports_what_is_there
            a_stream_can_be_registered_for_nothing
            errors_do_not_depend_on_the_interest
            deregistering_closes_what_is_watched_for_nothing
            a_source_is_reported_like_a_stream
            reregistration_reports_a_source_that_is_still_ready
            deregistering_closes_a_source
            bytes_keep_their_order
            what_was_written_goes_out_with_the_next_wait
            what_was_written_goes_out_before_the_end
            a_peer_that_does_not_read_holds_back_the_writer
            a_wake_before_the_wait_ends_it
            a_wake_is_not_sticky
            a_wake_does_not_swallow_readiness
            a_waker_may_outlive_its_dispatcher
            a_deadline_in_the_past_looks_and_returns
            a_near_deadline_is_reached_without_circles
            a_fine_deadline_is_rounded_up
            a_distant_deadline_is_no_trouble
            the_clock_does_not_go_backwards
            whole_apps_see_the_same_events_as_on_mio
            an_idle_reactor_sleeps
            changes_outside_of_turns_take_effect
            dropping_the_reactor_leaves_nothing
            stopping_leaves_nothing
            a_panic_in_a_callback_leaves_nothing
            removing_apps_in_mid_turn_leaves_nothing
            every_run_ends_once
            a_connection_is_made_again_on_demand
            timers_of_the_reactor_outlive_connections
            a_silent_server_is_left
            heartbeats_are_sent_and_probes_judged
            a_paused_app_is_delivered_nothing_until_it_resumes
            a_send_limit_holds_back_what_is_too_much
            a_successor_takes_over_without_a_gap
            numbers_are_those_of_the_servers
            the_reactor_counts_what_the_dispatcher_reports
            batches_end_behind_their_last_message
        }
    };
    (sockets: [$($each:tt)*] $host:expr) => {
        $($each)*! { $host;
            a_wake_from_another_thread_ends_a_wait
            a_storm_of_wakes_loses_none
            other_threads_reach_the_apps
            other_threads_read_the_numbers
            what_was_written_goes_out_when_it_is_handed_over
            a_peer_is_held_back_while_nothing_is_read
            what_has_arrived_can_be_read_without_a_wait
            #[cfg(target_os = "linux")] a_socket_is_watched_by_its_own_descriptor
            #[cfg(unix)] unix_streams_are_watched
            #[cfg(unix)] a_reused_descriptor_reports_under_its_own_key
            #[cfg(unix)] udp_sockets_are_watched
            #[cfg(unix)] pipes_are_watched
            #[cfg(unix)] listeners_are_watched
            #[cfg(unix)] a_regular_file_is_refused_or_ready
        }
    };
    (signals: [$($each:tt)*] $host:expr) => {
        $($each)*! { $host;
            #[cfg(unix)] an_interrupted_wait_is_no_error
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($host:expr; $($(#[$attribute:meta])* $point:ident)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $point() {
                $crate::conformance::check(|| $host, $crate::conformance::points::$point);
            }
        )*
    };
}
