//! permessage-deflate (RFC 7692): what is offered, what was agreed, and the contexts of both directions.

mod agreed;
mod context;
mod deflater;
mod error;
mod inbound;
mod inflater;
mod negotiate;
mod offer;
mod outbound;
mod parameters;
mod window;

pub use agreed::DeflateAgreed;
pub(crate) use context::Contexts;
pub use error::DeflateError;
pub(crate) use inbound::Inbound;
pub(crate) use negotiate::{extensions, negotiate, start};
pub use offer::{Deflate, DeflateOffer};
pub(crate) use outbound::Outbound;
