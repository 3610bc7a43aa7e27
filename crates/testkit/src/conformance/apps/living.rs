//! Apps at rest, and what reaches them without readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use websocket_app::{Context, Reactor, RunOptions};
use websocket_dispatcher::{Dispatcher as _, Wait as _};

use super::scenario::fill;
use super::stage::Stage;
use crate::conformance::Host;

/// While nothing happens to open apps, however much has happened to them before, waits last until their
/// deadline.
pub fn an_idle_reactor_sleeps<H: Host>(host: &mut H) {
    const REST: Duration = Duration::from_millis(20);
    let mut stage = Stage::new(host);
    stage.rest(REST);
    let log = stage.log.clone();
    let (_, busy) = stage.open_with("busy", move |app, event| {
        if event == "text flood" {
            fill(app, &log, "busy");
        }
    });
    let (id, _) = stage.open("removed");
    let (_, closing) = stage.open("closing");
    stage.rest(REST);

    stage.servers[busy].text("flood");
    stage.attend();
    stage.servers[busy].deaf = true;
    stage.until_logged("busy", "full");
    stage.rest(REST);
    stage.servers[busy].deaf = false;
    stage.until_logged("busy", "drained");
    stage.rest(REST);

    assert!(stage.reactor().apps().remove(id));
    stage.servers[closing].text("bye");
    stage.until_logged("closing", "closed");
    stage.rest(REST);
}

/// What is done to apps between two turns is done in the next, without readiness: by a host that waits with
/// the reactor, and by one that calls `turn` itself, which a wake tells of it.
pub fn changes_outside_of_turns_take_effect<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    for is_host in [false, true] {
        let app = stage.app("changed", 1, |_, _| ());
        let server = stage.servers.len() - 1;
        let mut id = None;
        let mut opened = stage.log.count("changed", "open");
        change(&mut stage, is_host, |reactor| {
            id = Some(reactor.apps().add(app, &RunOptions::new()).expect("an app that can be run"));
        });
        opened += 1;
        stage.until("an added app opens", |stage| stage.log.count("changed", "open") == opened);
        let id = id.expect("the app was added");

        change(&mut stage, is_host, |reactor| {
            let sent = reactor.apps().with(id, |app| app.send_text("hello"));
            sent.expect("the app is there").expect("an open app");
        });
        stage.until("what was sent", |stage| stage.servers[server].next_frame().is_some());

        let log = stage.log.clone();
        let set = move |app: &mut Context<'_>| {
            app.set_timeout(Duration::from_millis(1), move |_| {
                log.note("changed", format!("timer {is_host}"))
            });
        };
        change(&mut stage, is_host, |reactor| reactor.apps().with(id, set).expect("the app is there"));
        stage.until_logged("changed", &format!("timer {is_host}"));

        change(&mut stage, is_host, |reactor| assert!(reactor.apps().remove(id)));
        stage.until("the end of a removed app", |stage| stage.servers[server].has_ended());
    }
}

type OnSharedDispatcher<H> = Reactor<super::stage::SharedDispatcher<<H as Host>::Dispatcher>>;

/// Makes a change, then takes the one turn that it must bring.
fn change<H: Host>(stage: &mut Stage<'_, H>, is_host: bool, change: impl FnOnce(&mut OnSharedDispatcher<H>)) {
    stage.rest(Duration::from_millis(1));
    // Nothing but the change may end the wait that follows.
    let patience = stage.dispatcher.now() + H::PATIENCE;
    let mut dispatcher = stage.dispatcher.clone();
    let reactor = stage.reactor();
    if is_host {
        let next = reactor.turn(&[]);
        assert!(!next.again, "apps at rest have more to do");
        change(reactor);
        let mut ready = Vec::new();
        let deadline = next.deadline.map_or(patience, |deadline| deadline.min(patience));
        dispatcher.wait(Some(deadline), &mut ready).expect("a wait succeeds");
        reactor.turn(&ready);
    } else {
        change(reactor);
        reactor.poll(Some(H::PATIENCE)).expect("a wait succeeds");
    }
    assert!(dispatcher.now() < patience, "a change outside of a turn: no turn followed");
}

/// Another thread sends through a sender and runs work on the reactor, which sleeps until then.
pub fn other_threads_reach_the_apps<H: Host>(host: &mut H) {
    const ROUNDS: usize = 100;
    let mut stage = Stage::new(host);
    let mut app = stage.app("called", 1, |_, _| ());
    let sender = app.sender();
    let id = stage.add(app, &RunOptions::new());
    stage.until_logged("called", "open");
    let handle = stage.reactor().handle();
    let done = Arc::new(AtomicUsize::new(0));
    let (ask, asked) = std::sync::mpsc::channel();
    let counted = done.clone();
    let thread = thread::spawn(move || {
        for round in asked {
            let counted = counted.clone();
            if round % 2 == 0 {
                sender.send_text(format!("{round}")).expect("an open app");
                sender.run(move |_| {
                    counted.fetch_add(1, Ordering::AcqRel);
                });
            } else {
                handle.run(move |apps| {
                    let sent = apps.with(id, |app| app.send_text(format!("{round}")));
                    sent.expect("the app is there").expect("an open app");
                    counted.fetch_add(1, Ordering::AcqRel);
                });
            }
        }
    });
    for round in 0..ROUNDS {
        ask.send(round).expect("the thread listens");
        while done.load(Ordering::Acquire) <= round {
            stage.reactor().poll(None).expect("a wait succeeds");
        }
    }
    drop(ask);
    thread.join().expect("the thread has done its part");
    let server = stage.servers.len() - 1;
    let mut heard = 0;
    stage.until("what another thread has sent", |stage| {
        while let Some(frame) = stage.servers[server].next_frame() {
            assert_eq!(frame.text(), format!("{heard}"));
            heard += 1;
        }
        heard == ROUNDS
    });
    stage.remove_all();
    stage.leaves_nothing();
}
