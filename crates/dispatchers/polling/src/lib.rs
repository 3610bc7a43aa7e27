//! WebSocket apps on the poller of the crate polling.
#![forbid(unsafe_code)]
