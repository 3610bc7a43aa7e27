//! One poller for everything: two apps, and a socket of the program's own whose datagrams go out through both.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use polling::{Event, Poller};
use websocket_app::{AppId, BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_polling::PollingDispatcher;
use websocket_testkit::server::EchoServer;

const MEASUREMENTS: usize = 5;
const DATAGRAMS: usize = PollingDispatcher::OWN_KEYS;

fn app(name: &'static str, url: String, failed: Rc<Cell<bool>>) -> WebSocketApp {
    let mut left = MEASUREMENTS;
    WebSocketApp::new(url)
        .on_message(move |app, message| {
            println!("{name}: came back: {}", message.as_text().unwrap_or("no text"));
            left -= 1;
            if left == 0 {
                app.close();
            }
        })
        .on_error(move |_, error| {
            eprintln!("{name}: failed: {error}");
            failed.set(true);
        })
        .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
}

/// Sends what came as datagrams through all apps.
fn forward(
    socket: &UdpSocket,
    reactor: &mut Reactor<PollingDispatcher>,
    apps: &[AppId],
) -> Result<(), BoxError> {
    let mut buffer = [0; 256];
    while let Ok(len) = socket.recv(&mut buffer) {
        let text = std::str::from_utf8(&buffer[..len])?;
        println!("datagram: {text}");
        for id in apps {
            reactor.apps().with(*id, |app| app.send_text(text)).transpose()?;
        }
    }
    Ok(())
}

/// Is the device.
fn measure(to: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for number in 1..=MEASUREMENTS {
        thread::sleep(Duration::from_millis(50));
        socket.send_to(format!("measurement {number}: {} °C", 20 + number).as_bytes(), to)?;
    }
    Ok(())
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let mut reactor = Reactor::with_dispatcher(PollingDispatcher::new()?)?;
    let failed = Rc::new(Cell::new(false));
    let mut apps = Vec::new();
    for name in ["first", "second"] {
        let app = app(name, server.url(), failed.clone());
        apps.push(app.run_on(&mut reactor, &RunOptions::new())?);
    }
    reactor.run_until(|all| apps.iter().all(|id| all.with(*id, |app| app.is_open()).unwrap_or(true)))?;
    println!("both are open: the device is switched on");

    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let poller = reactor.dispatcher().poller().clone();
    // SAFETY: the socket is deleted below, before it is dropped.
    unsafe { poller.add(&socket, Event::readable(DATAGRAMS))? };
    let device = thread::spawn(move || measure(address));
    let forwarded = run(&poller, &socket, &mut reactor, &apps);
    poller.delete(&socket)?;
    forwarded?;
    device.join().map_err(|_| "the device broke")??;
    if failed.get() {
        return Err("a connection has failed".into());
    }
    println!("all {MEASUREMENTS} measurements went through one poller");
    Ok(())
}

fn run(
    poller: &Poller,
    socket: &UdpSocket,
    reactor: &mut Reactor<PollingDispatcher>,
    apps: &[AppId],
) -> Result<(), BoxError> {
    while !reactor.apps().is_empty() {
        reactor.poll(None)?;
        if reactor.dispatcher().own_events().any(|event| event.key == DATAGRAMS) {
            forward(socket, reactor, apps)?;
            // The poller reports a source once.
            poller.modify(socket, Event::readable(DATAGRAMS))?;
        }
    }
    Ok(())
}
