//! Two apps on a GLib main loop, beside a timeout of the program's own.

#[cfg(unix)]
fn main() -> Result<(), websocket_app::BoxError> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("The dispatcher for GLib needs a unix system.");
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use glib::{ControlFlow, MainContext, MainLoop, Priority};
    use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_dispatcher_glib::GlibDispatcher;
    use websocket_testkit::server::EchoServer;

    const MESSAGES: usize = 3;

    pub(super) fn main() -> Result<(), BoxError> {
        let server = EchoServer::start()?;
        let context = MainContext::default();
        let main_loop = MainLoop::new(Some(&context), false);

        // The program's own work, which goes on while the apps do theirs.
        let mut ticks = 0;
        let ticking =
            glib::timeout_source_new(Duration::from_millis(100), None, Priority::DEFAULT, move || {
                ticks += 1;
                println!("tick {ticks}");
                ControlFlow::Continue
            });
        ticking.attach(Some(&context));

        let failed = Rc::new(Cell::new(false));
        let mut reactor = Reactor::with_dispatcher(GlibDispatcher::new(&context))?;
        let received = Rc::new(Cell::new(0));
        for (name, pause) in [("quick", 60), ("slow", 150)] {
            let failed = failed.clone();
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
                .on_error(move |_, error| {
                    eprintln!("{name}: {error}");
                    failed.set(true);
                })
                .run_on(&mut reactor, &RunOptions::new())?;
        }

        context.spawn_local({
            let (main_loop, failed) = (main_loop.clone(), failed.clone());
            async move {
                if let Err(error) = reactor.run_async().await {
                    eprintln!("{error}");
                    failed.set(true);
                }
                main_loop.quit();
            }
        });
        main_loop.run();
        ticking.destroy();
        assert_eq!(received.get(), 2 * MESSAGES);
        println!("both apps have ended, and so does the main loop");
        if failed.get() { Err("a connection has failed".into()) } else { Ok(()) }
    }
}
