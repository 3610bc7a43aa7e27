//! However apps go, nothing of them stays.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Apps, Context, PanicPolicy, RunOptions, WebSocketApp};

use super::scenario::fill;
use super::stage::Stage;
use crate::conformance::Host;

/// Apps in every stage that a stream can be in: idle, with more to say than the stream takes, not answered
/// yet, with unread bytes, and one that waits to connect again. Each has its own name.
fn crowd<H: Host>(stage: &mut Stage<'_, H>) {
    stage.open("idle");

    let log = stage.log.clone();
    let (_, full) = stage.open_with("full", move |app, event| {
        if event == "text flood" {
            fill(app, &log, "full");
        }
    });
    stage.servers[full].text("flood");
    stage.attend();
    stage.servers[full].deaf = true;
    stage.until_logged("full", "full");

    let reconnecting = stage.app("waiting", 1, |_, _| ());
    stage.add(reconnecting, &RunOptions::new().reconnect(Duration::from_secs(1000)));
    stage.until_logged("waiting", "open");
    let server = stage.servers.len() - 1;
    stage.servers[server].close(1012);
    stage.until_logged("waiting", "closed");

    let unanswered = stage.app("unanswered", 1, |_, _| ());
    stage.add(unanswered, &RunOptions::new());
    let server = stage.servers.len() - 1;
    stage.servers[server].silent = true;
    stage.until("a request", |stage| stage.servers[server].has_rest());

    let (_, unread) = stage.open("unread");
    stage.servers[unread].text("too late");
    stage.attend();
}

/// Servers that must see the end of a stream must read first.
fn hear_all<H: Host>(stage: &mut Stage<'_, H>) {
    stage.servers.iter_mut().for_each(|server| server.deaf = false);
}

/// A reactor that is dropped drops its streams, without a callback; with its dispatcher, or with one that
/// outlives it.
pub fn dropping_the_reactor_leaves_nothing<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    crowd(&mut stage);
    let events = stage.log.len();
    stage.reactor = None;
    hear_all(&mut stage);
    assert_eq!(stage.log.len(), events, "a dropped reactor called its apps");
    stage.leaves_nothing();

    let mut stage = Stage::new(host);
    crowd(&mut stage);
    hear_all(&mut stage);
    stage.drop_with_its_dispatcher();
}

/// A stop ends all apps in one turn, a stop with a deadline at that at the latest; then the same reactor
/// serves others.
pub fn stopping_leaves_nothing<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    for gently in [false, true] {
        crowd(&mut stage);
        match gently {
            false => stage.reactor().handle().stop(),
            true => stage.reactor().apps().stop_within(Duration::from_millis(5)),
        }
        stage.reactor().run().expect("a reactor that is stopped has an end");
        hear_all(&mut stage);
        for name in ["idle", "full", "waiting", "unanswered", "unread"] {
            let closed = stage.log.count(name, "closed");
            assert_eq!(closed, 1 + usize::from(gently), "ends of the app {name:?}");
        }
        stage.until_all_streams_have_ended();
    }
    stage.leaves_nothing();
}

/// Does so without a word on the standard error stream, where it would pass for a failure of the test.
fn panic_silently() -> ! {
    resume_unwind(Box::new("a panic that was asked for"));
}

fn panics(app: &mut Context<'_>, event: &str) {
    match event {
        "text panic" => panic_silently(),
        "text panic soon" => {
            app.set_timeout(Duration::from_millis(1), |_| -> () { panic_silently() });
        }
        _ => {}
    }
}

/// An app whose callback panics, for a message or in a timer, goes with its stream; its neighbours stay.
pub fn a_panic_in_a_callback_leaves_nothing<H: Host>(host: &mut H) {
    for policy in [PanicPolicy::Catch, PanicPolicy::Propagate] {
        let mut stage = Stage::new(host);
        stage.reactor = stage.reactor.map(|reactor| reactor.panic_policy(policy));
        let (_, neighbour) = stage.open("neighbour");
        crowd(&mut stage);
        let before = stage.registrations();

        let log = stage.log.clone();
        let (_, message) = stage.open_with("panics at a message", panics);
        let (_, timer) = stage.open_with("panics in a timer", panics);
        let (_, full) = stage.open_with("panics when it is full", move |app, event| {
            if event == "text panic" {
                fill(app, &log, "panics when it is full");
                panic_silently();
            }
        });
        stage.servers[message].text("panic");
        stage.servers[timer].text("panic soon");
        stage.servers[full].text("panic");
        for name in ["panics at a message", "panics in a timer", "panics when it is full"] {
            stage.until_logged(name, "error a callback panicked");
            stage.until_logged(name, "closed");
        }
        stage.until("the ends of the streams of apps that panicked", |stage| {
            [message, timer, full].iter().all(|server| stage.servers[*server].has_ended())
        });
        assert_eq!(stage.registrations(), before, "registrations");
        match policy {
            PanicPolicy::Catch => assert_eq!(stage.panics, 0),
            PanicPolicy::Propagate => assert_ne!(stage.panics, 0),
        }

        stage.servers[neighbour].text("still there?");
        stage.until_logged("neighbour", "text still there?");
        stage.remove_all();
        hear_all(&mut stage);
        stage.leaves_nothing();
    }
}

/// All apps are removed, the one at work included, while others have readiness in the same batch; a new one
/// comes in their place.
pub fn removing_apps_in_mid_turn_leaves_nothing<H: Host>(host: &mut H) {
    const APPS: usize = 6;
    let mut stage = Stage::new(host);
    for by_timer in [false, true] {
        let heir = Rc::new(RefCell::new(None));
        let mut servers = Vec::new();
        for _ in 0..APPS {
            let heir = heir.clone();
            let (_, server) = stage.open_with("doomed", move |app, event| {
                if event == "text now" && by_timer {
                    let heir = heir.clone();
                    app.set_timeout(Duration::ZERO, move |app| replace_all(app.apps(), &heir));
                } else if event == "text now" {
                    replace_all(app.apps(), &heir);
                }
            });
            servers.push(server);
        }
        crowd(&mut stage);
        heir.replace(Some(stage.app("heir", 1, |_, _| ())));
        let reading = stage.log.count("doomed", "text");
        for server in servers {
            stage.servers[server].text("now");
        }
        stage.until_logged("doomed", "text now");
        hear_all(&mut stage);
        let heirs = 1 + usize::from(by_timer);
        stage.until("another app in the place of those removed", |stage| {
            stage.log.count("heir", "open") == heirs
        });
        if !by_timer {
            assert_eq!(
                stage.log.count("doomed", "text"),
                reading + 1,
                "messages, the first of which removed all"
            );
        }
        assert_eq!(stage.log.count("doomed", "closed"), 0, "an app that is removed hears nothing");
        assert_eq!(stage.reactor().apps().len(), 1);
        stage.rest(Duration::from_millis(1));
        stage.remove_all();
        stage.until_all_streams_have_ended();
    }
    stage.leaves_nothing();
}

/// Removes all apps there are and adds another, the first time that it is called.
fn replace_all(apps: &mut Apps, heir: &RefCell<Option<WebSocketApp>>) {
    let Some(heir) = heir.take() else { return };
    for id in apps.ids() {
        assert!(apps.remove(id));
    }
    apps.add(heir, &RunOptions::new()).expect("an app that can be run");
}
