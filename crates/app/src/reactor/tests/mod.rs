//! What only the inside of a reactor shows.

#[cfg(not(feature = "tls"))]
mod no_tls;
mod panics;
mod schedule;
