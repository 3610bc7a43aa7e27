//! The command-line contract: what a client is asked on its command line and answers as one line of JSON.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::system::raise_descriptor_limit;
pub use crate::workload::{Compression, Records, Takeover, Workload};

/// Bytes that are written at a time in `send`, where messages may share a write.
pub const WRITE: usize = 64 << 10;

/// One run of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is measured.
    pub workload: Workload,
    /// Where the load server listens.
    pub addr: SocketAddr,
    /// Bytes of payload a message.
    pub payload: usize,
    /// Messages (in `echo*`: round trips over all connections; in `connect*`: connections) in the measured part.
    pub messages: u64,
    /// Messages before the measured part; in `idle*`, connections that are opened before it, besides the others.
    pub warm_up: u64,
    /// Connections that are open at once; in `connect*`, under way.
    pub connections: usize,
    /// `receive-tls`: what a TLS record holds.
    pub records: Records,
    /// How messages are compressed, where they are.
    pub compression: Compression,
    /// `send`: each message is a write of its own; else as many share one as the client buffers, up to [`WRITE`] bytes.
    pub each: bool,
    /// With TLS: the certificate to trust, in PEM.
    pub root: Option<PathBuf>,
    /// `send-deflate`: a file with the messages to send, one a line, again and again.
    pub texts: Option<PathBuf>,
}

impl Task {
    /// Reads a client's command line, without the name of the program.
    ///
    /// # Errors
    /// An unknown workload or flag, a missing or malformed value.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        use lexopt::prelude::*;

