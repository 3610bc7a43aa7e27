//! Our client as its users would write it: `WebSocketApp` with closures, all of them on one reactor on mio's poll.

#![forbid(unsafe_code)]

mod connect;
mod echo;
mod options;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::process::ExitCode;
use std::rc::Rc;

use websocket_app::{AppId, CallbackResult, Context, Message, Outcome, Reactor, WebSocketApp};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, WRITE, Workload, client_main};
use websocket_bench::measure::{Sending, Tally, measure_idle};

use crate::options::options;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive | Workload::ReceiveTls | Workload::ReceiveDeflate => receive(task),
        Workload::Echo | Workload::EchoTls => echo::run(task, Reactor::new()?),
        Workload::Connect | Workload::ConnectTls => connect::run(task),
        Workload::Idle | Workload::IdleTls | Workload::IdleDeflate => idle(task),
        Workload::Send | Workload::SendDeflate => send(task),
    })
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

/// Sends until the socket takes no more, and goes on when it does.
fn send(task: &Task) -> Result<Report> {
    let sending = Rc::new(RefCell::new(Sending::new(task)?));
    let write = if task.each { 1 } else { WRITE };
    let (opened, heard, drained) = (sending.clone(), sending.clone(), sending.clone());
    let outcome = WebSocketApp::new(task.url())
        .on_open(move |app, _| send_on(app, &mut opened.borrow_mut(), write))
        .on_message(move |app, message| {
            let Message::Text(word) = message else { return Ok(()) };
            let mut sending = heard.borrow_mut();
            if sending.heard(word) { Ok(()) } else { send_on(app, &mut sending, write) }
        })
        .on_drain(move |app| send_on(app, &mut drained.borrow_mut(), write))
        .run_forever(&options(task))?;
    match outcome {
        Outcome::Clean { .. } => sending.replace(Sending::new(task)?).into_report(),
        other => Err(format!("the server did not end with a close: {other:?}").into()),
    }
}

fn send_on(app: &mut Context<'_>, sending: &mut Sending, write: usize) -> CallbackResult {
    while let Some(text) = sending.next_text() {
        app.send_text(text)?;
        if app.queued_bytes() >= write {
            app.flush()?;
            if app.queued_bytes() > 0 {
                break;
            }
        }
    }
    Ok(())
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

/// An app with every callback set, each of which captures something. It counts as opened once whatever was to happen on it has.
fn with_all_callbacks(task: &Task, opened: &Rc<Cell<usize>>) -> WebSocketApp {
    let events: Rc<Cell<Option<AppId>>> = Rc::default();
    let seen = || {
        let events = events.clone();
        move |id| events.set(Some(id))
    };
    let (open, data, message, fragment, ping, pong) = (seen(), seen(), seen(), seen(), seen(), seen());
    let (drain, error, close) = (seen(), seen(), seen());
    let answers = task.workload == Workload::IdleDeflate;
    let (opened, ready) = (opened.clone(), opened.clone());
    WebSocketApp::new(task.url())
        .on_open(move |app, _| {
            open(app.id());
            if !answers {
                opened.set(opened.get() + 1);
            }
        })
        .on_data(move |app, _, _, _| data(app.id()))
        .on_message(move |app, text| {
            message(app.id());
            match text {
                Message::Text(text) if answers => {
                    ready.set(ready.get() + 1);
                    app.send_text(text)
                }
                _ => Ok(()),
            }
        })
        .on_cont_message(move |app, _| fragment(app.id()))
        .on_ping(move |app, _| ping(app.id()))
        .on_pong(move |app, _, _| pong(app.id()))
        .on_drain(move |app| drain(app.id()))
        .on_error(move |app, _| error(app.id()))
        .on_close(move |app, _| close(app.id()))
}
