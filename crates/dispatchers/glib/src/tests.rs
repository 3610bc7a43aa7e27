use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::*;

fn armed(dispatcher: &GlibDispatcher) -> Vec<Source> {
    let streams = dispatcher.watched.iter().filter_map(|(_, watched)| watched.source.as_ref());
    let timer = dispatcher.timer.iter().map(|(_, timer)| timer);
    streams.chain(timer).filter(|source| source.is_armed()).map(|source| source.0.clone()).collect()
}

fn poll(dispatcher: &mut GlibDispatcher, deadline: Option<Instant>) -> Vec<Ready> {
    let mut ready = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(outcome) = dispatcher.poll_wait(&mut cx, deadline, &mut ready) {
        outcome.unwrap();
    }
    ready
}

#[test]
fn sources_are_in_the_given_context_and_leave_it_with_the_dispatcher() {
    let (context, other) = (MainContext::new(), MainContext::new());
    let (near, _far) = UnixStream::pair().unwrap();
    let mut io = Io::unix(near).unwrap();
    let sources = other
        .with_thread_default(|| {
            let mut dispatcher = GlibDispatcher::new(&context);
            dispatcher.register(Key::new(0, 0), &mut io, Interest::ReadWrite).unwrap();
            poll(&mut dispatcher, Some(Instant::now() + Duration::from_secs(3600)));
            let sources = armed(&dispatcher);
            assert_eq!(sources.len(), 2, "one for the stream, one for the deadline");
            for source in &sources {
                assert_eq!(source.context().as_ref(), Some(&context));
            }
            sources
        })
        .unwrap();
    assert!(sources.iter().all(Source::is_destroyed));
    assert!(!context.pending());
}

#[test]
fn a_deregistered_stream_leaves_the_context_before_it_is_closed() {
    let context = MainContext::new();
    let mut dispatcher = GlibDispatcher::new(&context);
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut io = Io::unix(near).unwrap();
    let key = Key::new(0, 0);
    dispatcher.register(key, &mut io, Interest::Read).unwrap();
    let sources = armed(&dispatcher);
    dispatcher.deregister(key, io);
    assert!(sources.iter().all(Source::is_destroyed));
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_stream_that_nobody_reads_is_reported_once_for_each_turn() {
    let context = MainContext::new();
    let mut dispatcher = GlibDispatcher::new(&context);
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut io = Io::unix(near).unwrap();
    dispatcher.register(Key::new(0, 0), &mut io, Interest::Read).unwrap();
    far.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert!(poll(&mut dispatcher, None).is_empty());
        assert!(context.iteration(true));
        // Level-triggered, it would fire here indefinitely.
        assert!(!context.iteration(false));
        assert_eq!(poll(&mut dispatcher, None).len(), 1);
        assert!(armed(&dispatcher).is_empty());
    }
}

#[test]
fn the_timer_is_touched_only_when_the_deadline_changes() {
    let context = MainContext::new();
    let mut dispatcher = GlibDispatcher::new(&context);
    let far = Instant::now() + Duration::from_secs(3600);
    poll(&mut dispatcher, Some(far));
    let first = armed(&dispatcher);
    poll(&mut dispatcher, Some(far));
    assert_eq!(armed(&dispatcher), first);
    poll(&mut dispatcher, Some(far + Duration::from_secs(1)));
    assert!(first[0].is_destroyed());
    assert_eq!(armed(&dispatcher).len(), 1);
    poll(&mut dispatcher, None);
    assert!(armed(&dispatcher).is_empty());
}

/// The last: a stream whose owner closes its descriptor.
#[test]
fn what_is_broken_is_readable_and_writable() {
    let key = Key::new(0, 0);
    assert_eq!(ready(key, IOCondition::IN), Ready::new(key, true, false));
    assert_eq!(ready(key, IOCondition::OUT), Ready::new(key, false, true));
    for broken in [IOCondition::ERR, IOCondition::HUP, IOCondition::NVAL] {
        assert_eq!(ready(key, broken), Ready::new(key, true, true).with_read_closed(true), "{broken:?}");
    }
}
