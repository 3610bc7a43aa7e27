//! Many apps on one reactor: they come and go in callbacks, reach each other, share the thread fairly and do not harm each other.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{AppId, Message, Reactor, RunOptions, SendError, State};
use websocket_testkit::frame::{self, Length};
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{SimNet, SimPeer, Trigger};
use websocket_tests::{Counting, Log, SERVER, URL, World, reactor, run, until};

fn options() -> RunOptions {
    RunOptions::new()
}

fn texts(peer: &SimPeer) -> Vec<String> {
    std::iter::from_fn(|| peer.read_frame())
        .filter(|it| it.opcode == frame::TEXT)
        .map(|it| it.text())
        .collect()
}

#[test]
fn b217_apps_share_a_reactor_and_each_gets_its_own() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let logs: Vec<_> = (0..200).map(|_| Log::new()).collect();
    for (number, log) in logs.iter().enumerate() {
        let messages = log.clone();
        log.app(echo.url())
            .on_open(move |app, _| app.send_text(number.to_string()))
            .on_message(move |app, message| {
                messages.message(message);
                app.close();
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    assert_eq!(reactor.apps().len(), 200);
    run(&mut reactor);
    for (number, log) in logs.iter().enumerate() {
        assert_eq!(log.lines(), [&format!("text {number}"), "close 1000, by client, clean"]);
    }
}

#[test]
fn a_callback_adds_apps_and_a_refused_one_is_an_error_there() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let (children, url) = (log.clone(), echo.url());
    log.app(echo.url())
        .on_open(move |app, _| {
            for _ in 0..3 {
                let child = children.app(&url).on_open(|app, _| app.close());
                let id = app.apps().add(child, &options())?;
                assert_eq!(app.apps().with(id, |child| child.state()), Some(State::Connecting));
            }
            assert_eq!(app.apps().len(), 4);
            app.close();
            app.apps().add(children.app("nonsense"), &options()).map(drop)
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    run(&mut reactor);
    let mut lines = log.lines();
    assert!(lines.remove(0).starts_with("error Callback("), "{lines:?}");
    assert_eq!(lines, ["close 1000, by client, clean"; 4]);
}

/// Two open apps, whose events come in the same batch, that of the first before that of the second.
fn pair(world: &mut World, app: impl Fn(usize) -> websocket_app::WebSocketApp) -> [(AppId, SimPeer); 2] {
    [0, 1].map(|index| {
        let peer = world.open(app(index), &options());
        (*world.reactor.apps().ids().last().unwrap(), peer)
    })
}

#[test]
fn an_app_that_is_removed_while_its_event_waits_in_the_same_batch_hears_nothing() {
    for both_ways in [false, true] {
        let mut world = World::new();
        let log = Log::new();
        let ids = Rc::new(RefCell::new(Vec::new()));
        let apps = pair(&mut world, |index| {
            let (ids, log) = (ids.clone(), log.clone());
            log.clone().app(URL).on_open(|_, _| {}).on_message(move |app, _| {
                log.push(format!("message for {index}"));
                let other = ids.borrow()[1 - index];
                if index == 0 || both_ways {
                    assert!(app.apps().remove(other));
                    assert!(!app.apps().remove(other));
                    assert_eq!(app.apps().with(other, |_| ()), None);
                }
            })
        });
        ids.borrow_mut().extend(apps.each_ref().map(|(id, _)| *id));
        for (_, peer) in &apps {
            peer.write(&frame::text("now"));
        }
        world.settle();
        assert_eq!(log.lines(), ["message for 0"]);
        assert!(apps[1].1.ended().is_some());
        assert_eq!(apps[0].1.ended(), None);
        assert_eq!(world.reactor.apps().ids(), [apps[0].0]);
    }
}

#[test]
fn a_late_event_of_a_removed_app_never_reaches_its_successor() {
    let mut world = World::new();
    let log = Log::new();
    let ids = Rc::new(RefCell::new(Vec::new()));
    let apps = pair(&mut world, |index| {
        let (ids, log) = (ids.clone(), log.clone());
        log.clone().app(URL).on_open(|_, _| {}).on_message(move |app, _| {
            log.push(format!("message for {index}"));
            let victim = ids.borrow()[1];
            app.apps().remove(victim);
            let successor = log.app(URL);
            let id = app.apps().add(successor, &options())?;
            assert!(!ids.borrow().contains(&id));
            Ok::<_, websocket_app::Error>(())
        })
    });
    ids.borrow_mut().extend(apps.each_ref().map(|(id, _)| *id));
    let listener = world.net.listen(SERVER);
    for (_, peer) in &apps {
        peer.write(&frame::text("now"));
    }
    world.settle();
    assert_eq!(log.lines(), ["message for 0"]);
    // The old stream is not the new one's either.
    apps[1].1.write(&frame::text("to the dead"));
    let peer = listener.accept().unwrap();
    peer.accept_upgrade().unwrap();
    peer.write(&frame::text("hello"));
    world.settle();
    assert_eq!(log.lines(), ["message for 0", "open", "text hello"]);
}

#[test]
fn the_name_of_an_app_is_not_used_again() {
    let mut world = World::new();
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        let id = Log::new().app(URL).run_on(&mut world.reactor, &options()).unwrap();
        assert!(seen.insert(id));
        assert!(world.reactor.apps().remove(id));
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        assert!(!world.reactor.apps().remove(id));
        assert_eq!(world.reactor.apps().with(id, |_| ()), None);
    }
    let all: Vec<_> =
        (0..100).map(|_| Log::new().app(URL).run_on(&mut world.reactor, &options()).unwrap()).collect();
    assert!(all.iter().all(|id| seen.insert(*id)));
}

#[test]
fn what_is_asked_for_between_turns_makes_the_next_one_due_at_once() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &options());
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.reactor.next_deadline(), None);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.send_text("now").unwrap());
    assert_eq!(world.reactor.next_deadline(), Some(world.net.now()));
    world.reactor.poll(None).unwrap();
    assert_eq!(texts(&peer), ["now"]);
    assert_eq!(world.reactor.next_deadline(), None);

    world.reactor.apps().with(id, |app| app.set_timeout(Duration::ZERO, |app| app.send_text("and now")));
    world.reactor.poll(None).unwrap();
    assert_eq!(texts(&peer), ["and now"]);

    let other = log.app("ws://192.0.2.77/").run_on(&mut world.reactor, &options()).unwrap();
    assert_eq!(world.reactor.next_deadline(), Some(world.net.now()));
    assert!(world.reactor.apps().remove(other));
    world.reactor.poll(None).unwrap();
    assert_eq!(world.net.attempts().len(), 1);

    assert!(world.reactor.apps().remove(id));
    world.reactor.run().unwrap();
    assert!(world.reactor.apps().is_empty());
    assert_eq!(world.net.elapsed(), Duration::from_secs(60));
}

