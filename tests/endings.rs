//! Every way in which an attempt can end: on_error if it failed, then exactly one on_close, which is the last callback.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use websocket_app::link::socket2::{Domain, Socket, Type};
use websocket_app::{CloseCode, Error, Outcome, RunOptions, State, UpgradeError, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, Peer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, SERVER, URL, World, outcome_line, reactor, run, run_forever, until};

fn options() -> RunOptions {
    RunOptions::new()
}

/// What an app that talks to `script` is told, and what its run returns.
fn told(
    script: impl Fn(Peer) + Send + Sync + 'static,
    app: impl FnOnce(&Log, String) -> WebSocketApp,
) -> (Vec<String>, String) {
    let server = ScriptedServer::start(script).unwrap();
    let log = Log::new();
    let outcome = run_forever(&mut app(&log, server.url()), &options()).unwrap();
    server.join();
    (log.lines(), outcome_line(&outcome))
}

/// What an app in the simulation is told when `work` is done to it while it is under way.
fn told_meanwhile(prepare: impl FnOnce(&World), url: &str, work: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = World::new();
    prepare(&world);
    let log = Log::new();
    log.app(url).run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    assert_eq!(log.lines(), [""; 0]);
    work(&mut world);
    world.settle();
    assert!(world.reactor.apps().is_empty());
    log.lines()
}

#[test]
fn b051_b039_a_refused_connection() {
    // Bound and not listening: the port is taken, and whoever connects is refused.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let log = Log::new();
    let mut app = log.app(format!("ws://{address}/"));
    let Outcome::Lost(Error::Connect { address: tried, source, .. }) =
        run_forever(&mut app, &options()).unwrap()
    else {
        panic!("it was not refused")
    };
    assert_eq!((tried, source.kind()), (Some(address), io::ErrorKind::ConnectionRefused));
    assert_eq!(log.lines(), ["error Connect(ConnectionRefused)", "close: Connect(ConnectionRefused)"]);
}

#[test]
fn b051_b143_b039_a_name_that_does_not_resolve() {
    let mut world = World::new();
    let log = Log::new();
    log.app("ws://nowhere.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    let error = "Resolve(nowhere.test, NotFound)";
    assert_eq!(log.lines(), [format!("error {error}"), format!("close: {error}")]);
}

#[test]
fn b051_b052_a_refused_upgrade_and_the_error_carries_what_the_server_said() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(b"HTTP/1.1 403 Keep Out\r\nX-Why: private\r\nContent-Length: 7\r\n\r\nprivate");
    })
    .unwrap();
    let log = Log::new();
    let outcome = run_forever(&mut log.app(server.url()), &options()).unwrap();
    let Outcome::Lost(Error::Upgrade(UpgradeError::Status { response, body })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((response.status.as_u16(), response.status_message.as_str()), (403, "Keep Out"));
    assert_eq!((response.headers["x-why"].as_bytes(), body.as_slice()), (&b"private"[..], &b"private"[..]));
    assert_eq!(log.lines(), ["error Upgrade(Status 403)", "close: Upgrade(Status 403)"]);
    server.join();
}

#[test]
fn b052_the_text_of_a_refusal_shows_the_first_line_of_its_body() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        let body = "\r\nyour plan allows 5 connections, key s3cret has them\nsee the manual\n";
        let length = body.len();
        peer.write(format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
    })
    .unwrap();
    let text = "the opening handshake failed: the server answered 403 Forbidden: \
                your plan allows 5 connections, key *** has them";
    let seen = Rc::new(RefCell::new(String::new()));
    let in_callback = seen.clone();
    let mut app = WebSocketApp::new(format!("{}?key=s3cret", server.url()))
        .on_error(move |_, error| *in_callback.borrow_mut() = error.to_string());
    let error = run_forever(&mut app, &options()).unwrap().into_result().unwrap_err();
    assert_eq!(*seen.borrow(), text);
    // What a `main` prints that returns the error.
    assert_eq!(format!("{error:?}"), text);
    server.join();
}

#[test]
fn b051_a_response_that_is_none() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.read_request();
            peer.write(b"SSH-2.0-OpenSSH_9.9\r\n");
        },
        Log::app,
    );
    assert_eq!(lines, ["error Upgrade(NotHttp)", "close: Upgrade(NotHttp)"]);
    assert_eq!(outcome, "lost Upgrade(NotHttp)");
}

