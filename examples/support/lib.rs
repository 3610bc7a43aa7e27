//! What the examples share, so that each of them shows its own point and nothing else.
#![forbid(unsafe_code)]

pub mod bar;
pub mod connect_proxy;
pub mod descriptors;
pub mod flaky;
pub mod gates;
pub mod latencies;
pub mod process;
pub mod server;
pub mod ticker;
pub mod tls_server;

/// The code of the README and of the guide is compiled, and run where it can be, as documentation tests.
#[cfg(doctest)]
mod guide {
    macro_rules! chapters {
        ($($chapter:ident: $file:literal,)*) => {
            $(#[doc = include_str!($file)] mod $chapter {})*
        };
    }

    chapters! {
        readme: "../../README.md",
        contributing: "../../CONTRIBUTING.md",
        callbacks: "../../docs/src/callbacks.md",
        compression: "../../docs/src/compression.md",
        connecting: "../../docs/src/connecting.md",
        embedding: "../../docs/src/embedding.md",
        errors: "../../docs/src/errors.md",
        event_loops: "../../docs/src/event-loops.md",
        getting_started: "../../docs/src/getting-started.md",
        hosts: "../../docs/src/hosts.md",
        life_cycle: "../../docs/src/life-cycle.md",
        limits: "../../docs/src/limits.md",
        many_apps: "../../docs/src/many-apps.md",
        migrating: "../../docs/src/migrating.md",
        testing: "../../docs/src/testing.md",
        threads: "../../docs/src/threads.md",
    }
}
