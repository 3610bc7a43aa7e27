//! What it takes to test a WebSocket client, and the loops under it.
//!
//! - [`server`]: servers on real sockets. [`EchoServer`](server::EchoServer) carries thousands of connections
//!   on one thread; [`ScriptedServer`](server::ScriptedServer) does to each client exactly what the test
//!   says, legal or not; [`echo_on`](server::echo_on) serves any stream.
//! - [`sim`]: a simulated network in virtual time, where everything that goes wrong is decided by a seed.
//! - [`mod@conformance`]: the contract of dispatchers as tests; one line in a test file runs it on another
//!   loop.
//! - `deflate`, a feature: the server's end of permessage-deflate.
//! - [`frame`] and [`handshake`]: the server's side of the protocol as bytes, free to break any rule.
#![forbid(unsafe_code)]

pub mod conformance;
#[cfg(feature = "deflate")]
pub mod deflate;
pub mod frame;
pub mod handshake;
pub mod server;
pub mod sim;
