//! The floor: what a perfect client would cost. One mio poll, one receive buffer for all connections, frame
//! headers parsed in place, text validated and lent to a closure, one masking copy when sending.
//!
//! It is no client: nothing that the workloads do not need is here, so no fragments, control frames, limits or
//! deadlines, and an echo must arrive whole.

#![forbid(unsafe_code)]

mod connect;
mod deflate;
mod echo;
mod out;
mod receive;
mod send;
mod socket;
mod text;
mod tls;
mod tls_session;

use std::process::ExitCode;

use mio::{Poll, Token};
use websocket_bench::contract::{Report, Task, Workload, client_main};
use websocket_bench::measure::measure_idle;
use websocket_bench::{CHUNK, Result};

use crate::socket::open;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive => receive::run(task),
        Workload::Send => send::run(task),
        Workload::ReceiveDeflate => deflate::receive(task),
        Workload::Echo | Workload::EchoTls => echo::run(task, None),
        Workload::Connect | Workload::ConnectTls => connect::run(task),
        Workload::Idle => idle(task),
        Workload::ReceiveTls => tls::receive(task),
        Workload::IdleTls => tls::idle(task),
        other => Err(format!("min-ws has no '{}'", other.name()).into()),
    })
}

fn idle(task: &Task) -> Result<Report> {
    let poll = Poll::new()?;
    let mut buffer = vec![0; CHUNK];
    measure_idle(task, || open(task, &poll, Token(0), &mut buffer).map(|(stream, _)| stream))
}
