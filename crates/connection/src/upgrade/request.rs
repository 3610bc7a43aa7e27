//! The upgrade request (RFC 6455 section 4.1).

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::elements::elements;
use crate::Env;

/// What the request asks for. Header values were checked when they were made: [`HeaderValue`] refuses line breaks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Path and query as they go into the request line; starts with `/`, ASCII without spaces.
    pub path: String,
    /// Value of `Host`; `None` leaves the header out.
    pub host: Option<HeaderValue>,
    /// Value of `Origin`; `None` leaves the header out.
    pub origin: Option<HeaderValue>,
    /// Value of `Cookie`.
    pub cookie: Option<HeaderValue>,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// Whether a response that selects none of the offered subprotocols fails the upgrade. Default `true`.
    pub require_subprotocol: bool,
    /// Headers to add; one that the request has anyway takes its place.
    pub headers: HeaderMap,
}

impl Request {
    /// Asks for `path` and nothing else.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            host: None,
            origin: None,
            cookie: None,
            subprotocols: Vec::new(),
            require_subprotocol: true,
            headers: HeaderMap::new(),
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first part that cannot be sent.
    pub fn check(&self) -> Result<(), RequestError> {
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RequestError::Path(self.path.clone()));
        }
        for (index, name) in self.subprotocols.iter().enumerate() {
            // RFC 6455 section 4.1: tokens of RFC 2616, each offered once. Tokens are what header names are made of.
            if HeaderName::try_from(name.as_str()).is_err() || self.subprotocols[..index].contains(name) {
                return Err(RequestError::Subprotocol(name.clone()));
            }
        }
        for reserved in [&header::UPGRADE, &header::SEC_WEBSOCKET_EXTENSIONS, &header::SEC_WEBSOCKET_ACCEPT] {
            if self.headers.contains_key(reserved) {
                return Err(RequestError::ReservedHeader(reserved.clone()));
            }
        }
        for body in [&header::CONTENT_LENGTH, &header::TRANSFER_ENCODING] {
            if self.headers.contains_key(body) {
                return Err(RequestError::ReservedHeader(body.clone()));
            }
        }
        for single in
            [&header::HOST, &header::SEC_WEBSOCKET_KEY, &header::SEC_WEBSOCKET_VERSION, &header::ORIGIN]
        {
            if self.headers.get_all(single).iter().count() > 1 {
                return Err(RequestError::RepeatedHeader(single.clone()));
            }
        }
        Ok(())
    }

    /// The subprotocols that the request offers, in a header of the user's or in `subprotocols`.
    pub(super) fn offered(&self) -> Vec<String> {
        if self.headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
            elements(&self.headers, &header::SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect()
        } else {
            self.subprotocols.clone()
        }
    }

    /// The bytes of the request with these extensions, and the key in them.
    pub(super) fn encode(&self, extensions: Option<&str>, env: &mut Env) -> (Vec<u8>, Vec<u8>) {
        let key = match self.headers.get(header::SEC_WEBSOCKET_KEY) {
            Some(key) => key.as_bytes().to_vec(),
            None => nonce(env).into_bytes(),
        };
        let offered = (!self.subprotocols.is_empty()).then(|| self.subprotocols.join(", "));

        let mut out = env.output.take();
        out.clear();
        for part in ["GET ", &self.path, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let built_in: [(&str, HeaderName, Option<&[u8]>); 9] = [
            ("Upgrade", header::UPGRADE, Some(b"websocket")),
            ("Host", header::HOST, self.host.as_ref().map(HeaderValue::as_bytes)),
            ("Origin", header::ORIGIN, self.origin.as_ref().map(HeaderValue::as_bytes)),
            ("Sec-WebSocket-Key", header::SEC_WEBSOCKET_KEY, Some(&key)),
            ("Sec-WebSocket-Version", header::SEC_WEBSOCKET_VERSION, Some(b"13")),
            ("Connection", header::CONNECTION, Some(b"Upgrade")),
            ("Sec-WebSocket-Protocol", header::SEC_WEBSOCKET_PROTOCOL, offered.as_deref().map(str::as_bytes)),
            ("Sec-WebSocket-Extensions", header::SEC_WEBSOCKET_EXTENSIONS, extensions.map(str::as_bytes)),
            ("Cookie", header::COOKIE, self.cookie.as_ref().map(HeaderValue::as_bytes)),
        ];
        for (title, name, value) in &built_in {
            if self.headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    append(&mut out, title, value.as_bytes());
                }
            } else if let Some(value) = value {
                append(&mut out, title, value);
            }
        }
        for (name, value) in &self.headers {
            if !built_in.iter().any(|(_, built_in, _)| built_in == name) {
                append(&mut out, &title_case(name), value.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        (out, key)
    }
}

fn append(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// `x-auth-token` as `X-Auth-Token`: header names are case-insensitive, but some servers' authors did not read that far.
fn title_case(name: &HeaderName) -> String {
    let mut start = true;
    name.as_str()
        .chars()
        .map(|letter| {
            let upper = std::mem::replace(&mut start, letter == '-');
            if upper { letter.to_ascii_uppercase() } else { letter }
        })
        .collect()
}

/// 16 random bytes in base64 (RFC 6455 section 4.1).
fn nonce(env: &mut Env) -> String {
    let mut bytes = [0; 16];
    for word in bytes.as_chunks_mut::<4>().0 {
        *word = env.next_u32().to_ne_bytes();
    }
    data_encoding::BASE64.encode(&bytes)
}

/// A request that cannot be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The path does not start with `/`, or contains what a request line must not.
    Path(String),
    /// A subprotocol is not a token (RFC 9110 section 5.6.2), or is offered twice.
    Subprotocol(String),
    /// A header that the handshake itself must set or that a request without a body must not have.
    ReservedHeader(HeaderName),
    /// A header that may stand only once.
    RepeatedHeader(HeaderName),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(_) => f.write_str(
                "the path must start with '/' and have only printable ASCII; percent-encode the rest",
            ),
            Self::Subprotocol(name) => {
                write!(
                    f,
                    "subprotocol {name:?} must be a token (letters, digits and !#$%&'*+-.^_`|~), offered once"
                )
            }
            Self::ReservedHeader(name) => {
                write!(f, "header {name} is set by the handshake itself; take it out")
            }
            Self::RepeatedHeader(name) => write!(f, "header {name} may be given only once"),
        }
    }
}

