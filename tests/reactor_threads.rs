//! A reactor on a thread that is started for it: apps are added from outside, and a stop ends the thread.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::MioDispatcher;
use websocket_app::{Error, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn apps_that_other_threads_add_run_there_until_the_reactor_is_stopped() {
    let echo = EchoServer::start().unwrap();
    let reactor = Reactor::spawn(|| Ok(Reactor::new()?.max_attempts(2))).unwrap();
    let (report, reports) = mpsc::channel();
    for number in 0..3 {
        let (url, report) = (echo.url(), report.clone());
        let make = move || {
            WebSocketApp::new(url).on_open(move |app, _| app.send_text(number.to_string())).on_message(
                move |app, message| {
                    report.send((message.as_text().unwrap().to_owned(), thread::current().id())).unwrap();
                    app.close();
                },
            )
        };
        reactor.handle().add(RunOptions::new(), make, |error| panic!("{error}"));
    }
    let mut answers: Vec<_> = (0..3).map(|_| reports.recv_timeout(PATIENCE).unwrap()).collect();
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(answers.iter().map(|answer| &*answer.0).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(answers.iter().all(|answer| answer.1 == answers[0].1 && answer.1 != thread::current().id()));
    // It runs although its apps have ended.
    let (ran, runs) = mpsc::channel();
    reactor.handle().run(move |_| ran.send(()).unwrap());
    runs.recv_timeout(PATIENCE).unwrap();
    reactor.handle().stop();
    reactor.join().unwrap();
}

#[test]
fn an_error_or_a_panic_while_the_reactor_is_made_comes_back() {
    let refused = || Err::<Reactor<MioDispatcher>, _>(Error::Dispatcher(io::Error::other("no loop")));
    assert!(
        matches!(Reactor::spawn(refused), Err(Error::Dispatcher(error)) if error.to_string() == "no loop")
    );
    let panicked = catch_unwind(|| Reactor::<MioDispatcher>::spawn(|| panic!("no reactor")));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"no reactor"));
}
