//! Apps on a host, which are opened before anything is measured.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{AppId, Context, Error, RunOptions, WebSocketApp};
use websocket_bench::Result;
use websocket_bench::contract::Task;
use websocket_hosts::Host;

/// Runs on `host` the apps that `make` gives the task's connections, and calls `opened` with their names when all are open. Whoever
/// loses a connection or has a callback that fails ends the run, which is then a failure.
pub(crate) fn run(
    host: &Host,
    task: &Task,
    make: impl Fn(usize, WebSocketApp) -> WebSocketApp,
    opened: impl FnOnce(&mut Context<'_>, &[AppId]) -> Result<()> + 'static,
) -> Result<()> {
    let ids: Rc<RefCell<Vec<AppId>>> = Rc::default();
    let failure: Rc<RefCell<Option<String>>> = Rc::default();
    let missing = Rc::new(Cell::new(task.connections));
    let opened = Rc::new(Cell::new(Some(opened)));
    let options = RunOptions::new().reconnect(Duration::from_millis(10));
    host.run(|apps| {
        for index in 0..task.connections {
            let (all, missing, opened) = (ids.clone(), missing.clone(), opened.clone());
            let (refused, failed, opening) = (failure.clone(), failure.clone(), missing.clone());
            let app = WebSocketApp::new(task.url())
                .on_open(move |app, _| {
                    missing.set(missing.get() - 1);
                    if missing.get() == 0
                        && let Some(opened) = opened.take()
                        && let Err(error) = opened(app, &all.borrow())
                    {
                        *refused.borrow_mut() = Some(error.to_string());
                        app.apps().stop();
                    }
                })
                .on_error(move |app, error: &Error| {
                    // A thousand at once are more than some kernels take in: one that was turned away tries again.
                    if opening.get() > 0 {
                        return;
                    }
                    failed.borrow_mut().get_or_insert_with(|| error.to_string());
                    app.apps().stop();
                });
            ids.borrow_mut().push(apps.add(make(index, app), &options)?);
        }
        Ok(())
    })?;
    match failure.take() {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}
