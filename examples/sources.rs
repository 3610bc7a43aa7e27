//! Sources of your own beside two apps: what is typed and what comes by UDP is sent, and a TCP port tells numbers (unix only).
#![cfg_attr(not(unix), allow(unused, reason = "stdin is watched by its descriptor"))]

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use websocket_app::dispatcher::Interest;
use websocket_app::{Apps, BoxError, Reactor, RunOptions, WebSocketApp};

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() -> Result<(), BoxError> {
    use std::os::fd::AsFd as _;

    let (server, mut reactor) = (websocket_testkit::server::EchoServer::start()?, Reactor::new()?);
    for name in ["first", "second"] {
        WebSocketApp::new(server.url())
            .on_message(move |_, message| println!("{name}: {message:?}"))
            .on_close(move |_, closed| println!("{name}: closed, cleanly: {}", closed.clean))
            .run_on(&mut reactor, &RunOptions::new())?;
    }
    let ids = reactor.apps().ids();
    reactor
        .run_until(move |apps| ids.iter().all(|id| apps.with(*id, |app| app.is_open()).unwrap_or(true)))?;

    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.set_nonblocking(true)?;
    println!("datagrams to {}", udp.local_addr()?);
    reactor.apps().watch(udp, Interest::Read, |udp, _| -> Result<(), BoxError> {
        let mut datagram = [0; 1500];
        let len = udp.source.recv(&mut datagram)?;
        send(udp.apps, &datagram[..len])
    })?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("numbers at {}", listener.local_addr()?);
    reactor.apps().watch(listener, Interest::Read, |listener, _| -> Result<(), BoxError> {
        let (mut peer, _) = listener.source.accept()?;
        for id in listener.apps.ids() {
            let Some(stats) = listener.apps.with(id, |app| app.stats()) else { continue };
            // A new connection has room for some lines.
            writeln!(peer, "{id}: {} sent, {} received", stats.sent.messages, stats.received.messages)?;
        }
        Ok(())
    })?;

    // Past the buffer of `io::stdin`, which may hold lines while the descriptor has nothing to report.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut typed = Vec::new();
    reactor.apps().watch(stdin, Interest::Read, move |stdin, event| -> Result<(), BoxError> {
        if let Some(error) = event.refused {
            eprintln!("stdin cannot be watched, as a regular file cannot: {error}");
            stdin.apps.stop_within(PATIENCE);
            return Ok(());
        }
        let mut bytes = [0; 4096];
        match stdin.source.read(&mut bytes) {
            Ok(0) => {
                stdin.apps.stop_within(PATIENCE);
                stdin.remove();
            }
            Ok(len) => typed.extend_from_slice(&bytes[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(end) = typed.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = typed.drain(..=end).collect();
            send(stdin.apps, &line[..end])?;
        }
        Ok(())
    })?;
    Ok(reactor.run()?)
}

/// How long the servers have to answer a close.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Sends a line of text on every connection.
fn send(apps: &mut Apps, line: &[u8]) -> Result<(), BoxError> {
    let line = String::from_utf8_lossy(line);
    for id in apps.ids() {
        apps.with(id, |app| app.send_text(&*line)).transpose()?;
    }
    Ok(())
}
