//! From the command line to the options of the run.

use websocket_app::tls::TlsOptions;
use websocket_app::{Deflate, RunOptions, Unsent};

use crate::arguments::Arguments;

pub(crate) fn run_options(arguments: &Arguments) -> RunOptions {
    let mut options = RunOptions::new().ping_interval(arguments.ping_interval).tls(tls(arguments));
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
        // A line that was taken is sent, though it be through the next connection.
        options = options.reconnect(arguments.reconnect).unsent(Unsent::Keep);
    }
    options
}

fn tls(arguments: &Arguments) -> TlsOptions {
    let mut tls = TlsOptions::new();
    for path in &arguments.ca {
        tls = if path.is_dir() { tls.roots_from_directory(path) } else { tls.roots_from_file(path) };
    }
    if let Some(certificate) = &arguments.certificate {
        tls = tls.client_certificate_from_files(certificate, arguments.key.as_ref().unwrap_or(certificate));
    }
    if arguments.accept_any_certificate {
        tls = tls.danger_accept_invalid_certificates(true);
    }
    tls
}
