//! The event loop that the tests on real sockets run on: mio, or what the environment names.

use std::env;

use websocket_app::Reactor;
use websocket_app::dispatcher::Wait;
use websocket_hosts::{HOSTS, Host};

/// Names the host; `tests/on-hosts` sets it.
const VARIABLE: &str = "WEBSOCKET_HOST";

/// The host under the tests.
fn host() -> &'static Host {
    let Ok(name) = env::var(VARIABLE) else { return &HOSTS[0] };
    Host::by_name(&name).unwrap_or_else(|| {
        let known: Vec<_> = HOSTS.iter().map(|host| host.name).collect();
        panic!("{VARIABLE}={name} is unknown; known in this build: {}", known.join(", "))
    })
}

/// A dispatcher of the host under test.
///
/// # Panics
/// When there is no such host, or it cannot be opened.
pub fn dispatcher() -> Box<dyn Wait> {
    host().dispatcher().expect("the host works on this machine")
}

/// A reactor on the host under test.
pub type HostReactor = Reactor<Box<dyn Wait>>;

/// A reactor on the host under test.
///
/// # Panics
/// As [`dispatcher`].
pub fn reactor() -> HostReactor {
    Reactor::with_dispatcher(dispatcher()).expect("the system has entropy")
}
