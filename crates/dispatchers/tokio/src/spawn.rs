//! A reactor on its own thread, for runtimes whose tasks move between threads.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

/// Runs the future that `make` builds on one of the runtime's threads, where it may hold what must not leave
/// a thread: a reactor, its apps, [`Rc`](std::rc::Rc)s.
///
/// A reactor's callbacks need not be [`Send`], so neither is a reactor nor the future that runs it, and
/// [`tokio::spawn`] refuses them. What this returns it takes:
///
/// ```
/// use websocket_app::{Outcome, Reactor, RunOptions, WebSocketApp};
/// use websocket_dispatcher_tokio::TokioDispatcher;
/// # use websocket_testkit::server::EchoServer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// # let server = EchoServer::start()?;
/// # let url = server.url();
/// # runtime.block_on(async move {
/// let apps = websocket_dispatcher_tokio::spawn(move || async move {
///     let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new()?)?;
///     WebSocketApp::new(url)
///         .on_open(|app, _| app.send_text("hello"))
///         .on_message(|app, _| app.close())
///         .run_on(&mut reactor, &RunOptions::new())?;
///     reactor.run_async().await?;
///     Ok::<_, websocket_app::BoxError>(())
/// });
/// let task = tokio::spawn(async move { apps.await });
/// let ran = task.await??;
/// # ran.map_err(|error| error.to_string())?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// The thread is one of those for blocking work, of which a runtime has 512 by default; it is used until the
/// future ends. There the runtime's context is entered, so tokio's types work; the runtime's own threads look
/// after sockets and timers. On a `current_thread` runtime that is the thread in `Runtime::block_on`: while
/// that is not running, nothing happens here.
///
/// A runtime that is dropped waits for the thread. So keep the [`Running`] where it is dropped by then: in a
/// task, or in the future that the program blocks on.
///
/// # Panics
/// Outside of a runtime. A panic of `make` or of its future ends that future only, and is the [`JoinError`]
/// of the [`Running`].
pub fn spawn<F, T>(make: impl FnOnce() -> F + Send + 'static) -> Running<T>
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let runtime = Handle::current();
    let (mut alive, dropped) = oneshot::channel();
    let thread = runtime.clone().spawn_blocking(move || {
        runtime.block_on(async {
            if alive.is_closed() {
                return None;
            }
            let mut future = pin!(make());
            poll_fn(|cx| match alive.poll_closed(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => future.as_mut().poll(cx).map(Some),
            })
            .await
        })
    });
    Running { thread, _dropped: dropped }
}

/// A future that runs on its own thread, made by [`spawn`]. Its output is that of the future.
///
/// Dropping it drops that future there, soon: as soon as it waits for something, which a reactor does after
/// each turn. Apps are dropped silently then, as with their reactor; to close them with a closing handshake,
/// call `stop_within` on the reactor's handle and await this.
#[derive(Debug)]
#[must_use = "dropping it ends what it runs"]
pub struct Running<T> {
    thread: JoinHandle<Option<T>>,
    /// Closes the channel when it is dropped, which is what the thread looks at.
    _dropped: oneshot::Receiver<()>,
}

impl<T> Future for Running<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(Pin::new(&mut self.thread).poll(cx)).transpose() {
            Some(ended) => Poll::Ready(ended),
            // Only for one that was dropped, and then it is not polled.
            None => Poll::Pending,
        }
    }
}
