//! Whatever a server answers to the upgrade request.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket_connection::fuzzing::upgrade_response(input));