#[test]
fn a_callback_sends_to_a_peer_on_the_same_reactor() {
    let mut world = World::new();
    let log = Log::new();
    let ids = Rc::new(RefCell::new(Vec::new()));
    let apps = pair(&mut world, |index| {
        let (ids, log) = (ids.clone(), log.clone());
        log.clone().app(URL).on_open(|_, _| {}).on_message(move |app, message| {
            let Message::Text(text) = message else { panic!("{message:?}") };
            let other = ids.borrow()[1 - index];
            let sent = app.apps().with(other, |peer| peer.send_text(text));
            log.push(format!("{index} passed on {text}: {sent:?}"));
        })
    });
    ids.borrow_mut().extend(apps.each_ref().map(|(id, _)| *id));
    apps[0].1.write(&frame::text("forward"));
    apps[1].1.write(&frame::text("back"));
    world.settle();
    assert_eq!(log.lines(), ["0 passed on forward: Some(Ok(()))", "1 passed on back: Some(Ok(()))"]);
    assert_eq!(texts(&apps[1].1), ["forward"]);
    assert_eq!(texts(&apps[0].1), ["back"]);

    // A peer that is not open refuses, one that is gone is not there.
    apps[1].1.write(&frame::close(1000, ""));
    world.settle();
    apps[0].1.write(&frame::text("late"));
    world.settle();
    let refused = Some(Err::<(), _>(SendError::NotOpen(State::Closing)));
    assert_eq!(
        log.lines()[2..],
        ["close 1000, by server, clean", &format!("0 passed on late: {refused:?}")][1..]
    );
    apps[1].1.shutdown();
    world.settle();
    apps[0].1.write(&frame::text("later"));
    world.settle();
    assert_eq!(log.lines().last().unwrap(), "0 passed on later: None");
}

