//! How a WebSocket client gets its byte stream: names, sockets and their options, proxies.
//!
//! Everything that touches the network on the way to an open stream is a part that can be replaced: [`Resolver`] turns names
//! into addresses, [`Connector`] turns an address into a non-blocking [`Io`](websocket_dispatcher::Io). A simulation replaces both and the
//! code above never knows. [`Eyeballs`] says which of a host's addresses to try when; [`proxy`] finds the way through a proxy. With the
//! feature `tls`, module `tls` encrypts what goes through any of them; with the feature `kernel-receive-time`, module `kernel_time` tells
//! when the kernel received what is read.
#![forbid(unsafe_code)]

mod connector;
mod destination;
mod eyeballs;
#[cfg(feature = "kernel-receive-time")]
pub mod kernel_time;
pub mod proxy;
mod resolver;
mod socket_options;
#[cfg(feature = "tls")]
pub mod tls;

pub use crate::connector::{Connector, SystemConnector};
pub use crate::destination::{Destination, Host, InvalidHost};
pub use crate::eyeballs::{DEFAULT_ATTEMPT_DELAY, Eyeballs, MAX_ATTEMPT_DELAY, MIN_ATTEMPT_DELAY};
pub use crate::resolver::{Answer, Asker, Query, Resolver, SystemResolver};
pub use crate::socket_options::{KeepAlive, SocketOptions};
pub use socket2;
