//! Apps that write down what they are told, reactors to run them on, certificates, and programs to meet.

mod certificates;
mod counting;
mod edges;
mod forward;
mod host;
mod log;
mod neighbour;
#[cfg(target_os = "linux")]
pub mod parts;
mod proxy;
mod repository;
mod scratch;
mod tasks;
mod tls;
mod wait;
mod world;

pub use self::certificates::{Authority, Identity};
pub use self::counting::Counting;
pub use self::edges::Edges;
pub use self::host::{HostReactor, dispatcher, reactor};
pub use self::log::{Log, close_line, error_line, outcome_line};
pub use self::neighbour::{busy, neighbour};
pub use self::proxy::{Asked, SimProxy};
pub use self::repository::{repository, rust_files};
pub use self::scratch::Scratch;
pub use self::tasks::{Wakes, poll_for, poll_once};
pub use self::tls::{
    SECURE_URL, SecurePeer, SecureSimPeer, SecureWorld, TlsSide, Trust, secure_echo, secure_server,
    serve_identity, serve_versions,
};
pub use self::wait::{run, run_forever, until};
pub use self::world::{SERVER, URL, World};
