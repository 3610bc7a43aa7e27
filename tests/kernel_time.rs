//! When the kernel received a message, on real sockets: where the option asks for it and the stream is a TCP socket of Linux.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use websocket_app::dispatcher::{Io, Stream};
use websocket_app::{CallbackResult, RunOptions, WebSocketApp};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::server::{EchoServer, Peer, ScriptedServer, echo_on};
use websocket_tests::{Scratch, SecurePeer, Trust, run_forever, secure_server};

/// The server's end of a connection, with TLS or without.
trait Line {
    fn accept(&mut self);
    fn read_frame(&mut self) -> Frame;
    fn write(&mut self, frames: &[u8]);
}

impl Line for Peer {
    fn accept(&mut self) {
        self.accept_upgrade();
    }

    fn read_frame(&mut self) -> Frame {
        self.read_frame()
    }

    fn write(&mut self, frames: &[u8]) {
        self.write(frames);
    }
}

impl Line for SecurePeer<&TcpStream> {
    fn accept(&mut self) {
        self.accept_upgrade();
    }

    fn read_frame(&mut self) -> Frame {
        self.read_frame()
    }

    fn write(&mut self, frames: &[u8]) {
        self.write(frames);
    }
}

/// What a server sends when the kernel has begun to stamp packets.
struct Script {
    /// In one write each.
    parts: Vec<Vec<u8>>,
    /// When the last part was about to be sent.
    sent_after: Mutex<SystemTime>,
}

impl Script {
    fn new(parts: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self { parts, sent_after: Mutex::new(SystemTime::UNIX_EPOCH) })
    }

    fn run(&self, line: &mut impl Line) {
        line.accept();
        loop {
            let frame = line.read_frame();
            match frame.payload.as_slice() {
                b"try" => line.write(&frame::text("tried")),
                b"ready" => {
                    for part in &self.parts {
                        *self.sent_after.lock().unwrap() = SystemTime::now();
                        line.write(part);
                    }
                }
                _ => break line.write(&frame::close(1000, "")),
            }
        }
    }
}

/// Runs an app against both kinds of servers, which send `parts`, and passes the kernel's times of as many messages to `check`. None is
/// earlier than the last part, nor later than the delivery.
#[track_caller]
fn on_both(parts: Vec<Vec<u8>>, messages: usize, pauses: bool, check: impl Fn(&[SystemTime])) {
    let trust = Trust::new();
    let script = Script::new(parts);
    let (plain, secure) = (script.clone(), script.clone());
    let plain = ScriptedServer::start(move |mut peer| plain.run(&mut peer)).unwrap();
    let secure = secure_server(&trust.server(), move |peer, _| secure.run(peer));
    for url in [plain.url(), format!("wss://{}/", secure.addr())] {
        let received = Rc::new(RefCell::new(Vec::new()));
        let (seen, in_batch) = (received.clone(), received.clone());
        let mut app = WebSocketApp::new(url)
            .on_open(|app, _| app.send_text("try"))
            .on_message(move |app, message| -> CallbackResult {
                let at = app.kernel_received_at();
                if message.as_text() == Some("tried") {
                    return Ok(app.send_text(if at.is_some() { "ready" } else { "try" })?);
                }
                let mut seen = seen.borrow_mut();
                seen.push((at.unwrap(), SystemTime::now()));
                if seen.len() == messages {
                    app.close();
                } else if pauses {
                    app.pause_reading();
                    app.set_timeout(Duration::from_millis(1), |app| {
                        assert_eq!(
                            app.kernel_received_at(),
                            None,
                            "nothing received has led to this callback"
                        );
                        app.resume_reading();
                    });
                }
                Ok(())
            })
            .on_batch_end(move |app| {
                if let Some((at, _)) = in_batch.borrow().last() {
                    assert_eq!(app.kernel_received_at(), Some(*at));
                }
            });
        let outcome = run_forever(&mut app, &trust.options().kernel_receive_time(true)).unwrap();
        outcome.into_result().unwrap();
        let received = received.take();
        let sent_after = *script.sent_after.lock().unwrap();
        assert!(received.iter().all(|(at, delivered)| (sent_after..=*delivered).contains(at)));
        assert_eq!(received.len(), messages);
        check(&received.into_iter().map(|(at, _)| at).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_was_received_between_its_sending_and_its_delivery() {
    on_both(vec![frame::text("hello")], 1, false, |_| {});
}

#[test]
fn a_message_of_many_reads_has_the_time_of_the_last() {
    // More than what one read takes, and more than a buffer of the system.
    let mut front = frame::text(&"x".repeat(8 << 20));
    let last = front.split_off(front.len() - 1);
    on_both(vec![front, last], 1, false, |_| {});
}

#[test]
fn what_was_read_at_once_has_one_time_also_where_it_waits_for_its_delivery() {
    let burst = ["one", "two", "three"].map(frame::text).concat();
    for pauses in [false, true] {
        on_both(vec![burst.clone()], 3, pauses, |times| {
            assert!(times.iter().all(|at| *at == times[0]), "{times:?}");
        });
    }
}

/// Runs an app that says hello, and returns the kernel's time of the answer.
#[track_caller]
fn time_of_an_echo(app: WebSocketApp, options: &RunOptions) -> Option<SystemTime> {
    let time = Rc::new(RefCell::new(None));
    let seen = time.clone();
    let mut app = app.on_open(|app, _| app.send_text("hello")).on_message(move |app, _| {
        *seen.borrow_mut() = Some(app.kernel_received_at());
        app.close();
    });
    run_forever(&mut app, options).unwrap().into_result().unwrap();
    time.take().expect("the message has come back")
}

#[test]
fn there_is_no_time_unless_it_is_asked_for() {
    let server = EchoServer::start().unwrap();
    let options = RunOptions::new();
    assert_eq!(time_of_an_echo(WebSocketApp::new(server.url()), &options), None);
    let taken_back = options.kernel_receive_time(true).kernel_receive_time(false);
    assert_eq!(time_of_an_echo(WebSocketApp::new(server.url()), &taken_back), None);
}

#[test]
fn unix_sockets_work_and_have_no_time() {
    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || echo_on(listener.accept().unwrap().0));
    let app = WebSocketApp::new(format!("ws+unix:{}", path.display()));
    assert_eq!(time_of_an_echo(app, &RunOptions::new().kernel_receive_time(true)), None);
    server.join().unwrap().unwrap();
}

/// A user's stream, which turns each byte round.
struct Inverted(TcpStream);

impl Read for Inverted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(buffer)?;
        buffer[..len].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(len)
    }
}

impl Write for Inverted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes.iter().map(|byte| !byte).collect::<Vec<_>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Inverted {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }
}

#[test]
fn a_stream_of_the_user_is_read_by_its_own_code_and_has_no_time() {
    let server = ScriptedServer::start(|peer| {
        peer.stream().set_nonblocking(false).unwrap();
        echo_on(Inverted(peer.stream().try_clone().unwrap())).unwrap();
    })
    .unwrap();
    let address = server.addr();
    let app = WebSocketApp::new("ws://inverted.example/").socket_with(move || {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        Ok(Io::custom(Inverted(stream)))
    });
    assert_eq!(time_of_an_echo(app, &RunOptions::new().kernel_receive_time(true)), None);
}
