//! The race between the addresses of a name, and its lines.

use super::steps::Wait;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// When which address was connected to.
fn attempts(rig: &Rig) -> Vec<(u128, SocketAddr)> {
    rig.net.attempts().into_iter().map(|(at, address)| (at.as_millis(), address)).collect()
}

#[test]
fn b194_each_address_has_its_head_start_and_a_failure_ends_it() {
    for (delay, second_at) in [(250 * MS, 250), (40 * MS, 40), (Duration::ZERO, 10), (HOUR, 2000)] {
        let mut rig = Rig::new(BY_NAME, &options(None).attempt_delay(delay)).with_name(&[1, 2, 3]);
        rig.net.black_hole(address(1));
        rig.net.black_hole(address(2));
        rig.net.delay(address(3), SECOND);
        let third_at = 2 * second_at;
        let second_at = Duration::from_millis(second_at);
        waiting(rig.begin());
        waiting(rig.run_until(second_at - Duration::from_nanos(1)));
        assert_eq!(attempts(&rig), [(0, address(1))]);
        assert_eq!(rig.due(), Some(second_at));
        waiting(rig.run_until(second_at));
        assert_eq!(attempts(&rig)[1..], [(second_at.as_millis(), address(2))]);
        waiting(rig.run_until(5 * SECOND));
        assert_eq!(attempts(&rig)[2..], [(u128::from(third_at), address(3))]);
        assert_eq!(rig.dispatcher.registrations(), 2, "the third was refused");
        rig.assert_leaves_nothing();
    }
    let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&[1, 2, 3]);
    rig.net.fail(address(1), io::ErrorKind::NetworkUnreachable);
    rig.net.delay(address(2), 100 * MS);
    rig.net.black_hole(address(3));
    waiting(rig.begin_and_run_until(SECOND));
    assert_eq!(attempts(&rig), [(0, address(1)), (0, address(2)), (100, address(3))]);
    rig.assert_leaves_nothing();
}

#[test]
fn every_address_needs_a_place_and_losers_give_theirs_back() {
    let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&[1, 2]);
    rig.links.connections.set_max_per_server(1);
    rig.net.black_hole(address(1));
    let _listener = rig.net.listen(address(2));
    rig.net.delay(address(2), SECOND);
    waiting(rig.begin_and_run_until(SECOND));
    let tickets = [1, 2].map(|last| rig.queue_for(Server::At(address(last))));
    assert!(!rig.links.connections.can_call());
    let arrived = arrival(rig.run_until(2 * SECOND));
    assert_eq!(rig.net.elapsed(), 1250 * MS);
    assert_eq!((rig.dispatcher.registrations(), rig.links.watched.len()), (1, 1));
    // The place of the winner belongs to the attempt, up to the open connection.
    let attempt = rig.dial.take().unwrap().into_attempt();
    assert!(rig.links.connections.call().is_some_and(|(_, place)| place.is_in(&Server::At(address(1)))));
    assert!(!rig.links.connections.can_call());
    drop(attempt);
    assert!(rig.links.connections.call().is_some_and(|(_, place)| place.is_in(&Server::At(address(2)))));
    drop(tickets);
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();
}

#[test]
fn an_address_that_waited_for_its_place_has_the_time_that_was_left_before() {
    let connect = 5 * SECOND;
    // The first address is still under way when the second gets its place.
    for granted_at in [SECOND, 4 * SECOND, 5 * SECOND - Duration::from_nanos(1)] {
        let mut rig = Rig::new(BY_NAME, &options(None).connect_timeout(connect)).with_name(&[1, 2]);
        rig.net.black_hole(address(1));
        rig.net.black_hole(address(2));
        rig.links.connections.set_max_total(2);
        rig.take_place(Server::At(address(200)));
        waiting(rig.begin_and_run_until(granted_at));
        assert_eq!(attempts(&rig), [(0, address(1))]);
        rig.give_places_back();
        waiting(rig.run_until(granted_at));
        assert_eq!(rig.net.attempts()[1], (granted_at, address(2)));
        let until = granted_at + connect - 250 * MS;
        waiting(rig.run_until(until - Duration::from_nanos(1)));
        let error = failure(rig.run_until(until));
        assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error:?}");
        rig.assert_leaves_nothing();
    }
}

