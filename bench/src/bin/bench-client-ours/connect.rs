//! `connect` and `connect-tls`: an app that is open is removed, and the next one added.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task};
use websocket_bench::measure::Tally;

use crate::options::options;

pub(crate) fn run(task: &Task) -> Result<Report> {
    let mut reactor = Reactor::new()?;
    let work = Rc::new(Work {
        url: task.url(),
        options: options(task),
        tally: RefCell::new(Tally::new(task)?),
        left: Cell::new(task.warm_up + task.messages),
    });
    for _ in 0..task.connections {
        let Some(app) = next(&work) else { break };
        app.run_on(&mut reactor, &work.options)?;
    }
    reactor.run()?;
    work.tally.replace(Tally::new(task)?).into_report()
}

struct Work {
    url: String,
    options: RunOptions,
    tally: RefCell<Tally>,
    /// Connections that are still to be begun.
    left: Cell<u64>,
}

/// The next app, as long as connections are left.
fn next(work: &Rc<Work>) -> Option<WebSocketApp> {
    work.left.set(work.left.get().checked_sub(1)?);
    let opened = work.clone();
    let app = WebSocketApp::new(&work.url).on_open(move |app, _| {
        app.remove();
        opened.tally.borrow_mut().count(0);
        match next(&opened) {
            Some(next) => app.apps().add(next, &opened.options).map(|_| ()),
            None => Ok(()),
        }
    });
    Some(app)
}
