//! WebSocket apps on a loop of your own that watches descriptors and calls back.
#![forbid(unsafe_code)]
