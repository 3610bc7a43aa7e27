//! A loop of your own, here poll(2), watches a whole reactor by one descriptor beside descriptors of its own (unix only).

#[cfg(unix)]
fn main() -> Result<(), websocket_app::BoxError> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("This example is about file descriptors, so it needs a unix system.");
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;
    use std::rc::Rc;
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_testkit::server::EchoServer;

    const MEASUREMENTS: usize = 5;

    pub(super) fn main() -> Result<(), BoxError> {
        let server = EchoServer::start()?;
        // The loop's own business: datagrams that some device sends.
        let datagrams = UdpSocket::bind("127.0.0.1:0")?;
        datagrams.set_nonblocking(true)?;
        let address = datagrams.local_addr()?;

        let mut reactor = Reactor::new()?;
        let left = Rc::new(Cell::new(MEASUREMENTS));
        let counter = left.clone();
        let app = WebSocketApp::new(server.url())
            .on_open(move |_, _| {
                println!("the connection is open: the device is switched on");
                thread::spawn(move || measure(address));
            })
            .on_message(move |app, message| {
                println!("came back by WebSocket: {}", message.as_text().unwrap_or("no text"));
                counter.update(|left| left - 1);
                if counter.get() == 0 {
                    app.close();
                }
            })
            .on_error(|_, error| eprintln!("failed: {error}"))
            .run_on(&mut reactor, &RunOptions::new())?;

        while !reactor.apps().is_empty() {
            let mut watched = [
                PollFd::new(reactor.as_fd(), PollFlags::POLLIN),
                PollFd::new(datagrams.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut watched, until(reactor.next_deadline())) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            forward(&datagrams, &mut reactor, app)?;
            // Never sleeps: the poll above has done that.
            reactor.poll(Some(Duration::ZERO))?;
        }
        if left.get() > 0 {
            return Err(format!("{} measurements are missing", left.get()).into());
        }
        println!("all {MEASUREMENTS} measurements went through one poll(2) loop");
        Ok(())
    }

    /// The time left, in milliseconds and rounded up, so that the loop does not run in circles before the deadline.
    fn until(deadline: Option<Instant>) -> PollTimeout {
        let Some(deadline) = deadline else { return PollTimeout::NONE };
        let left = deadline.saturating_duration_since(Instant::now());
        PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
    }

    /// Sends what came as datagrams through the app.
    fn forward(datagrams: &UdpSocket, reactor: &mut Reactor, app: AppId) -> Result<(), BoxError> {
        let mut buffer = [0; 256];
        while let Ok(len) = datagrams.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..len])?;
            println!("came by datagram:       {text}");
            reactor.apps().with(app, |app| app.send_text(text)).transpose()?;
        }
        Ok(())
    }

    /// Is the device.
    fn measure(to: std::net::SocketAddr) -> std::io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for number in 1..=MEASUREMENTS {
            thread::sleep(Duration::from_millis(200));
            socket.send_to(format!("measurement {number}: {} °C", 20 + number).as_bytes(), to)?;
        }
        Ok(())
    }
}
