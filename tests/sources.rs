//! Sources beside apps, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use log::{Level, LevelFilter, Metadata, Record};
use websocket_app::dispatcher::{Interest, Io, Source};
use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::{Apps, BoxError, PanicPolicy, RunOptions, SourceId, WatchError};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, URL, World};

const SECOND: Duration = Duration::from_secs(1);

/// A connected stream of the simulation, for the program to read itself, and its far end.
fn pair(world: &mut World) -> (Io, SimPeer) {
    let address = "192.0.2.7:7".parse().unwrap();
    let listener = world.net.listen(address);
    let io = world.net.connect(address, &SocketOptions::default()).unwrap();
    loop {
        if let Some(far) = listener.accept() {
            return (io, far);
        }
        world.net.advance(Duration::from_millis(1));
    }
}

/// Watches a stream whose callback reads up to `at_once` bytes per call and notes them as `name` and the text.
fn note(apps: &mut Apps, io: Io, log: &Log, name: &'static str, at_once: usize) -> SourceId {
    let log = log.clone();
    let watched = apps.watch(io, Interest::Read, move |stream, event| -> Result<(), BoxError> {
        assert!(event.readable && event.refused.is_none());
        let mut bytes = vec![0; at_once];
        let len = stream.source.read(&mut bytes)?;
        log.push(format!("{name} {}", String::from_utf8_lossy(&bytes[..len])));
        if len == 0 {
            stream.remove();
        }
        Ok(())
    });
    watched.unwrap()
}

#[test]
fn a_source_is_called_for_as_long_as_it_is_ready_and_then_no_more() {
    let (mut world, log) = (World::new(), Log::new());
    let (io, far) = pair(&mut world);
    note(world.reactor.apps(), io, &log, "read", 2);
    world.settle();
    assert!(log.lines().is_empty());
    far.write(b"abcde");
    // The simulation reports changes only, like edge-triggered epoll.
    world.settle();
    assert_eq!(log.take(), ["read ab", "read cd", "read e"]);
    far.shutdown();
    world.settle();
    assert_eq!(log.take(), ["read "]);
    assert_eq!((world.reactor.dispatcher().registrations(), far.ended().is_some()), (0, true));
}

#[test]
fn a_source_that_is_never_read_has_one_call_per_turn_and_keeps_no_app_from_its_turn() {
    let (mut world, log) = (World::new(), Log::new());
    let peer = world.open(log.app(URL), &RunOptions::new());
    let (io, far) = pair(&mut world);
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    world.reactor.apps().watch(io, Interest::Read, move |_, _| count.set(count.get() + 1)).unwrap();
    far.write(b"never read");
    world.reactor.poll(None).unwrap();
    for _ in 0..10 {
        let before = calls.get();
        world.reactor.poll(None).unwrap();
        assert_eq!(calls.get(), before + 1);
    }
    peer.write(&frame::text("hello"));
    world.reactor.poll(None).unwrap();
    world.reactor.poll(None).unwrap();
    assert_eq!(log.lines(), ["open", "text hello"]);
}

#[test]
fn what_a_source_reads_goes_to_an_app_and_back() {
    let (mut world, log) = (World::new(), Log::new());
    let (io, far) = pair(&mut world);
    let app = Rc::new(Cell::new(None));
    let id = app.clone();
    let source = world.reactor.apps().watch(io, Interest::Read, move |stream, _| -> Result<(), BoxError> {
        let mut bytes = [0; 64];
        let len = stream.source.read(&mut bytes)?;
        let sent = stream.apps.with(id.get().ok_or("no app")?, |app| app.send_bytes(&bytes[..len]));
        Ok(sent.ok_or("the app has ended")??)
    });
    let peer = world.open(log.app(URL), &RunOptions::new());
    app.set(world.reactor.apps().ids().pop());
    far.write(b"to the app");
    world.settle();
    assert_eq!(peer.read_frame().unwrap().payload, b"to the app");
    assert!(world.reactor.apps().unwatch(source.unwrap()));
    world.settle();
    assert!(far.ended().is_some(), "it was dropped");
    far.write(b"too late");
    world.settle();
    assert!(peer.read_frame().is_none());
}