        let mut parser = lexopt::Parser::from_args(arguments);
        let (mut workload, mut addr) = (None, None);
        let (mut payload, mut messages, mut warm_up, mut connections) = (32, 1, 0, 1);
        let (mut records, mut compression) = (Records::default(), Compression::DEFAULT);
        let (mut each, mut root, mut texts) = (false, None, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("addr") => addr = Some(parser.value()?.parse()?),
                Long("payload") => payload = parser.value()?.parse()?,
                Long("messages") => messages = parser.value()?.parse()?,
                Long("warm-up") => warm_up = parser.value()?.parse()?,
                Long("connections") => connections = parser.value()?.parse()?,
                Long("records") => {
                    let name = parser.value()?.string()?;
                    let known = || unknown("kind of records", &name, &["packed", "frame"]);
                    records = Records::by_name(&name).ok_or_else(known)?;
                }
                Long("takeover") => {
                    let name = parser.value()?.string()?;
                    let known = || unknown("takeover", &name, &["yes", "no"]);
                    compression.takeover = Takeover::by_name(&name).ok_or_else(known)?;
                }
                Long("each") => {
                    each = match parser.value()?.string()?.as_str() {
                        "yes" => true,
                        "no" => false,
                        other => return Err(unknown("each", other, &["yes", "no"]).into()),
                    }
                }
                Long("level") => compression.level = parser.value()?.parse()?,
                Long("root") => root = Some(parser.value()?.into()),
                Long("texts") => texts = Some(parser.value()?.into()),
                Value(name) if workload.is_none() => {
                    let name = name.string()?;
                    workload = Some(
                        Workload::by_name(&name)
                            .ok_or_else(|| unknown("workload", &name, &Workload::names()))?,
                    );
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let workload =
            workload.ok_or_else(|| format!("name a workload: {}", Workload::names().join(", ")))?;
        let addr = addr.ok_or("--addr is missing")?;
        if workload.is_tls() && root.is_none() {
            return Err("--root is missing".into());
        }
        if workload == Workload::SendDeflate && texts.is_none() {
            return Err("--texts is missing".into());
        }
        Ok(Self {
            workload,
            addr,
            payload,
            messages,
            warm_up,
            connections,
            records,
            compression,
            each,
            root,
            texts,
        })
    }

    /// The command line that [`Task::parse`] reads.
    pub fn arguments(&self) -> Vec<OsString> {
        let flags = [
            ("--addr", self.addr.to_string()),
            ("--payload", self.payload.to_string()),
            ("--messages", self.messages.to_string()),
            ("--warm-up", self.warm_up.to_string()),
            ("--connections", self.connections.to_string()),
            ("--records", self.records.name().to_owned()),
            ("--takeover", self.compression.takeover.name().to_owned()),
            ("--level", self.compression.level.to_string()),
            ("--each", if self.each { "yes" } else { "no" }.to_owned()),
        ];
        let flags = flags.map(|(flag, value)| (flag, OsString::from(value))).into_iter();
        let root = self.root.iter().map(|root| ("--root", root.into()));
        let texts = self.texts.iter().map(|texts| ("--texts", texts.into()));
        let pairs = flags.chain(root).chain(texts).flat_map(|(flag, value)| [OsString::from(flag), value]);
        std::iter::once(self.workload.name().into()).chain(pairs).collect()
    }

    /// The request target that makes the load server play its part.
    pub fn target(&self) -> String {
        let (payload, messages) = (self.payload, self.warm_up + self.messages);
        let takeover = self.compression.takeover.name();
        let sent = format!("warm-up={}&messages={}", self.warm_up, self.messages);
        match self.workload {
            Workload::Receive | Workload::ReceiveTls => {
                format!("/receive?payload={payload}&messages={messages}&records={}", self.records.name())
            }
            Workload::Send => format!("/send?{sent}"),
            Workload::Echo | Workload::EchoTls => "/echo".to_owned(),
            Workload::Connect | Workload::ConnectTls => "/connect".to_owned(),
            Workload::Idle | Workload::IdleTls => "/idle".to_owned(),
            Workload::ReceiveDeflate => {
                format!("/receive-deflate?payload={payload}&messages={messages}&takeover={takeover}")
            }
            Workload::SendDeflate => format!("/send-deflate?{sent}&takeover={takeover}"),
            Workload::IdleDeflate => format!("/idle-deflate?payload={payload}&takeover={takeover}"),
        }
    }

    /// The URL of the load server, [`Task::target`] included.
    pub fn url(&self) -> String {
        let scheme = if self.workload.is_tls() { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.addr, self.target())
    }
}

/// What a client measured: its one line of output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Messages in the measured part.
    pub messages: u64,
    /// Bytes of payload in the measured part.
    pub bytes: u64,
    /// User and system time of the process over the measured part.
    pub cpu_ns: u64,
    /// Elapsed time of the measured part.
    pub wall_ns: u64,
    /// `idle`: what the resident memory of the process grew by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Bytes of the measured part on the wire, frame headers included, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<u64>,
    /// Heap allocations in the measured part, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// `echo*`: median round trip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_ns: Option<u64>,
    /// `echo*`: the round trip that one in ten exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p90_ns: Option<u64>,
    /// `echo*`: the round trip that one in a hundred exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_ns: Option<u64>,
    /// `echo*`: the round trip that one in a thousand exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_9_ns: Option<u64>,
    /// `echo*`: the round trip that one in ten thousand exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_99_ns: Option<u64>,
}

/// The whole of a client's `main`: reads the command line, raises the descriptor limit, runs, prints
/// the report.
pub fn client_main(run: impl FnOnce(&Task) -> Result<Report>) -> ExitCode {
    let line = || -> Result<String> {
        let task = Task::parse(std::env::args_os().skip(1))?;
        raise_descriptor_limit()?;
        Ok(serde_json::to_string(&run(&task)?)?)
    };
    match line() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Text of `length` bytes that looks like a feed of JSON records. ASCII only, as most feeds are.
pub fn payload(length: usize) -> String {
    const RECORD: &str = r#"{"symbol":"ABC-XYZ","side":"buy","price":"43210.50","size":"0.0125"},"#;
    RECORD.chars().cycle().take(length).collect()
}

/// The message for a name that is on no list.
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    format!("unknown {kind} '{name}'; known are: {}", known.join(", "))
}

/// The error for the first of `names` that is on no list.
///
/// # Errors
/// There is one.
pub fn refuse_unknown(kind: &str, names: &[String], known: &[&str]) -> Result<()> {
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(unknown(kind, name, known).into()),
        None => Ok(()),
    }
}

