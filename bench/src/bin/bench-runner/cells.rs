//! The cells of each workload: what its table has a group of rows for.

use websocket_bench::contract::{Records, Workload};

/// One size of one workload.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    pub(crate) payload: usize,
    pub(crate) connections: usize,
    pub(crate) records: Records,
}

const RECEIVE: &[Cell] = &[
    receive("32B", 32),
    receive("256B", 256),
    receive("1KiB", 1024),
    receive("16KiB", 16 * 1024),
    receive("1MiB", 1024 * 1024),
];
const ECHO: &[Cell] = &[echo("1", 1), echo("100", 100), echo("1000", 1000)];
const IDLE: &[Cell] = &[idle("10000", 10_000)];
const QUICK_IDLE: &[Cell] = &[idle("1000", 1000)];
const RECEIVE_TLS: &[Cell] =
    &[receive_tls("1KiB", 1024, Records::Packed), receive_tls("1KiB-record", 1024, Records::Frame)];
const IDLE_TLS: &[Cell] = &[idle_tls("2000", 2000)];
const QUICK_IDLE_TLS: &[Cell] = &[idle_tls("200", 200)];

/// The cells of a workload; `quick` is the scale of a smoke test.
pub(crate) fn cells(workload: Workload, quick: bool) -> &'static [Cell] {
    match workload {
        Workload::Receive => RECEIVE,
        Workload::Echo => ECHO,
        Workload::Idle if quick => QUICK_IDLE,
        Workload::Idle => IDLE,
        Workload::ReceiveTls => RECEIVE_TLS,
        Workload::IdleTls if quick => QUICK_IDLE_TLS,
        Workload::IdleTls => IDLE_TLS,
    }
}

const fn receive(name: &'static str, payload: usize) -> Cell {
    Cell { workload: Workload::Receive, name, payload, connections: 1, records: Records::Packed }
}

const fn echo(name: &'static str, connections: usize) -> Cell {
    Cell { workload: Workload::Echo, name, payload: 32, connections, records: Records::Packed }
}

const fn idle(name: &'static str, connections: usize) -> Cell {
    Cell { workload: Workload::Idle, name, payload: 32, connections, records: Records::Packed }
}

const fn receive_tls(name: &'static str, payload: usize, records: Records) -> Cell {
    Cell { workload: Workload::ReceiveTls, records, ..receive(name, payload) }
}

const fn idle_tls(name: &'static str, connections: usize) -> Cell {
    Cell { workload: Workload::IdleTls, ..idle(name, connections) }
}
