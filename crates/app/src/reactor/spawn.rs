//! A reactor on a thread that is started for it.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use websocket_dispatcher::Wait;

use super::Reactor;
use crate::error::Error;
use crate::threads::ReactorThread;

impl<D: Wait> Reactor<D> {
    /// Starts a thread, makes a reactor there with `build`, and runs it until it is stopped, also while it has no apps.
    ///
    /// A reactor and its apps cannot move to another thread, since callbacks need not be `Send`. What is `Send` is the
    /// closure that makes them, here and in [`ReactorHandle::add`](crate::ReactorHandle::add).
    ///
    /// ```
    /// use websocket_app::{Reactor, RunOptions, WebSocketApp};
    /// # let server = websocket_testkit::server::EchoServer::start()?;
    /// # let url = server.url();
    ///
    /// let reactor = Reactor::spawn(Reactor::new)?;
    /// let make = move || WebSocketApp::new(url).on_open(|app, _| app.apps().stop());
    /// let sender = reactor.handle().add(RunOptions::new(), make, |error| eprintln!("{error}"));
    /// # let _ = sender;
    /// reactor.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The error of `build`, or [`Error::Dispatcher`] when the system gives no thread.
    ///
    /// # Panics
    /// When `build` panics, with the same payload.
    pub fn spawn(
        build: impl FnOnce() -> Result<Self, Error> + Send + 'static,
    ) -> Result<ReactorThread, Error> {
        let (made, handle) = mpsc::channel();
        let thread = thread::Builder::new().name("websocket-reactor".to_owned()).spawn(move || {
            let mut reactor = build()?;
            // The other end waits for it.
            drop(made.send(reactor.handle()));
            reactor.run_until(|_| false)
        });
        let thread = thread.map_err(Error::Dispatcher)?;
        match handle.recv() {
            Ok(handle) => Ok(ReactorThread::new(handle, thread)),
            // It has ended before there was a reactor.
            Err(_) => match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(()) => Err(Error::Dispatcher(std::io::Error::other("the reactor was not made"))),
                Err(error) => Err(error),
            },
        }
    }
}
