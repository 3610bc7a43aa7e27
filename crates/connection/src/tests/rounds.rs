//! Another request on the stream of one that was refused.

use http::HeaderValue;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_KEY};

use crate::fuzzing::harness::{Client, KEY, RESPONSE, Seen, frame};
use crate::{Config, Error, Opcode, Request, State, UpgradeError};

const WHO: &[u8] = b"HTTP/1.1 401 Who\r\nContent-Length: 3\r\n\r\nwho";

/// The request that follows a refusal.
fn answer() -> Request {
    let mut request = Request::new("/");
    request.headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(KEY));
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Toy answer"));
    request
}

/// A client that has had this response, a refusal, in two packets.
fn refused(config: &Config, response: &[u8], cut: usize) -> Client {
    let mut client = Client::connecting(config.clone());
    let (first, second) = response.split_at(cut);
    let result = client.came(first).and_then(|()| client.came(second));
    assert!(matches!(result, Err(Error::Upgrade(UpgradeError::Status { .. }))), "{result:?}");
    client
}

#[test]
fn b164_a_refusal_whose_body_has_ended_leaves_the_stream_to_another_request() {
    let chunked = b"HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nwho\r\n0\r\nA: b\r\n\r\n";
    for response in [WHO, chunked, b"HTTP/1.1 401 Who\nContent-Length: 0\nConnection: Keep-Alive\n\n"] {
        for cut in 0..response.len() {
            let mut client = refused(&Config::default(), response, cut);
            assert!(client.conn.can_ask_again(), "{}", response.escape_ascii());
            client.assert_over();
            let sent = client.conn.tx().stats().sent.wire_bytes;
            client.conn.ask_again(&answer(), &mut client.env).unwrap();
            assert_eq!((client.conn.state(), client.conn.error()), (State::Connecting, None));
            assert!(!client.conn.can_ask_again());
            let request = client.write(usize::MAX);
            assert!(String::from_utf8_lossy(&request).contains("\r\nAuthorization: Toy answer\r\n"));
            assert_eq!(client.conn.tx().stats().sent.wire_bytes, sent + request.len() as u64);
            client.came(&[RESPONSE, &frame(true, Opcode::Text, b"hi")].concat()).unwrap();
            assert_eq!(client.take(), [Seen::Open, Seen::Text("hi".into())]);
        }
    }
}

#[test]
fn b164_a_refusal_that_says_or_shows_that_its_stream_is_used_up_leaves_none() {
    let mut config = Config::default();
    config.max_error_body = 8;
    for (what, head, body) in [
        ("HTTP/1.0", "HTTP/1.0 401 Who\r\nContent-Length: 0\r\n", ""),
        ("close", "HTTP/1.1 401 Who\r\nContent-Length: 0\r\nConnection: keep-alive, Close\r\n", ""),
        ("an endless body", "HTTP/1.1 401 Who\r\n", "who"),
        ("a long body", "HTTP/1.1 401 Who\r\nContent-Length: 9\r\n", "123456789"),
        ("long chunks", "HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n", "9\r\n123456789\r\n0\r\n\r\n"),
        (
            "chunks and a length",
            "HTTP/1.1 401 Who\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        ("two lengths", "HTTP/1.1 401 Who\r\nContent-Length: 3\r\nContent-Length: 4\r\n", "who"),
        ("a faulty header", "HTTP/1.1 401 Who\r\nContent-Length: 0\r\nConnection : keep-alive\r\n", ""),
        ("a faulty chunk", "HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n", "x\r\n\r\n"),
        ("another coding", "HTTP/1.1 401 Who\r\nTransfer-Encoding: gzip\r\n", "who"),
        ("a redirect", "HTTP/1.1 302 Away\r\nContent-Length: 3\r\n", "who"),
    ] {
        let mut client = Client::connecting(config.clone());
        let response = format!("{head}\r\n{body}");
        let result = client.came(response.as_bytes()).and_then(|()| client.end());
        assert!(matches!(result, Err(Error::Upgrade(UpgradeError::Status { .. }))), "{what}: {result:?}");
        assert!(!client.conn.can_ask_again(), "{what}");
        client.assert_over();
    }
}

#[test]
fn b164_bytes_behind_a_refusal_belong_to_no_response() {
    let early = [WHO, RESPONSE].concat();
    for cut in 0..early.len() {
        let mut client = Client::connecting(Config::default());
        let (first, second) = early.split_at(cut);
        let refused = client.came(first).and_then(|()| client.came(second)).unwrap_err();
        if cut == WHO.len() {
            assert!(client.conn.can_ask_again());
            assert_eq!(client.came(second), Err(refused));
        }
        assert!(!client.conn.can_ask_again(), "{cut}");
        assert_eq!(client.take(), []);
    }
}

#[test]
fn b164_a_body_that_is_cut_or_a_stream_that_has_ended_leaves_none() {
    let mut cut = Client::connecting(Config::default());
    cut.came(&WHO[..WHO.len() - 1]).unwrap();
    assert!(matches!(cut.end(), Err(Error::Upgrade(UpgradeError::Status { .. }))));
    assert!(!cut.conn.can_ask_again());

    let mut slow = Client::connecting(Config::default());
    slow.came(&WHO[..WHO.len() - 1]).unwrap();
    assert!(matches!(slow.wait(), Err(Error::Upgrade(UpgradeError::Status { .. }))));
    assert!(!slow.conn.can_ask_again());

    let mut ended = refused(&Config::default(), WHO, 0);
    ended.end().unwrap();
    assert!(!ended.conn.can_ask_again());
}

#[test]
fn b164_a_refusal_before_the_request_was_written_leaves_none() {
    let mut client = refused(&Config::default(), WHO, 0);
    client.conn.ask_again(&answer(), &mut client.env).unwrap();
    client.write(10);
    let result = client.came(WHO);
    assert!(matches!(result, Err(Error::Upgrade(UpgradeError::Status { .. }))), "{result:?}");
    assert!(!client.conn.can_ask_again());
    client.assert_over();
}

#[test]
fn b164_a_request_that_cannot_be_sent_changes_nothing() {
    let mut client = refused(&Config::default(), WHO, 0);
    let mut request = answer();
    request.path = "no path".to_owned();
    assert!(client.conn.ask_again(&request, &mut client.env).is_err());
    assert!(client.conn.can_ask_again() && client.conn.error().is_some());
}
