//! The opening handshake as a state machine (RFC 6455 section 4.1).

mod body;
mod check;
mod chunks;
mod elements;
mod error;
mod fields;
mod head;
mod printable;
mod refusal;
mod request;
mod response;
mod secrets;
mod status_line;

pub(crate) use elements::elements;
pub use error::UpgradeError;
pub use request::{Request, RequestError};
pub use response::Response;

use std::time::Instant;

use check::Expected;
use head::{Head, HeadReader};
use http::StatusCode;
use refusal::Refusal;
use secrets::Secrets;

use crate::{Config, Env, deflate};

/// The client's side of the handshake, from the sent request to the checked response.
pub(crate) struct Upgrade {
    /// When it began.
    pub(crate) started: Instant,
    expected: Expected,
    secrets: Secrets,
    head: HeadReader,
    refusal: Option<Refusal>,
    /// The refusal that was taken leaves the stream to another request.
    keeps_stream: bool,
}

impl Upgrade {
    /// Encodes `request` with the extensions of `config`; returns the handshake and the bytes to send.
    pub(crate) fn start(
        request: &Request,
        config: &Config,
        env: &mut Env,
    ) -> Result<(Self, Vec<u8>), RequestError> {
        request.check()?;
        let (bytes, key) = request.encode(deflate::extensions(config).as_deref(), env);
        let upgrade = Self {
            started: env.now,
            expected: Expected {
                accept: tungstenite::handshake::derive_accept_key(&key),
                subprotocols: request.offered(),
                require_subprotocol: request.require_subprotocol,
            },
            secrets: Secrets::of(request),
            head: HeadReader::default(),
            refusal: None,
            keeps_stream: false,
        };
        Ok((upgrade, bytes))
    }

