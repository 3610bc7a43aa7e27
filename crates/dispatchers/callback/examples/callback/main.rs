//! A loop over poll(2) that calls back, as a C program has one, runs two apps beside datagrams and a timer of its own (unix only).

#[cfg(unix)]
mod mini_loop;

#[cfg(unix)]
fn main() -> Result<(), websocket_app::BoxError> {
    program::main()
}

#[cfg(not(unix))]
fn main() {
    println!("This example has its loop over poll(2), so it needs a unix system.");
}

#[cfg(unix)]
mod program {
    use std::cell::{Cell, RefCell};
    use std::net::UdpSocket;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use nix::poll::PollFlags;
    use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_dispatcher_callback::{CallbackDispatcher, Driver};
    use websocket_testkit::server::EchoServer;

    use crate::mini_loop::{Drives, MiniHost, MiniLoop};

    const MEASUREMENTS: usize = 5;
    const PAUSE: Duration = Duration::from_millis(20);

    /// What a C program would hand to each callback as a `void *`.
    struct Program {
        looped: Rc<MiniLoop<Self>>,
        driver: Driver,
        reactor: RefCell<Reactor<CallbackDispatcher>>,
        apps: Vec<AppId>,
        device: UdpSocket,
        datagrams: Rc<UdpSocket>,
        measured: Cell<usize>,
    }

    impl Drives for Program {
        fn driver(&self) -> &Driver {
            &self.driver
        }
    }

    /// The loop's own timer: some device sends a datagram, once both apps are open.
    fn on_measure(program: &Program) {
        let is_connecting =
            |id: &AppId| program.reactor.borrow_mut().apps().with(*id, |app| app.is_open()) == Some(false);
        if program.apps.iter().any(is_connecting) {
            return program.looped.set_timer("measure", Instant::now() + PAUSE, on_measure);
        }
        program.measured.set(program.measured.get() + 1);
        let text = format!("measurement {}", program.measured.get());
        if let Err(error) = program.device.send(text.as_bytes()) {
            eprintln!("the device failed: {error}");
        }
        if program.measured.get() < MEASUREMENTS {
            program.looped.set_timer("measure", Instant::now() + PAUSE, on_measure);
        } else {
            program.looped.set_timer("end", Instant::now() + PAUSE, on_end);
        }
    }

    /// The loop's own descriptor: what came is sent through the apps.
    fn on_datagram(program: &Program, _: u64, _: PollFlags) {
        let mut buffer = [0; 64];
        while let Ok(len) = program.datagrams.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]);
            println!("came by datagram: {text}");
            for id in &program.apps {
                let mut reactor = program.reactor.borrow_mut();
                reactor.apps().with(*id, |app| app.send_text(&text));
            }
        }
    }

    fn on_end(program: &Program) {
        program.reactor.borrow_mut().apps().stop_within(Duration::from_secs(10));
    }

    fn app(name: &'static str, url: String, received: Rc<Cell<usize>>) -> WebSocketApp {
        WebSocketApp::new(url)
            .on_open(move |_, _| println!("{name}: open"))
            .on_message(move |_, message| {
                println!("{name}: received {message:?}");
                received.set(received.get() + 1);
            })
            .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
            .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
    }

    pub(crate) fn main() -> Result<(), BoxError> {
        let server = EchoServer::start()?;
        let datagrams = Rc::new(UdpSocket::bind("127.0.0.1:0")?);
        datagrams.set_nonblocking(true)?;
        let device = UdpSocket::bind("127.0.0.1:0")?;
        device.connect(datagrams.local_addr()?)?;

        let looped = Rc::new(MiniLoop::new()?);
        let (dispatcher, driver) = CallbackDispatcher::new(MiniHost(looped.clone()), looped.waker()?);
        let mut reactor = Reactor::with_dispatcher(dispatcher)?;
        let received = Rc::new(Cell::new(0));
        let apps = vec![
            app("left", server.url(), received.clone()).run_on(&mut reactor, &RunOptions::new())?,
            app("right", server.url(), received.clone()).run_on(&mut reactor, &RunOptions::new())?,
        ];
        let reactor = RefCell::new(reactor);
        let measured = Cell::new(0);
        let program = Program { looped: looped.clone(), driver, reactor, apps, device, datagrams, measured };
        looped.watch(("datagrams", 0), program.datagrams.clone(), PollFlags::POLLIN, on_datagram);
        looped.set_timer("measure", Instant::now() + PAUSE, on_measure);

        while !program.reactor.borrow_mut().apps().is_empty() {
            looped.round(&program, None)?;
            program.driver.turn(|ready| program.reactor.borrow_mut().turn(ready));
        }
        assert_eq!(received.get(), 2 * MEASUREMENTS);
        println!("{MEASUREMENTS} measurements went through a loop that hosted two apps");
        Ok(())
    }
}