#[test]
fn an_app_does_not_reach_itself_through_the_others() {
    let mut world = World::new();
    let log = Log::new();
    let open = log.clone();
    world.open(
        log.app(URL).on_open(move |app, _| {
            let me = app.id();
            open.push(format!("{:?}", app.apps().with(me, |_| ())));
            assert!(app.apps().ids().contains(&me));
        }),
        &options(),
    );
    assert_eq!(log.lines(), ["None"]);
}

#[test]
fn a_callback_stops_all_apps() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let logs: Vec<_> = (0..5).map(|_| Log::new()).collect();
    let open = Rc::new(Cell::new(0));
    for log in &logs {
        let open = open.clone();
        log.app(echo.url())
            .on_open(move |app, _| {
                open.set(open.get() + 1);
                if open.get() == 5 {
                    app.apps().stop();
                }
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    reactor.run().unwrap();
    assert!(reactor.apps().is_empty());
    for log in logs {
        assert_eq!(log.lines(), ["close, by client"]);
    }
}

#[test]
fn a_firehose_does_not_delay_99_quiet_peers_by_a_turn() {
    for trigger in [Trigger::Edge, Trigger::Level] {
        let mut world = World::on(SimNet::new(1).with_trigger(trigger));
        let poured = Rc::new(Cell::new(0));
        let pour = poured.clone();
        let firehose = world.open(
            Log::new().app(URL).on_message(move |_, message| pour.set(pour.get() + message.len())),
            &options(),
        );
        let quiet: Vec<_> = (0..99)
            .map(|_| {
                let echo = Log::new()
                    .app(URL)
                    .on_message(|app, message| app.send(message.as_bytes(), message.kind().into()));
                world.open(echo, &options())
            })
            .collect();

        const FRAME: usize = 60_000;
        const FRAMES: usize = 400;
        firehose.write(&frame::binary(&[0; FRAME]).repeat(FRAMES));
        let mut most = 0;
        let mut turns = 0;
        while poured.get() < FRAME * FRAMES {
            for (number, peer) in quiet.iter().enumerate() {
                peer.write(&frame::text(&format!("{turns} {number}")));
            }
            let before = poured.get();
            world.reactor.poll(None).unwrap();
            most = most.max(poured.get() - before);
            assert!(poured.get() > before, "the firehose gets its share");
            for (number, peer) in quiet.iter().enumerate() {
                assert_eq!(texts(peer), [format!("{turns} {number}")], "turn {turns}, {trigger:?}");
            }
            turns += 1;
        }
        assert!(most <= 1 << 20, "{most} bytes in one turn");
        assert!(turns > 20);
    }
}

#[test]
fn two_firehoses_share_and_real_sockets_too() {
    let firehose = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let frame = frame::binary(&[0; 1 << 16]).repeat(16);
        while peer.try_write(&frame).is_ok() {}
    })
    .unwrap();
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let poured = [0, 1].map(|_| Rc::new(Cell::new(0)));
    for poured in &poured {
        let poured = poured.clone();
        Log::new()
            .app(firehose.url())
            .on_message(move |_, message| poured.set(poured.get() + message.len()))
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    until(&mut reactor, |_| poured.iter().all(|poured| poured.get() > 0));
    let done = Rc::new(Cell::new(0));
    for _ in 0..99 {
        let (done, mut rounds) = (done.clone(), 0);
        Log::new()
            .app(echo.url())
            .on_open(|app, _| app.send_text("round"))
            .on_message(move |app, message| {
                rounds += 1;
                if rounds == 20 {
                    done.set(done.get() + 1);
                }
                app.send(message.as_bytes(), message.kind().into())
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    let before = poured.each_ref().map(|poured| poured.get());
    until(&mut reactor, |_| done.get() == 99);
    for (poured, before) in poured.iter().zip(before) {
        assert!(poured.get() > before);
    }
    reactor.apps().stop();
    run(&mut reactor);
}

#[test]
fn what_breaks_one_app_leaves_its_neighbours_untouched() {
    let breaches: [(&str, Vec<u8>); 4] = [
        ("error Protocol(UnknownOpcode(3))", frame::encode(true, 0, 3, b"")),
        (
            "error Protocol(FrameTooBig { len: 1099511627776, limit: 67108864 })",
            frame::raw(0x82, Length::Claimed(1 << 40), b""),
        ),
        ("error Protocol(InvalidUtf8)", frame::encode(true, 0, frame::TEXT, b"\xff")),
        ("error CallbackPanicked(\"boom\")", frame::text("panic")),
    ];
    for (error, breach) in breaches {
        let mut world = World::new();
        let logs = [0, 1, 2].map(|_| Log::new());
        let peers = logs.each_ref().map(|log| {
            let messages = log.clone();
            let app = log.app(URL).on_message(move |_, message| {
                assert!(message.as_text() != Some("panic"), "boom");
                messages.message(message);
            });
            world.open(app, &options())
        });
        // All in one batch: the middle one is the bad one.
        peers[0].write(&frame::text("before"));
        peers[1].write(&breach);
        peers[2].write(&frame::encode(false, 0, frame::TEXT, b"aft"));
        world.settle();
        peers[1].close();
        peers[2].write(&frame::continuation(true, b"er"));
        world.settle();
        assert_eq!(logs[0].lines(), ["open", "text before"]);
        assert_eq!(logs[1].lines()[..2], ["open", error]);
        assert_eq!(logs[1].count(|line| line.starts_with("close: ")), 1);
        assert_eq!(logs[2].lines(), ["open", "text after"]);
        assert_eq!(world.reactor.apps().len(), 2);
    }
}

#[test]
fn after_a_thousand_apps_came_and_went_nothing_is_left() {
    let net = SimNet::new(1);
    let resolver = net.resolver();
    let mut reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).unwrap();
    reactor = reactor.connector(net.clone()).resolver(resolver.clone());
    resolver.delay("slow.test", None);
    let black_hole = "192.0.2.66:80".parse().unwrap();
    net.black_hole(black_hole);
    // Each connection is treated in another way.
    net.serve(SERVER, |peer| {
        peer.accept_upgrade();
        match peer.index() % 5 {
            0 => peer.close(),
            1 => peer.reset(),
            2 => peer.write(b"\xff\xff"),
            3 => peer.write(&frame::text("panic")),
            _ => {}
        }
    });
    let alive = Rc::new(());
    for number in 0..1000 {
        let url = ["ws://slow.test/", "ws://192.0.2.66/", "ws://unknown.test/", "ws://192.0.2.77/", URL]
            [number % 5];
        let kept = [0, 1, 2].map(|_| alive.clone());
        let [for_open, for_message, for_timer] = kept;
        let app = Log::new()
            .app(url)
            .on_open(move |app, _| {
                let _kept = &for_open;
                let for_timer = for_timer.clone();
                app.set_interval(Duration::from_secs(60), move |_| drop(for_timer.clone()));
                app.sender().run(|app| app.send_text("hello"));
            })
            .on_message(move |_, message| assert!(message.is_empty(), "{for_message:?}"));
        let id = app.run_on(&mut reactor, &options()).unwrap();
        for _ in 0..number % 7 {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        match number % 3 {
            0 => drop(reactor.apps().remove(id)),
            1 => drop(reactor.apps().with(id, |app| app.close())),
            _ => {}
        }
    }
    // Whatever was not removed or closed ends by itself, or is stopped.
    for _ in 0..100 {
        reactor.poll(Some(Duration::from_secs(1))).unwrap();
    }
    reactor.apps().stop();
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert!(reactor.apps().is_empty());
    assert_eq!((reactor.apps().len(), reactor.apps().ids()), (0, Vec::new()));
    assert_eq!(reactor.dispatcher().watched.get(), 0);
    assert!(reactor.dispatcher().most_watched < 1000);
    assert_eq!(Rc::strong_count(&alive), 1, "every callback was dropped");
    assert_eq!(reactor.next_deadline(), None);

    // And what comes next uses the slots of those that went.
    let highest = reactor.dispatcher().highest_slot;
    for _ in 0..1000 {
        let id = Log::new().app("ws://192.0.2.66/").run_on(&mut reactor, &options()).unwrap();
        reactor.poll(Some(Duration::ZERO)).unwrap();
        reactor.apps().remove(id);
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(reactor.dispatcher().highest_slot, highest);
    assert_eq!(reactor.next_deadline(), None);
}
