//! A close in every stage of an attempt and from everywhere: honoured within one turn, with one `on_close`, and no retry.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use websocket_app::{
    AppId, CallbackResult, Close, CloseCode, Closed, Context, Error, Fragment, Handler, Message, Open,
    RunOptions, Sender, Side, State, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, close_line, error_line};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new().reconnect(SECOND)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    Resolving,
    Connecting,
    Upgrading,
    HalfUpgraded,
    Refused,
}

const STAGES: [Stage; 6] =
    [Stage::New, Stage::Resolving, Stage::Connecting, Stage::Upgrading, Stage::HalfUpgraded, Stage::Refused];

/// An app in that stage of its attempt, the first or the second of its run.
struct Attempt {
    world: World,
    id: AppId,
    sender: Sender,
    log: Log,
    peer: Option<SimPeer>,
    listener: SimListener,
}

impl Attempt {
    fn at(stage: Stage, again: bool) -> Self {
        let mut world = World::new();
        let log = Log::new();
        let listener = world.net.listen(SERVER);
        world.resolver.name("server.test", &[SERVER.ip()]);
        let mut app = log.app("ws://server.test/");
        let sender = app.sender();
        let id = app.run_on(&mut world.reactor, &options()).unwrap();
        if again {
            world.settle();
            world.accept(&listener).reset();
            world.settle();
            log.take();
        }
        match stage {
            Stage::Resolving => world.resolver.delay("server.test", None),
            Stage::Connecting => world.net.black_hole(SERVER),
            _ => {}
        }
        if again {
            world.run_for(SECOND);
        } else if stage != Stage::New {
            world.settle();
        }
        let peer = listener.accept();
        if let Some(peer) = &peer {
            match stage {
                Stage::HalfUpgraded => {
                    peer.read_request().unwrap();
                    peer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso");
                }
                Stage::Refused => {
                    peer.read_request().unwrap();
                    peer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nsorry, ");
                }
                _ => {}
            }
            world.settle();
        }
        assert_eq!(log.lines(), [""; 0], "{stage:?}");
        Self { world, id, sender, log, peer, listener }
    }
}

#[test]
fn a_close_before_the_connection_is_open_ends_the_attempt_within_one_turn_and_for_good() {
    type Way = fn(&mut Attempt);
    let ways: [Way; 6] = [
        |it| it.world.reactor.apps().with(it.id, |app| app.close()).unwrap(),
        |it| {
            let close = Close::from((CloseCode::Away, "never sent")).timeout(3600 * SECOND);
            it.world.reactor.apps().with(it.id, |app| app.close_with(close)).unwrap().unwrap();
        },
        |it| {
            let sender = it.sender.clone();
            thread::spawn(move || sender.close()).join().unwrap();
        },
        |it| it.sender.run(|app| app.close()),
        |it| {
            it.world.reactor.apps().with(it.id, |app| {
                app.set_timeout(Duration::ZERO, |app| app.close());
            });
        },
        |it| {
            let id = it.id;
            it.world.reactor.handle().run(move |apps| apps.with(id, |app| app.close()).unwrap());
        },
    ];
    for stage in STAGES {
        for again in [false, true] {
            if again && stage == Stage::New {
                continue;
            }
            for (index, close) in ways.iter().enumerate() {
                let mut it = Attempt::at(stage, again);
                close(&mut it);
                it.world.reactor.poll(Some(Duration::ZERO)).unwrap();
                let case = format!("{stage:?}, {again}, {index}");
                assert_eq!(it.log.lines(), ["close, by client"], "{case}");
                assert!(it.world.reactor.apps().is_empty(), "{case}");
                assert_eq!(it.world.reactor.next_deadline(), None, "{case}");
                it.world.run_for(60 * SECOND);
                assert_eq!(it.log.lines().len(), 1, "{case}");
                if let Some(peer) = it.peer {
                    assert!(peer.ended().is_some(), "{case}");
                    let sent = peer.read_available();
                    assert!(sent.is_empty() || sent.ends_with(b"\r\n\r\n"), "{case}: more than the request");
                }
                assert!(it.listener.accept().is_none(), "{case}");
            }
        }
    }
}

