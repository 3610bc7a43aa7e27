//! Several threads send through one connection, each in its own order, and another thread closes it.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use websocket_app::{BoxError, Refused, RunOptions, Sender, WebSocketApp};
use websocket_testkit::server::EchoServer;

const THREADS: usize = 4;
const MESSAGES: usize = 10_000;

/// Sends numbered messages. Queued messages are bounded: one that is refused comes back with the reason.
fn send_all(thread: usize, sender: &Sender) -> Result<(), Refused> {
    (0..MESSAGES).try_for_each(|number| sender.send_text(format!("{thread} {number}")))
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let start = Instant::now();
    let received = Rc::new(Cell::new([0; THREADS]));
    let counts = received.clone();

    let outcome = WebSocketApp::new(server.url())
        .on_open(|app, _| {
            let sender = app.sender();
            thread::spawn(move || {
                thread::scope(|scope| {
                    for thread in 0..THREADS {
                        let sender = &sender;
                        scope.spawn(move || {
                            if let Err(refused) = send_all(thread, sender) {
                                eprintln!("thread {thread}: {:?} was refused: {refused}", refused.message);
                            }
                        });
                    }
                });
                println!("{THREADS} threads have queued their messages; this one closes");
                sender.close();
            });
        })
        .on_message(move |_, message| -> Result<(), BoxError> {
            let text = message.as_text().ok_or("not a text")?;
            let (thread, number) = text.split_once(' ').ok_or("not a message of ours")?;
            let (thread, number): (usize, usize) = (thread.parse()?, number.parse()?);
            let mut next = counts.get();
            if number != next[thread] {
                return Err(format!("thread {thread}: {number} came when {} was due", next[thread]).into());
            }
            next[thread] += 1;
            counts.set(next);
            Ok(())
        })
        .on_error(|_, error| eprintln!("failed: {error}"))
        .run_forever(&RunOptions::new())?;

    for (thread, count) in received.get().iter().enumerate() {
        println!("thread {thread}: {count} messages came back, in order");
    }
    println!("{outcome:?} after {:.1?}", start.elapsed());
    outcome.into_result()?;
    if received.get() == [MESSAGES; THREADS] { Ok(()) } else { Err("messages are missing".into()) }
}