impl std::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{CountingEntropy, env};

    fn lines(request: &Request) -> Vec<String> {
        let (bytes, _) = request.encode(None, &mut env(CountingEntropy::default()));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with("\r\n\r\n"));
        text.trim_end().split("\r\n").map(str::to_owned).collect()
    }

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    #[test]
    fn b145_the_headers_come_in_the_documented_order() {
        let mut request = Request::new("/chat?room=1");
        request.host = Some(value("example.com"));
        request.origin = Some(value("http://example.com"));
        request.cookie = Some(value("a=1"));
        request.subprotocols = vec!["soap".into(), "wamp".into()];
        request.headers.insert("x-token", value("t"));
        let lines = lines(&request);
        assert_eq!(lines[0], "GET /chat?room=1 HTTP/1.1");
        assert_eq!(lines[1], "Upgrade: websocket");
        assert_eq!(lines[2], "Host: example.com");
        assert_eq!(lines[3], "Origin: http://example.com");
        assert!(lines[4].starts_with("Sec-WebSocket-Key: "));
        assert_eq!(lines[5], "Sec-WebSocket-Version: 13");
        assert_eq!(lines[6], "Connection: Upgrade");
        assert_eq!(lines[7], "Sec-WebSocket-Protocol: soap, wamp");
        assert_eq!(lines[8], "Cookie: a=1");
        assert_eq!(lines[9], "X-Token: t");
        assert_eq!(lines.len(), 10);
    }

    #[test]
    fn b149_the_key_is_16_bytes_in_base64_and_new_every_time() {
        let mut env = env(CountingEntropy::default());
        let keys: Vec<_> = (0..2).map(|_| Request::new("/").encode(None, &mut env).1).collect();
        assert_ne!(keys[0], keys[1]);
        for key in keys {
            assert_eq!(data_encoding::BASE64.decode(&key).unwrap().len(), 16);
        }
    }

    #[test]
    fn b150_b152_b154_given_headers_take_the_place_of_built_in_ones() {
        let mut request = Request::new("/");
        request.host = Some(value("built-in"));
        request.headers.insert(header::HOST, value("given"));
        request.headers.insert(header::SEC_WEBSOCKET_KEY, value("Z2l2ZW4="));
        request.headers.insert(header::CONNECTION, value("keep-alive, Upgrade"));
        let lines = lines(&request);
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("Host:")).collect::<Vec<_>>(),
            ["Host: given"]
        );
        assert!(lines.contains(&"Sec-WebSocket-Key: Z2l2ZW4=".into()));
        assert!(lines.contains(&"Connection: keep-alive, Upgrade".into()));
        assert_eq!(lines.iter().filter(|line| line.starts_with("Connection:")).count(), 1);
    }

    #[test]
    fn a_request_that_cannot_be_sent_is_refused() {
        for path in ["", "chat", "/a b", "/a\r\nX: y", "/ä"] {
            assert_eq!(Request::new(path).check(), Err(RequestError::Path(path.into())));
        }
        for names in [&["a b"][..], &[""], &["a,b"], &["a", "a"]] {
            let mut request = Request::new("/");
            request.subprotocols = names.iter().map(|name| (*name).to_owned()).collect();
            assert!(matches!(request.check(), Err(RequestError::Subprotocol(_))), "{names:?}");
        }
        for name in [header::UPGRADE, header::SEC_WEBSOCKET_EXTENSIONS, header::CONTENT_LENGTH] {
            let mut request = Request::new("/");
            request.headers.insert(&name, value("x"));
            assert_eq!(request.check(), Err(RequestError::ReservedHeader(name)));
        }
        let mut request = Request::new("/");
        request.headers.append(header::HOST, value("a"));
        request.headers.append(header::HOST, value("b"));
        assert_eq!(request.check(), Err(RequestError::RepeatedHeader(header::HOST)));
    }
}
