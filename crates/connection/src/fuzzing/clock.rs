//! Where virtual time starts.

use std::time::Instant;

#[allow(clippy::disallowed_methods, reason = "virtual time needs some instant to start from")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
