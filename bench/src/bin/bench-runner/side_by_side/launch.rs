//! Runs the clients, each run with a server of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::{env, fs, process};

use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, Workload};
use websocket_bench::feed::texts;
use websocket_bench::launch::Programs;

use crate::side_by_side::cells::Cell;
use crate::side_by_side::clients::Client;

/// In `idle`: connections opened before the measured ones, so that they bear what is paid only once.
const IDLE_WARM_UP: u64 = 64;

/// What one run of one client gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) report: Report,
    /// `connect-tls`: the share of its connections that resumed a session, as the server counts them.
    pub(crate) resumed_share: Option<f64>,
}

/// One run of one client.
pub(crate) fn run(programs: &Programs, client: &Client, cell: &Cell, messages: u64) -> Result<Run> {
    let mut server = match cell.workload.is_tls() {
        true => programs.start_tls_server(cell.resumption)?,
        false => programs.start_server(false)?,
    };
    let texts = Texts::write(cell)?;
    let root = server.root.clone();
    let task = Task { root, texts: texts.path(), ..task(cell, server.addr, messages) };
    let mut run = || -> Result<Run> {
        let report = programs.run_client(programs.command(&client.program()).args(task.arguments()))?;
        check(&task, &report)?;
        let resumed_share = match cell.workload {
            Workload::ConnectTls => {
                let arrivals = server.arrivals()?;
                Some(arrivals.resumed as f64 / arrivals.upgraded as f64)
            }
            _ => None,
        };
        Ok(Run { report, resumed_share })
    };
    run()
        .map_err(|error| format!("{} in {} {}: {error}", client.name, cell.workload.name(), cell.name).into())
}

/// The file with the messages to send, where there is one.
struct Texts(Option<PathBuf>);

impl Texts {
    fn write(cell: &Cell) -> Result<Self> {
        if cell.workload != Workload::SendDeflate {
            return Ok(Self(None));
        }
        let path = env::temp_dir().join(format!("websocket-bench-{}.txt", process::id()));
        fs::write(&path, texts(cell.payload).collect::<Vec<_>>().join("\n"))?;
        Ok(Self(Some(path)))
    }

    fn path(&self) -> Option<PathBuf> {
        self.0.clone()
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _left_behind = fs::remove_file(path);
        }
    }
}

fn task(cell: &Cell, addr: SocketAddr, messages: u64) -> Task {
    let Cell { workload, payload, connections, records, compression, each, .. } = *cell;
    let warm_up = match workload {
        Workload::Receive
        | Workload::ReceiveTls
        | Workload::ReceiveDeflate
        | Workload::Send
        | Workload::SendDeflate => messages.div_ceil(10),
        Workload::Echo | Workload::EchoTls | Workload::Connect | Workload::ConnectTls => {
            messages.div_ceil(10).max(connections as u64)
        }
        Workload::Idle | Workload::IdleTls | Workload::IdleDeflate => IDLE_WARM_UP,
    };
    Task {
        workload,
        addr,
        payload,
        messages,
        warm_up,
        connections,
        records,
        compression,
        each,
        root: None,
        texts: None,
    }
}

/// Refuses a report of anything but what was asked for.
fn check(task: &Task, report: &Report) -> Result<()> {
    if task.workload.is_idle() {
        return report.rss_bytes.map(|_| ()).ok_or_else(|| "the report has no rss_bytes".into());
    }
    let expected = (task.messages, task.messages * task.payload as u64);
    if (report.messages, report.bytes) != expected {
        return Err(
            format!("{} messages and {} bytes asked for, not {report:?}", expected.0, expected.1).into()
        );
    }
    if matches!(task.workload, Workload::Send | Workload::SendDeflate) && report.wire_bytes.is_none() {
        return Err("the report has no wire_bytes".into());
    }
    if task.workload.is_echo() && report.latency_p99_99_ns.is_none() {
        return Err("the report has no latency_p99_99_ns".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side_by_side::cells::cells;

    fn first_task(workload: Workload, messages: u64) -> Task {
        task(&cells(workload, false)[0], SocketAddr::from(([127, 0, 0, 1], 9)), messages)
    }

    #[test]
    fn the_warm_up_reaches_every_connection() {
        assert_eq!(first_task(Workload::Receive, 1000).warm_up, 100);
        let many = cells(Workload::Echo, false).last().unwrap();
        let task = task(many, SocketAddr::from(([127, 0, 0, 1], 9)), 10);
        assert_eq!(task.warm_up, 9500);
    }

    #[test]
    fn a_report_of_something_else_is_refused() {
        let receive = first_task(Workload::Receive, 10);
        let report = Report { messages: 10, bytes: 320, ..Report::default() };
        check(&receive, &report).unwrap();
        check(&receive, &Report { messages: 9, ..report.clone() }).unwrap_err();
        check(&receive, &Report { bytes: 319, ..report.clone() }).unwrap_err();
        check(&first_task(Workload::Send, 10), &report).unwrap_err();
        check(&first_task(Workload::Echo, 10), &report).unwrap_err();
        check(&first_task(Workload::Idle, 0), &report).unwrap_err();
    }
}
