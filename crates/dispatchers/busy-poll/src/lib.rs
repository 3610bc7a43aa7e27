//! WebSocket apps that spin before they sleep, for latency.
#![forbid(unsafe_code)]