/// The names in a value of the form `A,B`.
///
/// # Errors
/// It is no text.
pub fn list(value: OsString) -> Result<Vec<String>> {
    use lexopt::ValueExt as _;

    Ok(value.string()?.split(',').map(|name| name.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task> {
        Task::parse(line.split(' ').map(OsString::from))
    }

    fn task() -> Task {
        Task {
            workload: Workload::Receive,
            addr: SocketAddr::from(([127, 0, 0, 1], 9)),
            payload: 256,
            messages: 1000,
            warm_up: 10,
            connections: 1,
            records: Records::Packed,
            compression: Compression::DEFAULT,
            each: false,
            root: None,
            texts: None,
        }
    }

    #[test]
    fn a_task_survives_its_command_line() {
        for workload in Workload::ALL {
            for records in [Records::Packed, Records::Frame] {
                let root = workload.is_tls().then(|| PathBuf::from("root.pem"));
                let texts = (workload == Workload::SendDeflate).then(|| PathBuf::from("texts"));
                let compression = Compression { takeover: Takeover::No, level: 6 };
                let each = records == Records::Frame;
                let task = Task { workload, records, compression, each, root, texts, ..task() };
                assert_eq!(Task::parse(task.arguments()).unwrap(), task);
            }
        }
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        let message = |line| parse(line).unwrap_err().to_string();
        assert_eq!(
            message("recieve --addr 127.0.0.1:9"),
            format!("unknown workload 'recieve'; known are: {}", Workload::names().join(", "))
        );
        assert_eq!(
            message("--addr 127.0.0.1:9"),
            format!("name a workload: {}", Workload::names().join(", "))
        );
        assert_eq!(message("echo"), "--addr is missing");
        assert!(message("echo --addr 127.0.0.1:9 --speed 3").contains("--speed"));
        assert!(message("echo --addr 127.0.0.1:9 --messages many").contains("many"));
        assert!(message("echo --addr 127.0.0.1:9 idle").contains("idle"));
        assert_eq!(message("idle-tls --addr 127.0.0.1:9"), "--root is missing");
        assert_eq!(message("send-deflate --addr 127.0.0.1:9"), "--texts is missing");
        assert_eq!(
            message("receive --addr 127.0.0.1:9 --takeover some"),
            "unknown takeover 'some'; known are: yes, no"
        );
        assert_eq!(message("send --addr 127.0.0.1:9 --each some"), "unknown each 'some'; known are: yes, no");
        assert_eq!(
            message("receive --addr 127.0.0.1:9 --records some"),
            "unknown kind of records 'some'; known are: packed, frame"
        );
    }

    #[test]
    fn the_target_asks_for_the_warm_up_too() {
        assert_eq!(task().url(), "ws://127.0.0.1:9/receive?payload=256&messages=1010&records=packed");
        let tls = Task { workload: Workload::ReceiveTls, records: Records::Frame, ..task() };
        assert_eq!(tls.url(), "wss://127.0.0.1:9/receive?payload=256&messages=1010&records=frame");
        assert_eq!(Task { workload: Workload::Idle, ..task() }.target(), "/idle");
        assert_eq!(Task { workload: Workload::ConnectTls, ..task() }.url(), "wss://127.0.0.1:9/connect");
        let target = |workload| Task { workload, ..task() }.target();
        assert_eq!(
            target(Workload::ReceiveDeflate),
            "/receive-deflate?payload=256&messages=1010&takeover=yes"
        );
        assert_eq!(target(Workload::Send), "/send?warm-up=10&messages=1000");
        assert_eq!(target(Workload::SendDeflate), "/send-deflate?warm-up=10&messages=1000&takeover=yes");
        assert_eq!(target(Workload::IdleDeflate), "/idle-deflate?payload=256&takeover=yes");
    }

    #[test]
    fn a_report_needs_no_more_than_its_four_figures() {
        let line = r#"{"messages":1,"bytes":2,"cpu_ns":3,"wall_ns":4}"#;
        let report: Report = serde_json::from_str(line).unwrap();
        assert_eq!(report, Report { messages: 1, bytes: 2, cpu_ns: 3, wall_ns: 4, ..Report::default() });
        assert_eq!(serde_json::to_string(&report).unwrap(), line);
    }

    #[test]
    fn a_payload_has_its_length_and_is_ascii() {
        for length in [0, 1, 32, 1000] {
            assert_eq!(payload(length).len(), length);
            assert!(payload(length).is_ascii());
        }
    }
}
