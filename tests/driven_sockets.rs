//! A dispatcher that reads sockets itself has received what was there when it last waited. Before a deadline is judged, that is read, and then
//! what the system has by now. In virtual time, over a pair of unix sockets, where bytes arrive when they are written.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use websocket_app::dispatcher::{Clock, Dispatcher, Interest, Io, Key, Ready, Stream, Wait};
use websocket_app::{AppId, Liveness, Reactor, RunOptions};
use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::handshake::response_for;
use websocket_tests::Log;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Option<Duration> = Some(Duration::ZERO);

/// A socket that its dispatcher reads.
struct Driven {
    io: Io,
    received: VecDeque<u8>,
}

impl Driven {
    /// Receives what is there, as the dispatcher does when it waits. Returns whether that is anything.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 1024];
        let Ok(len) = self.io.read(&mut buffer) else { return false };
        self.received.extend(&buffer[..len]);
        len > 0
    }
}

/// The driven socket as the reactor has it.
struct Handle(Rc<RefCell<Driven>>, Io);

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let driven = &mut *self.0.borrow_mut();
        if driven.received.is_empty() { driven.io.read(buffer) } else { driven.received.read(buffer) }
    }
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().io.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Handle {
    fn inner(&self) -> Option<&Io> {
        Some(&self.1)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.1)
    }
}

/// Runs once, behind the next wait.
type Then = Rc<RefCell<Option<Box<dyn FnOnce()>>>>;

/// Receives when it waits, and does not sleep: where nothing is there, its clock jumps to the deadline.
struct Completing {
    time: Rc<Cell<Instant>>,
    driven: Option<(Key, Rc<RefCell<Driven>>)>,
    then: Then,
}

impl Dispatcher for Completing {
    fn register(&mut self, key: Key, io: &mut Io, _: Interest) -> io::Result<()> {
        let fd = io.fd().ok_or(ErrorKind::Unsupported)?.try_clone_to_owned()?;
        let is_driven = io.drive(|socket| {
            let driven = Rc::new(RefCell::new(Driven { io: socket, received: VecDeque::new() }));
            self.driven = Some((key, driven.clone()));
            Handle(driven, Io::source(fd))
        });
        assert!(is_driven);
        Ok(())
    }

    fn reregister(&mut self, _: Key, _: &mut Io, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: Key, io: Io) {
        self.driven = None;
        drop(io);
    }

    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn clock(&self) -> Clock {
        let time = self.time.clone();
        Clock::new(move || time.get())
    }

    fn short_read_drains(&self) -> bool {
        true
    }
}

impl Wait for Completing {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut has_received = false;
        if let Some((key, driven)) = &self.driven {
            has_received = driven.borrow_mut().receive();
            ready.push(Ready::new(*key, has_received, true));
        }
        if let Some(deadline) = deadline.filter(|_| !has_received) {
            self.time.set(self.time.get().max(deadline));
        }
        let then = self.then.take();
        then.into_iter().for_each(|then| then());
        Ok(())
    }
}

/// An open connection, and the far end of its socket.
struct World {
    reactor: Reactor<Completing>,
    id: AppId,
    log: Log,
    far: UnixStream,
    decoder: Decoder,
    time: Rc<Cell<Instant>>,
    then: Then,
}

impl World {
    fn open(options: &RunOptions) -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let (time, then) = (Rc::new(Cell::new(Instant::now())), Rc::default());
        let dispatcher = Completing { time: time.clone(), driven: None, then: Rc::clone(&then) };
        let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
        let log = Log::new();
        let app = log.app("ws://driven.test/").socket(Io::unix(near).unwrap());
        let id = app.run_on(&mut reactor, options).unwrap();
        let mut world = Self { reactor, id, log, far, decoder: Decoder::new(), time, then };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            world.reactor.poll(NOW).unwrap();
            request.extend(world.written());
        }
        world.far.write_all(&response_for(&request)).unwrap();
        world.reactor.poll(NOW).unwrap();
        assert_eq!(world.log.take(), ["open"]);
        world
    }

    /// What the app has written.
    fn written(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.far.read_to_end(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => bytes,
            other => panic!("the app's end is open: {other:?}"),
        }
    }

    /// The next frame that the app writes, however long that takes.
    fn frame(&mut self) -> frame::Frame {
        loop {
            let bytes = self.written();
            self.decoder.feed(&bytes);
            if let Some(frame) = self.decoder.next_frame() {
                return frame;
            }
            self.reactor.poll(None).unwrap();
        }
    }

    /// The next wait receives the first half of `frame`; then `time` passes, and the rest arrives before the turn begins.
    fn arrives_in_two(&mut self, frame: &[u8], time: Duration) {
        let (first, rest) = frame.split_at(frame.len() / 2);
        self.far.write_all(first).unwrap();
        let (mut far, clock, rest) = (self.far.try_clone().unwrap(), self.time.clone(), rest.to_vec());
        self.then.replace(Some(Box::new(move || {
            clock.set(clock.get() + time);
            far.write_all(&rest).unwrap();
        })));
        self.reactor.poll(NOW).unwrap();
    }
}

#[test]
fn a_message_that_the_system_has_puts_off_the_end_of_a_silent_connection() {
    let mut world = World::open(&RunOptions::new().silence_timeout(5 * SECOND));
    world.arrives_in_two(&frame::text("hello"), 5 * SECOND);
    assert_eq!(world.log.take(), ["text hello"]);
    // What is half there when the time is over is no message.
    world.far.write_all(&frame::text("hello")[..3]).unwrap();
    world.reactor.poll(NOW).unwrap();
    world.reactor.poll(None).unwrap();
    assert_eq!(world.log.take(), ["error Timeout(Silence)", "close: Timeout(Silence)"]);
}

#[test]
fn a_pong_that_the_system_has_is_in_time() {
    let options = RunOptions::new().ping_interval(5 * SECOND).ping_timeout(2 * SECOND);
    // Otherwise the half that is received would do.
    let mut world = World::open(&options.liveness(Liveness::PongOnly));
    let ping = world.frame();
    assert_eq!(ping.opcode, frame::PING);
    world.arrives_in_two(&frame::pong(&ping.payload), 2 * SECOND);
    let lines = world.log.take();
    assert!(lines.len() == 1 && lines[0].starts_with("pong"), "{lines:?}");
}

#[test]
fn a_close_frame_that_the_system_has_closes_cleanly() {
    let mut world = World::open(&RunOptions::new().close_timeout(3 * SECOND));
    world.reactor.apps().with(world.id, |app| app.close());
    assert_eq!(world.frame().opcode, frame::CLOSE);
    world.arrives_in_two(&frame::close(1000, ""), 3 * SECOND);
    drop(world.far);
    while !world.reactor.apps().is_empty() {
        world.reactor.poll(None).unwrap();
    }
    assert_eq!(world.log.take(), ["close 1000, by client, clean"]);
}
