//! Two apps on a libuv loop, beside a timer of the program's own.

#[cfg(unix)]
fn main() -> Result<(), websocket_app::BoxError> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("The dispatcher for libuv needs a unix system.");
}

#[cfg(unix)]
mod unix {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::time::Duration;

    use libuv::{HandleTrait as _, Loop, RunMode, TimerHandle};
    use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_dispatcher_libuv::LibuvDispatcher;
    use websocket_testkit::server::EchoServer;

    const MESSAGES: usize = 3;

    pub(super) fn main() -> Result<(), BoxError> {
        let server = EchoServer::start()?;
        let mut uv = Loop::new()?;

        // The program's own work, which goes on while the apps do theirs.
        let mut ticks = 0;
        let mut ticking = uv.timer()?;
        ticking.start(100, 100, move |_: TimerHandle| {
            ticks += 1;
            println!("tick {ticks}");
        })?;

        let (dispatcher, turns) = LibuvDispatcher::new(&uv)?;
        let reactor = Rc::new(RefCell::new(Reactor::with_dispatcher(dispatcher)?));
        let received = Rc::new(Cell::new(0));
        for (name, pause) in [("quick", 60), ("slow", 150)] {
            let mut left = MESSAGES;
            let received = received.clone();
            WebSocketApp::new(server.url())
                .on_open(move |app, _| app.send_text(format!("{name}, {left} to go")))
                .on_message(move |app, message| {
                    println!("{}", message.as_text().unwrap_or("no text"));
                    received.set(received.get() + 1);
                    left -= 1;
                    let left = left;
                    app.set_timeout(Duration::from_millis(pause), move |app| match left {
                        0 => {
                            app.close();
                            Ok(())
                        }
                        left => app.send_text(format!("{name}, {left} to go")),
                    });
                })
                .on_close(move |_, closed| println!("{name}: closed with {:?}", closed.code))
                .on_error(move |_, error| eprintln!("{name}: {error}"))
                .run_on(&mut reactor.borrow_mut(), &RunOptions::new())?;
        }

        turns.start({
            let (reactor, mut uv) = (reactor.clone(), uv.clone());
            move |ready| {
                let mut reactor = reactor.borrow_mut();
                let next = reactor.turn(ready);
                if reactor.apps().is_empty() {
                    uv.stop();
                }
                next
            }
        });
        uv.run(RunMode::Default)?;
        assert_eq!(received.get(), 2 * MESSAGES);
        println!("both apps have ended, and so does the loop");

        // libuv wants every handle closed, and a last round to let go of them, before the loop is dropped.
        ticking.close(());
        drop(turns);
        uv.run(RunMode::Default)?;
        Ok(())
    }
}
