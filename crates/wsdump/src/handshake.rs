//! What the opening handshake has led to, in lines.

use websocket_app::tls::TlsInfo;
use websocket_app::{Context, Open, Phases};

use crate::certificate;
use crate::output::sanitized;

/// Describes the connection; the requests and responses have been shown.
pub(crate) fn lines(app: &Context<'_>, open: &Open<'_>, phases: &Phases) -> Vec<String> {
    let mut lines = vec![format!("url: {}", open.url)];
    if let Some(peer) = app.peer_addr() {
        let way = if phases.proxy.is_some() { "proxy" } else { "server" };
        let local = app.local_addr().map(|local| format!(", from {local}")).unwrap_or_default();
        lines.push(format!("{way}: {peer}{local}"));
    }
    lines.extend(open.tls.into_iter().flat_map(tls));
    if let Some(subprotocol) = &open.response.subprotocol {
        lines.push(format!("subprotocol: {}", sanitized(subprotocol)));
    }
    if open.response.deflate.is_some() {
        lines.push("messages may be compressed (permessage-deflate)".into());
    }
    let steps = [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("proxy", phases.proxy),
        ("tls", phases.tls),
        ("upgrade", phases.upgrade),
        ("total", Some(phases.total())),
    ];
    let steps = steps
        .iter()
        .filter_map(|(name, took)| Some(format!("{name} {:.3} ms", took.as_ref()?.as_secs_f64() * 1e3)));
    lines.push(format!("time: {}", steps.collect::<Vec<_>>().join(", ")));
    lines
}

fn tls(tls: &TlsInfo) -> Vec<String> {
    let alpn = match &tls.alpn {
        Some(protocol) => sanitized(&String::from_utf8_lossy(protocol)),
        None => "none".into(),
    };
    let exchange = tls.key_exchange.map(|group| format!(", {group:?}")).unwrap_or_default();
    let resumed = if tls.resumed { ", resumed" } else { "" };
    let mut lines =
        vec![format!("tls: {:?}, {:?}{exchange}, ALPN {alpn}{resumed}", tls.version, tls.cipher_suite)];
    let certificates = tls.certificates.iter().enumerate();
    lines.extend(certificates.map(|(number, certificate)| {
        let text = certificate::describe(certificate).unwrap_or_else(|| "not readable".into());
        format!("certificate {}: {}", number + 1, sanitized(&text))
    }));
    lines
}
