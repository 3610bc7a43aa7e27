//! Whatever a server sends once compression was agreed on, and what comes of it when we compress it again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket_connection::fuzzing::compressed_frames(input));
