//! What the seeds together have done: a simulation that no longer reaches something must not pass for it.

use std::collections::BTreeMap;

/// What the default seeds must have done, each [`OFTEN`] times at least.
pub const WANTED: [&str; 149] = [
    "a panic went on",
    "a run ended: cleanly",
    "a run ended: lost",
    "a run ended: stopped",
    "a stream of the user's own",
    "a turn has used up its budget",
    "acted between turns",
    "an interval was cancelled",
    "asked again, with an answer to the challenge",
    "asked again on the same connection, with an answer to the challenge",
    "asked on another connection, as the server has closed the first",
    "asked to reconnect while closing",
    "asked to reconnect while open",
    "asked to reconnect while waiting",
    "closed before the start",
    "closed by a sender while closing",
    "closed by a sender while connecting",
    "closed by a sender while ended",
    "closed by a sender while new",
    "closed by a sender while open",
    "closed by a sender while resolving",
    "closed by a sender while upgrading",
    "closed by a sender while waiting",
    "closed in a callback while closing",
    "closed in a callback while connecting",
    "closed in a callback while ended",
    "closed in a callback while new",
    "closed in a callback while open",
    "closed in a callback while resolving",
    "closed in a callback while upgrading",
    "closed in a callback while waiting",
    "closes crossed",
    "closure while closing",
    "closure while connecting",
    "closure while new",
    "closure while open",
    "closure while resolving",
    "closure while upgrading",
    "closure while waiting",
    "compressed: heard",
    "compressed: said",
    "drained",
    "ended cleanly by the client while closing",
    "ended cleanly by the server while closing",
    "ended cleanly by the server while open",
    "ended lost while closing",
    "ended lost while connecting",
    "ended lost while open",
    "ended lost while resolving",
    "ended lost while upgrading",
    "ended without an answer while closing",
    "ended without an answer while connecting",
    "ended without an answer while new",
    "ended without an answer while open",
    "ended without an answer while resolving",
    "ended without an answer while upgrading",
    "failed while closing: Close timeout",
    "failed while closing: Protocol",
    "failed while connecting: Attempt timeout",
    "failed while connecting: Connect timeout",
    "failed while connecting: Connect(AddrInUse)",
    "failed while connecting: Connect(ConnectionRefused)",
    "failed while connecting: Connect(HostUnreachable)",
    "failed while connecting: NoResponse(ConnectionReset)",
    "failed while connecting: Url",
    "failed while open: ConnectionReset",
    "failed while open: EndOfStream",
    "failed while open: Pong timeout",
    "failed while open: Protocol",
    "failed while open: ReconnectRequested",
    "failed while open: Silence timeout",
    "failed while open: Write timeout",
    "failed while resolving: Attempt timeout",
    "failed while resolving: Resolve",
    "failed while resolving: Resolve timeout",
    "failed while upgrading: Attempt timeout",
    "failed while upgrading: ConnectionReset",
    "failed while upgrading: NoResponse",
    "failed while upgrading: status 300",
    "failed while upgrading: status 429",
    "failed while upgrading: status 503",
    "failed while upgrading: Upgrade timeout",
    "given up by a limit",
    "given up by the verdict",
    "heard: fragments",
    "heard: messages",
    "heard: pings",
    "heard: pongs",
    "heard: round-trip times",
    "on_drain while open",
    "opened",
    "opened again",
    "overslept",
    "panicked in a closure of the reactor's",
    "panicked in closure",
    "panicked in on_close",
    "panicked in on_data",
    "panicked in on_drain",
    "panicked in on_error",
    "panicked in on_message",
    "panicked in on_open",
    "panicked in on_pong",
    "panicked in timer",
    "panicked in url_with",
    "paused",
    "refused: the queue is full",
    "removed while closing",
    "removed while connecting",
    "removed while ended",
    "removed while new",
    "removed while open",
    "removed while resolving",
    "removed while upgrading",
    "removed while waiting",
    "resumed",
    "retried",
    "Retry-After kept",
    "sent on a later connection",
    "slow: authorize_with",
    "slow: classify",
    "slow: closure",
    "slow: header_with",
    "slow: on_close",
    "slow: on_cont_message",
    "slow: on_data",
    "slow: on_drain",
    "slow: on_end",
    "slow: on_error",
    "slow: on_message",
    "slow: on_open",
    "slow: on_ping",
    "slow: on_pong",
    "slow: on_reconnect",
    "slow: socket_with",
    "slow: timer",
    "slow: url_with",
    "slow: work",
    "stopped",
    "the reactor was dropped",
    "timer while closing",
    "timer while connecting",
    "timer while open",
    "timer while resolving",
    "timer while upgrading",
    "timer while waiting",
    "unsent messages: Drop",
    "unsent messages: HandBack",
    "unsent messages: Keep",
    "unsent: what limits held back",
];

/// See [`WANTED`].
const OFTEN: u64 = 5;

/// How often things have happened.
#[derive(Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    pub fn count(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(times) => *times += 1,
            None => drop(self.0.insert(what.to_owned(), 1)),
        }
    }

    pub fn add(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What of `wanted` has not happened, or hardly ever.
    pub fn missing(&self, wanted: &[&str]) -> Vec<String> {
        let times = |what: &str| self.0.get(what).copied().unwrap_or(0);
        let rare = wanted.iter().filter(|what| times(what) < OFTEN);
        rare.map(|what| format!("{what}: {}", times(what))).collect()
    }

    /// One line for each thing.
    pub fn lines(&self) -> String {
        self.0.iter().map(|(what, times)| format!("{times:>9} {what}\n")).collect()
    }
}
