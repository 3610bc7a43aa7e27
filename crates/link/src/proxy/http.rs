//! CONNECT to an HTTP proxy (RFC 9110 section 9.3.6).

use std::mem;

use data_encoding::BASE64;

use super::ProxyFailure;
use super::answer::{Answer, HTTP, PROXY_AUTHENTICATION_REQUIRED};
use super::body::{Body, Reached};
use super::login::Login;
use crate::Destination;

/// How long the heads of an answer may be together, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The client's side, once the request is made. It reads an answer line by line and needs nothing of it but the status and, of a 407, the
/// challenges: whatever else stands there may be malformed.
pub(super) struct Connect {
    /// The line that is not complete.
    line: Vec<u8>,
    /// The bytes of all heads so far.
    taken: usize,
    answer: Option<Answer>,
    authorized: bool,
    /// How long the body of a 407 may be, if it is to be read before the 407 is reported.
    max_body: Option<usize>,
    /// That body, while it comes.
    body: Option<Body>,
    /// It came to its end, and nothing behind it.
    keeps_stream: bool,
}

impl Connect {
    /// Returns the handshake and the request to send.
    pub(super) fn start(login: Option<&Login>, destination: &Destination) -> (Self, Vec<u8>) {
        let mut request = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n");
        match login {
            Some(Login::Password { user, password }) => {
                let plain = [user, &b":"[..], password].concat();
                request += &format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(&plain));
            }
            Some(Login::Authorization(value)) => request += &format!("Proxy-Authorization: {value}\r\n"),
            None => {}
        }
        request += "\r\n";
        let connect = Self {
            line: Vec::new(),
            taken: 0,
            answer: None,
            authorized: login.is_some(),
            max_body: None,
            body: None,
            keeps_stream: false,
        };
        (connect, request.into_bytes())
    }

    /// Has the body of a 407 read, up to `limit` bytes, before the 407 is reported.
    pub(super) const fn read_body(&mut self, limit: usize) {
        self.max_body = Some(limit);
    }

    /// Whether the head of a 407 has come and its body is read.
    pub(super) const fn is_refused(&self) -> bool {
        self.body.is_some()
    }

    /// Whether the stream can carry another request after the 407 that was reported.
    pub(super) const fn keeps_stream(&self) -> bool {
        self.keeps_stream
    }

    /// Takes what belongs to the answer from `input`; returns whether it is complete.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<bool, ProxyFailure> {
        if let Some(body) = &mut self.body {
            let reached = body.skip(input);
            if reached == Reached::More {
                return Ok(false);
            }
            self.keeps_stream = reached == Reached::End && input.is_empty();
            return self.refusal().map_or(Ok(false), Err);
        }
        while !input.is_empty() {
            let piece = &input[..input.len().min(MAX_HEAD - self.taken)];
            // A bare line feed ends a line as well (RFC 9112 section 2.2).
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (text, used) = end.map_or((piece, piece.len()), |end| (&piece[..end], end + 1));
            self.line.extend_from_slice(text);
            self.taken += used;
            *input = &input[used..];
            if self.answer.is_none() {
                let prefix = self.line.len().min(HTTP.len());
                if self.line[..prefix] != HTTP[..prefix] {
                    return Err(ProxyFailure::WrongProtocol);
                }
            }
            if end.is_some() {
                let line = mem::take(&mut self.line);
                let carriage_returns = line.iter().rev().take_while(|byte| **byte == b'\r').count();
                if self.take_line(&line[..line.len() - carriage_returns])? {
                    return Ok(true);
                }
                if self.body.is_some() {
                    return self.receive(input);
                }
            } else if self.taken == MAX_HEAD {
                return Err(self.refusal().unwrap_or(ProxyFailure::HeadersTooLong { limit: MAX_HEAD }));
            }
        }
        Ok(false)
    }

    /// Whether this line, which has no end of line any more, grants the tunnel.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, ProxyFailure> {
        let Some(answer) = &mut self.answer else {
            self.answer = Some(Answer::parse(line)?);
            return Ok(false);
        };
        if !line.is_empty() {
            answer.take_header(line);
            return Ok(false);
        }
        if let (Some(limit), PROXY_AUTHENTICATION_REQUIRED) = (self.max_body, answer.status) {
            self.body = answer.framing.body(limit);
            if self.body.is_some() {
                return Ok(false);
            }
        }
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        // What is not final is an interim answer (RFC 9110 section 15.2).
        Ok(self.answer.take().is_some_and(|answer| answer.is_grant()))
    }

    /// What the proxy has refused with, as soon as its status is known, be its head complete or not.
    pub(super) fn refusal(&mut self) -> Option<ProxyFailure> {
        let answer = self.answer.take_if(|answer| !answer.is_grant() && !answer.is_interim())?;
        Some(match answer.status {
            PROXY_AUTHENTICATION_REQUIRED => {
                ProxyFailure::AuthenticationRequired { challenges: answer.challenges, sent: self.authorized }
            }
            status => ProxyFailure::Status { status, reason: answer.reason },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::{destination, talk};
    use crate::proxy::{Handshake, Proxy};

    const REQUEST: &str = "CONNECT h.example:80 HTTP/1.1\r\nHost: h.example:80\r\n\r\n";

    fn answered(answer: impl AsRef<[u8]>) -> Result<(), ProxyFailure> {
        talk("http://p", "h.example:80", &[(REQUEST.as_bytes(), answer.as_ref())])
    }

    #[test]
    fn b182_connect_carries_a_host_header() {
        assert_eq!(answered("HTTP/1.1 200 Connection established\r\n\r\n"), Ok(()));
        let request = "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n";
        talk("https://p", "192.0.2.7:443", &[(request.as_bytes(), b"HTTP/1.0 200\r\n\r\n")]).unwrap();
    }

    #[test]
    fn b184_an_ipv6_target_stands_in_brackets() {
        let request = "CONNECT [::1]:9 HTTP/1.1\r\nHost: [::1]:9\r\n\r\n";
        talk("http://p", "[::1]:9", &[(request.as_bytes(), b"HTTP/1.1 200 OK\r\n\r\n")]).unwrap();
    }

    #[test]
    fn b181_user_and_password_become_basic() {
        let login = |url| {
            let handshake = Handshake::new(&Proxy::parse(url).unwrap(), &destination("h", 80)).unwrap();
            String::from_utf8(handshake.output().to_vec()).unwrap().split("\r\n").nth(2).unwrap().to_owned()
        };
        let header = |plain: &str| format!("Proxy-Authorization: Basic {}", BASE64.encode(plain.as_bytes()));
        assert_eq!(login("http://user:pass@p"), header("user:pass"));
        assert_eq!(login("http://us%C3%BCr:p%3Aa%40s@p"), header("usür:p:a@s"));
        assert_eq!(login("http://user@p"), header("user:"));
        assert_eq!(login("http://:token@p"), header(":token"));
        assert_eq!(login("http://p"), "");
    }

    #[test]
    fn b181_an_authorization_of_the_users_own_takes_the_place_of_basic() {
        let proxy = Proxy::parse("http://user:pass@p").unwrap().authorization("Bearer token").unwrap();
        let handshake = Handshake::new(&proxy, &destination("h", 80)).unwrap();
        let expected = "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\nProxy-Authorization: Bearer token\r\n\r\n";
        assert_eq!(handshake.output(), expected.as_bytes());
    }

    #[test]
    fn b183_any_2xx_is_a_tunnel_and_its_length_headers_mean_nothing() {
        for status in ["200 OK", "201 Created", "204 No Content", "299 "] {
            let headers = "Content-Length: 7\r\nTransfer-Encoding: chunked\r\nVia: 1.1 p\r\n";
            assert_eq!(answered(format!("HTTP/1.1 {status}\r\n{headers}\r\n")), Ok(()), "{status}");
        }
    }

    #[test]
    fn b183_any_other_status_is_an_error_that_tells_it() {
        for (line, status, reason) in [
            ("403 Forbidden", 403, "Forbidden"),
            ("502 Bad Gateway", 502, "Bad Gateway"),
            ("302 Found", 302, "Found"),
            ("101 Switching Protocols", 101, "Switching Protocols"),
            ("404", 404, ""),
            ("999 No", 999, "No"),
            ("000 No", 0, "No"),
        ] {
            let failure = answered(format!("HTTP/1.1 {line}\r\nContent-Length: 3\r\n\r\nno!")).unwrap_err();
            assert_eq!(failure, ProxyFailure::Status { status, reason: reason.to_owned() });
        }
        let failure = answered(format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(5000))).unwrap_err();
        assert_eq!(failure, ProxyFailure::Status { status: 500, reason: "x".repeat(100) });
    }

    #[test]
    fn b183_407_names_what_the_proxy_offers() {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                       Proxy-Authenticate: Negotiate, Digest realm=\"r, s\", nonce=\"n\"\r\n\
                       proxy-authenticate: Basic realm=\"r\"\r\n\r\n";
        let failure = answered(answer).unwrap_err();
        assert_eq!(failure.to_string(), "it wants credentials (407); it offers Negotiate, Digest, Basic");
        let ProxyFailure::AuthenticationRequired { challenges, sent: false } = failure else { panic!() };
        assert_eq!(challenges, ["Negotiate, Digest realm=\"r, s\", nonce=\"n\"", "Basic realm=\"r\""]);

        let mut handshake =
            Handshake::new(&Proxy::parse("u:secret@p").unwrap(), &destination("h", 80)).unwrap();
        let error = handshake.receive(b"HTTP/1.1 407 No\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "proxy http://p:80: it refused the credentials (407)");
    }

    #[test]
    fn b183_interim_answers_are_skipped() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n";
        assert_eq!(answered(format!("{interim}HTTP/1.1 200 OK\r\n\r\n")), Ok(()));
        let failure = answered(interim.repeat(2000)).unwrap_err();
        assert_eq!(failure, ProxyFailure::HeadersTooLong { limit: 65536 });
    }

    #[test]
    fn b183_bare_line_feeds_end_lines_too() {
        for answer in ["HTTP/1.0 200 OK\n\n", "HTTP/1.0 200 OK\nA: b\n\n", "HTTP/1.0 200 OK\r\nA: b\n\r\n"] {
            assert_eq!(answered(answer), Ok(()), "{answer:?}");
        }
    }

    #[test]
    fn b183_an_unreadable_status_line_is_an_error_as_soon_as_it_is_there() {
        for (answer, malformed) in [
            ("HTTP/2 200 OK\r\n", false),
            ("HTTP/1.x 200 OK\r\n", false),
            ("HTTP/1.\r\n", false),
            ("HTTP\r\n", false),
            ("HTTP/1.1 abc\r\n", true),
            ("HTTP/1.1 20\r\n", true),
            ("HTTP/1.1 2000 OK\n", true),
            ("HTTP/1.1 -200 OK\n", true),
            ("HTTP/1.1200 OK\n", true),
            ("HTTP/1.1\r\n", true),
            (" HTTP/1.1 200 OK\r\n", false),
            ("\r\n", false),
        ] {
            match answered(answer).unwrap_err() {
                ProxyFailure::Malformed(_) => assert!(malformed, "{answer:?}"),
                ProxyFailure::WrongProtocol => assert!(!malformed, "{answer:?}"),
                other => panic!("{answer:?}: {other}"),
            }
        }
    }

    #[test]
    fn f2_a_status_line_is_read_whatever_its_version_blanks_and_reason() {
        for line in [
            "HTTP/1.0 200 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 \t 200\tOK",
            "HTTP/1.1 200",
            "HTTP/1.1 200 ",
            "HTTP/1.1 200OK",
            "HTTP/1.9 200 OK",
            "HTTP/1.1 200 \0\x7f\u{80}\rok",
        ] {
            assert_eq!(answered(format!("{line}\r\n\r\n")), Ok(()), "{line:?}");
            assert_eq!(answered(format!("{line}\n\n")), Ok(()), "{line:?}");
            let refused = answered(format!("{}\r\n\r\n", line.replacen("200", "503", 1))).unwrap_err();
            assert!(matches!(refused, ProxyFailure::Status { status: 503, .. }), "{line:?}");
        }
        let failure = answered(b"HTTP/1.1 502 caf\xe9 \x1b[1m\r\n\r\n").unwrap_err();
        assert_eq!(failure, ProxyFailure::Status { status: 502, reason: "caf\u{fffd} [1m".to_owned() });
    }

    #[test]
    fn f2_header_lines_that_are_not_needed_may_be_malformed() {
        for line in [
            "A: b\r\n c",
            "A: b\r\n\tc\r\n d",
            " first line folded",
            "A : b",
            "A A: b",
            "A[A]: b",
            ": b",
            "no colon",
            "A: \0\x7f",
            "A: b\rc",
            "A: \u{e9}\u{b1}",
            "Content-Length: -1",
            "Transfer-Encoding: x",
            "A: b\r\n".repeat(2000).trim_end(),
        ] {
            for end in ["\r\n", "\n", "\r\r\n"] {
                let answer = |status: u16| format!("HTTP/1.1 {status} X{end}{line}{end}B: c{end}{end}");
                assert_eq!(answered(answer(200)), Ok(()), "{line:?}");
                let refused = answered(answer(403)).unwrap_err();
                assert_eq!(refused, ProxyFailure::Status { status: 403, reason: "X".to_owned() }, "{line:?}");
            }
        }
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\nA: caf\xe9\xff\r\n\r\n"), Ok(()));
    }

    #[test]
    fn f2_challenges_are_read_whatever_their_form() {
        let answer =
            b"HTTP/1.0 407 \xe9\nPROXY-AUTHENTICATE : Digest realm=\"caf\xe9\",\n\tnonce=\"n\x1b\"\n\
                       X: y\n folded\nProxy-Authenticate:Basic\nProxy-Authenticate\n\n";
        let failure = answered(answer).unwrap_err();
        assert_eq!(failure.to_string(), "it wants credentials (407); it offers Digest, Basic");
        let ProxyFailure::AuthenticationRequired { challenges, .. } = failure else { panic!() };
        assert_eq!(challenges, ["Digest realm=\"caf\u{fffd}\", nonce=\"n\"", "Basic", ""]);
    }

    #[test]
    fn d1_a_refusal_does_not_wait_for_its_body_nor_for_an_end_of_its_head() {
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 512\r\nTransfer-Encoding: chunked\r\n";
        let refused = ProxyFailure::Status { status: 403, reason: "Forbidden".to_owned() };
        assert_eq!(answered(format!("{head}\r\n")), Err(refused.clone()));

        let begun = |head: &str| {
            let proxy = Proxy::parse("http://p").unwrap();
            let mut handshake = Handshake::new(&proxy, &destination("h", 80)).unwrap();
            handshake.wrote(usize::MAX);
            assert!(!handshake.receive(head.as_bytes()).unwrap().done);
            handshake.end_of_stream().failure
        };
        assert_eq!(begun(head), refused);
        assert_eq!(begun("HTTP/1.0 403 Forbidden\n"), refused);
        assert_eq!(begun("HTTP/1.0 403 Forbidden"), ProxyFailure::EndOfStream);
        for granting in ["HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
            assert_eq!(begun(granting), ProxyFailure::EndOfStream);
        }
        let endless = format!("{head}A: {}", "x".repeat(70_000));
        assert_eq!(answered(endless), Err(refused));
    }

    #[test]
    fn b183_endless_headers_are_refused_in_bounded_memory() {
        let too_long = Err(ProxyFailure::HeadersTooLong { limit: 65536 });
        assert_eq!(answered(format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(70_000))), too_long);
        assert_eq!(answered(format!("HTTP/1.1 200 {}", "x".repeat(70_000))), too_long);

        let mut connect = Connect::start(None, &destination("h", 80)).0;
        assert_eq!(connect.receive(&mut &b"HTTP/1.1 200 OK\r\n"[..]), Ok(false));
        let huge = vec![b'x'; 1 << 24];
        assert_eq!(connect.receive(&mut &huge[..]).map(drop), too_long);
        assert!(connect.line.capacity() <= 2 * MAX_HEAD);
    }

    #[test]
    fn b183_an_answer_of_just_the_limit_is_no_error() {
        let start = "HTTP/1.1 200 OK\r\nA: ";
        let fitting = |size: usize| format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4));
        assert_eq!(answered(fitting(MAX_HEAD)), Ok(()));
        assert_eq!(answered(fitting(MAX_HEAD + 1)), Err(ProxyFailure::HeadersTooLong { limit: MAX_HEAD }));
    }
}
