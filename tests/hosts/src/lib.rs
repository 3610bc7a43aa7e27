//! Every event loop that the project has a dispatcher for, behind one interface.
#![forbid(unsafe_code)]

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

/// The hosts of this build, mio first.
pub const HOSTS: &[Host] = &[Host {
    name: "mio",
    dispatcher: || Ok(Box::new(MioDispatcher::new()?)),
    run: |setup| run(MioDispatcher::new()?, setup),
}];

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
