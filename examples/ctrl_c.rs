//! Ctrl-C closes all connections of a reactor in an orderly way, and pressed again at once; with `-- --forever` only Ctrl-C ends it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use websocket_app::{BoxError, Reactor, ReactorHandle, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;

const APPS: usize = 3;
const MESSAGES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Lets Ctrl-C stop the reactor of `handle`. The library itself touches no signals: this is the program's choice.
fn stop_on_ctrl_c(handle: ReactorHandle) -> Result<(), ctrlc::Error> {
    let pressed = AtomicBool::new(false);
    // It runs on a thread of the ctrlc crate, not in the signal handler.
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            handle.stop();
        } else {
            println!("closing; press Ctrl-C again to wait for nobody");
            handle.stop_within(Duration::from_secs(5));
        }
    })
}

fn app(url: String, forever: bool, failures: Rc<Cell<usize>>) -> WebSocketApp {
    let mut received = 0;
    WebSocketApp::new(url)
        .on_open(|app, _| {
            println!("{}: open", app.id());
            app.send_text("tick")
        })
        .on_message(move |app, _| {
            received += 1;
            println!("{}: {received} messages", app.id());
            if received == MESSAGES && !forever {
                app.close();
            } else {
                app.set_timeout(PAUSE, |app| app.send_text("tick"));
            }
        })
        .on_error(move |app, error| {
            eprintln!("{} failed: {error}", app.id());
            failures.update(|failures| failures + 1);
        })
        .on_close(|app, closed| {
            let code = closed.code.map_or(1005, u16::from);
            println!("{}: closed with {code}, cleanly: {}", app.id(), closed.clean);
        })
}

fn main() -> Result<(), BoxError> {
    let forever = std::env::args().skip(1).any(|argument| argument == "--forever");
    let server = EchoServer::start()?;
    let mut reactor = Reactor::new()?;
    stop_on_ctrl_c(reactor.handle())?;
    let failures = Rc::<Cell<usize>>::default();
    for _ in 0..APPS {
        app(server.url(), forever, failures.clone()).run_on(&mut reactor, &RunOptions::new())?;
    }
    reactor.run()?;
    println!("all connections are closed");
    // `run` does not know what became of each app.
    if failures.get() == 0 { Ok(()) } else { Err("a connection has failed".into()) }
}
