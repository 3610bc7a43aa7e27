//! What RFC 7692 fixes: the names of the parameters, the sizes of windows, the tail of a message.

/// The name under which it is negotiated.
pub(super) const NAME: &str = "permessage-deflate";

pub(super) const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
pub(super) const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
pub(super) const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
pub(super) const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// Highest level of compression.
pub(super) const MAX_LEVEL: u8 = 9;

/// The bits of the smallest window that may be negotiated, and of the largest, which is meant where none is named.
pub(super) const MIN_BITS: u8 = 8;
pub(super) const MAX_BITS: u8 = 15;

/// The bits of the smallest window that is worked with. It serves for one of 8 bits too: what is deflated with 9 reaches back 250 bytes
/// at most, and many servers that agree to 8 use 9.
pub(super) const LEAST_BITS: u8 = 9;

/// What ends every message before it is sent, and is not sent (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
