//! A program as Python users write it with `rel`: two apps, a timer, a UDP socket and Ctrl-C share one loop (unix only).
#![cfg_attr(not(unix), allow(unused, reason = "the signal comes through a unix socket"))]

use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::time::Duration;

use websocket_app::dispatcher::Interest;
use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() -> Result<(), BoxError> {
    let (server, mut reactor) = (websocket_testkit::server::EchoServer::start()?, Reactor::new()?);
    let [first, second] = ["first", "second"].map(|name| {
        WebSocketApp::new(server.url())
            .on_open(move |app, _| app.send_text(name))
            .on_message(move |_, message| println!("{name}: {message:?}"))
            .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
            .run_on(&mut reactor, &RunOptions::new())
    });
    let (first, _) = (first?, second?);

    let (inside, outside) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    outside.connect(inside.local_addr()?)?;
    inside.set_nonblocking(true)?;
    reactor.apps().watch(inside, Interest::Read, move |udp, _| -> Result<(), BoxError> {
        let mut datagram = [0; 1500];
        let len = udp.source.recv(&mut datagram)?;
        Ok(udp.apps.with(first, |app| app.send_bytes(&datagram[..len])).ok_or("it has ended")??)
    })?;
    reactor.apps().set_interval(Duration::from_millis(100), move |_| outside.send(b"tick").map(drop));

    let (interrupted, writer) = std::os::unix::net::UnixStream::pair()?;
    interrupted.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, writer)?;
    reactor.apps().watch(interrupted, Interest::Read, |signal, _| -> io::Result<()> {
        signal.source.read_exact(&mut [0])?;
        signal.apps.stop_within(Duration::from_secs(5));
        Ok(())
    })?;
    Ok(reactor.run()?)
}
