//! The conversation with a proxy, from a connected stream to a tunnel.

use std::fmt;

use super::http::Connect;
use super::{Proxy, ProxyError, ProxyFailure, ProxyScheme, socks4, socks5};
use crate::Destination;

/// The longest name that a destination can have, in bytes: the DNS allows no more, nor does the length byte of SOCKS5.
const NAME_LIMIT: usize = 255;

/// Asks a proxy for a tunnel to one destination. It holds at most 64 KiB of what the proxy says.
///
/// Write [`output`](Self::output) to the stream whenever there is some, and pass everything that is read to
/// [`receive`](Self::receive) until it says that the tunnel is there.
pub struct Handshake {
    proxy: Box<str>,
    output: Vec<u8>,
    written: usize,
    state: State,
    keeps_stream: bool,
}

enum State {
    Http(Connect),
    Socks4(socks4::Reply),
    Socks5(socks5::Dialogue),
    Done,
    Failed(ProxyFailure),
}

/// What [`Handshake::receive`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "what follows the used bytes belongs to the tunnel"]
#[non_exhaustive]
pub struct Progress {
    /// The bytes at the front of the input that belonged to the handshake: all of them, unless `done`.
    pub used: usize,
    /// Whether the tunnel is there. What follows the used bytes came through it.
    pub done: bool,
}

impl Handshake {
    /// Begins on a stream that is connected to `proxy`, within TLS where its scheme is `https`.
    ///
    /// # Errors
    /// When the proxy's scheme cannot carry `destination`.
    pub fn new(proxy: &Proxy, destination: &Destination) -> Result<Self, ProxyError> {
        Self::begin(proxy, destination).map_err(|failure| ProxyError { proxy: proxy.to_string(), failure })
    }

    fn begin(proxy: &Proxy, destination: &Destination) -> Result<Self, ProxyFailure> {
        if proxy.needs_address(destination) {
            return Err(ProxyFailure::NeedsAddress);
        }
        if destination.host.name().is_some_and(|name| name.len() > NAME_LIMIT) {
            return Err(ProxyFailure::NameTooLong { limit: NAME_LIMIT });
        }
        let (output, state) = match proxy.scheme() {
            ProxyScheme::Http | ProxyScheme::Https => {
                let (connect, request) = Connect::start(proxy.login(), destination);
                (request, State::Http(connect))
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => {
                (socks4::request(proxy.login(), destination)?, State::Socks4(socks4::Reply::default()))
            }
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
                let (dialogue, greeting) = socks5::Dialogue::start(proxy.login(), destination);
                (greeting, State::Socks5(dialogue))
            }
        };
        Ok(Self { proxy: proxy.to_string().into(), output, written: 0, state, keeps_stream: false })
    }

    /// Has the body of a 407 read to its end before the 407 is reported, so that the stream can carry another request: see
    /// [`keeps_stream`](Self::keeps_stream). One that is longer than `limit` bytes is reported as soon as that is known. Without this call, and for
    /// proxies that do not speak HTTP, no body is read.
    ///
    /// A proxy may keep a body back. Once [`is_refused`](Self::is_refused), the caller should not wait for long, and then call
    /// [`end_of_stream`](Self::end_of_stream).
    pub const fn read_body(&mut self, limit: usize) {
        if let State::Http(connect) = &mut self.state {
            connect.read_body(limit);
        }
    }

    /// Whether the proxy has answered 407, and the rest of that answer is read.
    pub const fn is_refused(&self) -> bool {
        matches!(&self.state, State::Http(connect) if connect.is_refused())
    }

    /// After [`ProxyFailure::AuthenticationRequired`]: whether another handshake can begin on the same stream (RFC 9112 section 9.3). That is so
    /// if the proxy has answered in HTTP/1.1, without `Connection: close`, and with a body that was [read to its end](Self::read_body), with
    /// nothing behind it.
    pub const fn keeps_stream(&self) -> bool {
        self.keeps_stream
    }

