//! What the examples share, so that each of them shows its own point and nothing else.
#![forbid(unsafe_code)]

pub mod bar;
pub mod block_on;
pub mod calculator;
pub mod connect_proxy;
pub mod descriptors;
pub mod feeds;
pub mod flaky;
pub mod gates;
pub mod guide;
pub mod latencies;
pub mod process;
pub mod server;
pub mod ticker;
pub mod tls_server;

/// The programs of the README and of the guide are compiled, and run where they can be, as documentation tests.
#[cfg(doctest)]
mod chapters {
    macro_rules! chapters {
        ($($chapter:ident: $file:literal,)*) => {
            $(#[doc = include_str!(concat!(env!("OUT_DIR"), "/", $file))] mod $chapter {})*
        };
    }

    chapters! {
        readme: "README.md",
        callbacks: "callbacks.md",
        compression: "compression.md",
        connecting: "connecting.md",
        embedding: "embedding.md",
        errors: "errors.md",
        event_loops: "event-loops.md",
        getting_started: "getting-started.md",
        gui_loops: "gui-loops.md",
        hosts: "hosts.md",
        life_cycle: "life-cycle.md",
        feeds: "feeds.md",
        limits: "limits.md",
        many_apps: "many-apps.md",
        numbers: "numbers.md",
        sources: "sources.md",
        streams: "streams.md",
        testing: "testing.md",
        threads: "threads.md",
        tokio_tungstenite: "tokio-tungstenite.md",
    }
}
