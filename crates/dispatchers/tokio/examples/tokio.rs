//! Two apps in a tokio runtime on one thread, beside a timer of the program's own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{BoxError, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_testkit::server::EchoServer;

const TICKS: usize = 5;

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new()?)?;
        let (opened, mut open) = tokio::sync::mpsc::unbounded_channel();
        let received = Rc::new(Cell::new(0));
        for name in ["left", "right"] {
            let (opened, received) = (opened.clone(), received.clone());
            WebSocketApp::new(server.url())
                .on_open(move |app, _| {
                    println!("{name}: open");
                    opened.send(app.sender())
                })
                .on_message(move |_, message| {
                    received.set(received.get() + 1);
                    println!("{name}: {}", message.as_text().unwrap_or("no text"));
                })
                .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
                .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
                .run_on(&mut reactor, &RunOptions::new())?;
        }
        // Without an app that could open, there is nothing to wait for.
        drop(opened);
        let ticking = async {
            let mut senders = Vec::new();
            while let Some(sender) = open.recv().await {
                senders.push(sender);
                if senders.len() == 2 {
                    break;
                }
            }
            let ticked = tick(&senders).await;
            senders.iter().for_each(Sender::close);
            ticked
        };
        let (ran, ticked) = tokio::join!(reactor.run_async(), ticking);
        ran?;
        ticked?;
        assert_eq!(received.get(), 2 * TICKS);
        Ok(())
    })
}

/// The program's own work: a timer, whose ticks the apps send.
async fn tick(senders: &[Sender]) -> Result<(), BoxError> {
    let mut interval = tokio::time::interval(Duration::from_millis(100));
    for tick in 1..=TICKS {
        interval.tick().await;
        println!("tick {tick}");
        for sender in senders {
            sender.send_text(format!("tick {tick}"))?;
        }
    }
    Ok(())
}
