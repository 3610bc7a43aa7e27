//! What tokio remembers of a stream, and how much of it one poll may take, gets in nobody's way.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::runtime::Builder;
use websocket_app::Reactor;
use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, PollWait as _, Ready};
use websocket_dispatcher_tokio::TokioDispatcher;

async fn wait(dispatcher: &mut TokioDispatcher) -> Vec<Ready> {
    let mut ready = Vec::new();
    poll_fn(|cx| dispatcher.poll_wait(cx, None, &mut ready)).await.unwrap();
    ready
}

/// Waits without anything to come, and fails if that goes in circles.
async fn rest(dispatcher: &mut TokioDispatcher) {
    let deadline = dispatcher.now() + Duration::from_millis(20);
    let mut ready = Vec::new();
    let mut waits = 0;
    while dispatcher.now() < deadline {
        poll_fn(|cx| dispatcher.poll_wait(cx, Some(deadline), &mut ready)).await.unwrap();
        waits += 1;
        assert!(waits < 10, "waits return in circles, with {ready:?}");
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn outside_of_a_runtime_there_is_no_dispatcher_and_the_error_says_why() {
    let error = TokioDispatcher::new().unwrap_err();
    assert!(error.to_string().contains("inside of a runtime"), "{error}");
}

#[test]
fn a_reactor_is_used_and_dropped_outside_of_its_runtime() {
    let (near, mut far) = pair();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let dispatcher = runtime.block_on(async { TokioDispatcher::new().unwrap() });
    let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
    let mut io = Io::tcp(near).unwrap();
    assert!(reactor.apps().is_empty());
    reactor.dispatcher().register(Key::new(0, 0), &mut io, Interest::Read).unwrap();
    reactor.dispatcher().deregister(Key::new(0, 0), io);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "no descriptor was left behind");
}

#[tokio::test]
async fn a_half_closed_stream_does_not_spin_and_is_told_again_when_it_is_registered_anew() {
    let (near, mut far) = pair();
    let mut dispatcher = TokioDispatcher::new().unwrap();
    let mut io = Io::tcp(near).unwrap();
    let key = Key::new(0, 0);
    dispatcher.register(key, &mut io, Interest::Read).unwrap();
    far.write_all(b"bye").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    while !wait(&mut dispatcher).await.iter().any(|ready| ready.read_closed) {}
    rest(&mut dispatcher).await;

    for _ in 0..2 {
        dispatcher.reregister(key, &mut io, Interest::ReadWrite).unwrap();
        let mut ready = Vec::new();
        while !ready.iter().any(|ready: &Ready| ready.read_closed) {
            ready.extend(wait(&mut dispatcher).await);
        }
        assert!(ready.iter().any(|ready| ready.readable) && ready.iter().any(|ready| ready.writable));
        rest(&mut dispatcher).await;
    }

    assert_eq!(io.read(&mut [0; 8]).unwrap(), 3);
    assert_eq!(io.read(&mut [0; 8]).unwrap(), 0);
    let fill = [0; 1 << 16];
    while io.write(&fill).is_ok() {}
    // Room need not be seen as soon as it is there: on Windows the system looks, and reports, in its own time.
    far.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut ready = Vec::new();
    while !ready.iter().any(|ready: &Ready| ready.writable) {
        while far.read(&mut buffer).is_ok_and(|len| len > 0) {}
        let deadline = dispatcher.now() + Duration::from_millis(1);
        poll_fn(|cx| dispatcher.poll_wait(cx, Some(deadline), &mut ready)).await.unwrap();
    }
    dispatcher.deregister(key, io);
}

#[tokio::test]
async fn a_stream_that_broke_does_not_spin() {
    let (near, far) = pair();
    let mut dispatcher = TokioDispatcher::new().unwrap();
    let mut io = Io::tcp(near).unwrap();
    let key = Key::new(0, 0);
    dispatcher.register(key, &mut io, Interest::ReadWrite).unwrap();
    // What is not read when a socket closes makes that a reset.
    assert_eq!(io.write(b"x").unwrap(), 1);
    far.peek(&mut [0]).unwrap();
    drop(far);
    let mut seen = Ready::new(key, false, false);
    while !(seen.read_closed && seen.writable) {
        for ready in wait(&mut dispatcher).await {
            seen.read_closed |= ready.read_closed;
            seen.writable |= ready.writable;
        }
    }
    assert_eq!(io.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    rest(&mut dispatcher).await;
    dispatcher.deregister(key, io);
}

#[tokio::test]
#[cfg(unix)] // Windows reports levels: what was not read is news there, too.
async fn one_wait_reports_more_streams_than_the_budget_of_a_task_has_steps() {
    use std::os::unix::net::UnixStream;
    use std::pin::pin;
    use std::task::Poll;

    use tokio::task::coop::consume_budget;

    /// More than tokio lets one poll of a task take.
    const MANY: u32 = 300;

    let mut dispatcher = TokioDispatcher::new().unwrap();
    let mut streams: Vec<_> = (0..MANY)
        .map(|slot| {
            let (near, far) = UnixStream::pair().unwrap();
            let mut io = Io::unix(near).unwrap();
            dispatcher.register(Key::new(slot, 0), &mut io, Interest::Read).unwrap();
            (io, far)
        })
        .collect();
    let mut ready = Vec::new();
    assert!(dispatcher.poll_wait(&mut Context::from_waker(Waker::noop()), None, &mut ready).is_pending());
    for (_, far) in &mut streams {
        far.write_all(b"x").unwrap();
    }
    // Lets the runtime look at its sockets.
    tokio::task::yield_now().await;
    poll_fn(|cx| {
        while pin!(consume_budget()).poll(cx).is_ready() {}
        assert_eq!(dispatcher.poll_wait(cx, None, &mut ready).map(Result::unwrap), Poll::Ready(()));
        assert_eq!(ready.iter().filter(|ready| ready.readable).count(), MANY as usize);
        Poll::Ready(())
    })
    .await;
    // Nothing has been read: only what comes now is news.
    ready.clear();
    for (io, far) in streams.iter_mut().step_by(2) {
        assert_eq!(io.read(&mut [0; 8]).unwrap(), 1);
        far.write_all(b"y").unwrap();
    }
    while ready.len() < MANY as usize / 2 {
        ready.extend(wait(&mut dispatcher).await);
    }
    assert!(ready.iter().all(|ready| ready.key.slot() % 2 == 0));
    for (slot, (io, _far)) in (0..).zip(streams) {
        dispatcher.deregister(Key::new(slot, 0), io);
    }
}

#[test]
fn a_runtime_that_shuts_down_ends_the_wait_with_an_error() {
    let (near, _far) = pair();
    let gone = Builder::new_current_thread().enable_all().build().unwrap();
    let mut dispatcher = gone.block_on(async { TokioDispatcher::new().unwrap() });
    let mut io = Io::tcp(near).unwrap();
    dispatcher.register(Key::new(0, 0), &mut io, Interest::Read).unwrap();
    assert!(
        dispatcher.poll_wait(&mut Context::from_waker(Waker::noop()), None, &mut Vec::new()).is_pending()
    );
    drop(gone);
    let other = Builder::new_current_thread().build().unwrap();
    let mut ready = Vec::new();
    let waited = other.block_on(poll_fn(|cx| dispatcher.poll_wait(cx, None, &mut ready)));
    assert!(waited.is_err(), "{ready:?}");
    dispatcher.deregister(Key::new(0, 0), io);
}
