//! WebSocket apps on GLib's main loop.
#![forbid(unsafe_code)]
