//! A reactor inside somebody else's loop: by its descriptor, by turns, once a frame of a game. And it sleeps unless there is something.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use websocket_app::dispatcher::{Dispatcher, Interest, Io, Key, MioDispatcher, Ready, Wait as _};
use websocket_app::{Next, PanicPolicy, Reactor, RunOptions};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::SimNet;
use websocket_tests::{Counting, Log, SERVER, URL, until};

const PATIENCE: Duration = Duration::from_secs(30);

fn options() -> RunOptions {
    RunOptions::new()
}

/// Waits until one of `fds` is readable or the deadline has passed, as any unix loop can, and tells which are readable.
fn wait<const N: usize>(fds: [std::os::fd::BorrowedFd<'_>; N], deadline: Option<Instant>) -> [bool; N] {
    let left = deadline.map_or(PATIENCE, |deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = PollTimeout::try_from(left.min(PATIENCE).as_nanos().div_ceil(1_000_000)).unwrap();
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let ready = poll(&mut fds, timeout).unwrap();
    assert!(ready > 0 || left < PATIENCE, "nothing happens");
    fds.map(|fd| fd.any().unwrap_or(false))
}

#[test]
fn a_reactor_is_embedded_by_its_descriptor_and_its_next_deadline() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = Reactor::new().unwrap();
    let logs: Vec<_> = (0..20).map(|_| Log::new()).collect();
    for log in &logs {
        let messages = log.clone();
        log.app(echo.url())
            .on_open(|app, _| {
                app.set_timeout(Duration::from_millis(5), |app| app.send_text("from a timer"));
            })
            .on_message(move |app, message| {
                messages.message(message);
                app.close();
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    // Something of the host's own, beside it.
    let (mut bell, mut ringer) = UnixStream::pair().unwrap();
    let handle = reactor.handle();
    let thread = thread::spawn(move || {
        handle.run(|apps| assert!(apps.len() <= 20));
        ringer.write_all(b"!").unwrap();
        ringer
    });
    let mut rung = 0;
    while !(reactor.apps().is_empty() && rung == 1) {
        let deadline = reactor.next_deadline();
        let [reactor_is_ready, bell_is_ready] = wait([reactor.as_fd(), bell.as_fd()], deadline);
        if bell_is_ready {
            rung += bell.read(&mut [0; 8]).unwrap();
        }
        let due = reactor.next_deadline().is_some_and(|deadline| deadline <= Instant::now());
        if reactor_is_ready || due {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
    }
    drop(thread.join().unwrap());
    for log in logs {
        assert_eq!(log.lines(), ["text from a timer", "close 1000, by client, clean"]);
    }
}

/// A host that owns the thread: it watches what it is told to and calls `turn`. It cannot be waited on.
struct Host {
    watched: BTreeMap<Key, (OwnedFd, Interest)>,
    bell: UnixStream,
    waker: Arc<Bell>,
}

struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A bell that cannot take more has rung.
        let _ = (&self.0).write(b"!");
    }
}

impl Host {
    fn new() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok(Self { watched: BTreeMap::new(), bell, waker: Arc::new(Bell(ringer)) })
    }

    /// What the host's own loop does before it calls `turn`.
    fn collect(&mut self, next: Next) -> Vec<Ready> {
        let (keys, mut fds): (Vec<_>, Vec<_>) = self
            .watched
            .iter()
            .filter(|(_, (_, interest))| !interest.is_none())
            .map(|(key, (fd, interest))| {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::POLLIN, interest.is_read());
                flags.set(PollFlags::POLLOUT, interest.is_write());
                (Some(*key), PollFd::new(fd.as_fd(), flags))
            })
            .chain([(None, PollFd::new(self.bell.as_fd(), PollFlags::POLLIN))])
            .unzip();
        let left = match next {
            Next { again: true, .. } => Duration::ZERO,
            Next { deadline: Some(deadline), .. } => deadline.saturating_duration_since(Instant::now()),
            _ => PATIENCE,
        };
        let timeout = PollTimeout::try_from(left.min(PATIENCE).as_nanos().div_ceil(1_000_000)).unwrap();
        poll(&mut fds, timeout).unwrap();
        let mut ready = Vec::new();
        for (key, fd) in keys.into_iter().zip(&fds) {
            let (Some(key), Some(seen)) = (key, fd.revents()) else { continue };
            let broken = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
            let (readable, writable) = (seen.contains(PollFlags::POLLIN), seen.contains(PollFlags::POLLOUT));
            if readable || writable || broken {
                ready.push(Ready::new(key, readable || broken, writable || broken));
            }
        }
        while self.bell.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        ready
    }
}

impl Dispatcher for Host {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        let fd = io.fd().ok_or(io::ErrorKind::Unsupported)?.try_clone_to_owned()?;
        self.watched.insert(key, (fd, interest));
        Ok(())
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.get_mut(&key).ok_or(io::ErrorKind::NotFound)?.1 = interest;
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.watched.remove(&key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.waker.clone().into()
    }
}

#[test]
fn b210_b217_a_host_that_owns_the_thread_collects_readiness_and_calls_turn() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = Reactor::with_dispatcher(Host::new().unwrap()).unwrap();
    let logs: Vec<_> = (0..10).map(|_| Log::new()).collect();
    let senders: Vec<_> = logs
        .iter()
        .map(|log| {
            let messages = log.clone();
            let mut app = log.app(echo.url()).on_message(move |app, message| {
                messages.message(message);
                app.set_timeout(Duration::from_millis(1), |app| app.close());
            });
            let sender = app.sender();
            app.run_on(&mut reactor, &options()).unwrap();
            sender
        })
        .collect();
    let mut next = reactor.turn(&[]);
    let mut senders = Some(senders);
    let mut thread = None;
    let end = Instant::now() + PATIENCE;
    while !reactor.apps().is_empty() {
        assert!(Instant::now() < end, "{:?}", logs[0].lines());
        let ready = reactor.dispatcher().collect(next);
        next = reactor.turn(&ready);
        if senders.as_ref().is_some_and(|senders| senders.iter().all(|sender| sender.is_open())) {
            let senders = senders.take().unwrap();
            thread = Some(thread::spawn(move || {
                for sender in senders {
                    sender.send_text("from a thread").unwrap();
                }
            }));
        }
    }
    thread.unwrap().join().unwrap();
    assert!(reactor.dispatcher().watched.is_empty());
    for log in logs {
        assert_eq!(log.lines(), ["open", "text from a thread", "close 1000, by client, clean"]);
    }
}

