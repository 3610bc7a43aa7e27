//! Hosts that own the thread, as their users run them.

use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc;

use calloop::{EventLoop, LoopSignal};
use tokio::runtime::Builder;
use websocket_app::Reactor;
use websocket_app::dispatcher::{MioDispatcher, PollWait};
use websocket_dispatcher_async_io::AsyncIoDispatcher;
use websocket_dispatcher_callback::{CallbackDispatcher, Driver};
use websocket_dispatcher_calloop::CalloopDispatcher;
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_dispatcher_waiting_thread::WaitingThread;

use crate::Setup;
use crate::mini_loop::{Drives, MiniHost, MiniLoop};

type Ran = Result<(), Box<dyn Error>>;

/// As a future.
pub(crate) async fn run_async(dispatcher: impl PollWait, setup: Setup<'_>) -> Ran {
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    setup(reactor.apps())?;
    Ok(reactor.run_async().await?)
}

pub(crate) fn tokio(mut builder: Builder, setup: Setup<'_>) -> Ran {
    builder.enable_all().build()?.block_on(async { run_async(TokioDispatcher::new()?, setup).await })
}

pub(crate) fn async_io(setup: Setup<'_>) -> Ran {
    async_io::block_on(run_async(AsyncIoDispatcher::new(), setup))
}

pub(crate) fn calloop(setup: Setup<'_>) -> Ran {
    struct State {
        reactor: Reactor<CalloopDispatcher<'static, State>>,
        signal: LoopSignal,
    }

    let mut event_loop = EventLoop::try_new()?;
    let dispatcher = CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| {
        let next = state.reactor.turn(ready);
        if state.reactor.apps().is_empty() {
            state.signal.stop();
        }
        next
    })?;
    let mut state = State { reactor: Reactor::with_dispatcher(dispatcher)?, signal: event_loop.get_signal() };
    setup(state.reactor.apps())?;
    Ok(event_loop.run(None, &mut state, |_| {})?)
}

pub(crate) fn callback(setup: Setup<'_>) -> Ran {
    struct Data(Driver);

    impl Drives for Data {
        fn driver(&self) -> &Driver {
            &self.0
        }
    }

    let looped = Rc::new(MiniLoop::new()?);
    let (dispatcher, driver) = CallbackDispatcher::new(MiniHost(looped.clone()), looped.waker()?);
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    setup(reactor.apps())?;
    let data = Data(driver);
    while !reactor.apps().is_empty() {
        looped.round(&data, None)?;
        data.0.turn(|ready| reactor.turn(ready));
    }
    Ok(())
}

pub(crate) fn waiting_thread(setup: Setup<'_>) -> Ran {
    let (wake, woken) = mpsc::channel();
    // The host is gone when nothing listens.
    let wake = move || _ = wake.send(());
    let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new()?, wake)?;
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    setup(reactor.apps())?;
    while !reactor.apps().is_empty() {
        woken.recv()?;
        driver.turn(|ready| reactor.turn(ready))?;
    }
    Ok(())
}

#[cfg(feature = "system")]
pub(crate) fn glib(setup: Setup<'_>) -> Ran {
    let context = glib::MainContext::new();
    let dispatcher = websocket_dispatcher_glib::GlibDispatcher::new(&context);
    context.block_on(run_async(dispatcher, setup))
}

#[cfg(feature = "system")]
pub(crate) fn libuv(setup: Setup<'_>) -> Ran {
    use std::cell::RefCell;

    use libuv::{Loop, RunMode};
    use websocket_dispatcher_libuv::LibuvDispatcher;

    let mut uv = Loop::new()?;
    let (dispatcher, turns) = LibuvDispatcher::new(&uv)?;
    let reactor = Rc::new(RefCell::new(Reactor::with_dispatcher(dispatcher)?));
    let ready = setup(reactor.borrow_mut().apps());
    if ready.is_ok() {
        turns.start({
            let (reactor, mut uv) = (reactor.clone(), uv.clone());
            move |ready| {
                let mut reactor = reactor.borrow_mut();
                let next = reactor.turn(ready);
                if reactor.apps().is_empty() {
                    uv.stop();
                }
                next
            }
        });
        uv.run(RunMode::Default)?;
    }
    // The loop has to run to let go of its handles.
    drop(turns);
    uv.run(RunMode::Default)?;
    ready
}
