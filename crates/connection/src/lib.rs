//! A WebSocket client connection as a state machine without I/O.
//!
//! [`Connection`] turns bytes into borrowed [`Event`]s and commands into bytes (RFC 6455). It has no socket, no clock and no source of
//! entropy: time and entropy come in with [`Env`], bytes through [`Input`], and one [`deadline`](Connection::deadline) goes out. A frame
//! that arrived whole is delivered as a slice of the caller's buffer; memory for anything else comes from a pool in [`Env`] that all
//! connections of a caller share, so an idle connection holds none.
//!
//! On wasm32-unknown-unknown, whose entropy comes from JavaScript, the program has to choose the backend `wasm_js` of the crate getrandom.
//!
//! With the feature `deflate` messages can be compressed (permessage-deflate, RFC 7692), once a configuration offers it.
#![forbid(unsafe_code)]

mod assembly;
mod buffers;
mod close;
mod config;
mod connection;
#[cfg_attr(not(feature = "deflate"), path = "no_deflate.rs")]
mod deflate;
mod env;
mod error;
mod event;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod input;
mod mask;
mod opcode;
mod output;
mod pieces;
mod ping;
mod probe;
mod progress;
mod receive;
mod state;
#[cfg(test)]
mod tests;
mod traffic;
mod transmit;
mod upgrade;
mod utf8;

pub use crate::close::{Close, CloseFrame};
pub use crate::config::{Config, ConfigError, Liveness};
pub use crate::connection::{Connection, Messages};
#[cfg(feature = "deflate")]
pub use crate::deflate::{Deflate, DeflateAgreed, DeflateError, DeflateOffer};
pub use crate::env::{Entropy, Env, SeededEntropy};
pub use crate::error::{Error, ProtocolError, SendError, Timeout};
pub use crate::event::{Event, Fragment, Message, Part};
pub use crate::input::Input;
pub use crate::opcode::{Kind, MAX_CONTROL_PAYLOAD, Opcode};
pub use crate::ping::Rtt;
pub use crate::state::{Side, State};
pub use crate::traffic::{ConnectionStats, Traffic};
pub use crate::transmit::{MaskKey, Tx};
pub use crate::upgrade::{Request, RequestError, Response, UpgradeError};
pub use http;
pub use tungstenite::protocol::frame::coding::CloseCode;
