//! TLS, with rustls: what a connection trusts and shows, and the session that turns plaintext into records and back.
//!
//! [`TlsOptions`] says what is trusted, what is shown and what is negotiated; it makes one [`rustls::ClientConfig`], shared by every
//! connection that uses the options, so that sessions resume across reconnects and across apps. [`TlsSession`] is one connection's
//! TLS without any I/O, [`TlsStream`] the same as a stream, for TLS inside TLS.
//!
//! The crypto provider is chosen explicitly (feature `aws-lc-rs` if it is on, else `ring`, or one that is given); rustls' process-wide
//! default is neither read nor set.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use std::ops::ControlFlow;
//! use websocket_link::tls::{TlsOptions, TlsOutput, TlsSession};
//!
//! let options = TlsOptions::new();
//! let mut stream = std::net::TcpStream::connect("example.com:443")?;
//! let mut output = TlsOutput::new();
//! let mut session = TlsSession::new(options.build()?, options.server_name_for("example.com")?, &mut output)?;
//! let mut buffer = vec![0; 128 << 10];
//! while session.is_handshaking() {
//!     stream.write_all(output.as_slice())?;
//!     output.consume(output.len());
//!     let held = session.restore(&mut buffer);
//!     match stream.read(&mut buffer[held..])? {
//!         0 => session.end_of_stream()?,
//!         len => session.receive(&mut buffer[..held + len], &mut output, |plaintext| {
//!             println!("{} bytes", plaintext.len());
//!             ControlFlow::Continue(())
//!         })?,
//!     }
//! }
//! // This leaves in one flight with the end of the handshake.
//! session.send(b"GET / HTTP/1.1\r\n\r\n", &mut output)?;
//! stream.write_all(output.as_slice())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod certificate;
mod client_certificate;
mod config;
mod config_error;
mod der;
mod error;
mod first_bytes;
mod info;
mod key_log;
mod output;
mod pem;
mod provider;
mod roots;
mod session;
mod settings;
mod signature;
mod stream;
mod verify;
mod version;

#[cfg(test)]
mod tests;

pub use rustls;

pub use self::config::TlsOptions;
pub use self::config_error::TlsConfigError;
pub use self::error::TlsError;
pub use self::info::TlsInfo;
pub use self::output::TlsOutput;
pub use self::session::TlsSession;
pub use self::stream::TlsStream;
pub use self::version::TlsVersion;
