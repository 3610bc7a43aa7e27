//! One run: messages from another thread every millisecond, on time whatever the loop does, and how long each takes to be back.

use std::cell::{Cell, RefCell};
use std::process;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{Message, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_bench::Result;
use websocket_testkit::server::EchoServer;

use crate::no_blocking::stalled::{Stalled, StalledResolver};

const EVERY: Duration = Duration::from_millis(1);
/// A run that goes on for this long after its last message hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The times from before `send` to `on_message`, of so many messages.
pub(crate) fn run(server: &EchoServer, stalled: Option<&Stalled>, messages: usize) -> Result<Vec<Duration>> {
    let mut reactor = Reactor::new()?.resolver(StalledResolver::start()?);
    let begun = Instant::now();
    let times = Rc::new(RefCell::new(Vec::with_capacity(messages)));
    let open = Rc::new(Cell::new(false));
    let (opened, heard) = (open.clone(), times.clone());
    let mut app = WebSocketApp::new(server.url())
        .on_open(move |_, _| opened.set(true))
        .on_message(move |app, message| {
            let now = begun.elapsed();
            if let Message::Text(text) = message {
                // Each carries the time of its sending.
                let sent = Duration::from_nanos(text.parse()?);
                let mut heard = heard.borrow_mut();
                heard.push(now.saturating_sub(sent));
                if heard.len() == messages {
                    app.apps().stop();
                }
            }
            Ok::<(), std::num::ParseIntError>(())
        })
        .on_close(|app, _| app.apps().stop());
    let sender = app.sender();
    app.run_on(&mut reactor, &RunOptions::new())?;
    reactor.run_until(|_| open.get())?;
    if let Some(stalled) = stalled {
        stalled.attach(&mut reactor)?;
    }
    let (ended, end) = mpsc::channel::<()>();
    let pace = thread::Builder::new().name("pace".into()).spawn(move || {
        send(&sender, begun, messages);
        if end.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("error: a run hangs: it goes on {PATIENCE:?} after its last message");
            process::exit(1);
        }
    })?;
    reactor.run()?;
    drop(ended);
    pace.join().map_err(|_| "the thread that sends has panicked")?;
    drop(reactor);
    let times = times.take();
    match times.len() == messages {
        true => Ok(times),
        false => Err(format!("the connection was lost after {} messages", times.len()).into()),
    }
}

fn send(sender: &Sender, begun: Instant, messages: usize) {
    let first = Instant::now();
    for number in 1..=messages {
        let due = first + EVERY * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if sender.send_text(begun.elapsed().as_nanos().to_string()).is_err() {
            // The run ends for want of messages, and says so.
            return;
        }
    }
}
