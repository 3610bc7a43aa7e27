//! The workload `echo`, in what apps and their callbacks can reach: the owner of the reactor is the host.

use std::cell::RefCell;
use std::rc::Rc;

use websocket_app::{AppId, Context, Message};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, payload};
use websocket_bench::measure::RoundTrips;
use websocket_hosts::Host;

/// One message in flight on each connection; `begun` is called before the first.
pub(crate) fn run(
    host: &Host,
    task: &Task,
    begun: impl FnOnce(&mut Context<'_>) -> Result<()> + 'static,
) -> Result<Report> {
    let trips: Rc<RefCell<Option<RoundTrips>>> = Rc::default();
    let (counted, started, what) = (trips.clone(), trips.clone(), task.clone());
    crate::apps::run(
        host,
        task,
        move |index, app| {
            let trips = counted.clone();
            app.on_message(move |app, message| {
                let Message::Text(text) = message else { return Ok(()) };
                let last = trips.borrow_mut().as_mut().is_some_and(|trips| trips.count(index, text.len()));
                if last {
                    app.apps().stop();
                    return Ok(());
                }
                app.send_text(text)
            })
        },
        move |app, ids| {
            begun(app)?;
            *started.borrow_mut() = Some(RoundTrips::new(&what)?);
            let text = payload(what.payload);
            for &id in ids {
                send(app, id, &text)?;
            }
            Ok(())
        },
    )?;
    trips.take().ok_or("nothing was measured")?.into_report()
}

fn send(app: &mut Context<'_>, id: AppId, text: &str) -> Result<()> {
    if id == app.id() {
        return Ok(app.send_text(text)?);
    }
    Ok(app.apps().with(id, |app| app.send_text(text)).ok_or("a connection was lost")??)
}
