//! Our client as its users would write it: `WebSocketApp` with closures, all of them on one reactor on mio's poll.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::process::ExitCode;
use std::rc::Rc;

use websocket_app::link::tls::TlsOptions;
use websocket_app::{AppId, Message, Outcome, Reactor, RunOptions, WebSocketApp};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, Workload, client_main, payload};
use websocket_bench::measure::{RoundTrips, Tally, measure_idle};
use websocket_bench::tls::provider;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive | Workload::ReceiveTls => receive(task),
        Workload::Echo => echo(task),
        Workload::Idle | Workload::IdleTls => idle(task),
    })
}

/// The default options, but for what a server with a certificate of its own and the comparison with others ask for.
fn options(task: &Task) -> RunOptions {
    let options = RunOptions::default();
    match &task.root {
        Some(root) => options.tls(TlsOptions::new().roots_from_file(root).provider(provider())),
        None => options,
    }
}

fn receive(task: &Task) -> Result<Report> {
    let tally = Rc::new(RefCell::new(Tally::new(task)?));
    let counted = tally.clone();
    let outcome = WebSocketApp::new(task.url())
        .on_message(move |_, message| {
            if let Message::Text(text) = message {
                counted.borrow_mut().count(black_box(text).len());
            }
        })
        .run_forever(&options(task))?;
    match outcome {
        Outcome::Clean { .. } => tally.replace(Tally::new(task)?).into_report(),
        other => Err(format!("the feed did not end with a close: {other:?}").into()),
    }
}

fn echo(task: &Task) -> Result<Report> {
    let mut reactor = Reactor::new()?;
    let opened = Rc::new(Cell::new(0));
    let trips: Rc<RefCell<Option<RoundTrips>>> = Rc::default();
    let mut ids = Vec::with_capacity(task.connections);
    for index in 0..task.connections {
        let (opened, trips) = (opened.clone(), trips.clone());
        let app = WebSocketApp::new(task.url()).on_open(move |_, _| opened.set(opened.get() + 1)).on_message(
            move |app, message| {
                let Message::Text(text) = message else { return Ok(()) };
                let last = trips.borrow_mut().as_mut().is_some_and(|trips| trips.count(index, text.len()));
                if last {
                    app.apps().stop();
                    return Ok(());
                }
                app.send_text(text)
            },
        );
        ids.push(app.run_on(&mut reactor, &RunOptions::default())?);
    }
    reactor.run_until(|_| opened.get() == task.connections)?;

    let text = String::from_utf8(payload(task.payload).into_bytes())?;
    *trips.borrow_mut() = Some(RoundTrips::new(task)?);
    for id in ids {
        reactor.apps().with(id, |app| app.send_text(&text)).ok_or("a connection was lost")??;
    }
    reactor.run()?;
    trips.take().ok_or("nothing was measured")?.into_report()
}

fn idle(task: &Task) -> Result<Report> {
    let mut reactor = Reactor::new()?;
    let opened = Rc::new(Cell::new(0));
    let options = options(task);
    measure_idle(task, || {
        let before = opened.get();
        let id = with_all_callbacks(task, &opened).run_on(&mut reactor, &options)?;
        reactor.run_until(|_| opened.get() > before)?;
        Ok(id)
    })
}

/// An app with every callback set, each of which captures something.
fn with_all_callbacks(task: &Task, opened: &Rc<Cell<usize>>) -> WebSocketApp {
    let events: Rc<Cell<Option<AppId>>> = Rc::default();
    let seen = || {
        let events = events.clone();
        move |id| events.set(Some(id))
    };
    let (open, data, message, fragment, ping, pong) = (seen(), seen(), seen(), seen(), seen(), seen());
    let (drain, error, close) = (seen(), seen(), seen());
    let opened = opened.clone();
    WebSocketApp::new(task.url())
        .on_open(move |app, _| {
            open(app.id());
            opened.set(opened.get() + 1);
        })
        .on_data(move |app, _, _, _| data(app.id()))
        .on_message(move |app, _| message(app.id()))
        .on_cont_message(move |app, _| fragment(app.id()))
        .on_ping(move |app, _| ping(app.id()))
        .on_pong(move |app, _, _| pong(app.id()))
        .on_drain(move |app| drain(app.id()))
        .on_error(move |app, _| error(app.id()))
        .on_close(move |app, _| close(app.id()))
}
