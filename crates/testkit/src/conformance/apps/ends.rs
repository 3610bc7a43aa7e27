//! Runs: that each has one end, that a connection is made again on demand, and what outlives a connection.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Apps, Reconnect, RunOptions, TimerId};

use super::actor::{Actor, GOODBYE};
use super::stage::Stage;
use crate::conformance::{Far, Host};

const SOON: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(1000);

/// Every run ends with one `on_end`, its last event, however it ends; an app that is removed has none.
pub fn every_run_ends_once<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    let mut ends = Vec::new();

    let (_, server) = stage.open("closes");
    stage.servers[server].text("bye");
    ends.push(("closes", "end, clean by Client"));

    let (_, server) = stage.open("is closed");
    stage.servers[server].close(1001);
    ends.push(("is closed", "end, clean by Server"));

    let (_, server) = stage.open("is lost");
    stage.servers[server].leave(H::Far::reset);
    ends.push(("is lost", "end, lost: reset"));

    let app = stage.app("gives up", 1, |_, _| ());
    stage.add(app, &RunOptions::new().reconnect(Reconnect::fixed(SOON).max_retries(1)));
    stage.until_logged("gives up", "open 1");
    stage.servers.last_mut().expect("the server of the app").leave(H::Far::reset);
    ends.push(("gives up", "end, lost: connecting failed"));

    let app = stage.app("waits", 1, |_, _| ());
    let id = stage.add(app, &RunOptions::new().reconnect(NEVER));
    stage.until_logged("waits", "open 1");
    stage.servers.last_mut().expect("the server of the app").close(1012);
    stage.until_logged("waits", "closed");
    stage.reactor().apps().with(id, |app| app.close()).expect("the app waits");
    ends.push(("waits", "end, clean by Server"));

    let (id, _) = stage.open("is removed");
    assert!(stage.reactor().apps().remove(id));

    for (name, end) in &ends {
        stage.until_logged(name, end);
    }
    stage.open("is stopped");
    stage.reactor().handle().stop();
    stage.reactor().run().expect("a reactor that is stopped has an end");
    ends.push(("is stopped", "end, Stopped"));

    stage.until_all_streams_have_ended();
    for (name, end) in ends {
        let events = stage.log.of(name);
        assert_eq!(stage.log.count(name, "end"), 1, "ends of the app that {name}: {events:?}");
        assert!(events.last().is_some_and(|last| last.starts_with(end)), "{end:?} is last: {events:?}");
    }
    assert_eq!(stage.log.of("is removed"), ["open 1"]);
    stage.leaves_nothing();
}

/// An app and a sender ask for another connection: this one is dropped at once, and the policy for reconnecting makes the next.
pub fn a_connection_is_made_again_on_demand<H: Host>(host: &mut H) {
    const NAME: &str = "on demand";
    let mut stage = Stage::new(host);
    let mut app = stage.app(NAME, 3, |app, event| {
        if event == "text again" {
            app.reconnect("the server wants it");
        }
    });
    let sender = app.sender();
    stage.add(app, &RunOptions::new().reconnect(SOON));
    stage.until_logged(NAME, "open 1");
    stage.servers[0].text("again");
    stage.servers[0].text("too late");
    stage.until_logged(NAME, "open 2");
    sender.reconnect("a thread wants it");
    stage.until_logged(NAME, "open 3");
    stage.until("the ends of the dropped connections", |stage| {
        stage.servers[..2].iter().all(|server| server.has_ended())
    });
    stage.servers[2].text("bye");
    stage.until_logged(NAME, "end");
    let expected = [
        &[
            "open 1",
            "text again",
            "error the program asked to reconnect: the server wants it",
            "closed None by None, clean: false, again: true",
            "open 2",
            "reconnect",
            "error the program asked to reconnect: a thread wants it",
            "closed None by None, clean: false, again: true",
            "open 3",
            "reconnect",
        ][..],
        &GOODBYE,
    ]
    .concat();
    assert_eq!(stage.log.of(NAME), expected);
    stage.leaves_nothing();
}

/// Timers of the reactor come in the order of their deadlines, reach apps and their handlers, and stay when a connection is lost; those that
/// are cancelled do not come, and none keeps the reactor running without being asked to.
pub fn timers_of_the_reactor_outlive_connections<H: Host>(host: &mut H) {
    const NAME: &str = "timers";
    let mut stage = Stage::new(host);
    let app = stage.app(NAME, 2, |_, _| ());
    let id = stage.add(app, &RunOptions::new().reconnect(SOON));
    stage.until_logged(NAME, "open 1");

    let note = move |apps: &mut Apps, event: &str| {
        let noted = apps.with(id, |app| app.handler_mut().map(|actor: &mut Actor| actor.note(event)));
        noted.expect("the app is there").expect("its handler is an actor");
    };
    let apps = stage.reactor().apps();
    for time in [15, 5, 10] {
        apps.set_timeout(Duration::from_millis(time), move |apps| note(apps, &format!("{time} ms")));
    }
    let cancelled = apps.set_timeout(SOON, move |apps| note(apps, "cancelled"));
    assert!(apps.cancel(cancelled) && !apps.cancel(cancelled));
    stage.until_logged(NAME, "15 ms");

    let ticks = Rc::new(Cell::new(0));
    let counted = ticks.clone();
    let interval = stage.reactor().apps().set_interval(SOON, move |_| counted.set(counted.get() + 1));
    stage.until("a tick", |_| ticks.get() > 0);
    stage.servers[0].leave(H::Far::reset);
    stage.until_logged(NAME, "open 2");
    let before = ticks.get();
    stage.until("a tick after a loss", |_| ticks.get() > before);
    stage.servers[1].text("bye");
    stage.until_logged(NAME, "end");
    let before = ticks.get();
    stage.until("a tick after the end of the app", |_| ticks.get() > before);
    stage.reactor().run().expect("a reactor without apps has nothing to wait for");
    assert!(stage.reactor().apps().cancel(interval));

    let own = Rc::new(Cell::new(None::<TimerId>));
    let (timer, log, mut ticks) = (own.clone(), stage.log.clone(), 0);
    let id = stage.reactor().apps().set_interval(SOON, move |apps| {
        ticks += 1;
        log.note(NAME, format!("tick {ticks}"));
        if ticks == 3 {
            assert!(timer.get().is_some_and(|timer| apps.cancel(timer)));
        }
    });
    own.set(Some(id));
    stage.reactor().apps().keep_running_for(id);
    stage.reactor().run().expect("a reactor whose last timer is cancelled has nothing to wait for");

    let expected = [
        "open 1",
        "5 ms",
        "10 ms",
        "15 ms",
        "error reset",
        "closed None by None, clean: false, again: true",
        "open 2",
        "reconnect",
        "text bye",
        "closed Some(1000) by Some(Client), clean: true, again: false",
        "end, clean by Client",
        "tick 1",
        "tick 2",
        "tick 3",
    ];
    assert_eq!(stage.log.of(NAME), expected);
    stage.leaves_nothing();
}
