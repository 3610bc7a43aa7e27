//! A simulated network in virtual time: hours pass in milliseconds, and the same seed gives the same run.
//!
//! [`SimNet`] is the network. Its [`dispatcher`](SimNet::dispatcher) takes the place of the event loop,
//! itself that of the [`Connector`](websocket_link::Connector), its [`resolver`](SimNet::resolver) that of
//! the name service. The far ends of the connections are [`SimPeer`]s, which the test moves on the same
//! thread: between two turns of the reactor, at a virtual time ([`SimNet::at`]), when a client has sent its
//! request ([`SimNet::serve`]), or whenever something arrives ([`SimNet::serve_arrivals`]).
//!
//! Time stands still while code runs. When nothing is ready, [`SimDispatcher`]'s wait moves the clock to the
//! next thing that can happen; when nothing can ever happen any more it fails with [`Stuck`] instead of
//! hanging.
//!
//! ```
//! use std::io::{Read as _, Write as _};
//! use std::time::Duration;
//! use websocket_dispatcher::{Dispatcher as _, Interest, Key, Wait as _};
//! use websocket_link::{Connector as _, SocketOptions};
//! use websocket_testkit::sim::SimNet;
//!
//! let mut net = SimNet::new(1);
//! let addr = "192.0.2.1:80".parse().unwrap();
//! let listener = net.listen(addr);
//! let mut dispatcher = net.dispatcher();
//! let mut io = net.connect(addr, &SocketOptions::default())?;
//! dispatcher.register(Key::new(0, 0), &mut io, Interest::Read)?;
//!
//! let peer = listener.accept().expect("the connection");
//! net.at(Duration::from_secs(3600), move |_| peer.write(b"an hour later"));
//! let mut ready = Vec::new();
//! dispatcher.wait(None, &mut ready)?;
//! assert!(ready[0].readable && net.elapsed() == Duration::from_secs(3600));
//! let mut buffer = [0; 64];
//! assert_eq!(io.read(&mut buffer)?, 13);
//! # Ok::<(), std::io::Error>(())
//! ```

mod connection;
mod dispatcher;
mod faults;
mod net;
mod peer;
mod resolver;
mod stream;
#[cfg(test)]
mod tests;

pub use self::dispatcher::{SimDispatcher, Stuck};
pub use self::faults::{Faults, Trigger};
pub use self::net::{SimNet, Tapped};
pub use self::peer::{ClientEnd, End, SimListener, SimPeer};
pub use self::resolver::SimResolver;
pub use self::stream::SimStream;
