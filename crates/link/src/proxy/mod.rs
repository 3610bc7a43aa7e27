//! The way through a proxy: which one to take, and how to ask it for a tunnel.
//!
//! [`ProxyPolicy`] chooses a [`Proxy`], from what the user said or from the environment. Over a stream to that proxy, TLS first where
//! its scheme is `https`, a [`Handshake`] asks for the tunnel. Nothing here touches a socket or a clock.
//!
//! ```
//! use websocket_link::Destination;
//! use websocket_link::proxy::{Handshake, Proxy};
//!
//! let proxy = Proxy::parse("http://user:secret@proxy.example:3128")?;
//! let destination = Destination::new("server.example".parse()?, 80);
//! assert!(!proxy.needs_address(&destination));
//!
//! let mut handshake = Handshake::new(&proxy, &destination)?;
//! let request = handshake.output();
//! assert!(request.starts_with(b"CONNECT server.example:80 HTTP/1.1\r\n"));
//! handshake.wrote(request.len());
//!
//! let input = b"HTTP/1.1 200 OK\r\n\r\nfirst bytes of the tunnel";
//! let progress = handshake.receive(input)?;
//! assert!(progress.done);
//! assert_eq!(&input[progress.used..], b"first bytes of the tunnel");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod body;
mod challenge;
mod environment;
mod error;
mod handshake;
mod http;
mod login;
mod no_proxy;
mod policy;
mod reply;
mod scheme;
mod server;
mod socks4;
mod socks5;
#[cfg(test)]
mod testing;

pub use environment::{EnvironmentError, from_environment};
pub use error::{ProxyConfigError, ProxyError, ProxyFailure, Socks4Reply, Socks5Reply};
pub use handshake::{Handshake, Progress};
pub use no_proxy::NoProxy;
pub use policy::ProxyPolicy;
pub use scheme::ProxyScheme;
pub use server::Proxy;
