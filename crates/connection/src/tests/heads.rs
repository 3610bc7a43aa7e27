//! Responses that are not as a textbook has them, in every packet order: interim ones before them, line breaks, odd lines. The letters
//! are those of the kinds in which such inputs were reported.

use super::refusals::{answer, answer_of, bare, refusal_of};
use crate::fuzzing::harness::{Client, RESPONSE, Seen, frame};
use crate::{Config, Error, Opcode, UpgradeError};

/// The accepting response with `lines` among its headers.
fn accepted(lines: &[u8]) -> Vec<u8> {
    let head = RESPONSE.strip_suffix(b"\r\n").unwrap();
    [head, lines, b"\r\n"].concat()
}

fn hi() -> Vec<u8> {
    frame(true, Opcode::Text, b"hi")
}

fn opened() -> Result<Vec<Seen>, Error> {
    Ok(vec![Seen::Open, Seen::Text("hi".into())])
}

#[test]
fn c1_c4_interim_responses_are_skipped() {
    let hints: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let going_on: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let processing: &[u8] = b"HTTP/1.1 102 Processing\r\nno colon\r\nX : \0\r\nUpgrade: h2c\r\n\r\n";
    let other: &[u8] = b"HTTP/1.0 199\n\n";
    for interim in [hints.to_vec(), going_on.to_vec(), [processing, hints].concat(), other.repeat(3)] {
        assert_eq!(answer_of([interim, RESPONSE.to_vec(), hi()].concat()), opened());
    }
}

#[test]
fn c2_c3_the_final_response_counts() {
    let (response, body) =
        refusal_of(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!((response.status.as_u16(), body.as_slice()), (403, &b"no"[..]));
    let (response, _) = refusal_of(
        b"HTTP/1.1 103 Early Hints\r\nLocation: /wrong\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n",
    );
    assert_eq!(
        (response.status.as_u16(), &response.headers["location"]),
        (302, &"/there".parse::<http::HeaderValue>().unwrap())
    );
    let error = answer_of(b"HTTP/1.1 100 Continue\r\n\r\n\x81\x02hi").unwrap_err();
    assert_eq!(error, UpgradeError::NotHttp.into());
}

#[test]
fn c_interim_responses_share_the_limit_of_the_head() {
    let mut config = Config::default();
    config.max_header_bytes = 2000;
    let interim = b"HTTP/1.1 102 Processing\r\n\r\n";
    let all = [interim.repeat((2000 - RESPONSE.len()) / interim.len()), RESPONSE.to_vec()].concat();
    let mut client = Client::connecting(config.clone());
    client.came(&all).unwrap();
    assert_eq!(client.take(), [Seen::Open]);

    for step in [1, 27, 5000] {
        let mut client = Client::connecting(config.clone());
        let endless = interim.repeat(1000);
        let error = endless.chunks(step).find_map(|piece| client.came(piece).err()).unwrap();
        assert_eq!(error, UpgradeError::HeadersTooLong { limit: 2000 }.into());
        assert!(error.to_string().contains("max_header_bytes"));
        client.assert_over();
    }
}

#[test]
fn e1_line_feeds_alone_end_lines() {
    let last_only = [RESPONSE.strip_suffix(b"\r\n").unwrap(), b"\n"].concat();
    let first_only = [b"HTTP/1.1 101 Switching Protocols\n", &RESPONSE[34..]].concat();
    for head in [bare(RESPONSE), last_only, first_only] {
        assert_eq!(answer_of([head, hi()].concat()), opened());
    }
}

#[test]
fn e1_b160_a_carriage_return_alone_ends_no_line() {
    let returns: Vec<u8> = RESPONSE.iter().copied().filter(|byte| *byte != b'\n').collect();
    assert_eq!(answer_of(returns), Err(UpgradeError::EndOfStream.into()));
    for lines in [&b"X: a\rUpgrade: b\r\n"[..], b"\rX: a\r\n", b"X: a\r\r\n"] {
        assert!(matches!(answer_of(accepted(lines)), Err(Error::Upgrade(UpgradeError::Malformed(_)))));
    }
}

#[test]
fn f3_in_a_101_lines_that_are_not_needed_may_be_odd() {
    for lines in [
        &b"X-A: b\r\n c\r\n"[..],
        b"X-A: caf\xe9\r\nX-B: \xb1\xb1\r\n",
        b"Content-Length: -1\r\n",
        b"Retry-After:\r\n",
    ] {
        assert_eq!(answer_of([accepted(lines), hi()].concat()), opened());
    }
    let two_blanks = [b"HTTP/1.1  101  Switching Protocols", &RESPONSE[32..]].concat();
    assert_eq!(answer_of([two_blanks, hi()].concat()), opened());
    let folded = String::from_utf8_lossy(RESPONSE).replace("Accept: ", "Accept:\r\n ");
    assert_eq!(answer_of([folded.into_bytes(), hi()].concat()), opened(), "RFC 9112 section 5.2");
}

#[test]
fn f3_b160_in_a_101_other_lines_must_be_right() {
    for lines in [
        &b"X-A : b\r\n"[..],
        b"X A: b\r\n",
        b"X[A]: b\r\n",
        b"no colon\r\n",
        b": b\r\n",
        b"X-A: a\0b\r\n",
        b"X-A: a\x01b\r\n",
        b"Sec-WebSocket-Protocol: \xb1\r\n",
        b"Connection: caf\xe9\r\n",
        b"Upgrade : websocket\r\n",
    ] {
        let error = answer_of(accepted(lines)).unwrap_err();
        assert!(matches!(error, Error::Upgrade(UpgradeError::Malformed(_))), "{}", lines.escape_ascii());
    }
    let start = [b"HTTP/1.1 101 Switching Protocols\r\n", &b" X: y\r\n"[..], &RESPONSE[34..]].concat();
    assert_eq!(answer_of(start), Err(UpgradeError::Malformed("a header's name").into()));
    let many = answer(&accepted(&b"X: y\r\n".repeat(126)), &[]);
    assert_eq!(many, Err(UpgradeError::TooManyHeaders { limit: 128 }.into()));
}