#[test]
fn a_stream_whose_time_is_up_does_not_end_a_race_in_which_the_next_address_waits() {
    // The place that the second address waits for is that of the first.
    let mut rig = Wait::ForServerAndToRace.rig(&options(None).connect_timeout(5 * SECOND));
    let _listener = rig.net.listen(address(2));
    let arrived = arrival(rig.run_until(HOUR));
    assert_eq!(rig.net.elapsed(), 5 * SECOND);
    assert_eq!(attempts(&rig), [(0, address(1)), (5000, address(2))]);
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();

    // Another app keeps the place for an hour.
    let mut rig = Rig::new(BY_NAME, &options(None).connect_timeout(5 * SECOND)).with_name(&[1, 2]);
    rig.net.black_hole(address(1));
    rig.net.black_hole(address(2));
    rig.links.connections.set_max_per_server(1);
    rig.take_place(Server::At(address(2)));
    waiting(rig.begin_and_run_until(HOUR));
    assert_eq!((rig.dispatcher.registrations(), rig.due()), (0, None));
    rig.give_places_back();
    let until = HOUR + 4750 * MS;
    waiting(rig.run_until(until - Duration::from_nanos(1)));
    let error = failure(rig.run_until(until));
    assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error:?}");
    rig.assert_leaves_nothing();
}

#[test]
fn the_attempt_has_its_deadline_postponed_only_while_nothing_is_under_way() {
    for fails in [false, true] {
        let run = options(None).connect_timeout(3 * SECOND).attempt_timeout(4 * SECOND);
        let mut rig = Rig::new(BY_NAME, &run).with_name(&[1, 2]);
        // It is refused, or gives up, when three seconds of the attempt are over.
        if fails {
            rig.net.delay(address(1), 3 * SECOND - Duration::from_nanos(1));
        } else {
            rig.net.black_hole(address(1));
        }
        rig.net.black_hole(address(2));
        rig.links.connections.set_max_per_server(1);
        rig.take_place(Server::At(address(2)));
        waiting(rig.begin_and_run_until(HOUR));
        rig.give_places_back();
        waiting(rig.run_until(HOUR + SECOND - Duration::from_nanos(1)));
        let error = failure(rig.run_until(HOUR + SECOND + Duration::from_nanos(1)));
        assert!(matches!(error, Error::Timeout(Timeout::Attempt)), "{error:?}");
        rig.assert_leaves_nothing();
    }
}

#[test]
fn an_address_that_is_mapped_into_ipv6_waits_for_the_same_place() {
    let mapped = "::ffff:192.0.2.1";
    for (url, addresses) in [
        ("ws://[::ffff:192.0.2.1]/", &[][..]),
        (BY_NAME, &[mapped]),
        // The first one is refused.
        (BY_NAME, &["192.0.2.2", mapped]),
    ] {
        let mut rig = Rig::new(url, &options(None));
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        rig.resolver.name(NAME, &addresses);
        rig.links.connections.set_max_per_server(1);
        rig.take_place(Server::At(address(1)));
        let before = usize::from(addresses.len() == 2);
        waiting(rig.begin_and_run_until(HOUR));
        assert_eq!((rig.net.attempts().len(), rig.due()), (before, None), "{addresses:?}");
        rig.give_places_back();
        let error = failure(rig.run_until(HOUR));
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert_eq!(rig.net.attempts().len(), before + 1, "{addresses:?}");
        rig.assert_leaves_nothing();
    }
}

#[test]
fn the_place_is_at_the_first_address_that_has_not_failed_before() {
    let rig = || {
        let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&[1, 2]);
        rig.failed_addresses.add(address(1));
        rig.links.connections.set_max_per_server(1);
        rig.net.black_hole(address(2));
        rig
    };
    let mut at_once = rig();
    at_once.take_place(Server::At(address(1)));
    waiting(at_once.begin_and_run_until(Duration::ZERO));
    assert_eq!(at_once.net.attempts(), [(Duration::ZERO, address(2))]);
    at_once.assert_leaves_nothing();

    let mut in_line = rig();
    in_line.take_place(Server::At(address(2)));
    waiting(in_line.begin_and_run_until(HOUR));
    assert_eq!(in_line.net.attempts(), []);
    in_line.give_places_back();
    waiting(in_line.run_until(HOUR));
    assert_eq!(in_line.net.attempts(), [(HOUR, address(2))]);
    in_line.assert_leaves_nothing();
}