#[test]
fn b051_a_server_that_leaves_before_it_answers() {
    let (lines, _) = told(|mut peer| drop(peer.read_request()), Log::app);
    assert_eq!(lines, ["error NoResponse", "close: NoResponse"]);
    let (lines, _) = told(
        |mut peer| {
            peer.read_request();
            peer.reset();
        },
        Log::app,
    );
    assert_eq!(lines, ["error NoResponse(ConnectionReset)", "close: NoResponse(ConnectionReset)"]);
}

#[test]
fn b041_b042_b043_a_close_from_the_server_is_no_error() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_close(1000, "good bye");
            assert_eq!(peer.read_close().map(|(code, _)| code), Some(1000));
        },
        Log::app,
    );
    assert_eq!(lines, ["open", "close 1000 good bye, by server, clean"]);
    assert_eq!(outcome, "clean 1000 good bye, by Server");
}

#[test]
fn b040_a_close_frame_without_a_body_has_neither_code_nor_reason() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.write(&frame::empty_close());
            assert_eq!(peer.read_close(), None);
        },
        Log::app,
    );
    assert_eq!(lines, ["open", "close, by server, clean"]);
    assert_eq!(outcome, "clean none, by Server");
}

#[test]
fn b046_a_close_reason_that_is_not_utf8_is_a_protocol_error() {
    let (lines, _) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.write(&frame::encode(true, 0, frame::CLOSE, b"\x03\xe8bad \xff"));
            assert_eq!(peer.read_close().map(|(code, _)| code), Some(1007));
        },
        Log::app,
    );
    let error = "Protocol(CloseReasonNotUtf8(\"bad \u{fffd}\"))";
    assert_eq!(lines, ["open".to_owned(), format!("error {error}"), format!("close: {error}")]);
}

#[test]
fn b044_a_close_of_ours_gets_the_code_of_the_servers_reply() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            assert_eq!(peer.read_close(), Some((4000, "mine".to_owned())));
            peer.send_close(4001, "yours");
        },
        |log, url| log.app(url).on_open(|app, _| app.close_with((CloseCode::Library(4000), "mine"))),
    );
    assert_eq!(lines, ["close 4001 yours, by client, clean"]);
    assert_eq!(outcome, "clean 4001 yours, by Client");
}

#[test]
fn b045_a_close_from_another_thread_always_ends_the_same_way() {
    let echo = EchoServer::start().unwrap();
    for _ in 0..50 {
        let log = Log::new();
        let mut app = log.app(echo.url()).on_open(|app, _| {
            let sender = app.sender();
            thread::spawn(move || sender.close());
        });
        run_forever(&mut app, &options()).unwrap().into_result().unwrap();
        assert_eq!(log.lines(), ["close 1000, by client, clean"]);
    }
}

#[test]
fn a_close_that_the_server_answers_with_the_end_of_the_stream_alone() {
    for reset in [false, true] {
        let (lines, outcome) = told(
            move |mut peer| {
                peer.accept_upgrade();
                peer.read_close();
                if reset {
                    peer.reset();
                }
            },
            |log, url| log.app(url).on_open(|app, _| app.close()),
        );
        assert_eq!(lines, ["close, by client"]);
        assert_eq!(outcome, "clean none, by Client");
    }
}

#[test]
fn b115_the_answer_to_a_close_goes_out_even_if_the_end_of_the_stream_came_with_it() {
    let (lines, _) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.write(&frame::close(1001, "going"));
            peer.shutdown();
            assert_eq!(peer.read_close(), Some((1001, String::new())));
            peer.expect_eof();
        },
        Log::app,
    );
    assert_eq!(lines, ["open", "close 1001 going, by server, clean"]);
}

#[test]
fn a_breach_followed_by_the_end_of_the_stream_is_still_answered_with_its_code() {
    let (lines, _) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_frame(true, 0, 3, b"");
            peer.shutdown();
            assert_eq!(peer.read_close().map(|(code, _)| code), Some(1002));
            peer.expect_eof();
        },
        Log::app,
    );
    assert_eq!(lines, ["open", "error Protocol(UnknownOpcode(3))", "close: Protocol(UnknownOpcode(3))"]);
}

#[test]
fn b120_b039_the_end_of_the_stream_without_a_close_frame() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_text("last words");
        },
        Log::app,
    );
    assert_eq!(lines, ["open", "text last words", "error EndOfStream", "close: EndOfStream"]);
    assert_eq!(outcome, "lost EndOfStream");
}

#[test]
fn b120_b039_a_reset() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            assert_eq!(peer.read_frame().text(), "hello");
            peer.reset();
        },
        |log, url| log.app(url).on_open(|app, _| app.send_text("hello")),
    );
    assert_eq!(lines, ["error Io(ConnectionReset)", "close: Io(ConnectionReset)"]);
    assert_eq!(outcome, "lost Io(ConnectionReset)");
}

