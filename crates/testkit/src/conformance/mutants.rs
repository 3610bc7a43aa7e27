//! The suite catches broken dispatchers: each point is missed by some fault that a dispatcher could have.

mod broken;
mod hoarder;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use websocket_dispatcher::{Io, MioDispatcher};

use self::broken::Broken;
use super::{Host, Sockets, check, points};

macro_rules! name_and_function {
    ($unused:expr; $($(#[$attribute:meta])* $point:ident)*) => {
        [$($(#[$attribute])* (stringify!($point), points::$point as fn(&mut BrokenHost))),*]
    };
}

macro_rules! faults {
    ($($fault:ident: $($point:ident)*;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        enum Fault { $($fault),* }

        /// Each fault with points that must catch it.
        const FAULTS: &[(Fault, &[&str])] = &[$((Fault::$fault, &[$(stringify!($point)),*])),*];
    };
}

faults! {
    DeafToBytes: readable_is_reported;
    DeafToRoom: writable_is_reported;
    SwallowsWhatWasReadyBefore: what_is_ready_at_registration_is_reported;
    ReportsOnceARegistration: new_bytes_after_draining_are_reported room_after_a_full_buffer_is_reported
        the_reactor_counts_what_the_dispatcher_reports batches_end_behind_their_last_message;
    HidesEnds: a_half_close_is_readable a_hang_up_is_readable;
    HidesErrors: a_reset_is_readable a_reset_ends_the_wait_for_room every_run_ends_once
        numbers_are_those_of_the_servers;
    LosesWhatExceedsABatch: many_streams_at_once_are_all_reported;
    ClearsTheList: observations_are_appended;
    DoesNotFlagEnds: a_short_read_that_drains_is_followed_by_news;
    IgnoresReregistration: reregistration_reports_what_is_ready an_interest_can_grow_and_shrink;
    IgnoresChangesAfterAReport: a_change_right_after_a_report_takes_effect;
    NeverForgetsWriting: an_interest_can_grow_and_shrink;
    ReplacesTheLive: registering_a_live_key_fails_and_changes_nothing;
    RefusesTheLiveTooLate: registering_a_live_key_fails_and_changes_nothing;
    TakesWhatItCannotWatch: a_refused_stream_leaves_its_key_free;
    KeepsTheKeyOfTheRefused: a_refused_stream_leaves_its_key_free;
    ReregistersTheDead: reregistering_a_dead_key_fails;
    NeverCloses: deregistering_closes_the_stream deregistering_a_stale_key_only_drops_the_stream
        a_silent_server_is_left a_connection_is_made_again_on_demand;
    KeepsItsShare: deregistering_closes_the_stream;
    WatchesADuplicate: a_socket_is_watched_by_its_own_descriptor;
    ClosesBehindTheLoopsBack: a_reused_slot_reports_under_its_new_key;
    DeregistersWhoeverHasTheSlot: deregistering_a_stale_key_only_drops_the_stream;
    ReportsTheDead: a_stream_removed_inside_a_batch_stays_silent a_reused_slot_reports_under_its_new_key;
    ReportsTheFirstKeyOfASlot: a_reused_slot_reports_under_its_new_key;
    ReportsTheFirstKeyOfADescriptor: a_reused_descriptor_reports_under_its_own_key;
    WatchesNoUnixStreams: unix_streams_are_watched;
    IgnoresThatNothingIsOfInterest: a_stream_watched_for_nothing_is_silent
        a_stream_can_be_registered_for_nothing;
    SpinsOverTheUnwatched: a_stream_watched_for_nothing_is_silent a_stream_can_be_registered_for_nothing
        a_paused_app_is_delivered_nothing_until_it_resumes;
    SpinsOverEndsOfTheUnwatched: a_hang_up_of_what_is_watched_for_nothing_lets_the_loop_sleep;
    ForgetsToComeBack: an_interest_that_comes_back_reports_what_is_there
        a_paused_app_is_delivered_nothing_until_it_resumes;
    DoesNotLookWhenInterestComesBack: an_interest_that_comes_back_reports_what_is_there;
    KeepsNoKeyForTheUnwatched: a_stream_can_be_registered_for_nothing;
    UnwatchesTheDead: errors_do_not_depend_on_the_interest;
    TakesAnythingToWatchForNothing: errors_do_not_depend_on_the_interest;
    LeaksTheUnwatched: deregistering_closes_what_is_watched_for_nothing;
    DeafToSources: a_source_is_reported_like_a_stream;
    ReportsASourceOnce: reregistration_reports_a_source_that_is_still_ready;
    NeverClosesSources: deregistering_closes_a_source;
    WatchesOnlyStreams: udp_sockets_are_watched pipes_are_watched listeners_are_watched;
    KeepsTheKeyOfAFile: a_regular_file_is_refused_or_ready;
    NeverReportsAFile: a_regular_file_is_refused_or_ready;
    LosesWakesBeforeTheWait: a_wake_before_the_wait_ends_it a_storm_of_wakes_loses_none;
    TiresOfWaking: a_storm_of_wakes_loses_none;
    LosesWakesDuringTheWait: a_wake_from_another_thread_ends_a_wait;
    ReportsWakes: a_wake_before_the_wait_ends_it;
    StaysAwake: a_wake_is_not_sticky;
    CountsWakes: a_wake_is_not_sticky;
    WakesInsteadOfReporting: a_wake_does_not_swallow_readiness;
    PanicsWhenWokenLate: a_waker_may_outlive_its_dispatcher;
    SleepsPastDeadlines: a_deadline_in_the_past_looks_and_returns a_near_deadline_is_reached_without_circles
        timers_of_the_reactor_outlive_connections heartbeats_are_sent_and_probes_judged
        a_send_limit_holds_back_what_is_too_much;
    DoesNotLookWhenLate: a_deadline_in_the_past_looks_and_returns;
    NeverSleeps: a_near_deadline_is_reached_without_circles;
    RoundsDown: a_fine_deadline_is_rounded_up;
    CountsIn32Bits: a_distant_deadline_is_no_trouble;
    TurnsTheClockBack: the_clock_does_not_go_backwards;
    FailsWhenInterrupted: an_interrupted_wait_is_no_error;
    SleepsOnWhenInterrupted: an_interrupted_wait_is_no_error;
    LosesOutputAtTheEnd: what_was_written_goes_out_before_the_end;
    KeepsOutput: what_was_written_goes_out_with_the_next_wait;
    KeepsOutputUntilItWaits: what_was_written_goes_out_when_it_is_handed_over;
    OvertakesOutput: bytes_keep_their_order;
    TakesOutputWithoutEnd: a_peer_that_does_not_read_holds_back_the_writer;
    ReadsAhead: a_peer_is_held_back_while_nothing_is_read;
    ReadsOnlyWhenItWaits: what_has_arrived_can_be_read_without_a_wait;
    // Here on come faults that only whole apps meet.
    ForgetsRoomForBytes: whole_apps_see_the_same_events_as_on_mio;
    StarvesWhileBusy: whole_apps_see_the_same_events_as_on_mio;
    SpinsOverManyStreams: an_idle_reactor_sleeps;
    LosesWakesAfterAFarewell: changes_outside_of_turns_take_effect;
    LosesWakesWhileWatching: other_threads_reach_the_apps other_threads_read_the_numbers;
    HearsOnlyTheNewest: a_successor_takes_over_without_a_gap;
    ClosesTooLate: dropping_the_reactor_leaves_nothing;
    LeaksWhatIsToBeWritten: dropping_the_reactor_leaves_nothing stopping_leaves_nothing
        a_panic_in_a_callback_leaves_nothing removing_apps_in_mid_turn_leaves_nothing;
    LeaksWhatWasReportedBesideOthers: removing_apps_in_mid_turn_leaves_nothing;
    KeepsEntriesOfTheDead: dropping_the_reactor_leaves_nothing stopping_leaves_nothing
        a_panic_in_a_callback_leaves_nothing removing_apps_in_mid_turn_leaves_nothing;
}

struct BrokenHost(Fault, Sockets<MioDispatcher, fn() -> MioDispatcher>);

impl Host for BrokenHost {
    /// What is broken stays silent longer than this, and whole apps need less.
    const PATIENCE: Duration = Duration::from_secs(1);
    type Dispatcher = Broken;
    type Far = TcpStream;

    fn dispatcher(&mut self) -> Broken {
        Broken::new(self.0)
    }

    fn pair(&mut self) -> (Io, TcpStream) {
        self.1.pair()
    }

    fn registrations(&mut self, dispatcher: &Broken) -> Option<usize> {
        Some(dispatcher.entries)
    }
}

fn all_points() -> BTreeMap<&'static str, fn(&mut BrokenHost)> {
    let streams = crate::__conformance_points! { streams: [name_and_function] () };
    let sockets = crate::__conformance_points! { sockets: [name_and_function] () };
    let signals = crate::__conformance_points! { signals: [name_and_function] () };
    streams.into_iter().chain(sockets).chain(signals).collect()
}

#[test]
fn every_broken_dispatcher_is_caught() {
    let points = all_points();
    let catches = |fault, name| {
        let point = points[name];
        move || {
            let host = move || BrokenHost(fault, Sockets::new(|| unreachable!()));
            catch_unwind(AssertUnwindSafe(|| check(host, point))).is_err()
        }
    };
    let attempts: Vec<_> = FAULTS
        .iter()
        .flat_map(|&(fault, names)| names.iter().map(move |&name| (fault, name)))
        // Some points are there on Linux only.
        .filter(|(_, name)| cfg!(target_os = "linux") || points.contains_key(name))
        .map(|(fault, name)| (fault, name, thread::spawn(catches(fault, name))))
        .collect();
    let mut missed: Vec<_> = attempts
        .into_iter()
        .filter_map(|(fault, name, attempt)| (!attempt.join().unwrap()).then_some((fault, name)))
        .collect();
    // Beside all others the system may report one by one what is to come in one batch. Alone it does not.
    missed.retain(|&(fault, name)| !catches(fault, name)());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn every_point_catches_something() {
    let idle: Vec<_> = all_points()
        .into_keys()
        .filter(|point| !FAULTS.iter().any(|(_, points)| points.contains(point)))
        .collect();
    assert!(idle.is_empty(), "no fault is there for {idle:?}");
}
