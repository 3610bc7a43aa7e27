//! Keep-alive, in virtual time: when pings go out, what counts as an answer, and when a silent server is given up.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Liveness, RunOptions};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn frames(peer: &SimPeer) -> Vec<Frame> {
    std::iter::from_fn(|| peer.read_frame()).collect()
}

fn pings(peer: &SimPeer) -> Vec<Vec<u8>> {
    frames(peer).into_iter().filter(|it| it.opcode == frame::PING).map(|it| it.payload).collect()
}

/// Answers every ping that has arrived.
fn answer(peer: &SimPeer) -> usize {
    let pings = pings(peer);
    for payload in &pings {
        peer.write(&frame::pong(payload));
    }
    pings.len()
}

#[test]
fn b004_without_an_interval_no_ping_is_ever_sent() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    world.run_for(24 * 3600 * SECOND);
    assert_eq!(frames(&peer), []);
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b100_b101_a_ping_with_the_payload_is_sent_every_interval_the_first_after_one() {
    let mut world = World::new();
    let options = RunOptions::new().ping_interval(20 * SECOND).ping_payload("are you there?");
    let peer = world.open(Log::new().app(URL), &options);
    for round in 1..=5 {
        world.run_until(round * 20 * SECOND - MS);
        assert_eq!(frames(&peer), []);
        world.run_until(round * 20 * SECOND);
        let [ping] = frames(&peer).try_into().unwrap();
        assert_eq!((ping.opcode, ping.payload.as_slice()), (frame::PING, &b"are you there?"[..]));
        assert_eq!(ping.fault(), None);
    }
}

#[test]
fn b102_pings_are_timers_of_the_loop_and_cost_the_same_few_turns_each() {
    let mut world = World::new();
    let options = RunOptions::new().ping_interval(2 * SECOND).ping_timeout(SECOND);
    let peer = world.open(Log::new().app(URL), &options);
    let mut turns = Vec::new();
    for round in 1..=2000_u32 {
        let mut count = 0;
        while world.net.elapsed() < round * 2 * SECOND {
            world.reactor.poll(Some(round * 2 * SECOND - world.net.elapsed())).unwrap();
            count += 1;
        }
        turns.push(count);
        world.settle();
        assert_eq!(answer(&peer), 1);
    }
    assert!(turns[100..].iter().all(|count| *count == turns[100] && *count < 8), "{turns:?}");
}

