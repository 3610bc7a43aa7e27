//! The benchmark: clients side by side on the workloads, or one of the other measurements.

#![forbid(unsafe_code)]

mod close_latency;
mod connect_storm;
mod hosts;
mod instructions;
mod no_blocking;
mod side_by_side;

use std::ffi::OsString;
use std::process::ExitCode;

use websocket_bench::Result;

/// What can be named on the command line in place of workloads.
struct Measurement {
    name: &'static str,
    about: &'static str,
    /// Does what the rest of the command line asks for; false where a limit was missed.
    main: fn(Vec<OsString>) -> Result<bool>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "hosts",
        about: "our apps on every event loop that there is a dispatcher for",
        main: hosts::main,
    },
    Measurement {
        name: "close-latency",
        about: "how long close() from another thread takes to end run_forever",
        main: close_latency::main,
    },
    Measurement {
        name: "no-blocking",
        about: "what peers that never answer cost the other apps of a reactor",
        main: no_blocking::main,
    },
    Measurement {
        name: "connect-storm",
        about: "thousands of apps connect, and reconnect, at once",
        main: connect_storm::main,
    },
    Measurement {
        name: "instructions",
        about: "our client's instructions per message, against a budget",
        main: instructions::main,
    },
];

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = arguments.first();
    let outcome = match MEASUREMENTS.iter().find(|one| first.is_some_and(|first| first == one.name)) {
        Some(measurement) => (measurement.main)(arguments.split_off(1)),
        None => side_by_side::main(arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