    /// What is to be written to the stream now; empty while it is the proxy's turn.
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// The first `count` bytes of [`output`](Self::output) have been written.
    pub fn wrote(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.output.len());
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }

    /// Takes what belongs to the handshake from the front of `input`, at whatever places the stream was split.
    ///
    /// # Errors
    /// What the proxy refuses or does wrong. The handshake is over then, and returns the same error again.
    pub fn receive(&mut self, input: &[u8]) -> Result<Progress, ProxyError> {
        let mut rest = input;
        let outcome = match &mut self.state {
            State::Http(connect) => connect.receive(&mut rest),
            State::Socks4(reply) => reply.receive(&mut rest),
            State::Socks5(dialogue) => dialogue.receive(&mut rest, &mut self.output),
            State::Done => Ok(true),
            State::Failed(failure) => Err(failure.clone()),
        };
        let used = input.len() - rest.len();
        match outcome {
            Ok(true) if !self.output().is_empty() => {
                Err(self.fail(ProxyFailure::Malformed("it granted the tunnel before it was asked")))
            }
            Ok(true) => {
                self.state = State::Done;
                Ok(Progress { used, done: true })
            }
            Ok(false) => Ok(Progress { used, done: false }),
            Err(failure) => {
                let is_kept = matches!(&self.state, State::Http(connect) if connect.keeps_stream());
                self.keeps_stream |= is_kept && self.output().is_empty();
                Err(self.fail(failure))
            }
        }
    }

    /// The stream has ended before the tunnel was there: the error that this is.
    pub fn end_of_stream(&mut self) -> ProxyError {
        let failure = match &mut self.state {
            State::Failed(failure) => Some(failure.clone()),
            State::Http(connect) => connect.refusal(),
            _ => None,
        };
        self.fail(failure.unwrap_or(ProxyFailure::EndOfStream))
    }

    fn fail(&mut self, failure: ProxyFailure) -> ProxyError {
        self.output = Vec::new();
        self.written = 0;
        self.state = State::Failed(failure.clone());
        ProxyError { proxy: self.proxy.to_string(), failure }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The output may hold credentials.
        let state = match self.state {
            State::Done => "done",
            State::Failed(_) => "failed",
            _ => "under way",
        };
        write!(f, "Handshake({}, {state})", self.proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::destination;

    const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

    fn begin(scheme: &str) -> Handshake {
        let proxy = Proxy::parse(&format!("{scheme}://user@proxy:9")).unwrap();
        Handshake::new(&proxy, &destination("192.0.2.7", 80)).unwrap()
    }

    #[test]
    fn b183_garbage_is_refused_at_its_first_byte() {
        for scheme in SCHEMES {
            for garbage in [&b"\x15\x03\x03"[..], b"garbage", b"<html>", b"\xff"] {
                for size in 1..=garbage.len() {
                    let error = begin(scheme).receive(&garbage[..size]).unwrap_err();
                    assert_eq!(error.failure, ProxyFailure::WrongProtocol, "{scheme}");
                    assert_eq!(error.proxy, format!("{scheme}://proxy:9"));
                }
            }
        }
    }

    #[test]
    fn b183_a_stream_that_ends_early_is_an_error_and_an_error_stays() {
        for scheme in SCHEMES {
            let mut handshake = begin(scheme);
            let start = match scheme {
                "http" | "https" => &b"HTTP/1.1 2"[..],
                "socks4" | "socks4a" => b"\0\x5a\0",
                _ => b"\x05",
            };
            assert_eq!(handshake.receive(start), Ok(Progress { used: start.len(), done: false }));
            let error = handshake.end_of_stream();
            assert_eq!(error.failure, ProxyFailure::EndOfStream);
            assert_eq!(handshake.receive(b"\0"), Err(error.clone()));
            assert_eq!(handshake.end_of_stream(), error);
            assert_eq!(handshake.output(), b"");
        }
    }

    #[test]
    fn b183_a_tunnel_that_nobody_asked_for_is_malformed() {
        let unasked: [(_, &[u8]); 3] = [
            ("http", b"HTTP/1.1 200 OK\r\n\r\n"),
            ("socks4", b"\0\x5a\0\0\0\0\0\0"),
            ("socks5", b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
        ];
        for (scheme, answer) in unasked {
            let mut handshake = begin(scheme);
            handshake.wrote(2);
            let error = handshake.receive(answer).unwrap_err();
            assert!(matches!(error.failure, ProxyFailure::Malformed(_)), "{error}");
        }
    }

    #[test]
    fn b178_what_comes_after_the_end_is_not_taken() {
        let mut handshake = begin("socks4a");
        handshake.wrote(usize::MAX);
        assert_eq!(handshake.output(), b"");
        assert_eq!(handshake.receive(b""), Ok(Progress { used: 0, done: false }));
        assert_eq!(handshake.receive(b"\0\x5a\0\0\0\0\0\0more"), Ok(Progress { used: 8, done: true }));
        assert_eq!(handshake.receive(b"more"), Ok(Progress { used: 0, done: true }));
    }

    #[test]
    fn b178_a_name_that_must_be_resolved_first_is_refused_and_an_address_is_not() {
        for scheme in SCHEMES {
            let proxy = Proxy::parse(&format!("{scheme}://p")).unwrap();
            let name = destination("h.example", 80);
            let local = ["socks4", "socks5"].contains(&scheme);
            assert_eq!(proxy.needs_address(&name), local, "{scheme}");
            let failure = Handshake::new(&proxy, &name).map(drop).map_err(|error| error.failure);
            assert_eq!(failure, if local { Err(ProxyFailure::NeedsAddress) } else { Ok(()) });
            for address in ["192.0.2.7", "::1"] {
                assert!(!proxy.needs_address(&destination(address, 80)), "{scheme}");
            }
        }
    }

    #[test]
    fn b178_a_name_that_is_too_long_is_refused_beforehand() {
        for scheme in ["http", "socks4a", "socks5h"] {
            let proxy = Proxy::parse(&format!("{scheme}://p")).unwrap();
            let labels = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join(".");
            assert_eq!(labels.len(), 255);
            Handshake::new(&proxy, &destination(&labels, 80)).unwrap();
            let error = Handshake::new(&proxy, &destination(&format!("{labels}.e"), 80)).unwrap_err();
            assert_eq!(error.failure, ProxyFailure::NameTooLong { limit: 255 });
        }
    }

    #[test]
    fn b183_any_other_byte_anywhere_is_an_error_or_harmless_and_the_same_at_every_split() {
        let answers: [(_, &[u8]); 3] = [
            ("http", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
            ("socks4", b"\0\x5a\0\0\0\0\0\0"),
            ("socks5", b"\x05\0\x05\0\0\x03\x02ab\x01\x02"),
        ];
        let outcome = |scheme: &str, answer: &[u8], step: usize| {
            let mut handshake = begin(scheme);
            let mut taken = 0;
            for piece in answer.chunks(step) {
                handshake.wrote(usize::MAX);
                let progress = handshake.receive(piece).map_err(|error| error.failure)?;
                taken += progress.used;
                if progress.done {
                    return Ok(taken);
                }
                assert_eq!(progress.used, piece.len());
            }
            Err(handshake.end_of_stream().failure)
        };
        for (scheme, answer) in answers {
            for (at, byte) in (0..answer.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
                let mut changed = answer.to_vec();
                changed[at] = byte;
                let bytewise = outcome(scheme, &changed, 1);
                assert_eq!(bytewise, outcome(scheme, &changed, 2), "{scheme} {}", changed.escape_ascii());
                assert!(!bytewise.is_ok_and(|taken| taken > answer.len()));
            }
        }
    }

    #[test]
    fn b164_a_407_whose_body_was_read_leaves_its_stream_to_another_handshake() {
        let head = "HTTP/1.1 407 Who\r\nProxy-Authenticate: NTLM\r\n";
        for (what, rest, keeps) in [
            ("no body", "Content-Length: 0\r\n\r\n", true),
            ("a body", "Content-Length: 5\r\n\r\nlogin", true),
            ("chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n0\r\n\r\n", true),
            ("bytes behind", "Content-Length: 5\r\n\r\nloginHTTP/1.1 200 OK\r\n\r\n", false),
            ("a long body", "Content-Length: 101\r\n\r\n", false),
            ("no end", "\r\nlogin", false),
            ("a fold", "Content-Length: 5\r\n 0\r\n\r\nlogin", false),
            ("broken chunks", "Transfer-Encoding: chunked\r\n\r\nlogin", false),
            ("a close", "Content-Length: 0\r\nProxy-Connection: close\r\n\r\n", false),
        ] {
            let answer = [head, rest].concat();
            for step in [1, 7, answer.len()] {
                if what == "bytes behind" && step < answer.len() {
                    continue;
                }
                let mut handshake = begin("http");
                handshake.read_body(100);
                handshake.wrote(usize::MAX);
                let mut pieces = answer.as_bytes().chunks(step);
                let error = pieces.find_map(|piece| handshake.receive(piece).err()).unwrap();
                let failure =
                    ProxyFailure::AuthenticationRequired { challenges: vec!["NTLM".to_owned()], sent: true };
                assert_eq!(error.failure, failure, "{what}");
                assert_eq!(handshake.keeps_stream(), keeps, "{what} in steps of {step}");
                assert!(!handshake.is_refused());
            }
        }
    }

    #[test]
    fn b164_a_407_whose_body_does_not_come_whole_is_reported_and_leaves_no_stream() {
        let answer = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: NTLM\r\nContent-Length: 5\r\n\r\nlog";
        let mut handshake = begin("http");
        handshake.read_body(100);
        handshake.wrote(usize::MAX);
        assert!(!handshake.is_refused());
        assert_eq!(handshake.receive(answer), Ok(Progress { used: answer.len(), done: false }));
        assert!(handshake.is_refused());
        let error = handshake.end_of_stream();
        assert!(matches!(error.failure, ProxyFailure::AuthenticationRequired { .. }));
        assert!(!handshake.keeps_stream() && !handshake.is_refused());

        // One that comes before the request was written does not answer it.
        let mut handshake = begin("http");
        handshake.read_body(100);
        handshake.wrote(2);
        handshake.receive(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n").unwrap_err();
        assert!(!handshake.keeps_stream());

        // Without being asked to, it reads none.
        let mut handshake = begin("http");
        handshake.wrote(usize::MAX);
        handshake.receive(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n").unwrap_err();
        assert!(!handshake.keeps_stream());
    }

    #[test]
    fn b163_neither_debug_nor_errors_show_credentials() {
        for (scheme, login) in [("http", "user:secret"), ("socks4a", "secret"), ("socks5h", "user:secret")] {
            let proxy = Proxy::parse(&format!("{scheme}://{login}@proxy:9")).unwrap();
            let mut handshake = Handshake::new(&proxy, &destination("h", 80)).unwrap();
            let mut shown = format!("{proxy} {proxy:?} {handshake:?}");
            let error = handshake.receive(b"secret").unwrap_err();
            shown += &format!("{error} {error:?} {handshake:?}");
            assert!(!shown.contains("secret") && !shown.contains("c2Vj"), "{shown}");
        }
    }
}
