//! A server that does to each client what a test says.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll};

use super::{LISTENER, Peer, Stop};

/// A server that runs a closure for each connection, on its own thread.
///
/// A panic in the closure (a failed assertion, a [`Peer`] that waited in vain) is carried to the test by
/// [`join`](Self::join), and by dropping the server too.
///
/// ```
/// use std::io::{Read as _, Write as _};
/// use websocket_testkit::server::ScriptedServer;
///
/// let server = ScriptedServer::start(|mut peer| {
///     let request = peer.read_request();
///     assert_eq!(request.path, "/");
///     peer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
/// })?;
///
/// let mut client = std::net::TcpStream::connect(server.addr())?;
/// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
/// let mut response = String::new();
/// client.read_to_string(&mut response)?;
/// assert!(response.starts_with("HTTP/1.1 503"));
/// server.join();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ScriptedServer {
    addr: SocketAddr,
    stop: Stop,
    accepted: Arc<AtomicUsize>,
    acceptor: Option<JoinHandle<io::Result<Scripts>>>,
}

type Scripts = Vec<JoinHandle<()>>;

impl ScriptedServer {
    /// Starts a server on a free port of 127.0.0.1. [`Peer::index`] tells the script which connection it has,
    /// counted from 0.
    ///
    /// # Errors
    /// When the system refuses a socket or a thread.
    pub fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> io::Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Starts a server on `addr`.
    ///
    /// # Errors
    /// When the address is not free, or the system refuses a socket or a thread.
    pub fn bind(addr: SocketAddr, script: impl Fn(Peer) + Send + Sync + 'static) -> io::Result<Self> {
        let mut listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Stop::new(poll.registry())?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptor = Acceptor {
            poll,
            listener,
            stop: stop.clone(),
            accepted: accepted.clone(),
            script: Arc::new(script),
            scripts: Vec::new(),
        };
        let acceptor = thread::Builder::new().name("scripted-server".into()).spawn(|| acceptor.run())?;
        Ok(Self { addr, stop, accepted, acceptor: Some(acceptor) })
    }

    /// The URL to connect to.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }

    /// Accepts no more, waits for the scripts to end, and panics if one of them did.
    pub fn join(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.stop.request();
        if thread::panicking() {
            // The test has failed already; to wait for scripts that miss their client would only delay the
            // news.
            return;
        }
        let scripts = match acceptor.join() {
            Ok(scripts) => scripts.expect("the scripted server could accept"),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let failed: Option<Box<dyn Any + Send>> =
            scripts.into_iter().map(JoinHandle::join).fold(None, |first, outcome| first.or(outcome.err()));
        if let Some(panic) = failed {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer")
            .field("addr", &self.addr)
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}

struct Acceptor<S> {
    poll: Poll,
    listener: TcpListener,
    stop: Stop,
    accepted: Arc<AtomicUsize>,
    script: Arc<S>,
    scripts: Scripts,
}

impl<S: Fn(Peer) + Send + Sync + 'static> Acceptor<S> {
    fn run(mut self) -> io::Result<Scripts> {
        let mut events = Events::with_capacity(8);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            // Checked before accepting, so that clients that connected before the stop are still served.
            let stopping = self.stop.is_requested();
            self.accept()?;
            if stopping {
                return Ok(self.scripts);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => return Err(error),
                },
            };
            let index = self.accepted.fetch_add(1, Ordering::AcqRel);
            let peer = Peer::new(stream.into(), index)?;
            let script = self.script.clone();
            let name = format!("scripted-server-{index}");
            self.scripts.push(thread::Builder::new().name(name).spawn(move || script(peer))?);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tungstenite::{Message, WebSocket};

    use super::*;
    use crate::frame;

    fn client(server: &ScriptedServer) -> WebSocket<TcpStream> {
        tungstenite::client(server.url(), TcpStream::connect(server.addr()).unwrap()).unwrap().0
    }

    #[test]
    fn a_script_speaks_with_its_client() {
        let server = ScriptedServer::start(|mut peer| {
            let request = peer.accept_upgrade_with(&["X-Script: yes"]);
            assert_eq!(request.header("upgrade"), Some("websocket"));
            let hello = peer.read_frame();
            assert_eq!((hello.opcode, hello.text().as_str()), (frame::TEXT, "hello"));
            peer.send_frame(false, 0, frame::TEXT, b"he");
            peer.send_ping(b"1");
            peer.send_frame(true, 0, frame::CONTINUATION, b"llo");
            assert_eq!(peer.read_frame().payload, b"1");
            peer.send_close(1000, "done");
            assert_eq!(peer.read_close(), Some((1000, "done".to_owned())));
            peer.shutdown();
            peer.expect_eof();
        })
        .unwrap();
        let mut client = client(&server);
        client.send(Message::text("hello")).unwrap();
        let mut seen = Vec::new();
        while let Ok(message) = client.read() {
            seen.push(message);
        }
        assert_eq!(seen[..2], [Message::Ping("1".into()), Message::text("hello")]);
        assert!(matches!(&seen[2], Message::Close(Some(close)) if close.reason == "done"));
        drop(client);
        server.join();
    }

    #[test]
    fn connections_run_side_by_side_and_are_counted() {
        let server = ScriptedServer::start(|mut peer| {
            peer.accept_upgrade();
            peer.send_text(&peer.index().to_string());
            peer.read_to_end();
        })
        .unwrap();
        let mut clients: Vec<_> = (0..3).map(|_| client(&server)).collect();
        let mut indices: Vec<_> =
            clients.iter_mut().map(|client| client.read().unwrap().to_string()).collect();
        indices.sort();
        assert_eq!(indices, ["0", "1", "2"]);
        assert_eq!(server.accepted(), 3);
    }

    #[test]
    fn a_failed_script_fails_the_test() {
        let failing = || ScriptedServer::start(|peer| assert_eq!(peer.index(), 1, "as it should")).unwrap();
        for how in [ScriptedServer::join, drop::<ScriptedServer>] {
            let server = failing();
            let _client = TcpStream::connect(server.addr()).unwrap();
            let panic = catch_unwind(AssertUnwindSafe(|| how(server))).unwrap_err();
            assert!(panic.downcast_ref::<String>().unwrap().contains("as it should"));
        }
    }

    #[test]
    fn a_reset_is_seen_as_a_reset() {
        let server = ScriptedServer::start(|mut peer| {
            peer.read_exact(1);
            peer.reset();
        })
        .unwrap();
        let mut client = TcpStream::connect(server.addr()).unwrap();
        client.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_client_that_leaves_or_breaks_the_rules_fails_the_script() {
        let outcome = |bytes: &'static [u8]| {
            let server = ScriptedServer::start(|mut peer| drop(peer.read_frame())).unwrap();
            TcpStream::connect(server.addr()).unwrap().write_all(bytes).unwrap();
            let panic = catch_unwind(AssertUnwindSafe(|| server.join())).unwrap_err();
            panic.downcast_ref::<String>().unwrap().clone()
        };
        assert!(outcome(b"\x81").contains("ended the stream"));
        assert!(outcome(b"\x81\x00").contains("must be masked"));
    }
}
