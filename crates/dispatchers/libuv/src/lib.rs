//! WebSocket apps on libuv.
#![forbid(unsafe_code)]
