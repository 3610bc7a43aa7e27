//! Signals belong to the user, and so does the choice of what a panic does.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use websocket_app::{PanicPolicy, RunOptions};
use websocket_testkit::frame;
#[cfg(target_os = "linux")]
use websocket_tests::dispatcher;
use websocket_tests::{Log, URL, World};

/// Which signals are caught and ignored, and which this thread blocks, as the kernel says.
#[cfg(target_os = "linux")]
fn signals() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let lines: Vec<_> = status.lines().filter(|line| line.starts_with("Sig")).map(str::to_owned).collect();
    assert!(lines.iter().any(|line| line.starts_with("SigCgt")), "{status}");
    // Signals that happen to be pending are nobody's choice.
    lines.into_iter().filter(|line| !line.starts_with("SigQ") && !line.starts_with("SigPnd")).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn b015_b213_signals_are_left_as_the_user_has_set_them() {
    let before = signals();
    let server = websocket_testkit::server::EchoServer::start().unwrap();
    // By name, so that the resolver's thread runs, too.
    let url = server.url().replace("127.0.0.1", "localhost");
    let log = Log::new();
    log.app(url)
        .on_open(|app, _| app.send_text("hello"))
        .on_message(move |app, _| {
            assert_eq!(signals(), before);
            app.close();
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}

#[test]
fn b015_a_panic_ends_its_app_and_goes_on_only_where_that_is_asked_for() {
    for (policy, goes_on) in [(PanicPolicy::Catch, false), (PanicPolicy::Propagate, true)] {
        let mut world = World::new();
        world.reactor = world.reactor.panic_policy(policy);
        let log = Log::new();
        let app = log.app(URL).on_message(|_, message| assert!(message.is_empty(), "interrupted"));
        let peer = world.open(app, &RunOptions::new());
        peer.write(&frame::text("panic"));
        let panicked = catch_unwind(AssertUnwindSafe(|| world.settle()));
        assert_eq!(panicked.is_err(), goes_on);
        world.settle();
        let failure = "CallbackPanicked(\"interrupted\")";
        assert_eq!(log.lines(), ["open".into(), format!("error {failure}"), format!("close: {failure}")]);
        assert!(world.reactor.apps().is_empty());
    }
}
