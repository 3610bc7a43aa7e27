//! Programs that users have: servers, and proxies between them and their server. `tests/install-parts` installs them.
//!
//! Each listens on loopback, on a port that was free, and ends when it is dropped; when the test fails, it shows its output. Where the
//! program is not installed, starting it says so in a line and gives `None`, and the test is to be left. A program that is there
//! and does not start fails the test.

mod compressing;
mod daemon;
mod dante;
mod microsocks;
mod nginx;
mod node;
mod place;
mod program;
mod python;
mod squid;
mod tinyproxy;
mod tls_server;

pub use self::compressing::Compressing;
pub use self::dante::Dante;
pub use self::microsocks::Microsocks;
pub use self::nginx::Nginx;
pub use self::program::{find, skipped};
pub use self::python::PythonServer;
pub use self::squid::Squid;
pub use self::tinyproxy::Tinyproxy;
pub use self::tls_server::TlsServer;
