//! `echo` and `echo-tls`, on a reactor with any dispatcher.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use websocket_app::dispatcher::Wait;
use websocket_app::{Message, Reactor, WebSocketApp};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, payload};
use websocket_bench::measure::RoundTrips;

use crate::options::options;

pub(crate) fn run<D: Wait>(task: &Task, mut reactor: Reactor<D>) -> Result<Report> {
    let options = options(task);
    let opened = Rc::new(Cell::new(0));
    let trips: Rc<RefCell<Option<RoundTrips>>> = Rc::default();
    let mut ids = Vec::with_capacity(task.connections);
    for index in 0..task.connections {
        let (counted, trips) = (opened.clone(), trips.clone());
        let app = WebSocketApp::new(task.url())
            .on_open(move |_, _| counted.set(counted.get() + 1))
            .on_message(move |app, message| {
                let Message::Text(text) = message else { return Ok(()) };
                let last = trips.borrow_mut().as_mut().is_some_and(|trips| trips.count(index, text.len()));
                if last {
                    app.apps().stop();
                    return Ok(());
                }
                app.send_text(text)
            });
        ids.push(app.run_on(&mut reactor, &options)?);
        // One after the other: thousands at once are more than the server's listen queue takes.
        reactor.run_until(|_| opened.get() > index)?;
    }

    let text = payload(task.payload);
    *trips.borrow_mut() = Some(RoundTrips::new(task)?);
    for id in ids {
        reactor.apps().with(id, |app| app.send_text(&text)).ok_or("a connection was lost")??;
    }
    reactor.run()?;
    trips.take().ok_or("nothing was measured")?.into_report()
}