#[test]
fn b039_a_breach_of_the_protocol() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_text("good");
            peer.send_frame(true, 4, frame::TEXT, b"bad");
            peer.send_text("never seen");
            assert_eq!(peer.read_close().map(|(code, _)| code), Some(1002));
            peer.send_close(1002, "");
        },
        Log::app,
    );
    let error = "Protocol(ReservedBits(4))";
    assert_eq!(lines, ["open", "text good", &format!("error {error}"), &format!("close: {error}")]);
    assert_eq!(outcome, format!("lost {error}"));
}

#[test]
fn b048_a_panic_in_a_callback() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_text("boom");
            assert_eq!(peer.read_close(), Some((1011, String::new())));
            peer.read_to_end();
        },
        |log, url| log.app(url).on_message(|_, message| assert!(message.is_empty(), "{message:?}")),
    );
    let error = "CallbackPanicked(\"Text(\\\"boom\\\")\")";
    assert_eq!(lines, ["open", &format!("error {error}"), &format!("close: {error}")]);
    assert_eq!(outcome, format!("lost {error}"));
}

#[test]
fn a_stop_after_a_failure_does_not_hide_it() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.send_frame(true, 0, 3, b"");
            peer.read_to_end();
        },
        |log, url| log.app(url).on_error(|app, _| app.apps().stop()),
    );
    assert_eq!(lines, ["open", "close: Protocol(UnknownOpcode(3))"]);
    assert_eq!(outcome, "lost Protocol(UnknownOpcode(3))");
}

#[test]
fn b048_a_failure_while_closing_is_told_once() {
    let (lines, outcome) = told(
        |mut peer| {
            peer.accept_upgrade();
            peer.read_close();
            peer.send_frame(true, 0, 3, b"");
            peer.send_close(1000, "");
        },
        |log, url| log.app(url).on_open(|app, _| app.close()),
    );
    let error = "Protocol(UnknownOpcode(3))";
    assert_eq!(lines, [format!("error {error}"), format!("close: {error}")]);
    assert_eq!(outcome, format!("lost {error}"));
}

#[test]
fn a_close_before_the_first_turn() {
    let mut world = World::new();
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &options()).unwrap();
    assert_eq!(world.reactor.apps().with(id, |app| app.close()), Some(()));
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["close, by client"]);
    assert_eq!(world.net.attempts(), []);
}

fn close_all(world: &mut World) {
    for id in world.reactor.apps().ids() {
        assert_eq!(world.reactor.apps().with(id, |app| app.close()), Some(()));
    }
}

fn stop(world: &mut World) {
    world.reactor.apps().stop();
}

fn remove_all(world: &mut World) {
    for id in world.reactor.apps().ids() {
        assert!(world.reactor.apps().remove(id));
        assert!(!world.reactor.apps().remove(id));
    }
}

#[test]
fn a_close_a_stop_and_a_removal_while_resolving() {
    let slow = |world: &World| world.resolver.delay("slow.test", None);
    assert_eq!(told_meanwhile(slow, "ws://slow.test/", close_all), ["close, by client"]);
    assert_eq!(told_meanwhile(slow, "ws://slow.test/", stop), ["close"]);
    assert_eq!(told_meanwhile(slow, "ws://slow.test/", remove_all), [""; 0]);
}

#[test]
fn a_close_a_stop_and_a_removal_while_connecting() {
    let silent = |world: &World| world.net.black_hole(SERVER);
    assert_eq!(told_meanwhile(silent, URL, close_all), ["close, by client"]);
    assert_eq!(told_meanwhile(silent, URL, stop), ["close"]);
    assert_eq!(told_meanwhile(silent, URL, remove_all), [""; 0]);
}

#[test]
fn a_close_a_stop_and_a_removal_while_upgrading_also_end_the_stream() {
    for (work, expected) in
        [(close_all as fn(&mut World), &["close, by client"][..]), (stop, &["close"]), (remove_all, &[])]
    {
        let mut world = World::new();
        let listener = world.net.listen(SERVER);
        let log = Log::new();
        log.app(URL).run_on(&mut world.reactor, &options()).unwrap();
        world.settle();
        let peer = listener.accept().unwrap();
        assert!(peer.read_request().is_some());
        work(&mut world);
        world.settle();
        assert!(world.reactor.apps().is_empty());
        assert_eq!(log.lines(), expected);
        assert!(peer.ended().is_some());
        assert_eq!(peer.read_available(), b"");
    }
}

