//! The cells of each workload: what its table has a group of rows for.

use websocket_bench::contract::{Compression, Records, Takeover, Workload};

/// One size of one workload.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    pub(crate) payload: usize,
    pub(crate) connections: usize,
    pub(crate) records: Records,
    pub(crate) compression: Compression,
    pub(crate) each: bool,
    /// Whether the server lets TLS sessions be resumed.
    pub(crate) resumption: bool,
}

const RECEIVE: &[Cell] = &[
    receive("32B", 32),
    receive("256B", 256),
    receive("1KiB", 1024),
    receive("16KiB", 16 * 1024),
    receive("1MiB", 1024 * 1024),
];
const SEND: &[Cell] = &[
    send("32B", 32),
    Cell { each: true, ..send("32B-each", 32) },
    send("1KiB", 1024),
    send("16KiB", 16 * 1024),
    send("1MiB", 1024 * 1024),
];
const ECHO: &[Cell] = &[echo("1", 1), echo("100", 100), echo("1000", 1000), echo("9500", 9500)];
const QUICK_ECHO: &[Cell] = &[echo("1", 1), echo("100", 100), echo("1000", 1000)];
const ECHO_TLS: &[Cell] = &[echo_tls("1", 1), echo_tls("100", 100)];
const CONNECT: &[Cell] = &[connect(Workload::Connect, "1", 1), connect(Workload::Connect, "16", 16)];
const CONNECT_TLS: &[Cell] = &[
    full(connect(Workload::ConnectTls, "1-full", 1)),
    full(connect(Workload::ConnectTls, "16-full", 16)),
    connect(Workload::ConnectTls, "1-resumed", 1),
    connect(Workload::ConnectTls, "16-resumed", 16),
];
const IDLE: &[Cell] = &[idle("10000", 10_000)];
const QUICK_IDLE: &[Cell] = &[idle("1000", 1000)];
const RECEIVE_TLS: &[Cell] =
    &[receive_tls("1KiB", 1024, Records::Packed), receive_tls("1KiB-record", 1024, Records::Frame)];
const IDLE_TLS: &[Cell] = &[idle_tls("2000", 2000)];
const QUICK_IDLE_TLS: &[Cell] = &[idle_tls("200", 200)];

/// A message of the feed that is compressed.
const FEED: usize = 300;
const LARGE: usize = 64 * 1024;
const ANEW: Compression = Compression { takeover: Takeover::No, ..Compression::DEFAULT };
const RECEIVE_DEFLATE: &[Cell] = &[
    receive_deflate("300B", FEED, Compression::DEFAULT),
    receive_deflate("64KiB", LARGE, Compression::DEFAULT),
    receive_deflate("300B-anew", FEED, ANEW),
    receive_deflate("64KiB-anew", LARGE, ANEW),
];
const SEND_DEFLATE: &[Cell] = &[
    send_deflate("300B", FEED, Compression::DEFAULT),
    send_deflate("64KiB", LARGE, Compression::DEFAULT),
    send_deflate("300B-anew", FEED, ANEW),
    send_deflate("64KiB-anew", LARGE, ANEW),
    send_deflate("300B-3", FEED, level(3)),
    send_deflate("64KiB-3", LARGE, level(3)),
    send_deflate("300B-6", FEED, level(6)),
    send_deflate("64KiB-6", LARGE, level(6)),
];
const IDLE_DEFLATE: &[Cell] = &[
    idle_deflate("300B", FEED, 500, Compression::DEFAULT),
    idle_deflate("64KiB", LARGE, 500, Compression::DEFAULT),
    idle_deflate("300B-anew", FEED, 2000, ANEW),
    idle_deflate("64KiB-anew", LARGE, 2000, ANEW),
];
const QUICK_IDLE_DEFLATE: &[Cell] = &[
    idle_deflate("300B", FEED, 50, Compression::DEFAULT),
    idle_deflate("64KiB", LARGE, 50, Compression::DEFAULT),
    idle_deflate("300B-anew", FEED, 100, ANEW),
    idle_deflate("64KiB-anew", LARGE, 100, ANEW),
];

/// The cells of a workload; `quick` is the scale of a smoke test.
pub(crate) fn cells(workload: Workload, quick: bool) -> &'static [Cell] {
    match workload {
        Workload::Receive => RECEIVE,
        Workload::Send => SEND,
        Workload::Echo if quick => QUICK_ECHO,
        Workload::Echo => ECHO,
        Workload::EchoTls => ECHO_TLS,
        Workload::Connect => CONNECT,
        Workload::ConnectTls => CONNECT_TLS,
        Workload::Idle if quick => QUICK_IDLE,
        Workload::Idle => IDLE,
        Workload::ReceiveTls => RECEIVE_TLS,
        Workload::IdleTls if quick => QUICK_IDLE_TLS,
        Workload::IdleTls => IDLE_TLS,
        Workload::ReceiveDeflate => RECEIVE_DEFLATE,
        Workload::SendDeflate => SEND_DEFLATE,
        Workload::IdleDeflate if quick => QUICK_IDLE_DEFLATE,
        Workload::IdleDeflate => IDLE_DEFLATE,
    }
}

const fn cell(workload: Workload, name: &'static str, payload: usize, connections: usize) -> Cell {
    let (records, compression) = (Records::Packed, Compression::DEFAULT);
    Cell { workload, name, payload, connections, records, compression, each: false, resumption: true }
}

const fn receive(name: &'static str, payload: usize) -> Cell {
    cell(Workload::Receive, name, payload, 1)
}

const fn send(name: &'static str, payload: usize) -> Cell {
    cell(Workload::Send, name, payload, 1)
}

const fn echo(name: &'static str, connections: usize) -> Cell {
    cell(Workload::Echo, name, 32, connections)
}

const fn echo_tls(name: &'static str, connections: usize) -> Cell {
    cell(Workload::EchoTls, name, 32, connections)
}

/// With so many connections under way.
const fn connect(workload: Workload, name: &'static str, connections: usize) -> Cell {
    cell(workload, name, 0, connections)
}

/// Every handshake is a full one.
const fn full(cell: Cell) -> Cell {
    Cell { resumption: false, ..cell }
}

const fn idle(name: &'static str, connections: usize) -> Cell {
    cell(Workload::Idle, name, 32, connections)
}

const fn receive_tls(name: &'static str, payload: usize, records: Records) -> Cell {
    Cell { records, ..cell(Workload::ReceiveTls, name, payload, 1) }
}

const fn idle_tls(name: &'static str, connections: usize) -> Cell {
    cell(Workload::IdleTls, name, 32, connections)
}

const fn receive_deflate(name: &'static str, payload: usize, compression: Compression) -> Cell {
    Cell { compression, ..cell(Workload::ReceiveDeflate, name, payload, 1) }
}

const fn level(level: u8) -> Compression {
    Compression { level, ..Compression::DEFAULT }
}

const fn send_deflate(name: &'static str, payload: usize, compression: Compression) -> Cell {
    Cell { compression, ..cell(Workload::SendDeflate, name, payload, 1) }
}

const fn idle_deflate(
    name: &'static str,
    payload: usize,
    connections: usize,
    compression: Compression,
) -> Cell {
    Cell { compression, ..cell(Workload::IdleDeflate, name, payload, connections) }
}