#[test]
fn the_interest_changes_inside_and_outside_of_the_callback() {
    let (mut world, log) = (World::new(), Log::new());
    let (io, far) = pair(&mut world);
    let noted = log.clone();
    let id =
        world.reactor.apps().watch(io, Interest::ReadWrite, move |stream, event| -> Result<(), BoxError> {
            if event.writable {
                noted.push("writable");
                stream.source.write_all(b"request")?;
                stream.set_interest(Interest::Read);
            } else {
                let len = stream.source.read(&mut [0; 64])?;
                noted.push(format!("{len} bytes"));
                stream.set_interest(Interest::None);
            }
            Ok(())
        });
    let id = id.unwrap();
    world.settle();
    assert_eq!((log.take(), far.read_available()), (vec!["writable".to_owned()], b"request".to_vec()));
    far.write(b"one");
    world.settle();
    far.write(b"four");
    world.run_for(SECOND);
    assert_eq!(log.take(), ["3 bytes"], "the second is not looked at");
    assert!(world.reactor.apps().set_interest(id, Interest::Read));
    world.settle();
    assert_eq!(log.take(), ["4 bytes"]);
    assert!(world.reactor.apps().unwatch(id));
    assert!(!world.reactor.apps().set_interest(id, Interest::Read) && !world.reactor.apps().unwatch(id));
}

#[test]
fn a_callback_removes_other_sources_and_apps_that_are_ready_in_the_same_turn() {
    let (mut world, log) = (World::new(), Log::new());
    let peer = world.open(log.app(URL), &RunOptions::new());
    log.take();
    let ((first, first_far), (second, second_far)) = (pair(&mut world), pair(&mut world));
    let victim = Rc::new(Cell::new(None));
    let (found, noted) = (victim.clone(), log.clone());
    let own = world.reactor.apps().watch(first, Interest::Read, move |stream, _| {
        noted.push("first");
        assert!(stream.apps.unwatch(found.get().unwrap()));
        for app in stream.apps.ids() {
            assert!(stream.apps.remove(app));
        }
        assert!(stream.apps.unwatch(stream.id()) && !stream.apps.unwatch(stream.id()));
    });
    assert!(own.is_ok());
    victim.set(Some(note(world.reactor.apps(), second, &log, "second", 9)));
    world.settle();
    first_far.write(b"x");
    second_far.write(b"y");
    peer.write(&frame::text("z"));
    // The order in which they are reported is that of their registration, the app's before the others.
    let noticed = world.reactor.poll(None);
    assert!(noticed.is_ok());
    world.settle();
    assert_eq!(
        log.lines().into_iter().filter(|line| !line.starts_with("text")).collect::<Vec<_>>(),
        ["first"]
    );
    assert_eq!((world.reactor.apps().len(), world.reactor.dispatcher().registrations()), (0, 0));
    assert!(first_far.ended().is_some() && second_far.ended().is_some() && peer.ended().is_some());
}

#[test]
fn a_source_may_be_replaced_by_another_in_its_own_callback() {
    let (mut world, log) = (World::new(), Log::new());
    let ((first, first_far), (second, second_far)) = (pair(&mut world), pair(&mut world));
    let (noted, mut second) = (log.clone(), Some(second));
    let watched = world.reactor.apps().watch(first, Interest::Read, move |stream, _| {
        stream.remove();
        note(stream.apps, second.take().unwrap(), &noted, "second", 9);
    });
    assert!(watched.is_ok());
    first_far.write(b"x");
    second_far.write(b"early");
    world.settle();
    assert_eq!(log.lines(), ["second early"]);
    assert!(first_far.ended().is_some() && second_far.ended().is_none());
}

#[test]
fn the_reactor_runs_for_a_source_that_it_is_asked_to_run_for() {
    let (mut world, log) = (World::new(), Log::new());
    let (io, far) = pair(&mut world);
    let id = note(world.reactor.apps(), io, &log, "read", 9);
    world.reactor.run().unwrap();
    assert!(world.reactor.apps().keep_running_for(id));
    world.net.after(SECOND, move |_| {
        far.write(b"bye");
        far.shutdown();
    });
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["read bye", "read "]);
    assert!(!world.reactor.apps().keep_running_for(id));
}

#[test]
fn an_error_leaves_the_source_and_a_panic_removes_it() {
    let mut world = World::new();
    let ((first, first_far), (second, second_far)) = (pair(&mut world), pair(&mut world));
    let calls = Rc::new(Cell::new((0, 0)));
    let (errors, panics) = (calls.clone(), calls.clone());
    let kept = world.reactor.apps().watch(first, Interest::Read, move |stream, _| -> Result<(), BoxError> {
        errors.set((errors.get().0 + 1, errors.get().1));
        assert_eq!(stream.source.read(&mut [0; 1])?, 1);
        Err("the callback's own".into())
    });
    let lost = world.reactor.apps().watch(second, Interest::Read, move |_, _| {
        panics.set((panics.get().0, panics.get().1 + 1));
        panic!("the callback's own");
    });
    for far in [&first_far, &second_far] {
        far.write(b"ab");
    }
    world.settle();
    assert_eq!(calls.get(), (2, 1));
    let apps = world.reactor.apps();
    assert!(apps.unwatch(kept.unwrap()) && !apps.unwatch(lost.unwrap()));
    assert!(second_far.ended().is_some());
}

