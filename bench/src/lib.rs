//! What the clients, the load server and the runner of the benchmark share: the command-line contract, the
//! meters, and the few pieces of protocol that the floors and the server are made of.
//!
//! Linux only. `bench/README.md` holds the contract and says how to read the figures.

#![forbid(unsafe_code)]
#![allow(clippy::exhaustive_enums, reason = "never published: every user is in this package")]

pub mod arrivals;
pub mod command_line;
pub mod contract;
pub mod feed;
pub mod frame;
pub mod histogram;
pub mod hosts;
pub mod launch;
pub mod measure;
pub mod neighbours;
pub mod progress;
pub mod sizing;
pub mod stats;
pub mod system;
pub mod table;
pub mod tls;
pub mod upgrade;
pub mod workload;

/// Any failure of a benchmark process: printed, then the process ends with a non-zero status.
pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The size of every receive buffer of the floors, and of every write of the load server.
pub const CHUNK: usize = 256 * 1024;
