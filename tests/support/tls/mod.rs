//! The server's side of TLS, under real and under simulated connections.

mod peer;
mod settings;
mod side;
mod simulated;

pub use self::peer::{SecurePeer, secure_echo, secure_server};
pub use self::settings::{Trust, serve_identity, serve_versions};
pub use self::side::TlsSide;
pub use self::simulated::{SECURE_URL, SecureSimPeer, SecureWorld};
