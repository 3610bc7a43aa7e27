//! Sources that only a real system has: timerfd, eventfd, inotify, and the output of a child process. On the host's event loop.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use websocket_app::dispatcher::Interest;
use websocket_app::{Apps, SourceContext};
use websocket_tests::{Scratch, reactor};

/// Runs a reactor for one source until its callback removes it. `begin` is called when the source is watched. Returns what the callback has read,
/// call by call.
fn watch<S: AsFd + 'static>(
    source: S,
    begin: impl FnOnce(&mut Apps) + 'static,
    mut read: impl FnMut(&mut SourceContext<'_, S>) -> io::Result<String> + 'static,
) -> Vec<String> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (calls, mut reactor) = (seen.clone(), reactor());
    let id = reactor.apps().watch(source, Interest::Read, move |source, event| -> io::Result<()> {
        assert!(event.refused.is_none(), "{event:?}");
        let what = read(source)?;
        calls.borrow_mut().push(what);
        Ok(())
    });
    assert!(reactor.apps().keep_running_for(id.unwrap()));
    reactor.apps().set_timeout(Duration::ZERO, begin);
    reactor.run().unwrap();
    drop(reactor);
    seen.take()
}

#[test]
fn a_timerfd_is_reported_for_each_time_that_it_expires() {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).unwrap();
    let interval = TimeSpec::from_duration(Duration::from_millis(1));
    timer.set(Expiration::Interval(interval), TimerSetTimeFlags::empty()).unwrap();
    let mut left = 3;
    let calls = watch(
        timer,
        |_| {},
        move |timer| {
            timer.source.wait()?;
            left -= 1;
            if left == 0 {
                timer.remove();
            }
            Ok("expired".to_owned())
        },
    );
    assert_eq!(calls, ["expired"; 3]);
}

#[test]
fn an_eventfd_that_is_written_to_is_reported() {
    let event = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK).unwrap());
    let writer = event.clone();
    let begin = move |_: &mut Apps| {
        writer.write(3).unwrap();
        writer.write(4).unwrap();
    };
    let calls = watch(event, begin, |event| {
        event.remove();
        Ok(event.source.read()?.to_string())
    });
    assert_eq!(calls, ["7"]);
}

#[test]
fn inotify_is_reported_when_a_file_appears() {
    let scratch = Scratch::new();
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    inotify.add_watch(scratch.path(), AddWatchFlags::IN_CREATE).unwrap();
    let file = scratch.path().join("new");
    let calls = watch(
        inotify,
        move |_| drop(File::create(file).unwrap()),
        |inotify| {
            inotify.remove();
            let names = inotify.source.read_events()?.into_iter().filter_map(|event| event.name);
            Ok(names.map(|name| name.into_string().unwrap()).collect())
        },
    );
    assert_eq!(calls, ["new"]);
}

#[test]
fn the_output_of_a_child_process_is_reported_to_its_end() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; echo \"got $line\""]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let begin = move |_: &mut Apps| io::Write::write_all(&mut stdin, b"a line\n").unwrap();
    let calls = watch(stdout, begin, |stdout| {
        let mut bytes = [0; 64];
        let len = stdout.source.read(&mut bytes)?;
        if len == 0 {
            stdout.remove();
        }
        Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
    });
    assert_eq!(calls.concat(), "got a line\n");
    assert_eq!(calls.last().unwrap(), "", "the end");
    assert!(child.wait().unwrap().success());
}
