//! Our client on the busy-poll dispatcher, which spins for a while before it sleeps.

#![forbid(unsafe_code)]

#[path = "../bench-client-ours/echo.rs"]
mod echo;
#[path = "../bench-client-ours/options.rs"]
mod options;

use std::process::ExitCode;

use websocket_app::Reactor;
use websocket_bench::contract::client_main;
use websocket_dispatcher_busy_poll::BusyPoll;

fn main() -> ExitCode {
    client_main(|task| match task.workload.is_echo() {
        true => echo::run(task, Reactor::with_dispatcher(BusyPoll::new()?)?),
        false => {
            Err(format!("ours-busy has no '{}'; it knows echo and echo-tls", task.workload.name()).into())
        }
    })
}
