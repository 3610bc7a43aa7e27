//! A calloop loop with a clock of its own runs two apps: one says something at every tick, the other watches.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, LoopSignal};
use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_calloop::CalloopDispatcher;
use websocket_testkit::server::EchoServer;

const TICKS: usize = 5;
const TICK: Duration = Duration::from_millis(20);

struct State {
    reactor: Reactor<CalloopDispatcher<'static, State>>,
    signal: LoopSignal,
    ticks: usize,
}

fn app(name: &'static str, url: String, received: Rc<Cell<usize>>) -> WebSocketApp {
    WebSocketApp::new(url)
        .on_open(move |app, _| {
            println!("{name}: open");
            app.send_text(format!("{name} is there"))
        })
        .on_message(move |_, message| {
            println!("{name}: received {message:?}");
            received.set(received.get() + 1);
        })
        .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
        .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
}

/// The loop's own work, which reaches the apps through the state. It begins when both are open.
fn tick(state: &mut State, [talker, watcher]: [AppId; 2]) -> TimeoutAction {
    if [talker, watcher].iter().any(|id| state.reactor.apps().with(*id, |app| app.is_open()) == Some(false)) {
        return TimeoutAction::ToDuration(TICK);
    }
    state.ticks += 1;
    println!("tick {}", state.ticks);
    let text = format!("tick {}", state.ticks);
    let said = state.reactor.apps().with(talker, |app| app.send_text(&text));
    if let Some(Err(error)) = said {
        eprintln!("not sent: {error}");
    }
    if state.ticks < TICKS {
        return TimeoutAction::ToDuration(TICK);
    }
    state.reactor.apps().stop_within(Duration::from_secs(10));
    TimeoutAction::Drop
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let mut event_loop = EventLoop::try_new()?;
    let dispatcher = CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| {
        let next = state.reactor.turn(ready);
        if state.reactor.apps().is_empty() {
            state.signal.stop();
        }
        next
    })?;
    let reactor = Reactor::with_dispatcher(dispatcher)?;
    let mut state = State { reactor, signal: event_loop.get_signal(), ticks: 0 };

    let received = Rc::new(Cell::new(0));
    let mut start =
        |name| app(name, server.url(), received.clone()).run_on(&mut state.reactor, &RunOptions::new());
    let apps = [start("talker")?, start("watcher")?];
    event_loop
        .handle()
        .insert_source(Timer::from_duration(TICK), move |_, _, state| tick(state, apps))
        .map_err(|refused| refused.error)?;

    event_loop.run(None, &mut state, |_| {})?;
    // A greeting of each, and the ticks.
    assert_eq!(received.get(), 2 + TICKS);
    println!("the loop took {} ticks and hosted two apps beside them", state.ticks);
    Ok(())
}
