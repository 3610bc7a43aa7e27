//! A loop of the program's own on io_uring (Linux): it beats time, and two apps echo each beat.

#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
fn main() -> Result<(), websocket_app::BoxError> {
    linux::main()
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
fn main() {
    println!("This example is about io_uring, so it needs Linux on a 64-bit, little-endian processor.");
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
mod linux {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_dispatcher::Wait as _;
    use websocket_dispatcher_io_uring::IoUringDispatcher;
    use websocket_testkit::server::EchoServer;

    const BEATS: usize = 5;
    const BEAT: Duration = Duration::from_millis(50);

    fn app(name: &'static str, url: String, received: Rc<Cell<usize>>) -> WebSocketApp {
        WebSocketApp::new(url)
            .on_open(move |_, _| println!("{name}: open"))
            .on_message(move |_, message| {
                received.set(received.get() + 1);
                println!("{name}: came back: {}", message.as_text().unwrap_or("no text"));
            })
            .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
            .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
    }

    pub(super) fn main() -> Result<(), BoxError> {
        let dispatcher = match IoUringDispatcher::new() {
            Ok(dispatcher) => dispatcher,
            Err(error) => {
                println!("nothing to show: {error}");
                return Ok(());
            }
        };
        let server = EchoServer::start()?;
        let mut reactor = Reactor::with_dispatcher(dispatcher)?;
        let received = Rc::new(Cell::new(0));
        let mut apps = Vec::new();
        for name in ["first", "second"] {
            apps.push(app(name, server.url(), received.clone()).run_on(&mut reactor, &RunOptions::new())?);
        }

        let mut beats = 0;
        let mut due = Instant::now() + BEAT;
        let mut ready = Vec::new();
        loop {
            let next = reactor.turn(&ready);
            if reactor.apps().is_empty() {
                break;
            }
            if Instant::now() >= due {
                due += BEAT;
                // The first beat comes when both are open.
                if apps.iter().all(|id| reactor.apps().with(*id, |app| app.is_open()) != Some(false)) {
                    beats += 1;
                    beat(&mut reactor, &apps, beats)?;
                }
            }
            ready.clear();
            // The loop's own deadline beside that of the apps. What the beat has changed wakes the wait.
            let deadline =
                if next.again { Instant::now() } else { next.deadline.map_or(due, |next| next.min(due)) };
            reactor.dispatcher().wait(Some(deadline), &mut ready)?;
        }
        assert_eq!(received.get(), 2 * BEATS);
        println!("the loop has run to its end");
        Ok(())
    }

    fn beat(reactor: &mut Reactor<IoUringDispatcher>, apps: &[AppId], number: usize) -> Result<(), BoxError> {
        if number > BEATS {
            reactor.apps().stop_within(Duration::from_secs(10));
            return Ok(());
        }
        println!("beat {number}");
        let text = format!("beat {number}");
        for id in apps {
            reactor.apps().with(*id, |app| app.send_text(&text)).transpose()?;
        }
        Ok(())
    }
}