#[test]
fn b050_a_close_on_a_dispatcher_of_ones_own() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &options());
    close_all(&mut world);
    world.settle();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    peer.write(&frame::close(1000, "done"));
    peer.close();
    world.settle();
    assert_eq!(log.lines(), ["open", "close 1000 done, by client, clean"]);
}

#[test]
fn a_removed_app_is_silent() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let [open, data] = [log.clone(), log.clone()];
    log.app(echo.url())
        .on_open(move |app, _| {
            open.push("open");
            for text in ["one", "two", "three"] {
                app.send_text(text)?;
            }
            Ok::<_, websocket_app::SendError>(())
        })
        .on_data(move |app, _, _, _| {
            data.push("data");
            app.set_timeout(Duration::ZERO, |_| Err("never heard"));
            app.remove();
            // Neither on_message for the same message nor on_error for this follows.
            Err("never heard")
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    run(&mut reactor);
    for _ in 0..4 {
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(log.lines(), ["open", "data"]);
}

#[test]
fn a_panic_after_the_removal_is_silent_too() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let open = log.clone();
    log.app(echo.url())
        .on_open(move |app, _| {
            open.push("open");
            app.remove();
            assert!(!app.is_open(), "nobody hears it");
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    run(&mut reactor);
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn an_app_that_removes_itself_in_on_drain_does_not_hear_the_message_that_came_with_it() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let (data, drain) = (log.clone(), log.clone());
    let app = log.app(URL).on_open(|app, _| app.send_bytes([0; 1500])).on_drain(move |app| {
        drain.push("drain");
        app.remove();
    });
    let app = app.on_data(move |_, _, _, _| data.push("data"));
    let peer = world.open(app, &options());
    peer.read_available();
    peer.write(&frame::text("too late"));
    world.settle();
    assert_eq!(log.lines(), ["drain"]);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn an_app_removed_by_a_peer_that_it_lent_a_hand_is_silent_at_once() {
    let mut world = World::new();
    let log = Log::new();
    world.open(log.app(URL), &options());
    let messages = log.clone();
    let peer = world.open(
        log.app(URL).on_message(move |app, _| {
            messages.push("message");
            let me = app.id();
            let neighbour = app.apps().ids().into_iter().find(|id| *id != me).unwrap();
            app.apps().with(neighbour, |neighbour| neighbour.apps().remove(me));
        }),
        &options(),
    );
    peer.write(&[frame::text("one"), frame::text("two")].concat());
    world.settle();
    assert_eq!(log.lines(), ["open", "open", "message"]);
    assert_eq!(world.reactor.apps().len(), 1);
}

#[test]
fn b047_b048_the_close_frame_of_one_run_is_not_seen_in_the_next() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        if peer.index() == 0 {
            peer.send_close(4000, "first");
            peer.read_close();
        }
    })
    .unwrap();
    let log = Log::new();
    let mut app = log.app(server.url());
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    run_forever(&mut app, &options()).unwrap().into_result().unwrap_err();
    let expected =
        ["open", "close 4000 first, by server, clean", "open", "error EndOfStream", "close: EndOfStream"];
    assert_eq!(log.lines(), expected);
    server.join();
}

#[test]
fn b049_on_close_comes_last_with_the_connection_gone() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(1000, "");
        peer.read_close();
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut reactor = reactor();
    let log = Log::new();
    let (states, close) = (seen.clone(), log.clone());
    let url = server.url();
    log.app(&url)
        .on_close(move |app, _| {
            close.push("close");
            states.borrow_mut().push((app.state(), app.queued_bytes()));
            app.set_timeout(Duration::ZERO, |_| Err("never heard"));
            app.close();
            app.sender().run(|_| Err("never heard"));
            Err("only logged")
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    run(&mut reactor);
    for _ in 0..4 {
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(log.lines(), ["open", "close"]);
    assert_eq!(*seen.borrow(), [(State::Closed, 0)]);
    drop(reactor);
    server.join();
}

#[test]
fn an_app_added_in_on_close_takes_over() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let (next, url) = (log.clone(), echo.url());
    log.app(echo.url())
        .on_open(|app, _| app.close())
        .on_close(move |app, _| {
            let successor =
                next.app(&url).on_message(|app, _| app.close()).on_open(|app, _| app.send_text("hi"));
            app.apps().add(successor, &options()).map(drop)
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    let turns = until(&mut reactor, |apps| apps.is_empty());
    assert!(turns > 0);
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}
