//! Callbacks see the stream below the connection, its addresses, and the URL that redirects have led to.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{CallbackResult, Context, Open, RunOptions, WebSocketApp};
use websocket_link::proxy::Proxy;
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimStream;
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World, run_forever};

/// What `on_open` and its context say.
fn addresses(app: &Context<'_>, open: &Open<'_>) -> String {
    assert_eq!(app.final_url(), open.url);
    format!("{} at {:?} from {:?}", open.url, app.peer_addr().unwrap(), app.local_addr().unwrap())
}

#[test]
fn addresses_and_stream_are_there_as_long_as_the_connection_is() {
    let mut world = World::new();
    let log = Log::new();
    let (opens, closes) = (log.clone(), log.clone());
    let app = WebSocketApp::new(URL).on_open(move |app, open| opens.push(addresses(app, open))).on_close(
        move |app, _| {
            assert!(app.io().is_none() && app.peer_addr().is_none() && app.local_addr().is_none());
            closes.push(format!("closed, {}", app.final_url()));
        },
    );
    let listener = world.net.listen(SERVER);
    let second = Duration::from_secs(1);
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(second)).unwrap();
    let id = world.reactor.apps().ids()[0];
    let stream = |world: &mut World| world.reactor.apps().with(id, |app| app.io().is_some()).unwrap();
    assert!(!stream(&mut world), "nothing is connected yet");
    world.settle();
    let peer = listener.accept().unwrap();
    assert!(stream(&mut world), "the upgrade has begun");
    peer.accept_upgrade().unwrap();
    world.settle();
    world.reactor.apps().with(id, |app| assert!(app.io().unwrap().downcast_ref::<SimStream>().is_some()));
    peer.reset();
    world.settle();
    assert!(!stream(&mut world), "it waits to connect again");
    world.run_for(second);
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    let open = |port: u16| format!("{URL} at {SERVER} from 203.0.113.1:{port}");
    assert_eq!(log.take(), [open(49_152), format!("closed, {URL}"), open(49_153)]);
}

#[test]
fn the_final_url_is_that_of_the_last_redirect_and_the_next_attempt_begins_with_the_first() {
    let mut world = World::new();
    let log = Log::new();
    let opens = log.clone();
    let app = WebSocketApp::new("ws://user:secret@192.0.2.1/old?token=secret")
        .on_open(move |app, open| opens.push(format!("{} {}", app.url(), open.url.as_str())));
    let listener = world.net.listen(SERVER);
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(Duration::from_secs(1))).unwrap();
    world.settle();
    let first = listener.accept().unwrap();
    first.read_request().unwrap();
    first.write(b"HTTP/1.1 302 Found\r\nLocation: /new?shard=7\r\nContent-Length: 0\r\n\r\n");
    world.settle();
    let second = listener.accept().unwrap();
    second.accept_upgrade().unwrap();
    world.settle();
    second.reset();
    world.run_for(Duration::from_secs(1));
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    let begun = "ws://192.0.2.1/old";
    assert_eq!(
        log.take(),
        [
            format!("{begun} ws://192.0.2.1/new?shard=7"),
            format!("{begun} ws://user:secret@192.0.2.1/old?token=secret"),
        ]
    );
}

#[test]
fn through_a_proxy_the_peer_is_the_proxy_and_over_tls_the_stream_is_there_too() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let log = Log::new();
    let opens = log.clone();
    let app = WebSocketApp::new("ws://192.0.2.9/").on_open(move |app, open| opens.push(addresses(app, open)));
    let options = RunOptions::new().proxy(Proxy::parse("http://192.0.2.1:80").unwrap());
    app.run_on(&mut world.reactor, &options).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    assert_eq!(peer.read_request().unwrap().method, "CONNECT");
    peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
    world.settle();
    peer.accept_upgrade().unwrap();
    world.settle();
    assert_eq!(log.take(), [format!("ws://192.0.2.9/ at {SERVER} from 203.0.113.1:49152")]);

    let mut world = SecureWorld::new();
    let messages = log.clone();
    let app = WebSocketApp::new(SECURE_URL).on_message(move |app, _| -> CallbackResult {
        messages.push(format!("{} at {:?}", app.final_url(), app.peer_addr().unwrap()));
        // Over TLS there is nothing to flush before the turn ends.
        app.send_text("seen")?;
        Ok(app.flush()?)
    });
    let mut peer = world.open(app);
    peer.write(&frame::text("hello"));
    world.world.settle();
    peer.receive().unwrap();
    assert_eq!(peer.read_frame().unwrap().text(), "seen");
    assert_eq!(log.take(), [format!("{SECURE_URL} at {:?}", peer.peer.address())]);
}

#[test]
fn a_socket_option_can_be_set_on_an_open_connection() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("go");
        peer.read_close();
        peer.send_close(1000, "");
    })
    .unwrap();
    let seen = Rc::new(RefCell::new(None));
    let told = seen.clone();
    let mut app = WebSocketApp::new(server.url()).on_message(move |app, _| {
        let (peer, local) = (app.peer_addr(), app.local_addr());
        #[cfg(unix)]
        {
            let fd = app.io().unwrap().fd().unwrap();
            let socket = websocket_app::link::socket2::SockRef::from(&fd);
            socket.set_tcp_nodelay(false).unwrap();
            assert!(!socket.tcp_nodelay().unwrap());
            socket.set_tcp_nodelay(true).unwrap();
            assert!(socket.tcp_nodelay().unwrap());
        }
        *told.borrow_mut() = Some((peer, local));
        app.close();
    });
    assert!(!run_forever(&mut app, &RunOptions::new()).unwrap().is_error());
    let (peer, local) = seen.take().unwrap();
    assert_eq!(peer, Some(server.addr()));
    assert!(local.is_some_and(|local| local.ip().is_loopback()));
}
