//! The server's side of the opening handshake.

use tungstenite::handshake::derive_accept_key;

/// A client's request, as it was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The method, which should be `GET`.
    pub method: String,
    /// The request target: path and query, or whatever stands in its place.
    pub path: String,
    /// The version, which should be `HTTP/1.1`.
    pub version: String,
    /// Names and values in the order, and the names in the spelling, in which they were sent. Only the blanks
    /// round a value are gone.
    pub headers: Vec<(String, String)>,
    /// Every byte of the request line and the headers, with the empty line that ends them.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The request at the start of `bytes`, once the empty line is there. What follows it is not consumed:
    /// it begins at `request.bytes.len()`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (method, path, version) = (word(), word(), word());
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
            })
            .collect();
        Some(Self { method, path, version, headers, bytes: bytes[..end + 4].to_vec() })
    }

    /// The value of the first header of that name, in any spelling.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).next()
    }

    /// The values of all headers of that name, in any spelling.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(has, _)| has.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The names of all headers in their spelling and order.
    pub fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// What a server answers as `Sec-WebSocket-Accept` to a `Sec-WebSocket-Key`.
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// The response that opens the connection, with further header lines (`Name: value`, no line ends).
///
/// A request without a `Sec-WebSocket-Key` gets the accept key of the empty string, which no client should
/// take.
pub fn response(request: &Request, extra: &[&str]) -> Vec<u8> {
    let accept = accept_key(request.header("Sec-WebSocket-Key").unwrap_or_default());
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    for line in extra {
        response.push_str(line);
        response.push_str("\r\n");
    }
    response.push_str("\r\n");
    response.into_bytes()
}

/// [`response`] to a request in bytes, without further headers.
///
/// # Panics
/// When `request` is not a whole request.
pub fn response_for(request: &[u8]) -> Vec<u8> {
    let request = Request::parse(request).expect("a request that ends in an empty line");
    response(&request, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\nupgrade: websocket\r\n\
        Sec-WebSocket-Key:  dGhlIHNhbXBsZSBub25jZQ==\t\r\nX-Two: a\r\nX-Two: b\r\n\r\nrest";

    #[test]
    fn a_request_keeps_its_order_and_spelling() {
        let request = Request::parse(REQUEST).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/chat?x=1"));
        assert_eq!(request.version, "HTTP/1.1");
        assert_eq!(request.header_names(), ["Host", "upgrade", "Sec-WebSocket-Key", "X-Two", "X-Two"]);
        assert_eq!(request.header("UPGRADE"), Some("websocket"));
        assert_eq!(request.header_values("x-two").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(&REQUEST[request.bytes.len()..], b"rest");
        assert_eq!(Request::parse(&REQUEST[..request.bytes.len() - 1]), None);
    }

    #[test]
    fn the_response_to_the_example_of_the_rfc_is_that_of_the_rfc() {
        let text = String::from_utf8(response(&Request::parse(REQUEST).unwrap(), &["X-Extra: 1"])).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 "));
        assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(text.ends_with("\r\nX-Extra: 1\r\n\r\n"));
        assert!(response_for(REQUEST).ends_with(b"=\r\n\r\n"));
    }
}