thread_local! {
    /// The errors that were logged on this thread.
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() == Level::Error
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_callback_that_finds_nothing_has_not_failed_and_other_errors_are_logged() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(LevelFilter::Error);
    for (kind, expected) in [(ErrorKind::WouldBlock, 0), (ErrorKind::InvalidData, 1)] {
        let mut world = World::new();
        let (io, far) = pair(&mut world);
        let watched = world.reactor.apps().watch(io, Interest::Read, move |stream, _| {
            assert_eq!(stream.source.read(&mut [0; 9])?, 1);
            Err::<(), std::io::Error>(kind.into())
        });
        far.write(b"x");
        world.settle();
        let logged = LOGGED.take();
        assert_eq!(logged.len(), expected, "{kind}: {logged:?}");
        assert!(world.reactor.apps().unwatch(watched.unwrap()), "{kind}: it stays");
    }
}

#[test]
fn a_panic_leaves_the_turn_where_the_policy_says_so_and_the_source_is_gone() {
    let mut world = World::new().map(|reactor| reactor.panic_policy(PanicPolicy::Propagate));
    let (io, far) = pair(&mut world);
    let id = world.reactor.apps().watch(io, Interest::Read, |_, _| panic!("the callback's own")).unwrap();
    far.write(b"x");
    assert!(catch_unwind(AssertUnwindSafe(|| world.settle())).is_err());
    assert!(!world.reactor.apps().unwatch(id));
    world.settle();
    assert_eq!(world.reactor.dispatcher().registrations(), 0);
}

#[test]
fn a_source_that_the_dispatcher_refuses_is_told_once_and_removed() {
    let (mut world, log) = (World::new(), Log::new());
    // A socket of the system, which the simulation does not watch.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let noted = log.clone();
    let id = world.reactor.apps().watch(socket, Interest::Read, move |_, event| {
        let reason = event.refused.as_ref().map(std::io::Error::kind);
        noted.push(format!("{} {} {reason:?}", event.readable, event.writable));
    });
    assert!(world.reactor.apps().keep_running_for(id.unwrap()));
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["false false Some(Unsupported)"]);
    assert!(!world.reactor.apps().unwatch(id.unwrap()));
}

/// Has no descriptor.
struct Nothing;

impl Source for Nothing {
    #[cfg(unix)]
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        None
    }
}

#[test]
fn a_source_without_a_descriptor_and_one_that_is_watched_already_are_refused_at_once() {
    let mut world = World::new();
    let apps = world.reactor.apps();
    let refused = apps.watch(Nothing, Interest::Read, |_, _| ()).unwrap_err();
    assert_eq!(refused, WatchError::NoDescriptor);
    let socket = Rc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let id = apps.watch(socket.clone(), Interest::Read, |_, _| ()).unwrap();
    let refused = apps.watch(socket.clone(), Interest::Write, |_, _| ()).unwrap_err();
    assert_eq!(refused, WatchError::AlreadyWatched(id));
    assert!(refused.to_string().contains(&id.to_string()));
    assert!(apps.unwatch(id));
    assert!(apps.watch(socket, Interest::Read, |_, _| ()).is_ok(), "it was removed");
}

#[test]
fn dropping_the_reactor_drops_its_sources() {
    let (mut world, log) = (World::new(), Log::new());
    let ((first, first_far), (second, second_far)) = (pair(&mut world), pair(&mut world));
    note(world.reactor.apps(), first, &log, "first", 9);
    world.settle();
    note(world.reactor.apps(), second, &log, "second", 9);
    drop(world.reactor);
    world.net.advance(SECOND);
    assert!(first_far.ended().is_some() && second_far.ended().is_some());
    assert!(log.lines().is_empty());
}

#[test]
fn a_stop_leaves_the_sources_for_the_next_run() {
    let (mut world, log) = (World::new(), Log::new());
    let (io, far) = pair(&mut world);
    let id = note(world.reactor.apps(), io, &log, "read", 9);
    assert!(world.reactor.apps().keep_running_for(id));
    world.reactor.apps().stop();
    world.reactor.run().unwrap();
    far.write(b"later");
    far.shutdown();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["read later", "read "]);
}
