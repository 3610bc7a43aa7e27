//! The benchmark's command-line contract, without what its other clients need.

#[path = "../../../src/contract.rs"]
pub mod contract;
#[path = "../../../src/measure.rs"]
pub mod measure;
#[path = "../../../src/system.rs"]
pub mod system;
#[path = "../../../src/workload.rs"]
pub mod workload;

/// Any failure: printed, then the process ends with a non-zero status.
pub type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
