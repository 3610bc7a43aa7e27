//! Whatever a server sends after the upgrade, beside tungstenite.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket_connection::fuzzing::server_frames(input));
