//! `websocket-stream` on tokio's current-thread runtime, with the reactor on its own thread, as programs have it whose tasks move between
//! threads.

#![forbid(unsafe_code)]

#[path = "../bench-client-stream/workloads.rs"]
mod workloads;

use std::process::ExitCode;

use tokio::task::LocalSet;
use websocket_app::Reactor;
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, client_main};

fn main() -> ExitCode {
    client_main(run)
}

fn run(task: &Task) -> Result<Report> {
    let reactor = Reactor::spawn(Reactor::new)?;
    let report = LocalSet::new().block_on(&workloads::runtime()?, workloads::run(task, reactor.handle()));
    reactor.handle().stop();
    reactor.join()?;
    report
}
