//! A stream of your own: one that wraps another and counts its bytes, made anew for every attempt, with WebSocket on top of it.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use websocket_app::dispatcher::{Io, Stream};
use websocket_app::link::{Connector as _, SocketOptions, SystemConnector};
use websocket_app::{BoxError, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;

/// What went over all streams.
#[derive(Default)]
struct Meter {
    received: Cell<usize>,
    sent: Cell<usize>,
}

struct Metered {
    inner: Io,
    meter: Rc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.meter.received.update(|all| all + len);
        Ok(len)
    }
}

impl Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.meter.sent.update(|all| all + len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Every dispatcher that can watch the inner stream can watch this one. A stream that wraps none has a descriptor of its own (`fd`).
impl Stream for Metered {
    fn connected(&mut self) -> io::Result<bool> {
        self.inner.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let address = server.addr();
    let meter = Rc::<Meter>::default();

    let counted = meter.clone();
    // The URL says what to ask for; where the bytes go is the function's business. With wss:// there would be TLS on top.
    let outcome = WebSocketApp::new("ws://metered.example/")
        .socket_with(move || {
            // Starts connecting and does not wait for it.
            let inner = SystemConnector.connect(address, &SocketOptions::default())?;
            Ok(Io::custom(Metered { inner, meter: counted.clone() }))
        })
        .on_open(|app, _| app.send_text("x".repeat(1000)))
        .on_message(|app, message| {
            println!("received a message of {} bytes", message.as_bytes().len());
            app.close();
        })
        .run_forever(&RunOptions::new())?;

    println!("{} bytes sent, {} bytes received", meter.sent.get(), meter.received.get());
    Ok(outcome.into_result()?)
}
