//! Every event loop that the project has a dispatcher for, behind one interface.
#![forbid(unsafe_code)]

mod guests;

// A host that owns the thread is blocked in as it is in the tests of its own crate.
#[path = "../../../crates/dispatchers/async-io/tests/support/mod.rs"]
mod async_io_blocking;
#[path = "../../../crates/dispatchers/callback/tests/rounds/mod.rs"]
mod callback_rounds;
#[path = "../../../crates/dispatchers/calloop/tests/rounds/mod.rs"]
mod calloop_rounds;
#[cfg(all(unix, feature = "system"))]
#[path = "../../../crates/dispatchers/glib/tests/support/mod.rs"]
mod glib_blocking;
#[cfg(all(unix, feature = "system"))]
#[path = "../../../crates/dispatchers/libuv/tests/support/mod.rs"]
mod libuv_blocking;
#[cfg_attr(unix, path = "../../../crates/dispatchers/callback/examples/callback/mini_loop.rs")]
#[cfg_attr(windows, path = "../../../crates/dispatchers/callback/tests/rounds/polling_loop.rs")]
mod mini_loop;
#[path = "../../../crates/dispatchers/tokio/tests/support/mod.rs"]
mod tokio_blocking;
#[path = "../../../crates/dispatchers/waiting-thread/tests/support/mod.rs"]
mod waiting_thread_blocking;

use std::error::Error;
use std::io;

use websocket_app::dispatcher::{MioDispatcher, Wait};
use websocket_app::{Apps, Reactor};

/// An event loop.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// What it is called on command lines.
    pub name: &'static str,
    dispatcher: fn() -> io::Result<Box<dyn Wait>>,
    run: fn(Setup<'_>) -> Result<(), Box<dyn Error>>,
}

/// What puts the apps on a host's reactor.
pub type Setup<'a> = &'a mut dyn FnMut(&mut Apps) -> Result<(), Box<dyn Error>>;

/// A host that may be blocked in anyway.
macro_rules! blocking {
    ($name:literal, $new:expr) => {
        Host { name: $name, dispatcher: || Ok(Box::new($new)), run: |setup| run($new, setup) }
    };
}

/// A host that owns the thread: how its tests block in it, and how its users run it.
macro_rules! guest {
    ($name:literal, $blocking:expr, $run:expr) => {
        Host { name: $name, dispatcher: || Ok(Box::new($blocking)), run: $run }
    };
}

/// The hosts of this build, mio first.
pub const HOSTS: &[Host] = &[
    blocking!("mio", MioDispatcher::new()?),
    blocking!("polling", websocket_dispatcher_polling::PollingDispatcher::new()?),
    blocking!("busy-poll", websocket_dispatcher_busy_poll::BusyPoll::new()?),
    #[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
    blocking!("io-uring", websocket_dispatcher_io_uring::IoUringDispatcher::new()?),
    #[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
    blocking!("io-uring-polling", websocket_dispatcher_io_uring::IoUringDispatcher::polling()?),
    guest!("tokio", tokio_blocking::Blocking::on_one_thread(), |setup| {
        guests::tokio(tokio::runtime::Builder::new_current_thread(), setup)
    }),
    guest!("tokio-threads", tokio_blocking::Blocking::on_two_threads(), |setup| {
        guests::tokio(tokio::runtime::Builder::new_multi_thread(), setup)
    }),
    guest!("async-io", async_io_blocking::Blocking::new(), guests::async_io),
    guest!("calloop", calloop_rounds::Rounds::new()?, guests::calloop),
    guest!("callback", callback_rounds::Rounds::new()?, guests::callback),
    guest!(
        "waiting-thread",
        waiting_thread_blocking::Blocking::over(MioDispatcher::new()?)?,
        guests::waiting_thread
    ),
    #[cfg(all(unix, feature = "system"))]
    guest!("glib", glib_blocking::Iterating::new(), guests::glib),
    #[cfg(all(unix, feature = "system"))]
    guest!("libuv", libuv_blocking::Looping::new(), guests::libuv),
];

/// Hosts are told apart by their names.
impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Host {
    /// The host of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        HOSTS.iter().find(|host| host.name == name)
    }

    /// A dispatcher that may be blocked in, also where the host is none: then blocking in it runs the host.
    ///
    /// # Errors
    /// What the host says when it cannot be opened.
    pub fn dispatcher(&self) -> io::Result<Box<dyn Wait>> {
        (self.dispatcher)()
    }

    /// Runs the apps that `setup` adds, as users of the host would, until all of them have ended.
    ///
    /// # Errors
    /// What `setup` or the host says.
    pub fn run(
        &self,
        mut setup: impl FnMut(&mut Apps) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        (self.run)(&mut setup)
    }
}

/// On a dispatcher that may be blocked in.
fn run(dispatcher: impl Wait, setup: Setup<'_>) -> Result<(), Box<dyn Error>> {
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    setup(reactor.apps())?;
    Ok(reactor.run()?)
}
