//! The client's side against rustls' server, in memory.

mod certificate;
mod closing;
mod data;
mod failures;
mod handshake;
mod identity;
mod options;
mod pair;
mod renegotiation;
mod stream;
mod unusual;
mod verification;
