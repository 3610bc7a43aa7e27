//! Refusals as servers and proxies send them, in every packet order. The letters are those of the kinds in which such inputs were
//! reported.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, RESPONSE, Seen, frame};
use crate::{Config, Error, Opcode, Response, Timeout, UpgradeError};

/// The longest wait for a body.
const BODY_WAIT: Duration = Duration::from_millis(500);

/// What came of `bytes` in two packets, and of the end of the stream where they brought no error.
pub(super) fn answer(first: &[u8], second: &[u8]) -> Result<Vec<Seen>, Error> {
    let mut client = Client::connecting(Config::default());
    let result = client.came(first).and_then(|()| client.came(second));
    let result = result.and_then(|()| if client.seen.is_empty() { client.end() } else { Ok(()) });
    if result.is_err() {
        client.assert_over();
    }
    result.map(|()| client.take())
}

/// The same, which must not depend on where the packets are cut.
pub(super) fn answer_of(bytes: impl AsRef<[u8]>) -> Result<Vec<Seen>, Error> {
    let bytes = bytes.as_ref();
    let whole = answer(bytes, &[]);
    for cut in 0..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(answer(first, second), whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    whole
}

/// A refusal's response and body.
pub(super) fn refusal_of(bytes: impl AsRef<[u8]>) -> (Box<Response>, Vec<u8>) {
    status(answer_of(bytes).unwrap_err())
}

fn status(error: Error) -> (Box<Response>, Vec<u8>) {
    match error {
        Error::Upgrade(UpgradeError::Status { response, body }) => (response, body),
        error => panic!("{error}"),
    }
}

pub(super) fn bare(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| *byte != b'\r').collect()
}

#[test]
fn b1_b3_an_http_1_0_refusal_is_reported() {
    let head =
        b"HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n<html>";
    for bytes in [head.to_vec(), bare(head)] {
        let (response, body) = refusal_of(bytes);
        assert_eq!(
            (response.status.as_u16(), response.status_message.as_str()),
            (503, "Service Unavailable")
        );
        assert_eq!(response.headers["cache-control"], "no-cache");
        assert_eq!(body, b"<html>");
    }
}

#[test]
fn b2_any_status_in_http_1_0_is_reported_but_101() {
    for (code, line) in [
        (200, "X: y"),
        (302, "Location: /there"),
        (401, "WWW-Authenticate: Basic realm=\"x\""),
        (403, "Content-Length: 0"),
        (404, "Transfer-Encoding: chunked"),
        (408, "X: y"),
        (429, "Retry-After: 1"),
        (502, "X: y"),
    ] {
        let head = format!("HTTP/1.0 {code} Words\r\n{line}\r\n\r\n");
        for bytes in [head.clone().into_bytes(), bare(head.as_bytes())] {
            let (response, _) = refusal_of(bytes);
            let (name, value) = line.split_once(": ").unwrap();
            assert_eq!(
                (response.status.as_u16(), &response.headers[name]),
                (code, &value.parse::<http::HeaderValue>().unwrap())
            );
        }
    }
    let old = [b"HTTP/1.0", &RESPONSE[8..]].concat();
    assert_eq!(answer_of(old), Err(UpgradeError::HttpVersion.into()));
}

#[test]
fn b_a_refusal_that_ends_without_its_empty_line_is_reported_unless_a_line_is_cut() {
    for head in ["HTTP/1.0 403 No\r\n", "HTTP/1.1 503 No\nRetry-After: 7\n"] {
        assert!(matches!(refusal_of(head).0.status.as_u16(), 403 | 503));
    }
    for head in [
        "HTTP/1.1 403 No",
        "HTTP/1.1 503 No\r\nRetry-After: 7",
        "HTTP/1.1 101 Yes\r\n",
        "HTTP/1.1 103 Early Hints\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No",
    ] {
        assert_eq!(answer_of(head), Err(UpgradeError::EndOfStream.into()), "{head:?}");
    }
}

