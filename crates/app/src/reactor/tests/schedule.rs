//! What the schedule keeps.

use std::time::Duration;

use websocket_testkit::frame;
use websocket_testkit::sim::{SimDispatcher, SimNet};

use crate::id::AppId;
use crate::schedule::{Due, later};
use crate::{Reactor, RunOptions, WebSocketApp};

const HOUR: Duration = Duration::from_secs(3600);

/// A reactor with one app, whose server opens the connection and answers pings.
fn reactor(options: &RunOptions) -> (SimNet, Reactor<SimDispatcher>, AppId) {
    let net = SimNet::new(1);
    net.serve_arrivals("192.0.2.1:80".parse().unwrap(), |peer| {
        peer.accept_upgrade();
        while let Some(frame) = peer.read_frame() {
            peer.write(&frame::pong(&frame.payload));
        }
    });
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let mut reactor = reactor.connector(net.clone());
    let id = WebSocketApp::new("ws://192.0.2.1/").run_on(&mut reactor, options).unwrap();
    (net, reactor, id)
}

fn run_for(net: &SimNet, reactor: &mut Reactor<SimDispatcher>, time: Duration) {
    let end = net.elapsed() + time;
    while net.elapsed() < end {
        reactor.poll(Some(end - net.elapsed())).unwrap();
    }
}

#[test]
fn cancelled_timers_leave_the_schedule_before_their_time() {
    let (net, mut reactor, id) = reactor(&RunOptions::new());
    run_for(&net, &mut reactor, HOUR);
    let timers: Vec<_> = (0..100)
        .map(|_| reactor.apps.with(id, |app| app.set_timeout(1000 * HOUR, |_| ())).unwrap())
        .collect();
    for _ in 0..1000 {
        reactor.apps.with(id, |app| {
            let many: Vec<_> = (0..100).map(|_| app.set_timeout(1000 * HOUR, |_| ())).collect();
            assert!(many.into_iter().all(|timer| app.cancel(timer)));
        });
        reactor.poll(Some(Duration::ZERO)).unwrap();
        assert!(reactor.apps.schedule.len() <= 400);
    }
    reactor.apps.with(id, |app| assert!(timers.into_iter().all(|timer| app.cancel(timer))));
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(reactor.apps.schedule.len(), 0);
}

#[test]
fn a_deadline_armed_twice_for_the_same_time_leaves_nothing_when_its_app_ends() {
    let (net, mut reactor, id) = reactor(&RunOptions::new());
    run_for(&net, &mut reactor, HOUR);
    let at = later(net.now(), HOUR);
    reactor.apps.schedule.push(at, Due::Deadline(id));
    let mut app = reactor.apps.take(id).unwrap();
    app.control.armed = Some(reactor.apps.schedule.push(at, Due::Deadline(id)));
    reactor.apps.put_back(id, app);
    // The first one is left of a deadline that was moved on and back: it was forgotten, and tidied up with others since.
    reactor.apps.schedule.forget(2);
    reactor.apps.tidy_schedule();
    assert_eq!(reactor.apps.schedule.len(), 1);
    reactor.apps.remove(id);
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(reactor.next_deadline(), None);
}

#[test]
fn b102_keep_alive_does_not_fill_the_schedule() {
    let options = RunOptions::new().ping_interval(HOUR).ping_timeout(HOUR / 2);
    let (net, mut reactor, id) = reactor(&options);
    for _ in 0..1000 {
        run_for(&net, &mut reactor, HOUR);
        let heap = &reactor.apps.schedule;
        assert!(heap.len() <= 4, "{heap:?}");
    }
    assert!(reactor.apps.with(id, |app| app.rtt().last).unwrap().is_some());
}

#[test]
fn b126_retries_do_not_fill_the_schedule() {
    let net = SimNet::new(1);
    net.serve("192.0.2.1:80".parse().unwrap(), |peer| {
        peer.accept_upgrade();
        peer.reset();
    });
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let mut reactor = reactor.connector(net.clone());
    let options = RunOptions::new().reconnect(HOUR).ping_interval(HOUR / 2);
    let app = WebSocketApp::new("ws://192.0.2.1/").on_open(|app, _| {
        app.set_timeout(1000 * HOUR, |_| ());
    });
    app.run_on(&mut reactor, &options).unwrap();
    for _ in 0..1000 {
        run_for(&net, &mut reactor, HOUR);
        let heap = &reactor.apps.schedule;
        assert!(heap.len() <= 8, "{heap:?}");
    }
    assert_eq!(net.attempts().len(), 1001);
}

#[test]
fn intervals_leave_one_entry_each_and_go_with_their_app() {
    let (net, mut reactor, id) = reactor(&RunOptions::new());
    reactor.apps.with(id, |app| {
        for seconds in 1..=50 {
            app.set_interval(Duration::from_secs(seconds), |_| ());
        }
    });
    run_for(&net, &mut reactor, HOUR);
    assert_eq!(reactor.apps.schedule.len(), 50);
    reactor.apps.remove(id);
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(reactor.apps.schedule.len(), 0);
}
