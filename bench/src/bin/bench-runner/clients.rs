//! The clients, as data. A new one is one line here and a program that keeps the contract of `bench/README.md`.

use serde::Serialize;
use websocket_bench::contract::Workload;

/// What a client is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// What the work must cost at least.
    Floor,
    /// Somebody else's client.
    Peer,
    /// What this project makes.
    Ours,
}

/// A client of the benchmark; its program is called `bench-client-<name>`.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) workloads: &'static [Workload],
}

/// The floor that ratios refer to.
pub(crate) const FLOOR: &str = "min-ws";
/// The floor below the floor.
pub(crate) const RAW: &str = "raw";

/// What the first floor can do.
const FLOOR_WORKLOADS: [Workload; 7] = [
    Workload::Receive,
    Workload::Send,
    Workload::Echo,
    Workload::Idle,
    Workload::ReceiveTls,
    Workload::IdleTls,
    Workload::ReceiveDeflate,
];

/// Every client, in the order in which a round runs them.
pub(crate) const CLIENTS: &[Client] = &[
    Client { name: RAW, role: Role::Floor, workloads: &[Workload::Receive, Workload::Send] },
    Client { name: FLOOR, role: Role::Floor, workloads: &FLOOR_WORKLOADS },
    Client { name: "ours", role: Role::Ours, workloads: &Workload::ALL },
    Client { name: "tungstenite", role: Role::Peer, workloads: &Workload::PLAIN },
    Client { name: "tokio-tungstenite", role: Role::Peer, workloads: &Workload::UNCOMPRESSED },
    Client { name: "yawc", role: Role::Peer, workloads: &Workload::DEFLATE },
    Client { name: "websockets", role: Role::Peer, workloads: &Workload::DEFLATE },
];

impl Client {
    /// Whether it takes part in a workload.
    pub(crate) fn runs(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }

    /// The name of its program.
    pub(crate) fn program(&self) -> String {
        format!("bench-client-{}", self.name)
    }
}