#[test]
fn a_close_that_comes_with_the_response_still_prevents_on_open_or_shakes_hands() {
    // The order to close is there before the response is read: the attempt ends.
    let mut it = Attempt::at(Stage::Upgrading, false);
    it.peer.as_ref().unwrap().accept_upgrade().unwrap();
    it.sender.close();
    it.world.settle();
    assert_eq!(it.log.lines(), ["close, by client"]);

    // It comes in the turn after: the connection is open and closes with a handshake.
    let mut it = Attempt::at(Stage::Upgrading, false);
    let peer = it.peer.unwrap();
    peer.accept_upgrade().unwrap();
    it.world.reactor.poll(Some(Duration::ZERO)).unwrap();
    it.sender.close();
    it.world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    peer.write(&frame::close(1000, ""));
    peer.shutdown();
    it.world.settle();
    assert_eq!(it.log.lines(), ["open", "close 1000, by client, clean"]);
    assert!(it.world.reactor.apps().is_empty());
}

/// Closes in one callback, and writes down what it hears from then on.
struct Closing {
    callback: &'static str,
    closed: Rc<Cell<bool>>,
    log: Log,
}

impl Closing {
    fn called(&self, app: &mut Context<'_>, callback: &str) -> CallbackResult {
        if callback == self.callback {
            app.close_with((CloseCode::Library(4321), callback))?;
            assert!(self.closed.replace(true) || app.state() == State::Closing);
            // Again, and otherwise: nothing changes.
            app.close();
            app.close_with(CloseCode::Away)?;
        }
        Ok(())
    }
}

impl Handler for Closing {
    fn on_open(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        app.send_bytes([0; 1500])?;
        app.set_timeout(SECOND, {
            let (callback, log) = (self.callback, self.log.clone());
            let closed = self.closed.clone();
            move |app| Self { callback, closed, log }.called(app, "timer")
        });
        self.called(app, "open")
    }

    fn on_reconnect(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        self.called(app, "reconnect")
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let error = message.as_bytes() == b"error please";
        self.called(app, "message")?;
        if error { Err("as you wish".into()) } else { Ok(()) }
    }

    fn on_data(
        &mut self,
        app: &mut Context<'_>,
        _: &[u8],
        _: websocket_app::Opcode,
        _: websocket_app::Part,
    ) -> CallbackResult {
        self.called(app, "data")
    }

    fn on_cont_message(&mut self, app: &mut Context<'_>, _: Fragment<'_>) -> CallbackResult {
        self.called(app, "fragment")
    }

    fn wants_fragments(&self) -> bool {
        true
    }

    fn on_ping(&mut self, app: &mut Context<'_>, _: &[u8]) -> CallbackResult {
        self.called(app, "ping")
    }

    fn on_pong(&mut self, app: &mut Context<'_>, _: &[u8], _: Option<Duration>) -> CallbackResult {
        self.called(app, "pong")
    }

    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.called(app, "drain")
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.log.push(error_line(error));
        self.called(app, "error")
    }

    fn on_close(&mut self, _: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        self.log.push(close_line(closed));
        Ok(())
    }
}

