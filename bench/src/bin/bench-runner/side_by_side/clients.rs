//! The clients, as data. A new one is an entry here and a program that keeps the contract of `bench/README.md`.

use serde::Serialize;
use websocket_bench::contract::Workload;

/// What a client is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// What the work must cost at least.
    Floor,
    /// Another project's client.
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
    /// What it does not do, which its users might expect and others pay for; empty where there is nothing.
    pub(crate) leaves_out: &'static str,
}

/// This project.
pub(crate) const OURS: &str = "ours";
/// The floor that ratios refer to.
pub(crate) const FLOOR: &str = "min-ws";
/// The floor below the floor.
pub(crate) const RAW: &str = "raw";

/// What the first floor can do.
const FLOOR_WORKLOADS: [Workload; 10] = [
    Workload::Receive,
    Workload::Send,
    Workload::Echo,
    Workload::Connect,
    Workload::Idle,
    Workload::ReceiveTls,
    Workload::EchoTls,
    Workload::ConnectTls,
    Workload::IdleTls,
    Workload::ReceiveDeflate,
];

const FLOOR_LEAVES_OUT: &str =
    "fragments, control frames, limits, timers, random keys that are fit for cryptography";

/// What those do that spin where others sleep.
const SPINNING: [Workload; 2] = [Workload::Echo, Workload::EchoTls];

/// What is measured of connections as streams.
const STREAM: [Workload; 2] = [Workload::Receive, Workload::Echo];

/// What the peers on tokio do.
const ON_TOKIO: [Workload; 8] = [
    Workload::Receive,
    Workload::Send,
    Workload::Echo,
    Workload::Connect,
    Workload::Idle,
    Workload::ReceiveTls,
    Workload::EchoTls,
    Workload::ConnectTls,
];

/// What those of them do whose connecting is the benchmark's.
const AFTER_UPGRADE: [Workload; 6] = [
    Workload::Receive,
    Workload::Send,
    Workload::Echo,
    Workload::Idle,
    Workload::ReceiveTls,
    Workload::EchoTls,
];

/// What nexus-web does here.
const NEXUS_WEB: [Workload; 5] =
    [Workload::Receive, Workload::Send, Workload::Echo, Workload::Idle, Workload::ReceiveTls];

/// What peers do that have no TLS here.
const WITHOUT_TLS: [Workload; 4] = [Workload::Receive, Workload::Send, Workload::Echo, Workload::Idle];

/// What yawc does: all that those on tokio do, and compression.
const YAWC: [Workload; 11] = [
    Workload::Receive,
    Workload::Send,
    Workload::Echo,
    Workload::Connect,
    Workload::Idle,
    Workload::ReceiveTls,
    Workload::EchoTls,
    Workload::ConnectTls,
    Workload::ReceiveDeflate,
    Workload::SendDeflate,
    Workload::IdleDeflate,
];

/// Every client, in the order in which a round runs them.
pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: RAW,
        role: Role::Floor,
        workloads: &[Workload::Receive, Workload::Send],
        leaves_out: "everything but reading and writing: frames, masking, validation",
    },
    Client { name: FLOOR, role: Role::Floor, workloads: &FLOOR_WORKLOADS, leaves_out: FLOOR_LEAVES_OUT },
    Client { name: "min-ws-busy", role: Role::Floor, workloads: &SPINNING, leaves_out: FLOOR_LEAVES_OUT },
    Client { name: OURS, role: Role::Ours, workloads: &Workload::ALL, leaves_out: "" },
    Client { name: "ours-busy", role: Role::Ours, workloads: &SPINNING, leaves_out: "" },
    Client { name: "stream", role: Role::Ours, workloads: &STREAM, leaves_out: "" },
    Client { name: "stream-thread", role: Role::Ours, workloads: &STREAM, leaves_out: "" },
    Client { name: "tungstenite", role: Role::Peer, workloads: &Workload::PLAIN, leaves_out: "" },
    Client {
        name: "tokio-tungstenite",
        role: Role::Peer,
        workloads: &Workload::UNCOMPRESSED,
        leaves_out: "",
    },
    Client { name: "tokio-websockets", role: Role::Peer, workloads: &ON_TOKIO, leaves_out: "" },
    Client {
        name: "fastwebsockets",
        role: Role::Peer,
        workloads: &AFTER_UPGRADE,
        leaves_out: "connecting and the upgrade, which are the benchmark's",
    },
    Client { name: "sockudo-ws", role: Role::Peer, workloads: &ON_TOKIO, leaves_out: "" },
    Client {
        name: "web-socket",
        role: Role::Peer,
        workloads: &AFTER_UPGRADE,
        leaves_out: "connecting, the upgrade and checking texts, which are the benchmark's; joining fragments, answering pings",
    },
    Client {
        name: "nexus-web",
        role: Role::Peer,
        workloads: &NEXUS_WEB,
        leaves_out: "answering pings, a queue for what a socket does not take",
    },
    Client {
        name: "boomnet",
        role: Role::Peer,
        workloads: &WITHOUT_TLS,
        leaves_out: "masking (its keys are zero), joining fragments, checking texts (the benchmark does), checking the response to the upgrade, limits, a queue for what a socket does not take",
    },
    Client {
        name: "ergon-io",
        role: Role::Peer,
        workloads: &[Workload::Receive, Workload::Send, Workload::Echo],
        leaves_out: "all but the codec: the loop, its buffers, checking texts and masking keys are the benchmark's; joining fragments, answering pings, limits",
    },
    Client { name: "yawc", role: Role::Peer, workloads: &YAWC, leaves_out: "" },
    Client {
        name: "picows",
        role: Role::Peer,
        workloads: &WITHOUT_TLS,
        leaves_out: "unpredictable masking keys (they are from C's rand), joining fragments",
    },
    Client { name: "websockets", role: Role::Peer, workloads: &Workload::DEFLATE, leaves_out: "" },
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
