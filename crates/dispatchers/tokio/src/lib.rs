//! WebSocket apps on tokio.
#![forbid(unsafe_code)]