#[test]
fn b103_b107_a_silent_server_is_given_up_and_on_close_comes_at_once() {
    let mut world = World::new();
    let log = Log::new();
    let options = RunOptions::new().ping_interval(10 * SECOND).ping_timeout(4 * SECOND);
    let peer = world.open(log.app(URL), &options);
    world.run_until(14 * SECOND - MS);
    assert_eq!(log.take(), ["open"]);
    assert_eq!(pings(&peer).len(), 1);
    world.run_until(14 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
    assert!(world.reactor.apps().is_empty());
    assert!(peer.ended().is_some());
    assert_eq!(frames(&peer), []);
}

#[test]
fn b104_a_timeout_just_below_the_interval_works_too() {
    let mut world = World::new();
    let log = Log::new();
    let options = RunOptions::new().ping_interval(2 * SECOND).ping_timeout(1900 * MS);
    let peer = world.open(log.app(URL), &options);
    for _ in 0..3 {
        world.run_for(2 * SECOND);
        assert_eq!(answer(&peer), 1);
    }
    let died = world.net.elapsed();
    world.run_until(died + 3900 * MS - MS);
    assert_eq!(
        log.take(),
        ["open", "pong \0\0\0\0\0\0\0\u{1}", "pong \0\0\0\0\0\0\0\u{2}", "pong \0\0\0\0\0\0\0\u{3}"]
    );
    world.run_until(died + 3900 * MS);
    assert_eq!(log.take(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn b104_the_deadline_counts_from_when_the_ping_was_written() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let options = RunOptions::new().ping_interval(10 * SECOND).ping_timeout(4 * SECOND);
    let peer = world.open(log.app(URL).on_open(|app, _| app.send_bytes([0; 5000])), &options);

    // The peer takes nothing, so the ping waits behind the message.
    world.run_until(25 * SECOND);
    assert_eq!(log.take(), [""; 0]);
    let slow = peer.clone();
    world.net.at(30 * SECOND, move |net| {
        for step in 0..10 {
            let slow = slow.clone();
            net.after(step * 10 * MS, move |_| drop(slow.read_available()));
        }
    });
    // It was read whole at about 30 s, and nothing came back.
    world.run_until(34 * SECOND);
    assert_eq!(log.take(), ["drain"]);
    world.run_until(35 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn b105_any_data_is_a_sign_of_life_unless_only_pongs_shall_be() {
    for (liveness, survives) in [(Liveness::AnyData, true), (Liveness::PongOnly, false)] {
        let mut world = World::new();
        let log = Log::new();
        let options =
            RunOptions::new().ping_interval(10 * SECOND).ping_timeout(4 * SECOND).liveness(liveness);
        let peer = world.open(log.app(URL).on_message(|_, _| {}), &options);
        for second in 1..=60 {
            let peer = peer.clone();
            world.net.at(second * SECOND, move |_| peer.write(&frame::text("busy")));
        }
        world.run_until(60 * SECOND);
        let expected: &[_] =
            if survives { &["open"] } else { &["open", "error Timeout(Pong)", "close: Timeout(Pong)"] };
        assert_eq!(log.take(), expected, "{liveness:?}");

        // Data that came before the ping was written says nothing about afterwards.
        if survives {
            world.run_until(74 * SECOND);
            assert_eq!(log.take(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
        }
    }
}

#[test]
fn b106_a_pong_answers_the_ping_whose_payload_it_carries_and_gives_the_round_trip_time() {
    let mut world = World::new();
    let options =
        RunOptions::new().ping_interval(10 * SECOND).ping_timeout(4 * SECOND).liveness(Liveness::PongOnly);
    let log = Log::new();
    let times = Rc::new(RefCell::new(Vec::new()));
    let seen = times.clone();
    let app = log.app(URL).on_pong(move |app, payload, rtt| {
        seen.borrow_mut().push((payload.to_vec(), rtt, app.rtt().last));
    });
    let peer = world.open(app, &options);

    world.run_until(10 * SECOND);
    let [ping] = pings(&peer).try_into().unwrap();
    peer.write(&frame::pong(b"nobody asked"));
    world.run_for(300 * MS);
    peer.write(&frame::pong(&ping));
    world.run_until(20 * SECOND);
    let rtt = Some(300 * MS);
    assert_eq!(*times.borrow(), [(b"nobody asked".to_vec(), None, None), (ping.clone(), rtt, rtt)]);

    // A pong for an earlier ping does not save it from the deadline of this one.
    assert_eq!(pings(&peer).len(), 1);
    peer.write(&frame::pong(&ping));
    world.run_until(24 * SECOND);
    assert_eq!(log.lines(), ["open", "error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn b106_a_ping_of_the_users_has_its_own_round_trip_time() {
    let mut world = World::new();
    let times = Rc::new(RefCell::new(Vec::new()));
    let seen = times.clone();
    let app = Log::new()
        .app(URL)
        .on_open(|app, _| app.ping(b"mine"))
        .on_pong(move |_, payload, rtt| seen.borrow_mut().push((payload.to_vec(), rtt)));
    let peer = world.open(app, &RunOptions::new());
    world.run_for(70 * MS);
    assert_eq!(answer(&peer), 1);
    world.settle();
    assert_eq!(*times.borrow(), [(b"mine".to_vec(), Some(70 * MS))]);
}

#[test]
fn b108_a_ping_is_answered_at_once_with_its_payload() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    world.run_for(SECOND);
    for payload in [&b""[..], b"payload", &[0xff; 125]] {
        peer.write(&frame::ping(payload));
        world.settle();
        let [pong] = frames(&peer).try_into().unwrap();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (frame::PONG, payload));
    }
    assert_eq!(world.net.elapsed(), SECOND);
}
