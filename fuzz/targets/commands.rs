//! Commands, bytes of the server and time in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket_connection::fuzzing::commands(input));
