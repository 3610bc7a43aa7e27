//! Servers on real sockets, for tests and examples. They listen on loopback, each on a port that the system
//! chose, and stop when dropped.

mod echo;
mod echo_on;
mod peer;
mod scripted;
mod session;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Registry, Token};

pub use self::echo::EchoServer;
pub use self::echo_on::echo_on;
pub use self::peer::Peer;
pub use self::scripted::ScriptedServer;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// Tells a server's thread to end.
#[derive(Clone, Debug)]
struct Stop(Arc<(AtomicBool, mio::Waker)>);

impl Stop {
    fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self(Arc::new((AtomicBool::new(false), mio::Waker::new(registry, WAKER)?))))
    }

    fn request(&self) {
        self.0.0.store(true, Ordering::Release);
        // It fails only when the poll is gone, and the thread with it.
        let _ = self.0.1.wake();
    }

    fn is_requested(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }
}
