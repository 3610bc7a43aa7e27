//! WebSocket apps on async-io: smol and other executors.
#![forbid(unsafe_code)]
