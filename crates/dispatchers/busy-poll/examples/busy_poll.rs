//! Two apps measure their round trips while the program counts ticks of its own: first with sleep, then with a spin before it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_busy_poll::BusyPoll;
use websocket_testkit::server::EchoServer;

const ECHOES: usize = 2000;
const TICK: Duration = Duration::from_millis(10);

type Times = Rc<RefCell<Vec<Duration>>>;

/// Sends the next message when the last has come back.
fn app(url: String, times: Times) -> WebSocketApp {
    let mut sent = Instant::now();
    let mut left = ECHOES;
    WebSocketApp::new(url)
        .on_open(|app, _| app.send_text("ping"))
        .on_message(move |app, _| {
            times.borrow_mut().push(sent.elapsed());
            left -= 1;
            if left == 0 {
                app.close();
                return Ok(());
            }
            sent = Instant::now();
            app.send_text("ping")
        })
        .on_error(|_, error| eprintln!("failed: {error}"))
}

fn measure(spin: Duration) -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let mut reactor = Reactor::with_dispatcher(BusyPoll::new()?.spin(spin))?;
    let times = Times::default();
    for _ in 0..2 {
        app(server.url(), times.clone()).run_on(&mut reactor, &RunOptions::new())?;
    }
    let mut ticks = 0;
    let mut due = Instant::now() + TICK;
    while !reactor.apps().is_empty() {
        reactor.poll(Some(due.saturating_duration_since(Instant::now())))?;
        if Instant::now() >= due {
            ticks += 1;
            due += TICK;
        }
    }
    let mut times = times.take();
    assert_eq!(times.len(), 2 * ECHOES);
    times.sort_unstable();
    if times.len() < 2 * ECHOES {
        return Err("round trips are missing".into());
    }
    println!(
        "spin {spin:?}: half of {} round trips took at most {:?}, and {ticks} ticks went by",
        times.len(),
        times.get(times.len() / 2).copied().unwrap_or_default(),
    );
    Ok(())
}

fn main() -> Result<(), BoxError> {
    measure(Duration::ZERO)?;
    measure(Duration::from_micros(50))
}
