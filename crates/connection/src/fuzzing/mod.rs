//! Bodies of the fuzz targets, and the harness that they share with the tests. Not part of the public interface.
//!
//! They live here so that they are compiled and run by the tests too, on the seeds and on random inputs, and cannot rot.

pub(crate) mod clock;
mod commands;
#[cfg(feature = "deflate")]
mod compressed_frames;
pub(crate) mod harness;
mod plan;
mod server_frames;
mod upgrade_response;

pub use commands::commands;
#[cfg(feature = "deflate")]
pub use compressed_frames::compressed_frames;
pub use server_frames::server_frames;
pub use upgrade_response::upgrade_response;
