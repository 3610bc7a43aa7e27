//! The options of our client.

use websocket_app::link::tls::TlsOptions;
use websocket_app::{Deflate, DeflateOffer, RunOptions};
use websocket_bench::contract::{Compression, Takeover, Task};
use websocket_bench::tls::provider;

/// The default options, but for what a server with a certificate of its own and the comparison with others ask for.
pub(crate) fn options(task: &Task) -> RunOptions {
    let options = match task.workload.is_deflate() {
        true => RunOptions::default().compression(compression(task.compression)),
        false => RunOptions::default(),
    };
    match &task.root {
        Some(root) => options.tls(TlsOptions::new().roots_from_file(root).provider(provider())),
        None => options,
    }
}

fn compression(compression: Compression) -> Deflate {
    let offer = match compression.takeover {
        Takeover::Yes => DeflateOffer::new(),
        Takeover::No => DeflateOffer::new().server_no_context_takeover().client_no_context_takeover(),
    };
    Deflate::from(offer).level(compression.level)
}
