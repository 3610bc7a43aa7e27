//! CONNECT to an HTTP proxy (RFC 9110 section 9.3.6).

use data_encoding::BASE64;

use super::ProxyFailure;
use super::login::Login;
use crate::Destination;

/// What every answer starts with.
const HTTP: &[u8] = b"HTTP/1.";

/// How long the heads of an answer may be together, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// How many headers an answer may have.
const MAX_HEADERS: usize = 100;

/// How much of a reason phrase an error keeps, in bytes.
const MAX_REASON: usize = 100;

/// The client's side, once the request is made.
pub(super) struct Connect {
    head: Vec<u8>,
    /// The bytes of interim answers that came before.
    interim: usize,
    authorized: bool,
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
        (Self { head: Vec::new(), interim: 0, authorized: login.is_some() }, request.into_bytes())
    }

    /// Takes what belongs to the answer from `input`; returns whether it is complete.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<bool, ProxyFailure> {
        loop {
            let known = self.head.len();
            let room = MAX_HEAD - self.interim - known;
            self.head.extend_from_slice(&input[..input.len().min(room)]);
            let prefix = self.head.len().min(HTTP.len());
            if self.head[..prefix] != HTTP[..prefix] {
                return Err(ProxyFailure::WrongProtocol);
            }
            let Some(end) = head_end(&self.head, known) else {
                if self.interim + self.head.len() >= MAX_HEAD {
                    return Err(ProxyFailure::HeadersTooLong { limit: MAX_HEAD });
                }
                *input = &[];
                return Ok(false);
            };
            *input = &input[end - known..];
            if self.is_final(end)? {
                return Ok(true);
            }
            self.interim += end;
            self.head.clear();
        }
    }

    /// Whether the head, which ends at `end`, grants the tunnel; it may be an interim answer (RFC 9110 section 15.2).
    fn is_final(&self, end: usize) -> Result<bool, ProxyFailure> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&self.head[..end]) {
            Ok(httparse::Status::Complete(parsed)) if parsed == end => {}
            Ok(_) => return Err(ProxyFailure::Malformed("a line break")),
            Err(error) => {
                return Err(match error {
                    httparse::Error::TooManyHeaders => ProxyFailure::TooManyHeaders { limit: MAX_HEADERS },
                    httparse::Error::HeaderName => ProxyFailure::Malformed("a header's name"),
                    httparse::Error::HeaderValue => ProxyFailure::Malformed("a header's value"),
                    httparse::Error::Version => ProxyFailure::WrongProtocol,
                    _ => ProxyFailure::Malformed("the status line or a line break"),
                });
            }
        }
        match answer.code.unwrap_or_default() {
            200..=299 => Ok(true),
            100 | 102..=199 => Ok(false),
            407 => {
                let challenges = answer
                    .headers
                    .iter()
                    .filter(|header| header.name.eq_ignore_ascii_case("Proxy-Authenticate"))
                    .map(|header| String::from_utf8_lossy(header.value).into_owned())
                    .collect();
                Err(ProxyFailure::AuthenticationRequired { challenges, sent: self.authorized })
            }
            status => {
                // httparse lets ASCII pass only.
                let reason = answer.reason.unwrap_or_default();
                let reason = reason.get(..MAX_REASON).unwrap_or(reason).to_owned();
                Err(ProxyFailure::Status { status, reason })
            }
        }
    }
}

/// Where the head ends, if its empty line is there; the first `known` bytes do not have it whole. A bare line feed ends a line as well (RFC
/// 9112 section 2.2).
fn head_end(head: &[u8], known: usize) -> Option<usize> {
    (known.saturating_sub(2)..head.len()).filter(|&at| head[at] == b'\n').find_map(|at| {
        match head[at + 1..] {
            [b'\n', ..] => Some(at + 2),
            [b'\r', b'\n', ..] => Some(at + 3),
            _ => None,
        }
    })
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
    fn b183_an_unreadable_answer_is_an_error() {
        for (answer, malformed) in [
            ("HTTP/2 200 OK\r\n\r\n", false),
            ("HTTP/1.9 200 OK\r\n\r\n", false),
            ("HTTP/1.1 abc\r\n\r\n", true),
            ("HTTP/1.1 20\r\n\r\n", true),
            ("HTTP/1.1\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", true),
            (" HTTP/1.1 200 OK\r\n\r\n", false),
            ("\r\n\r\n", false),
        ] {
            match answered(answer).unwrap_err() {
                ProxyFailure::Malformed(_) => assert!(malformed, "{answer:?}"),
                ProxyFailure::WrongProtocol => assert!(!malformed, "{answer:?}"),
                other => panic!("{answer:?}: {other}"),
            }
        }
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
        assert!(connect.head.capacity() <= 2 * MAX_HEAD);

        let headers = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert_eq!(answered(headers(100)), Ok(()));
        assert_eq!(answered(headers(101)), Err(ProxyFailure::TooManyHeaders { limit: 100 }));
    }

    #[test]
    fn b183_an_answer_of_just_the_limit_is_no_error() {
        let start = "HTTP/1.1 200 OK\r\nA: ";
        let fitting = |size: usize| format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4));
        assert_eq!(answered(fitting(MAX_HEAD)), Ok(()));
        assert_eq!(answered(fitting(MAX_HEAD + 1)), Err(ProxyFailure::HeadersTooLong { limit: MAX_HEAD }));
    }
}
