//! Each step has its deadline, none of which runs in a line.

use super::steps::Wait;
use super::*;

/// Options in which no two deadlines are the same.
fn limits(wait: Wait, attempt: Duration) -> RunOptions {
    let options = wait.options().resolve_timeout(3 * SECOND).connect_timeout(5 * SECOND);
    options.proxy_timeout(7 * SECOND).attempt_timeout(attempt)
}

#[test]
fn b132_b135_each_step_times_out_at_its_own_deadline() {
    for (wait, timeout, after) in [
        (Wait::ForName, Timeout::Resolve, 3),
        (Wait::ForServer, Timeout::Connect, 5),
        (Wait::ForRace, Timeout::Connect, 5),
        (Wait::ForProxyName, Timeout::Resolve, 3),
        (Wait::ForProxy, Timeout::Connect, 5),
        (Wait::ForHttpTunnel, Timeout::Proxy, 7),
        (Wait::ForSocksTunnel, Timeout::Proxy, 7),
        (Wait::ForNameBehindProxy, Timeout::Resolve, 3),
        (Wait::ForOwnStream, Timeout::Connect, 5),
        #[cfg(unix)]
        (Wait::ForUnixSocket, Timeout::Connect, 5),
        #[cfg(unix)]
        (Wait::ForBacklog, Timeout::Connect, 5),
    ] {
        for (attempt, timeout, after) in [(HOUR, timeout, after), (2 * SECOND, Timeout::Attempt, 2)] {
            let mut rig = wait.rig(&limits(wait, attempt));
            let after = after * SECOND;
            waiting(rig.run_until(after - Duration::from_nanos(1)));
            let error = failure(rig.run_until(after));
            assert!(matches!(error, Error::Timeout(it) if it == timeout), "{wait:?}: {error:?}");
            assert_eq!(rig.net.elapsed(), after, "{wait:?}");
            rig.assert_leaves_nothing();
        }
    }
}

#[test]
fn no_deadline_runs_in_a_line() {
    for (wait, timeout, after) in [
        (Wait::ToAsk, Timeout::Resolve, 3),
        (Wait::ToConnect, Timeout::Connect, 5),
        (Wait::ToConnectByName, Timeout::Connect, 5),
        (Wait::ToRace, Timeout::Connect, 5),
    ] {
        assert!(wait.is_in_line());
        for (attempt, timeout, after) in [(HOUR, timeout, after), (2 * SECOND, Timeout::Attempt, 2)] {
            let mut rig = wait.rig(&limits(wait, attempt));
            rig.resolver.delay(NAME, None);
            waiting(rig.run_until(10 * HOUR));
            assert_eq!(rig.due(), None, "{wait:?}");
            rig.give_places_back();
            waiting(rig.run_until(10 * HOUR + after * SECOND - Duration::from_nanos(1)));
            let error = failure(rig.run_until(10 * HOUR + after * SECOND));
            assert!(matches!(error, Error::Timeout(it) if it == timeout), "{wait:?}: {error:?}");
            rig.assert_leaves_nothing();
        }
    }
}

#[test]
fn the_deadline_of_the_attempt_covers_all_steps_and_leaves_out_all_lines() {
    let mut rig = Rig::new(BY_NAME, &options(None).attempt_timeout(7 * SECOND)).with_name(&[1]);
    rig.take_all_names();
    rig.resolver.delay(NAME, Some(3 * SECOND));
    rig.net.black_hole(address(1));
    waiting(rig.begin_and_run_until(HOUR));
    rig.give_places_back();
    rig.take_all_connections();
    waiting(rig.run_until(2 * HOUR));
    rig.give_places_back();
    // Three seconds were for the name.
    let connected_by = 2 * HOUR + 4 * SECOND;
    waiting(rig.run_until(connected_by - Duration::from_nanos(1)));
    let error = failure(rig.run_until(connected_by));
    assert!(matches!(error, Error::Timeout(Timeout::Attempt)), "{error:?}");
    rig.assert_leaves_nothing();
}
