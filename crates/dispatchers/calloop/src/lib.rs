//! WebSocket apps on calloop.
#![forbid(unsafe_code)]
