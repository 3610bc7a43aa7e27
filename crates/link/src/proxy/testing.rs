//! What several tests of proxies need.

use std::ffi::OsString;

use super::{Handshake, Proxy, ProxyFailure};
use crate::Destination;

/// What comes through the tunnel right behind the proxy's last byte; it looks like more of any handshake.
const TUNNEL: &[u8] = b"\0\x5a\x05\0\r\n\r\nHTTP/1.1 500 No\r\n\r\n";

pub(super) fn destination(host: &str, port: u16) -> Destination {
    Destination::new(host.parse().unwrap(), port)
}

/// An environment of just these variables.
pub(super) fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    let owned: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    move |wanted| owned.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
}

/// Plays a conversation, each turn of it the bytes that must be sent and the proxy's answer to them, with both split after every so many
/// bytes. All splits have to come to the same end. A success must leave what follows the last answer alone.
pub(super) fn talk(proxy: &str, destination: &str, script: &[(&[u8], &[u8])]) -> Result<(), ProxyFailure> {
    let proxy = Proxy::parse(proxy).unwrap();
    let (host, port) = destination.rsplit_once(':').unwrap();
    let destination = self::destination(host, port.parse().unwrap());
    let whole = talk_in_steps(&proxy, &destination, script, usize::MAX);
    for step in (1..=40).chain([1000, 70_000]) {
        assert_eq!(talk_in_steps(&proxy, &destination, script, step), whole, "in pieces of {step}");
    }
    whole
}

fn talk_in_steps(
    proxy: &Proxy,
    destination: &Destination,
    script: &[(&[u8], &[u8])],
    step: usize,
) -> Result<(), ProxyFailure> {
    let mut handshake = Handshake::new(proxy, destination).unwrap();
    for (turn, (asked, answer)) in script.iter().enumerate() {
        let mut sent = Vec::new();
        while !handshake.output().is_empty() {
            let piece = &handshake.output()[..handshake.output().len().min(step)];
            sent.extend_from_slice(piece);
            let count = piece.len();
            handshake.wrote(count);
        }
        assert_eq!(sent.escape_ascii().to_string(), asked.escape_ascii().to_string());

        let last = turn + 1 == script.len();
        let input = if last { [answer, TUNNEL].concat() } else { answer.to_vec() };
        let (mut at, mut done) = (0, false);
        while at < input.len() && !done {
            let piece = &input[at..at.saturating_add(step).min(input.len())];
            let progress = handshake.receive(piece).map_err(|error| error.failure)?;
            assert!(progress.done || progress.used == piece.len());
            (at, done) = (at + progress.used, progress.done);
        }
        assert_eq!((at, done), (answer.len(), last));
    }
    Ok(())
}