#[test]
fn d1_d2_d3_a_body_that_does_not_come_delays_the_refusal_by_half_a_second() {
    for (bytes, code, so_far) in [
        ("403 Forbidden\r\nContent-Length: 512\r\n\r\n", 403, ""),
        ("403 Forbidden\r\nContent-Length: 512\r\n\r\npart", 403, "part"),
        ("404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 404, "abc"),
        ("401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n", 401, "login"),
        ("429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 100\r\n\r\n", 429, ""),
        ("503 Service Unavailable\r\n\r\nuntil the end", 503, "until the end"),
        ("300 Multiple Choices\r\nContent-Length: 5\r\n\r\n", 300, ""),
    ] {
        let mut client = Client::connecting(Config::default());
        client.advance(SECOND).unwrap();
        client.came(format!("HTTP/1.1 {bytes}").as_bytes()).unwrap();
        assert_eq!(client.due_in(), Some(BODY_WAIT), "{bytes}");
        client.advance(BODY_WAIT - Duration::from_millis(1)).unwrap();
        let (response, body) = status(client.advance(Duration::from_millis(1)).unwrap_err());
        assert_eq!((response.status.as_u16(), body.as_slice()), (code, so_far.as_bytes()));
        client.assert_over();
    }
}

#[test]
fn d1_a_body_without_end_is_awaited_no_longer_for_it() {
    let mut client = Client::connecting(Config::default());
    client
        .came(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..4 {
        client.advance(BODY_WAIT / 5).unwrap();
        client.came(b"2\r\n:\n\r\n").unwrap();
    }
    let (response, body) = status(client.advance(BODY_WAIT / 5).unwrap_err());
    assert_eq!((response.status.as_u16(), body.as_slice()), (200, &b":\n:\n:\n:\n"[..]));
}

#[test]
fn d1_a_full_or_complete_body_is_not_awaited() {
    let mut config = Config::default();
    config.max_error_body = 4;
    for bytes in [
        "403 No\r\nContent-Length: 4\r\n\r\nbody",
        "403 No\r\nContent-Length: 100\r\n\r\nbody and more",
        "403 No\r\n\r\nbody and more",
        "403 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
    ] {
        let mut client = Client::connecting(config.clone());
        let (_, body) = status(client.came(format!("HTTP/1.1 {bytes}").as_bytes()).unwrap_err());
        assert_eq!(body, b"body", "{bytes}");
    }
    for bytes in [
        "204 No Content\r\n\r\n",
        "304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        "403 No\r\nContent-Length: 0\r\n\r\n",
    ] {
        let mut client = Client::connecting(config.clone());
        let (_, body) = status(client.came(format!("HTTP/1.1 {bytes}").as_bytes()).unwrap_err());
        assert_eq!(body, b"", "{bytes}");
    }
}

#[test]
fn d3_a_redirect_is_reported_at_its_head() {
    for code in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {code} Moved\r\nLocation: /there\r\nContent-Length: 154\r\n\r\n");
        let nowhere = head.replace("Location: /there\r\n", "");
        for bytes in [head.clone(), head + "part of a body", nowhere] {
            let mut client = Client::connecting(Config::default());
            let error = client.came(bytes.as_bytes()).unwrap_err();
            let (response, body) = status(error);
            assert_eq!((response.status.as_u16(), body.as_slice()), (code, &b""[..]));
        }
    }
}

#[test]
fn d4_the_callers_deadline_gets_the_refusal_too() {
    let mut client = Client::connecting(Config::default());
    client.came(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 512\r\n").unwrap();
    assert_eq!(client.conn.take_refusal(&mut client.env), None, "the head is incomplete");
    client.came(b"\r\npart").unwrap();
    let error = client.conn.take_refusal(&mut client.env).unwrap();
    assert_eq!(client.conn.error(), Some(&error));
    let (response, body) = status(error);
    assert_eq!((response.status.as_u16(), body.as_slice()), (403, &b"part"[..]));
    client.assert_over();
    assert_eq!(client.conn.take_refusal(&mut client.env), None, "it has been reported");

    let mut client = Client::open(Config::default());
    assert_eq!(client.conn.take_refusal(&mut client.env), None);
    client.came(&frame(true, Opcode::Text, b"hi")).unwrap();
    assert_eq!(client.take(), [Seen::Text("hi".into())]);
}

#[test]
fn d4_the_upgrade_deadline_counts_where_it_is_nearer() {
    let mut config = Config::default();
    config.upgrade_timeout = Duration::from_millis(200);
    let mut client = Client::connecting(config.clone());
    client.came(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
    assert_eq!(client.due_in(), Some(Duration::from_millis(200)));
    assert_eq!(status(client.advance(SECOND).unwrap_err()).0.status, 403);

    let mut client = Client::connecting(config);
    client.came(b"HTTP/1.1 403 Forbidden\r\n").unwrap();
    assert_eq!(client.advance(SECOND), Err(Error::Timeout(Timeout::Upgrade)), "no head");
}

#[test]
fn e2_refusals_in_line_feeds_are_reported() {
    let (response, body) = refusal_of(b"HTTP/1.1 503 Service Unavailable\nContent-Length: 2\n\nno");
    assert_eq!((response.status.as_u16(), body.as_slice()), (503, &b"no"[..]));
    let (response, body) = refusal_of(b"HTTP/1.1 503 No\nTransfer-Encoding: chunked\n\n2\nno\n0\n\n");
    assert_eq!((response.status.as_u16(), body.as_slice()), (503, &b"no"[..]));
    let (response, _) = refusal_of(b"HTTP/1.1 302 Found\nLocation: /x\n\n");
    assert_eq!(response.headers["location"], "/x");
}

#[test]
fn f1_a_bad_header_line_does_not_cost_the_status() {
    for line in [
        &b"X-A: b\r\n c"[..],
        b"X-A:\r\n\tb\r\n \r\n c",
        b"X-A: caf\xe9",
        b"X-A: \xb1\xb1",
        b"X-A : b",
        b"X A: b",
        b"X[A]: b",
        b"no colon",
        b" folded: at the start",
        b": no name",
        b"\xff: x",
        b"X-A: a\0b",
        b"X-\0: a",
        b"X-A: a\rb",
        b"X-A: \x1b[31m",
        b"Content-Length: -1",
        b"Content-Length: many",
        b"\x16\x03\x01",
    ] {
        for order in 0..2 {
            let lines = [b"Retry-After: 1", line];
            let head =
                [b"HTTP/1.1 503 Service Unavailable", lines[order], lines[1 - order]].join(&b"\r\n"[..]);
            let bytes = [head.as_slice(), b"\r\n\r\nbody"].concat();
            // A fold at the start continues the line before where there is one.
            let after = if line[0] == b' ' && order == 0 { "1 folded: at the start" } else { "1" };
            for bytes in [bytes.clone(), if line.contains(&b'\r') { bytes } else { bare(&bytes) }] {
                let (response, body) = refusal_of(&bytes);
                assert_eq!(response.status, 503, "{}", bytes.escape_ascii());
                assert_eq!(response.headers["retry-after"], after, "{}", bytes.escape_ascii());
                assert_eq!(body, b"body");
            }
        }
    }
}

#[test]
fn f1_what_can_be_read_of_a_refusals_headers_is_kept() {
    let (response, _) = refusal_of(
        b"HTTP/1.1  503  Service  Unavailable\r\nRetry-After : 1\r\nX-A: b\r\n  c \r\n\td\r\nX-B: caf\xe9\r\nX-C:\r\n\r\n",
    );
    assert_eq!(response.status_message, "Service  Unavailable");
    assert_eq!(response.headers["retry-after"], "1");
    assert_eq!(response.headers["x-a"], "b c d");
    assert_eq!(response.headers["x-b"].as_bytes(), b"caf\xe9");
    assert_eq!(response.headers["x-c"], "");
}

#[test]
fn f3_more_headers_than_the_limit_do_not_cost_the_status() {
    let head = [
        b"HTTP/1.1 503 Service Unavailable\r\n".to_vec(),
        b"X: y\r\n".repeat(200),
        b"Retry-After: 1\r\nContent-Length: 2\r\n\r\nno".to_vec(),
    ];
    let (response, body) = status(answer(&head.concat(), &[]).unwrap_err());
    assert_eq!((response.status.as_u16(), body.as_slice()), (503, &b"no"[..]));
    assert_eq!(response.headers["retry-after"], "1", "what decides is kept");
    assert_eq!(response.headers.len(), 128);

    let mut config = Config::default();
    config.max_headers = 0;
    let mut client = Client::connecting(config);
    let error = client.came(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno").and_then(|()| client.end());
    assert_eq!(status(error.unwrap_err()).0.headers.len(), 0);
}