#[test]
fn a_game_takes_a_turn_a_frame_and_never_waits() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        for _ in 0..3 {
            let question = peer.read_frame();
            peer.send_text(&question.text());
        }
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let mut reactor = Reactor::with_dispatcher(Counting::new(MioDispatcher::new().unwrap())).unwrap();
    let log = Log::new();
    let (mut rounds, messages) = (0, log.clone());
    log.app(server.url())
        .on_open(|app, _| app.send_text("round"))
        .on_message(move |app, message| {
            messages.message(message);
            rounds += 1;
            if rounds < 3 { app.send_text("round") } else { Ok(()) }
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    let end = Instant::now() + PATIENCE;
    let mut frames = 0;
    while !reactor.apps().is_empty() {
        reactor.poll(Some(Duration::ZERO)).unwrap();
        frames += 1;
        assert!(Instant::now() < end, "{:?}", log.lines());
    }
    // One look a frame.
    assert_eq!(reactor.dispatcher().waits, frames);
    let round = "text round";
    assert_eq!(log.lines(), [round, round, round, "close 1000, by server, clean"]);
    server.join();
}

#[test]
fn a_poll_with_a_timeout_ends_with_it() {
    let net = SimNet::new(1);
    let mut reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    for timeout in [Duration::from_millis(16), Duration::from_secs(1)] {
        let before = net.elapsed();
        reactor.poll(Some(timeout)).unwrap();
        assert_eq!(net.elapsed() - before, timeout);
    }
}

#[test]
fn an_idle_reactor_waits_once_until_something_happens() {
    let net = SimNet::new(1);
    let mut reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).unwrap();
    reactor = reactor.connector(net.clone());
    let listener = net.listen(SERVER);
    let log = Log::new();
    for _ in 0..10 {
        log.app(URL).run_on(&mut reactor, &options()).unwrap();
    }
    let mut peers = Vec::new();
    while log.count(|line| line == "open") < 10 {
        reactor.poll(Some(Duration::ZERO)).unwrap();
        while let Some(peer) = listener.accept() {
            peers.push(peer);
        }
        peers.iter().for_each(|peer| drop(peer.accept_upgrade()));
    }
    // The deadlines of connecting and upgrading may still be in the books.
    while net.elapsed() < Duration::from_secs(60) {
        reactor.poll(Some(Duration::from_secs(60) - net.elapsed())).unwrap();
    }
    assert_eq!(reactor.next_deadline(), None);

    let day = Duration::from_secs(24 * 3600);
    for (number, peer) in peers.into_iter().enumerate() {
        net.after(day, move |_| peer.write(&frame::text("a day later")));
        let before = reactor.dispatcher().waits;
        let (heard, at) = (Rc::new(log.clone()), net.elapsed());
        reactor.run_until(|_| heard.count(|line| line.starts_with("text")) == number + 1).unwrap();
        assert_eq!(reactor.dispatcher().waits - before, 1);
        assert_eq!(net.elapsed() - at, day);
    }
}

#[test]
fn an_idle_reactor_waits_once_until_it_is_woken() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = Reactor::with_dispatcher(Counting::new(MioDispatcher::new().unwrap())).unwrap();
    let log = Log::new();
    log.app(echo.url()).run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| log.has("open"));
    // Whatever is left to do after the opening.
    while reactor.poll(Some(Duration::ZERO)).unwrap().again {}
    let before = reactor.dispatcher().waits;
    let handle = reactor.handle();
    let thread = thread::spawn(move || handle.stop());
    reactor.run().unwrap();
    assert_eq!(reactor.dispatcher().waits - before, 1);
    thread.join().unwrap();
}

/// Nobody has told such a host until when to sleep.
#[test]
fn a_turn_that_panics_calls_for_the_next_one() {
    let net = SimNet::new(1);
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let mut reactor = reactor.panic_policy(PanicPolicy::Propagate);
    reactor.handle().run(|_| resume_unwind(Box::new("a panic that was asked for")));
    reactor.dispatcher().wait(None, &mut Vec::new()).unwrap();
    catch_unwind(AssertUnwindSafe(|| reactor.turn(&[]))).unwrap_err();
    let soon = net.now() + Duration::from_secs(1);
    reactor.dispatcher().wait(Some(soon), &mut Vec::new()).unwrap();
    assert_eq!(net.elapsed(), Duration::ZERO);
    assert!(!reactor.turn(&[]).again);
}
