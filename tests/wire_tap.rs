//! A tap gets the heads of the handshake and every frame, in both directions, without secrets.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use websocket_app::{CallbackResult, Context, RunOptions, WebSocketApp, WireEvent};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World};

/// What a tap has been called with.
#[derive(Clone, Default)]
struct Tapped(Arc<Mutex<Vec<String>>>);

impl Tapped {
    fn tap(&self, options: RunOptions) -> RunOptions {
        let tapped = self.clone();
        options.wire_tap(move |id, event: &WireEvent| tapped.0.lock().unwrap().push(format!("{id} {event}")))
    }

    /// The events since the last look, without the name of the app.
    fn take(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        events.iter().map(|event| event.strip_prefix("app 0.1 ").unwrap_or(event).to_owned()).collect()
    }
}

#[test]
fn b219_heads_and_frames_of_both_directions_are_shown_in_their_order_and_secrets_are_not() {
    let tapped = Tapped::default();
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let app = WebSocketApp::new("ws://user:s3cret@192.0.2.1/feed?token=s3cret")
        .header("X-Api-Key", "s3cret")
        .cookie("a=s3cret")
        .on_open(|app, _| app.send_text("hello"))
        .on_message(|app, _| app.close());
    app.run_on(&mut world.reactor, &tapped.tap(RunOptions::new())).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    let request = tapped.take();
    assert!(request[0].starts_with("> GET /feed?*** HTTP/1.1\n"), "{request:?}");
    for shown in ["\n> Authorization: ***", "\n> Cookie: ***", "\n> X-Api-Key: ***", "\n> Upgrade: websocket"]
    {
        assert!(request[0].contains(shown), "{shown}: {request:?}");
    }
    assert!(request.len() == 1 && !request[0].contains("s3cret"), "{request:?}");

    peer.accept_upgrade_with(&["Set-Cookie: b=s3cret"]).unwrap();
    world.settle();
    let response = tapped.take();
    assert!(response[0].starts_with("< HTTP/1.1 101 ") && response[0].contains("\n< Set-Cookie: ***"));
    assert_eq!(response[1..], ["> text (1) fin=1 rsv=0 5 bytes: \"hello\""]);

    peer.write(&[frame::ping(b"p"), frame::encode(false, 0, frame::BINARY, &[7; 40])].concat());
    world.settle();
    peer.write(&frame::encode(true, 0, frame::CONTINUATION, b""));
    world.settle();
    peer.write(&frame::close(1000, "bye"));
    peer.shutdown();
    world.reactor.run().unwrap();
    let start = "\\x07".repeat(32);
    assert_eq!(
        tapped.take(),
        [
            "< ping (9) fin=1 rsv=0 1 bytes: \"p\"".to_owned(),
            format!("< binary (2) fin=0 rsv=0 40 bytes: \"{start}\".."),
            "> pong (10) fin=1 rsv=0 1 bytes: \"p\"".to_owned(),
            "< continuation (0) fin=1 rsv=0 0 bytes".to_owned(),
            "> close (8) fin=1 rsv=0 2 bytes: \"\\x03\\xe8\"".to_owned(),
            "< close (8) fin=1 rsv=0 5 bytes: \"\\x03\\xe8bye\"".to_owned(),
        ]
    );
}

#[test]
fn each_connection_of_a_run_is_shown_from_its_request_on_and_refusals_by_their_heads() {
    let tapped = Tapped::default();
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let options = tapped.tap(RunOptions::new().reconnect(Duration::from_secs(1)));
    WebSocketApp::new(URL).run_on(&mut world.reactor, &options).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    peer.read_request().unwrap();
    peer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater");
    world.run_for(Duration::from_secs(1));
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    let events = tapped.take();
    let begin: Vec<_> = events.iter().map(|event| event.lines().next().unwrap()).collect();
    let get = "> GET / HTTP/1.1";
    assert_eq!(begin[..3], [get, "< HTTP/1.1 503 Busy", get]);
    assert!(begin.len() == 4 && begin[3].starts_with("< HTTP/1.1 101 "), "{begin:?}");
}

#[test]
fn over_tls_and_through_a_slow_socket_every_frame_is_shown_once() {
    let tapped = Tapped::default();
    let mut world = SecureWorld::new();
    world.options = tapped.tap(world.options.clone());
    let app = WebSocketApp::new(SECURE_URL).on_message(|app, _| -> CallbackResult {
        app.send_text("answer")?;
        // It leaves when the turn ends.
        Ok(app.flush()?)
    });
    let mut peer = world.open(app);
    tapped.take();
    peer.write(&frame::text("question"));
    world.world.settle();
    peer.receive().unwrap();
    assert_eq!(peer.read_frame().unwrap().text(), "answer");
    let shown =
        ["< text (1) fin=1 rsv=0 8 bytes: \"question\"", "> text (1) fin=1 rsv=0 6 bytes: \"answer\""];
    assert_eq!(tapped.take(), shown);

    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let peer = world.open(Log::new().app(URL), &tapped.tap(RunOptions::new()));
    tapped.take();
    let id = world.reactor.apps().ids()[0];
    let send = |app: &mut Context<'_>| {
        app.send_bytes([1; 5000]).unwrap();
        app.send_bytes([2; 5000]).unwrap();
        app.flush().unwrap();
        app.send_text("behind them").unwrap();
    };
    world.reactor.apps().with(id, send).unwrap();
    let mut frames = 0;
    while frames < 3 {
        world.settle();
        frames += std::iter::from_fn(|| peer.read_frame()).count();
    }
    let lengths: Vec<_> =
        tapped.take().iter().map(|event| event.split(' ').nth(5).unwrap().to_owned()).collect();
    assert_eq!(lengths, ["5000", "5000", "11"]);
}

#[test]
fn a_tap_that_panics_ends_its_app_alone() {
    let mut world = World::new();
    let (log, neighbour) = (Log::new(), Log::new());
    let other = world.open(neighbour.app(URL), &RunOptions::new());
    let options = RunOptions::new().wire_tap(|_, event| {
        assert!(matches!(event, WireEvent::Head { .. }), "a frame");
    });
    let peer = world.open(log.app(URL), &options);
    peer.write(&frame::text("hello"));
    other.write(&frame::text("hello"));
    world.settle();
    let panicked = "CallbackPanicked(\"a frame\")";
    assert_eq!(log.take(), ["open".to_owned(), format!("error {panicked}"), format!("close: {panicked}")]);
    assert_eq!((neighbour.take(), world.reactor.apps().len()), (vec!["open".into(), "text hello".into()], 1));
}
