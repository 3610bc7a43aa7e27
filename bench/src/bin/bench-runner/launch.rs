//! Starts the load server and the clients, each run with a server of its own.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, Workload};
use websocket_bench::system::Cores;

use crate::cells::Cell;
use crate::clients::Client;

/// No run comes near this; a client that hangs must not hang the benchmark.
const PATIENCE: Duration = Duration::from_secs(120);

/// In `idle`: connections opened before the measured ones, so that they bear what is paid only once.
const IDLE_WARM_UP: u64 = 64;

pub(crate) struct Launcher {
    cores: Option<Cores>,
    /// Where the programs of this package are.
    directory: PathBuf,
}

impl Launcher {
    pub(crate) fn new(cores: Option<Cores>) -> Result<Self> {
        let runner = std::env::current_exe()?;
        let directory = runner.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { cores, directory })
    }

    /// One run of one client.
    pub(crate) fn run(&self, client: &Client, cell: &Cell, messages: u64) -> Result<Report> {
        let server = self.start_server(cell.workload.is_tls())?;
        let task = Task { root: server.root.clone(), ..task(cell, server.addr, messages) };
        let report = self.run_client(client, &task).and_then(|report| {
            check(&task, &report)?;
            Ok(report)
        });
        report.map_err(|error| {
            format!("{} in {} {}: {error}", client.name, cell.workload.name(), cell.name).into()
        })
    }

    fn start_server(&self, tls: bool) -> Result<Server> {
        let mut command = self.command("bench-server");
        let root = tls.then(|| env::temp_dir().join(format!("websocket-bench-{}.pem", process::id())));
        if let Some(root) = &root {
            command.arg("--root").arg(root);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match &self.cores {
            Some(cores) => cores.on_server(|| command.spawn())??,
            None => command.spawn()?,
        };
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut server = Server { child, root, addr: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        server.addr.set_port(line.trim().parse().map_err(|_| "the server did not tell its port")?);
        Ok(server)
    }

    fn run_client(&self, client: &Client, task: &Task) -> Result<Report> {
        let mut command = self.command(&client.program());
        command.args(task.arguments()).stdin(Stdio::null()).stdout(Stdio::piped());
        let spawned = match &self.cores {
            Some(cores) => cores.on_client(|| command.spawn())?,
            None => command.spawn(),
        };
        let mut child = spawned.map_err(|error| format!("cannot start {}: {error}", client.program()))?;
        let stdout = child.stdout.take().ok_or("the client has no output")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(io::read_to_string(stdout)));
        let Ok(output) = receiver.recv_timeout(PATIENCE) else {
            child.kill()?;
            child.wait()?;
            return Err(format!("no end after {} s", PATIENCE.as_secs()).into());
        };
        let status = child.wait()?;
        if !status.success() {
            return Err(status.to_string().into());
        }
        let output = output?;
        serde_json::from_str(output.trim())
            .map_err(|error| format!("'{}' is no report: {error}", output.trim()).into())
    }

    /// A program of this package, or else one on the search path.
    fn command(&self, program: &str) -> Command {
        let ours = self.directory.join(program);
        Command::new(if ours.is_file() { ours } else { program.into() })
    }
}

/// A server ends when its standard input does.
struct Server {
    child: Child,
    /// The file with its certificate.
    root: Option<PathBuf>,
    addr: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
        if let Some(root) = &self.root {
            let _left_behind = fs::remove_file(root);
        }
    }
}

fn task(cell: &Cell, addr: SocketAddr, messages: u64) -> Task {
    let Cell { workload, payload, connections, records, .. } = *cell;
    let warm_up = match workload {
        Workload::Receive | Workload::ReceiveTls => messages.div_ceil(10),
        Workload::Echo => messages.div_ceil(10).max(connections as u64),
        Workload::Idle | Workload::IdleTls => IDLE_WARM_UP,
    };
    Task { workload, addr, payload, messages, warm_up, connections, records, root: None }
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
    if task.workload == Workload::Echo && report.latency_p50_ns.is_none() {
        return Err("the report has no latency_p50_ns".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::cells;

    fn first_task(workload: Workload, messages: u64) -> Task {
        task(&cells(workload, false)[0], SocketAddr::from(([127, 0, 0, 1], 9)), messages)
    }

    #[test]
    fn the_warm_up_reaches_every_connection() {
        assert_eq!(first_task(Workload::Receive, 1000).warm_up, 100);
        let many = cells(Workload::Echo, false).last().unwrap();
        let task = task(many, SocketAddr::from(([127, 0, 0, 1], 9)), 10);
        assert_eq!(task.warm_up, 1000);
    }

    #[test]
    fn a_report_of_something_else_is_refused() {
        let receive = first_task(Workload::Receive, 10);
        let report = Report { messages: 10, bytes: 320, ..Report::default() };
        check(&receive, &report).unwrap();
        check(&receive, &Report { messages: 9, ..report.clone() }).unwrap_err();
        check(&receive, &Report { bytes: 319, ..report.clone() }).unwrap_err();
        check(&first_task(Workload::Echo, 10), &report).unwrap_err();
        check(&first_task(Workload::Idle, 0), &report).unwrap_err();
    }
}
