//! `websocket-stream` on tokio's current-thread runtime, with the reactor as a task of it: a loop that awaits messages, a task for each
//! connection where there are many.

#![forbid(unsafe_code)]

mod workloads;

use std::process::ExitCode;

use tokio::task::{LocalSet, spawn_local};
use websocket_app::Reactor;
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, client_main};
use websocket_dispatcher_tokio::TokioDispatcher;

fn main() -> ExitCode {
    client_main(run)
}

fn run(task: &Task) -> Result<Report> {
    LocalSet::new().block_on(&workloads::runtime()?, async {
        let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new()?)?;
        let handle = reactor.handle();
        let running = spawn_local(async move { reactor.run_async_until(|_| false).await });
        let report = workloads::run(task, &handle).await;
        handle.stop();
        running.await??;
        report
    })
}
