//! The benchmark's command-line contract, without what its other clients need, and the workloads without compression, once for the peers
//! that run on tokio and once for those that read a socket themselves.

#![forbid(unsafe_code)]

#[path = "../../../src/contract.rs"]
pub mod contract;
#[path = "../../../src/measure.rs"]
pub mod measure;
pub mod on_mio;
pub mod on_tokio;
#[path = "../../../src/system.rs"]
pub mod system;
#[path = "../../../src/tls.rs"]
pub mod tls;
#[path = "../../../src/upgrade.rs"]
pub mod upgrade;
#[path = "../../../src/workload.rs"]
pub mod workload;

/// Any failure: printed, then the process ends with a non-zero status.
pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The error for a workload that a peer cannot do.
pub fn unknown_workload(task: &contract::Task) -> Box<dyn std::error::Error> {
    format!("this peer has no '{}'", task.workload.name()).into()
}

/// The longest header of a frame that a client sends.
const MAX_HEADER: usize = 14;