    /// Takes what belongs to the response from the front of `input`; returns the bytes taken and the accepted response once
    /// it is complete. What follows it in `input` are frames.
    pub(crate) fn receive(
        &mut self,
        input: &[u8],
        config: &Config,
        now: Instant,
    ) -> Result<(usize, Option<Box<Response>>), UpgradeError> {
        if let Some(refusal) = &mut self.refusal {
            let (taken, complete) = refusal.feed(input);
            let refused = if complete { self.take_refusal() } else { None };
            return refused.map_or(Ok((taken, None)), Err);
        }
        let (taken, head) = self.head.read(input, config.max_header_bytes)?;
        let Some(head) = head else { return Ok((taken, None)) };
        if head.line.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((taken, Some(Box::new(self.accept(head, config)?))));
        }
        self.refusal = Some(Refusal::new(head, config, now));
        let (more, _) = self.receive(&input[taken..], config, now)?;
        Ok((taken + more, None))
    }

    fn accept(&self, head: Head, config: &Config) -> Result<Response, UpgradeError> {
        let headers = fields::strict(&head.fields, config.max_headers)?;
        let mut response = Response::new(head.line.status, head.line.message, headers);
        check::check(&mut response, &self.expected, config)?;
        Ok(response)
    }

    /// When the body of a refusal is no longer waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.refusal.as_ref()?.deadline()
    }

    /// The refusal whose head is complete, if that is what came, with its body so far.
    pub(crate) fn take_refusal(&mut self) -> Option<UpgradeError> {
        let refusal = self.refusal.take()?;
        self.keeps_stream = refusal.keeps_stream();
        Some(refusal.into_error(&self.secrets))
    }

    /// Whether the refusal that was taken leaves the stream to another request.
    pub(crate) const fn keeps_stream(&self) -> bool {
        self.keeps_stream
    }

    /// The stream has ended: a refusal whose body ends there, or an incomplete response.
    pub(crate) fn end_of_stream(&mut self, config: &Config, now: Instant) -> UpgradeError {
        if let Some(head) = self.head.end_of_stream() {
            self.refusal = Some(Refusal::new(head, config, now));
        }
        self.take_refusal().unwrap_or(UpgradeError::EndOfStream)
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::tests::{CountingEntropy, env};

    /// The handshake of `request` with a response made by `respond` from the accept key, in pieces of `step` bytes.
    fn shake(
        request: &Request,
        respond: impl Fn(&str) -> String,
        step: usize,
    ) -> Result<(Option<Box<Response>>, Vec<u8>), UpgradeError> {
        let config = Config::default();
        let mut env = env(CountingEntropy::default());
        let (mut upgrade, _) = Upgrade::start(request, &config, &mut env).unwrap();
        let bytes = respond(&upgrade.expected.accept).into_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + step)];
            let (taken, response) = upgrade.receive(piece, &config, env.now)?;
            at += taken;
            if response.is_some() {
                return Ok((response, bytes[at..].to_vec()));
            }
        }
        Err(upgrade.end_of_stream(&config, env.now))
    }

    fn accepted(accept: &str, more: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }

    fn fails(respond: impl Fn(&str) -> String) -> UpgradeError {
        let whole = shake(&Request::new("/"), &respond, usize::MAX >> 1).unwrap_err();
        let bytewise = shake(&Request::new("/"), &respond, 1).unwrap_err();
        assert_eq!(whole, bytewise);
        whole
    }

    #[test]
    fn b072_b158_a_response_is_accepted_at_every_split_and_what_follows_is_kept() {
        for step in (1..200).chain([100_000]) {
            let respond = |accept: &str| accepted(accept, "") + "FRAMES";
            let (response, rest) = shake(&Request::new("/"), respond, step).unwrap();
            assert_eq!(response.unwrap().status, 101);
            assert_eq!(rest, b"FRAMES");
        }
    }

    #[test]
    fn b158_upgrade_and_connection_are_required() {
        let without = |name: &'static str| {
            move |accept: &str| {
                accepted(accept, "")
                    .lines()
                    .filter(|line| !line.starts_with(name))
                    .collect::<Vec<_>>()
                    .join("\r\n")
                    + "\r\n\r\n"
            }
        };
        assert_eq!(fails(without("Upgrade")), UpgradeError::UpgradeHeader);
        assert_eq!(fails(without("Connection")), UpgradeError::ConnectionHeader);
        assert_eq!(fails(without("Sec-WebSocket-Accept")), UpgradeError::AcceptHeader);
    }

    #[test]
    fn b159_the_accept_key_is_compared_exactly() {
        assert_eq!(fails(|accept| accepted(&accept.to_lowercase(), "")), UpgradeError::AcceptHeader);
        assert_eq!(fails(|_| accepted("bm90IGl0", "")), UpgradeError::AcceptHeader);
        let twice = |accept: &str| accepted(accept, &format!("Sec-WebSocket-Accept: {accept}\r\n"));
        assert_eq!(fails(twice), UpgradeError::AcceptHeader);
    }

    #[test]
    fn b157_what_was_not_offered_is_refused() {
        assert_eq!(
            fails(|accept| accepted(accept, "Sec-WebSocket-Extensions: permessage-deflate\r\n")),
            UpgradeError::UnrequestedExtension("permessage-deflate".into())
        );
        assert_eq!(
            fails(|accept| accepted(accept, "Sec-WebSocket-Protocol: chat\r\n")),
            UpgradeError::UnrequestedSubprotocol("chat".into())
        );
    }

    #[test]
    fn b155_b156_the_subprotocol_must_be_one_of_the_offered_compared_exactly() {
        let mut request = Request::new("/");
        request.subprotocols = vec!["chat".into(), "Superchat".into()];
        let select = |name: &'static str| move |accept: &str| accepted(accept, name);
        let (response, _) = shake(&request, select("Sec-WebSocket-Protocol: Superchat\r\n"), 7).unwrap();
        assert_eq!(response.unwrap().subprotocol.as_deref(), Some("Superchat"));
        let error = shake(&request, select("Sec-WebSocket-Protocol: superchat\r\n"), 7).unwrap_err();
        assert_eq!(error, UpgradeError::UnrequestedSubprotocol("superchat".into()));
        assert_eq!(shake(&request, select(""), 7).unwrap_err(), UpgradeError::NoSubprotocol);
        request.require_subprotocol = false;
        assert_eq!(shake(&request, select(""), 7).unwrap().0.unwrap().subprotocol, None);
    }

    #[test]
    fn words_two_subprotocols_are_not_called_unrequested() {
        let mut request = Request::new("/");
        request.subprotocols = vec!["chat".into(), "binary".into()];
        let name = "Sec-WebSocket-Protocol";
        for (lines, error) in [
            (
                format!("{name}: binary\r\n{name}: binary\r\n"),
                "selected subprotocol \"binary\" twice, once is allowed",
            ),
            (
                format!("{name}: chat, binary\r\n"),
                "selected subprotocols \"chat\" and \"binary\", one is allowed",
            ),
            (format!("{name}: chat, soap\r\n"), "selected subprotocol \"soap\", which was not offered"),
        ] {
            let answered = shake(&request, |accept| accepted(accept, &lines), 7).unwrap_err();
            assert_eq!(answered.to_string(), format!("the server {error}"));
        }
    }

    #[test]
    fn b160_malformed_heads_fail() {
        let malformed = [
            "HTTP/1.1 101 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 101 OK\r\nb\u{0}d: x\r\n\r\n",
            "HTTP/1.1 1x1 OK\r\n\r\n",
            "HTTP/1.1 101 OK\r\nX: a\u{1}b\r\n\r\n",
            "HTTP/1.1\r\n\r\n",
        ];
        for text in malformed {
            assert!(matches!(fails(|_| text.into()), UpgradeError::Malformed(_)), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_refused_at_its_first_byte() {
        assert_eq!(fails(|_| "\u{16}HTTP".into()), UpgradeError::NotHttp);
        assert_eq!(fails(|_| "SSH-2.0".into()), UpgradeError::NotHttp);
        assert_eq!(fails(|_| "HTTP/2 101\r\n\r\n".into()), UpgradeError::HttpVersion);
        assert_eq!(fails(|_| "HTTP/1.0 101 OK\r\n\r\n".into()), UpgradeError::HttpVersion);
    }

    #[test]
    fn an_alert_or_a_handshake_message_of_tls_is_recognised() {
        assert_eq!(fails(|_| "\u{15}\u{3}\u{1}\0\u{2}\u{2}F".into()), UpgradeError::Tls);
        assert_eq!(fails(|_| "\u{16}\u{3}".into()), UpgradeError::Tls);
        assert_eq!(fails(|_| "\u{16}".into()), UpgradeError::EndOfStream);
    }

    #[test]
    fn b134_headers_are_limited_in_bytes_and_number() {
        let limit = Config::default().max_header_bytes;
        let endless = |_: &str| format!("HTTP/1.1 101 OK\r\nX: {}", "x".repeat(2 * limit));
        assert_eq!(fails(endless), UpgradeError::HeadersTooLong { limit });
        let many = |_: &str| format!("HTTP/1.1 101 OK\r\n{}\r\n", "X: y\r\n".repeat(129));
        assert_eq!(fails(many), UpgradeError::TooManyHeaders { limit: 128 });
    }

    #[test]
    fn b052_b162_a_refusal_carries_status_message_headers_and_body() {
        let error =
            fails(|_| "HTTP/1.1 403 Go Away\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nbody".into());
        let UpgradeError::Status { response, body } = error else { panic!("{error:?}") };
        assert_eq!((response.status.as_u16(), response.status_message.as_str()), (403, "Go Away"));
        assert_eq!(response.headers["x-why"], "because");
        assert_eq!(body, b"body");
    }

    #[test]
    fn b161_repeated_headers_are_kept() {
        let cookies = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n";
        let (response, _) = shake(&Request::new("/"), |accept| accepted(accept, cookies), 50).unwrap();
        let response = response.unwrap();
        let values: Vec<_> = response.headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(values, ["a=1", "b=2"]);
    }

    #[test]
    fn b163_the_error_text_shows_no_header_and_no_secret_of_the_request() {
        let mut request = Request::new("/?token=secret");
        request.headers.insert(header::AUTHORIZATION, "Bearer secret2".parse().unwrap());
        let respond =
            |_: &str| "HTTP/1.1 401 No\r\nSet-Cookie: secret\r\n\r\nnot secret, secret2\nsecret".to_owned();
        let error = shake(&request, respond, 1).unwrap_err();
        assert_eq!(error.to_string(), "the server answered 401 No: not ***, ***");
        assert_eq!(format!("{error:?}"), "UpgradeError(the server answered 401 No)");
    }

    #[test]
    fn words_the_error_text_shows_the_first_line_of_the_body() {
        for (answer, text) in [
            ("404 Not Found\r\n\r\n\r\n  no such\troom \r\nmore", "404 Not Found: no such room"),
            ("404 Not Found\r\n\r\n", "404 Not Found"),
            ("404\r\n\r\n{\"error\": \"none\"}", "404: {\"error\": \"none\"}"),
            ("500 No\r\nContent-Length: 3\r\n\r\nabcdef", "500 No: abc"),
            ("500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n", "500 No: abc"),
            ("500 No\r\n\r\n\u{1b}[31mred\u{7}\u{0}\u{202e}", "500 No: [31mred"),
            ("500 No\r\n\r\nGET / HTTP/1.1\r\nHost: h", "500 No"),
            ("500 No\r\nContent-Encoding: gzip\r\n\r\nabc", "500 No"),
        ] {
            assert_eq!(
                fails(|_| format!("HTTP/1.1 {answer}")).to_string(),
                format!("the server answered {text}")
            );
        }
        let long = fails(|_| format!("HTTP/1.1 500 {}\r\n\r\n{}", "r".repeat(9000), "x".repeat(9000)));
        let text = format!("the server answered 500 {}...: {}...", "r".repeat(100), "x".repeat(100));
        assert_eq!(long.to_string(), text);
    }

    #[test]
    fn an_incomplete_response_is_told_from_a_refusal() {
        assert_eq!(fails(|_| "HTTP/1.1 101 Swi".into()), UpgradeError::EndOfStream);
        let error = fails(|_| "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\npart".into());
        assert!(matches!(error, UpgradeError::Status { body, .. } if body == b"part"));
    }
}
