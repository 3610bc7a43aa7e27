//! From the command line to the options of the run.

use std::time::Duration;

use websocket_app::tls::TlsOptions;
use websocket_app::{Deflate, RunOptions, Unsent};

use crate::arguments::Arguments;
use crate::output::Output;

/// Longer than any attempt: `--connect-timeout` is for all steps together.
const NO_LIMIT: Duration = Duration::from_secs(86_400);

pub(crate) fn run_options(arguments: &Arguments, output: &Output) -> RunOptions {
    let mut options = RunOptions::new()
        .attempt_timeout(arguments.connect_timeout)
        .resolve_timeout(NO_LIMIT)
        .connect_timeout(NO_LIMIT)
        .proxy_timeout(NO_LIMIT)
        .tls_timeout(NO_LIMIT)
        .upgrade_timeout(NO_LIMIT)
        .ping_interval(arguments.ping_interval)
        .tls(tls(arguments));
    if let Some(timeout) = arguments.ping_timeout {
        options = options.ping_timeout(timeout);
    }
    if let Some(origin) = &arguments.origin {
        options = options.origin(origin);
    }
    if let Some(proxy) = &arguments.proxy {
        options = options.proxy(proxy.clone());
    }
    if arguments.compress {
        options = options.compression(Deflate::new());
    }
    if !arguments.reconnect.is_zero() {
        options = options.reconnect(arguments.reconnect).unsent(Unsent::Keep);
    }
    if output.lock().observes() {
        let output = output.clone();
        // An output that is gone is noticed by what prints messages.
        options = options.wire_tap(move |_, event| drop(output.lock().observe(event)));
    }
    options
}

fn tls(arguments: &Arguments) -> TlsOptions {
    let mut tls = TlsOptions::new();
    for path in &arguments.ca {
        tls = if path.is_dir() { tls.roots_from_directory(path) } else { tls.roots_from_file(path) };
    }
    if let Some(certificate) = &arguments.cert {
        tls = tls.client_certificate_from_files(certificate, arguments.key.as_ref().unwrap_or(certificate));
    }
    if let Some(name) = &arguments.server_name {
        tls = tls.server_name(name);
    }
    if arguments.nocert {
        tls = tls.danger_accept_invalid_certificates(true);
    }
    tls
}