#[test]
fn a_close_from_any_callback_is_sent_in_that_turn_and_ends_the_run() {
    let callbacks =
        ["open", "data", "message", "fragment", "ping", "pong", "drain", "error", "timer", "reconnect"];
    for callback in callbacks {
        let mut faults = Faults::default();
        faults.send_buffer = 1000;
        let mut world = World::on(SimNet::new(1).with_faults(faults));
        let (log, closed) = (Log::new(), Rc::new(Cell::new(false)));
        let handler = Closing { callback, closed: closed.clone(), log: log.clone() };
        let listener = world.start(WebSocketApp::with_handler(URL, handler), &options());
        let mut peer = world.accept(&listener);
        if callback == "reconnect" {
            peer.reset();
            world.run_for(SECOND);
            log.take();
            peer = world.accept(&listener);
        } else {
            let everything = [
                frame::encode(false, 0, frame::TEXT, b"first"),
                frame::continuation(true, b"last"),
                frame::ping(b""),
                frame::pong(b""),
                frame::text("error please"),
            ];
            peer.write(&everything.concat());
        }
        // The callback may wait for room, or for a second; then the frame goes out as soon as there is room.
        let mut frames = Vec::new();
        for _ in 0..3 {
            frames.extend(std::iter::from_fn(|| peer.read_frame()));
            world.settle();
            frames.extend(std::iter::from_fn(|| peer.read_frame()));
            if callback == "timer" {
                world.run_until(SECOND);
            }
        }
        assert!(closed.get(), "{callback}");
        let closes: Vec<_> =
            frames.iter().filter(|it| it.opcode == frame::CLOSE).map(|it| it.close().unwrap()).collect();
        assert_eq!(closes, [(4321, callback.to_owned())]);
        peer.write(&frame::close(4321, "as you wish"));
        peer.shutdown();
        world.settle();
        let lines = log.lines();
        assert_eq!(lines.last().unwrap(), "close 4321 as you wish, by client, clean", "{callback}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("close")).count(), 1, "{callback}");
        assert!(world.reactor.apps().is_empty());
    }
}

/// What `on_close` is told about the end.
#[derive(PartialEq, Debug)]
struct Told {
    code: Option<u16>,
    reason: String,
    by: Option<Side>,
    clean: bool,
    failed: bool,
    retried: bool,
}

fn told(end: impl FnOnce(&mut World, &SimPeer)) -> Told {
    let mut world = World::new();
    let slot = Rc::new(Cell::new(None));
    let seen = slot.clone();
    let app = WebSocketApp::new(URL).on_error(|_, _| {}).on_close(move |_, closed| {
        let told = Told {
            code: closed.code.map(u16::from),
            reason: closed.reason.to_owned(),
            by: closed.by,
            clean: closed.clean,
            failed: closed.error.is_some(),
            retried: closed.retry_in.is_some(),
        };
        assert_eq!(seen.replace(Some(told)), None, "once");
    });
    let peer = world.open(app, &options());
    end(&mut world, &peer);
    world.settle();
    let told = slot.take().unwrap();
    world.run_for(SECOND - Duration::from_nanos(1));
    assert_eq!(slot.take(), None);
    told
}

fn close(world: &mut World) {
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    world.settle();
}

#[test]
fn b036_on_close_tells_code_reason_who_whether_clean_and_whether_a_retry_follows() {
    let end = |code: Option<u16>, reason: &str, by: Option<Side>, clean: bool| Told {
        code,
        reason: reason.to_owned(),
        by,
        clean,
        failed: by.is_none(),
        retried: by.is_none(),
    };
    let (client, server) = (Some(Side::Client), Some(Side::Server));
    assert_eq!(
        told(|world, peer| {
            close(world);
            peer.write(&frame::close(1000, "bye"));
            peer.shutdown();
        }),
        end(Some(1000), "bye", client, true)
    );
    assert_eq!(
        told(|world, peer| {
            close(world);
            peer.write(&frame::empty_close());
            peer.reset();
        }),
        end(None, "", client, true)
    );
    assert_eq!(
        told(|world, peer| {
            close(world);
            peer.shutdown();
        }),
        end(None, "", client, false)
    );
    let by_server = Told { retried: true, ..end(Some(1001), "restart", server, true) };
    assert_eq!(
        told(|_, peer| {
            peer.write(&frame::close(1001, "restart"));
            peer.shutdown();
        }),
        by_server
    );
    // A close of ours while the server's is under way is no second one, but the user wants no retry.
    assert_eq!(
        told(|world, peer| {
            peer.write(&frame::close(1001, "restart"));
            world.settle();
            close(world);
            peer.shutdown();
        }),
        Told { retried: false, ..by_server }
    );
    assert_eq!(told(|_, peer| peer.shutdown()), end(None, "", None, false));
    assert_eq!(told(|_, peer| peer.reset()), end(None, "", None, false));
    let breach = told(|_, peer| {
        peer.write(&frame::encode(true, 0, 3, b""));
        peer.write(&frame::close(1000, "too late"));
        peer.shutdown();
    });
    assert_eq!(breach, end(None, "", None, false));
}
