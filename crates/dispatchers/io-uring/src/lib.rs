//! WebSocket apps on io_uring.
#![forbid(unsafe_code)]
