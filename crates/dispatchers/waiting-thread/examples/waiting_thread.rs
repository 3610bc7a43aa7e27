//! A loop over a channel, as a program with a window has one, runs two apps beside keys that are typed and a clock that ticks.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::MioDispatcher;
use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_waiting_thread::WaitingThread;
use websocket_testkit::server::EchoServer;

const KEYS: [char; 5] = ['h', 'e', 'l', 'l', 'o'];

/// Everything that happens to the program comes this way.
enum Event {
    Key(char),
    Tick,
    /// From the thread that waits for the apps.
    Woken,
}

fn app(name: &'static str, url: String, echoes: Rc<Cell<usize>>) -> WebSocketApp {
    WebSocketApp::new(url)
        .on_open(move |_, _| println!("{name}: open"))
        .on_message(move |_, message| {
            println!("{name}: {}", message.as_text().unwrap_or("no text"));
            echoes.set(echoes.get() + 1);
        })
        .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
        .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
}

/// Is the user, and the clock.
fn type_keys(events: &Sender<Event>) -> Result<(), mpsc::SendError<Event>> {
    for key in KEYS {
        thread::sleep(Duration::from_millis(20));
        events.send(Event::Tick)?;
        events.send(Event::Key(key))?;
    }
    Ok(())
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let (events, host) = mpsc::channel();

    let woken = events.clone();
    // A host that is gone needs no turn.
    let wake = move || _ = woken.send(Event::Woken);
    let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new()?, wake)?;
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    let echoes = Rc::new(Cell::new(0));
    let apps: Vec<AppId> = ["left", "right"]
        .into_iter()
        .map(|name| app(name, server.url(), echoes.clone()).run_on(&mut reactor, &RunOptions::new()))
        .collect::<Result<_, _>>()?;

    let mut ticks = 0;
    let mut user = None;
    while !reactor.apps().is_empty() {
        match host.recv()? {
            Event::Woken => driver.turn(|ready| reactor.turn(ready))?,
            Event::Tick => ticks += 1,
            Event::Key(key) => {
                for id in &apps {
                    reactor.apps().with(*id, |app| app.send_text(key.to_string())).transpose()?;
                }
            }
        }
        let is_open = |id: &AppId| reactor.apps().with(*id, |app| app.is_open()) == Some(true);
        if user.is_none() && apps.iter().all(is_open) {
            let events = events.clone();
            user = Some(thread::spawn(move || type_keys(&events)));
        }
        if echoes.get() == apps.len() * KEYS.len() {
            reactor.apps().stop_within(Duration::from_secs(10));
        }
    }
    assert_eq!((ticks, echoes.get()), (KEYS.len(), 2 * KEYS.len()));
    println!("{} keys went through two apps, and the clock ticked {ticks} times", KEYS.len());
    Ok(())
}
