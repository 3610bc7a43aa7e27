//! Two apps on async-io, beside a timer of the program's own. With smol it is the same: its `block_on` and `Timer` are those of async-io.
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_async_io::AsyncIoDispatcher;
use websocket_testkit::server::EchoServer;

const TICKS: usize = 5;

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    async_io::block_on(async {
        let mut reactor = Reactor::with_dispatcher(AsyncIoDispatcher::new())?;
        let (opened, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut apps = Vec::new();
        for name in ["left", "right"] {
            let (opened, received) = (opened.clone(), received.clone());
            let mut left = 1 + TICKS;
            let app = WebSocketApp::new(server.url())
                .on_open(move |app, _| {
                    println!("{name}: open");
                    opened.set(opened.get() + 1);
                    app.send_text("hello")
                })
                .on_message(move |app, message| {
                    println!("{name}: {}", message.as_text().unwrap_or("no text"));
                    received.set(received.get() + 1);
                    left -= 1;
                    if left == 0 {
                        app.close();
                    }
                })
                .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
                .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
                .run_on(&mut reactor, &RunOptions::new())?;
            apps.push(app);
        }
        let handle = reactor.handle();
        // The program's own work: a timer, whose ticks the apps send once both are open.
        let ticking = async {
            while opened.get() < 2 {
                Timer::after(Duration::from_millis(10)).await;
            }
            for tick in 1..=TICKS {
                Timer::after(Duration::from_millis(100)).await;
                println!("tick {tick}");
                let apps = apps.clone();
                handle.run(move |reactor| {
                    for app in apps {
                        reactor.with(app, |app| app.send_text(format!("tick {tick}")));
                    }
                });
            }
        };
        let (ran, ()) = future::zip(reactor.run_async(), ticking).await;
        ran?;
        assert_eq!(received.get(), 2 * (1 + TICKS));
        Ok(())
    })
}
