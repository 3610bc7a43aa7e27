//! The opening handshake as a state machine (RFC 6455 section 4.1).

mod body;
mod check;
mod elements;
mod error;
mod head;
mod request;
mod response;

pub(crate) use elements::elements;
pub use error::UpgradeError;
pub use request::{Request, RequestError};
pub use response::Response;

use std::time::Instant;

use body::Body;
use check::Expected;
use http::StatusCode;

use crate::{Config, Env, deflate};

/// What every response starts with.
const HTTP: &[u8] = b"HTTP/1.";

/// The client's side of the handshake, from the sent request to the checked response.
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// When it began.
    pub(crate) started: Instant,
    expected: Expected,
    head: Vec<u8>,
    refused: Option<(Box<Response>, Body)>,
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
        let expected = Expected {
            accept: tungstenite::handshake::derive_accept_key(&key),
            subprotocols: request.offered(),
            require_subprotocol: request.require_subprotocol,
        };
        Ok((Self { started: env.now, expected, head: Vec::new(), refused: None }, bytes))
    }

    /// Takes what belongs to the response from the front of `input`; returns the bytes taken and the accepted response once
    /// it is complete. What follows it in `input` are frames.
    pub(crate) fn receive(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<(usize, Option<Box<Response>>), UpgradeError> {
        if let Some((_, body)) = &mut self.refused {
            let (taken, complete) = body.feed(input);
            return if complete { Err(self.refusal()) } else { Ok((taken, None)) };
        }

        let known = self.head.len();
        let room = config.max_header_bytes.saturating_sub(known);
        self.head.extend_from_slice(&input[..input.len().min(room)]);
        let prefix = self.head.len().min(HTTP.len());
        if self.head[..prefix] != HTTP[..prefix] {
            return Err(UpgradeError::NotHttp);
        }
        let Some(end) = head_end(&self.head, known) else {
            if self.head.len() >= config.max_header_bytes {
                return Err(UpgradeError::HeadersTooLong { limit: config.max_header_bytes });
            }
            return Ok((input.len(), None));
        };
        let taken = end - known;
        let mut response = head::parse(&self.head[..end], config)?;
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            check::check(&mut response, &self.expected, config)?;
            return Ok((taken, Some(Box::new(response))));
        }
        let body = Body::new(&response.headers, config.max_error_body)?;
        self.refused = Some((Box::new(response), body));
        let (more, _) = self.receive(&input[taken..], config)?;
        Ok((taken + more, None))
    }

    /// The stream has ended: a refusal whose body ends there, or an incomplete response.
    pub(crate) fn end_of_stream(&mut self) -> UpgradeError {
        self.refusal()
    }

    fn refusal(&mut self) -> UpgradeError {
        match self.refused.take() {
            Some((response, body)) => UpgradeError::Status { response, body: body.into_bytes() },
            None => UpgradeError::EndOfStream,
        }
    }
}

/// Where the head ends, if its empty line is there; bytes before `known` have been searched.
fn head_end(head: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(3);
    head[from..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4)
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
        let (mut upgrade, _) =
            Upgrade::start(request, &config, &mut env(CountingEntropy::default())).unwrap();
        let bytes = respond(&upgrade.expected.accept).into_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + step)];
            let (taken, response) = upgrade.receive(piece, &config)?;
            at += taken;
            if response.is_some() {
                return Ok((response, bytes[at..].to_vec()));
            }
        }
        Err(upgrade.end_of_stream())
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
        let error = shake(&request, select("Sec-WebSocket-Protocol: chat, Superchat\r\n"), 7).unwrap_err();
        assert_eq!(error, UpgradeError::UnrequestedSubprotocol("Superchat".into()));
        assert_eq!(shake(&request, select(""), 7).unwrap_err(), UpgradeError::NoSubprotocol);
        request.require_subprotocol = false;
        assert_eq!(shake(&request, select(""), 7).unwrap().0.unwrap().subprotocol, None);
    }

    #[test]
    fn b160_malformed_heads_fail() {
        let malformed = [
            "HTTP/1.1 101 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 101 OK\r\nb\u{0}d: x\r\n\r\n",
            "HTTP/1.1 1x1 OK\r\n\r\n",
            "HTTP/1.1 101 OK\r\nX: a\u{1}b\r\n\r\n",
            "HTTP/1.1 400 No\r\nContent-Length: many\r\n\r\n",
        ];
        for text in malformed {
            assert!(matches!(fails(|_| text.into()), UpgradeError::Malformed(_)), "{text:?}");
        }
        let (mut upgrade, _) =
            Upgrade::start(&Request::new("/"), &Config::default(), &mut env(CountingEntropy::default()))
                .unwrap();
        let latin1 = b"HTTP/1.1 101 OK\r\nX: caf\xe9\r\n\r\n";
        assert_eq!(
            upgrade.receive(latin1, &Config::default()).unwrap_err(),
            UpgradeError::Malformed("a header's value")
        );
    }

    #[test]
    fn what_is_not_http_is_refused_at_its_first_byte() {
        assert_eq!(fails(|_| "\u{16}\u{3}\u{1}".into()), UpgradeError::NotHttp);
        assert_eq!(fails(|_| "HTTP/1.1\r\n\r\n".into()), UpgradeError::NotHttp);
        assert_eq!(fails(|_| "HTTP/2 101\r\n\r\n".into()), UpgradeError::NotHttp);
        assert_eq!(fails(|_| "HTTP/1.0 101 OK\r\n\r\n".into()), UpgradeError::NotHttp);
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
    fn b163_the_error_text_shows_neither_headers_nor_body() {
        let error =
            fails(|_| "HTTP/1.1 401 No\r\nSet-Cookie: secret\r\nContent-Length: 6\r\n\r\nsecret".into());
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(error.to_string().contains("401"));
    }

    #[test]
    fn an_incomplete_response_is_told_from_a_refusal() {
        assert_eq!(fails(|_| "HTTP/1.1 101 Swi".into()), UpgradeError::EndOfStream);
        let error = fails(|_| "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\npart".into());
        assert!(matches!(error, UpgradeError::Status { body, .. } if body == b"part"));
    }
}
