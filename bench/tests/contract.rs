//! Every client keeps the command-line contract against the load server.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use websocket_bench::arrivals::Arrivals;
use websocket_bench::contract::{Compression, Records, Report, Takeover, Task, Workload};
use websocket_bench::feed::texts;

const RAW: &str = env!("CARGO_BIN_EXE_bench-client-raw");
const MIN_WS: &str = env!("CARGO_BIN_EXE_bench-client-min-ws");
const MIN_WS_BUSY: &str = env!("CARGO_BIN_EXE_bench-client-min-ws-busy");
const OURS: &str = env!("CARGO_BIN_EXE_bench-client-ours");
const OURS_BUSY: &str = env!("CARGO_BIN_EXE_bench-client-ours-busy");
const TOKIO_TUNGSTENITE: &str = env!("CARGO_BIN_EXE_bench-client-tokio-tungstenite");
const TUNGSTENITE: &str = env!("CARGO_BIN_EXE_bench-client-tungstenite");

/// Ends with its standard input; dropping it waits for that.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    addr: SocketAddr,
    root: Option<PathBuf>,
}

impl Server {
    fn start() -> Self {
        Self::with(None, &[])
    }

    /// One that speaks TLS; the name is that of a file.
    fn secure(name: &str) -> Self {
        Self::with(Some(name), &[])
    }

    fn with(root: Option<&str>, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench-server"));
        let root = root.map(|name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        if let Some(root) = &root {
            command.arg("--root").arg(root);
        }
        let mut child = command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], line.trim().parse().unwrap()));
        Self { child, stdout, addr, root }
    }

    /// How connections have arrived when none waits any longer.
    fn arrivals(&mut self) -> Arrivals {
        loop {
            self.child.stdin.as_mut().unwrap().write_all(b"arrivals\n").unwrap();
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            let arrivals: Arrivals = serde_json::from_str(&line).unwrap();
            if arrivals.waiting == 0 {
                return arrivals;
            }
        }
    }

    fn task(&self, workload: Workload) -> Task {
        let (records, compression, root) = (Records::Packed, Compression::DEFAULT, self.root.clone());
        Task {
            workload,
            addr: self.addr,
            payload: 32,
            messages: 500,
            warm_up: 50,
            connections: 1,
            records,
            compression,
            each: false,
            root,
            texts: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success() || std::thread::panicking());
    }
}

fn output(client: &str, task: &Task) -> Output {
    Command::new(client).args(task.arguments()).output().unwrap()
}

