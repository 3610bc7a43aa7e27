//! The floor `min-ws`, which here never sleeps: it looks for events until there are some.

#![forbid(unsafe_code)]

#[path = "../bench-client-min-ws/echo.rs"]
mod echo;
#[path = "../bench-client-min-ws/out.rs"]
mod out;
#[path = "../bench-client-min-ws/socket.rs"]
mod socket;
#[path = "../bench-client-min-ws/text.rs"]
mod text;
#[path = "../bench-client-min-ws/tls_session.rs"]
mod tls_session;

use std::process::ExitCode;
use std::time::Duration;

use websocket_bench::contract::client_main;

fn main() -> ExitCode {
    client_main(|task| match task.workload.is_echo() {
        true => echo::run(task, Some(Duration::ZERO)),
        false => {
            Err(format!("min-ws-busy has no '{}'; it knows echo and echo-tls", task.workload.name()).into())
        }
    })
}
