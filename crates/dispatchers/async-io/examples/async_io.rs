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
        let failed = Rc::new(Cell::new(false));
        let mut apps = Vec::new();
        for name in ["left", "right"] {
            let failed = failed.clone();
            let app = WebSocketApp::new(server.url())
                .on_open(move |app, _| {
                    println!("{name}: open");
                    app.send_text("hello")
                })
                .on_message(move |_, message| println!("{name}: {}", message.as_text().unwrap_or("no text")))
                .on_error(move |_, error| {
                    eprintln!("{name}: failed: {error}");
                    failed.set(true);
                })
                .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
                .run_on(&mut reactor, &RunOptions::new())?;
            apps.push(app);
        }
        let handle = reactor.handle();
        // The program's own work: a timer, whose ticks the apps send.
        let ticking = async {
            for tick in 1..=TICKS {
                Timer::after(Duration::from_millis(100)).await;
                println!("tick {tick}");
                let apps = apps.clone();
                handle.run(move |reactor| {
                    for app in apps {
                        reactor
                            .with(app, |app| app.is_open().then(|| app.send_text(&format!("tick {tick}"))));
                    }
                });
            }
            handle.stop();
        };
        future::zip(reactor.run_async(), ticking).await.0?;
        if failed.get() { Err("a connection has failed".into()) } else { Ok(()) }
    })
}