fn report(client: &str, task: &Task) -> Report {
    let Output { status, stdout, stderr } = output(client, task);
    assert!(status.success(), "{client} {task:?}: {}", String::from_utf8_lossy(&stderr));
    let stdout = String::from_utf8(stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn receive_reports_exactly_the_messages_asked_for() {
    let server = Server::start();
    for client in [RAW, MIN_WS, OURS, TUNGSTENITE, TOKIO_TUNGSTENITE] {
        for payload in [1, 32, 126, 70_000, 300_000] {
            let task = Task { payload, ..server.task(Workload::Receive) };
            let report = report(client, &task);
            assert_eq!((report.messages, report.bytes), (500, 500 * payload as u64), "{client}");
        }
    }
}

#[test]
fn send_reports_what_the_server_got() {
    let server = Server::start();
    for client in [RAW, MIN_WS, OURS, TUNGSTENITE, TOKIO_TUNGSTENITE] {
        for (payload, header) in [(1, 6), (32, 6), (126, 8), (70_000, 14)] {
            for each in [false, true] {
                let task = Task { payload, each, ..server.task(Workload::Send) };
                let report = report(client, &task);
                let (bytes, wire) = (500 * payload as u64, 500 * (header + payload as u64));
                assert_eq!(
                    (report.messages, report.bytes, report.wire_bytes),
                    (500, bytes, Some(wire)),
                    "{client}"
                );
            }
        }
    }
}

#[test]
fn echo_reports_round_trips_and_their_latency() {
    let server = Server::start();
    for client in [MIN_WS, MIN_WS_BUSY, OURS, OURS_BUSY, TUNGSTENITE, TOKIO_TUNGSTENITE] {
        echoes(client, &server.task(Workload::Echo));
    }
}

#[test]
fn echo_over_tls_reports_the_same() {
    let server = Server::secure("echo.pem");
    for client in [MIN_WS, MIN_WS_BUSY, OURS, OURS_BUSY, TOKIO_TUNGSTENITE] {
        echoes(client, &server.task(Workload::EchoTls));
    }
}

fn echoes(client: &str, task: &Task) {
    for connections in [1, 30] {
        let report = report(client, &Task { connections, ..task.clone() });
        assert_eq!((report.messages, report.bytes), (500, 500 * 32), "{client}");
        let latencies = [
            report.latency_p50_ns,
            report.latency_p90_ns,
            report.latency_p99_ns,
            report.latency_p99_9_ns,
            report.latency_p99_99_ns,
        ];
        assert!(latencies.is_sorted() && latencies[0].is_some(), "{client}: {latencies:?}");
    }
}

#[test]
fn connect_reports_the_connections_asked_for() {
    for client in [MIN_WS, OURS, TUNGSTENITE, TOKIO_TUNGSTENITE] {
        let mut server = Server::start();
        connects(client, &server.task(Workload::Connect));
        let Arrivals { accepted, upgraded, most_waiting, .. } = server.arrivals();
        assert_eq!((accepted, upgraded), (100, 100), "{client}");
        assert!(most_waiting <= 16, "{client}: {most_waiting}");
    }
}

#[test]
fn connect_over_tls_resumes_sessions_where_the_server_lets_it() {
    for client in [MIN_WS, OURS, TOKIO_TUNGSTENITE] {
        // Those that begin before others are open need a full handshake.
        for (options, resumable) in [(&[][..], 50..100), (&["--no-resumption"], 0..1)] {
            let mut server = Server::with(Some("connect.pem"), options);
            connects(client, &server.task(Workload::ConnectTls));
            let Arrivals { upgraded, resumed, .. } = server.arrivals();
            assert_eq!(upgraded, 100, "{client}");
            assert!(resumable.contains(&resumed), "{client}: {resumed}");
        }
    }
}

/// Opens 100 connections.
fn connects(client: &str, task: &Task) {
    for connections in [1, 16] {
        let task = Task { connections, payload: 0, messages: 40, warm_up: 10, ..task.clone() };
        let report = report(client, &task);
        assert_eq!((report.messages, report.bytes), (40, 0), "{client}");
    }
}

#[test]
fn idle_reports_memory() {
    let server = Server::start();
    for client in [MIN_WS, OURS, TUNGSTENITE, TOKIO_TUNGSTENITE] {
        let task = Task { connections: 20, warm_up: 3, ..server.task(Workload::Idle) };
        assert!(report(client, &task).rss_bytes.is_some(), "{client}");
    }
}

#[test]
fn receive_over_tls_is_the_same_however_records_are_cut() {
    let server = Server::secure("receive.pem");
    for client in [MIN_WS, OURS, TOKIO_TUNGSTENITE] {
        for payload in [1, 126, 1024, 70_000] {
            for records in [Records::Packed, Records::Frame] {
                let task = Task { payload, records, ..server.task(Workload::ReceiveTls) };
                let report = report(client, &task);
                assert_eq!((report.messages, report.bytes), (500, 500 * payload as u64), "{client}");
            }
        }
    }
}

#[test]
fn idle_over_tls_reports_memory() {
    let server = Server::secure("idle.pem");
    for client in [MIN_WS, OURS, TOKIO_TUNGSTENITE] {
        let task = Task { connections: 20, warm_up: 3, ..server.task(Workload::IdleTls) };
        assert!(report(client, &task).rss_bytes.is_some(), "{client}");
    }
}

const MODES: [Compression; 2] = [Compression::DEFAULT, Compression { takeover: Takeover::No, level: 6 }];

#[test]
fn receive_deflate_reports_what_was_inflated() {
    let server = Server::start();
    for client in [MIN_WS, OURS] {
        for (payload, compression) in [300, 70_000].into_iter().zip(MODES) {
            let task = Task { payload, compression, ..server.task(Workload::ReceiveDeflate) };
            let report = report(client, &task);
            assert_eq!((report.messages, report.bytes), (500, 500 * payload as u64), "{client}");
        }
    }
}

#[test]
fn send_deflate_reports_what_the_server_got() {
    let server = Server::start();
    for (payload, compression) in [300, 20_000].into_iter().zip(MODES) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("texts-{payload}"));
        std::fs::write(&path, texts(payload).collect::<Vec<_>>().join("\n")).unwrap();
        let texts = Some(path);
        let report =
            report(OURS, &Task { payload, compression, texts, ..server.task(Workload::SendDeflate) });
        assert_eq!((report.messages, report.bytes), (500, 500 * payload as u64));
        assert!((1..report.bytes).contains(&report.wire_bytes.unwrap()));
    }
}

#[test]
fn idle_deflate_reports_memory() {
    let server = Server::start();
    for compression in MODES {
        let (connections, warm_up) = (20, 3);
        let task =
            Task { connections, warm_up, payload: 300, compression, ..server.task(Workload::IdleDeflate) };
        assert!(report(OURS, &task).rss_bytes.is_some());
    }
}

#[test]
fn a_server_that_is_not_trusted_is_no_server() {
    let (server, other) = (Server::secure("one.pem"), Server::secure("other.pem"));
    for client in [MIN_WS, OURS, TOKIO_TUNGSTENITE] {
        let task = Task { root: other.root.clone(), ..server.task(Workload::ReceiveTls) };
        assert!(!output(client, &task).status.success(), "{client}");
    }
}

#[test]
fn a_workload_that_a_client_does_not_have_is_an_error() {
    let server = Server::start();
    let Output { status, stdout, stderr } = output(RAW, &server.task(Workload::Echo));
    assert!(!status.success() && stdout.is_empty());
    assert_eq!(String::from_utf8(stderr).unwrap(), "error: raw has no 'echo'; it knows receive and send\n");
}

#[test]
fn the_server_says_what_is_wrong_with_a_request() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.write_all(b"GET /other HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(
        response.ends_with(
            "known are: /receive, /send, /echo, /connect, /idle, /receive-deflate, /send-deflate, /idle-deflate"
        ),
        "{response}"
    );
}
