//! The opening handshake as part of the connection: deadlines, ends and failures.

use std::sync::Arc;

use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use super::{CountingEntropy, SECOND, env};
use crate::fuzzing::harness::{Client, Leave, RESPONSE, Seen};
use crate::{Config, Connection, Error, Input, Request, State, Timeout, UpgradeError};

const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: secret\r\nContent-Length: 4\r\n\r\nbody";

fn upgrade_error(result: Result<(), Error>) -> UpgradeError {
    match result {
        Err(Error::Upgrade(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b132_b133_the_whole_handshake_has_one_deadline() {
    let mut client = Client::connecting(Config::default());
    assert_eq!(client.due_in(), Some(10 * SECOND));
    for byte in &RESPONSE[..9] {
        client.advance(SECOND).unwrap();
        client.came(&[*byte]).unwrap();
    }
    assert_eq!(client.due_in(), Some(SECOND), "bytes do not put it off");
    assert_eq!(client.advance(SECOND), Err(Error::Timeout(Timeout::Upgrade)));
    client.assert_over();
    assert_eq!(client.came(RESPONSE), Err(Error::Timeout(Timeout::Upgrade)), "too late");
}

#[test]
fn the_request_is_the_first_output() {
    let mut env = env(CountingEntropy::default());
    let conn = Connection::new(Arc::new(Config::default()), &Request::new("/x"), &mut env).unwrap();
    assert!(conn.output().starts_with(b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\n"));
    assert_eq!(conn.queued_bytes(), conn.output().len());
    assert_eq!((conn.state(), conn.error(), conn.closing_side()), (State::Connecting, None, None));
    assert!(Connection::new(Arc::new(Config::default()), &Request::new("x"), &mut env).is_err());
}

#[test]
fn a_failed_handshake_is_kept_and_ends_the_connection() {
    let failures: [(&[u8], UpgradeError); 3] = [
        (b"SSH-2.0", UpgradeError::NotHttp),
        (b"HTTP/1.1 101 OK\r\n\r\n", UpgradeError::UpgradeHeader),
        (b"HTTP/1.1 101 OK\r\nno colon\r\n\r\n", UpgradeError::Malformed("a header's name")),
    ];
    for (bytes, error) in failures {
        let error = Error::Upgrade(error);
        let mut client = Client::connecting(Config::default());
        assert_eq!(client.came(bytes), Err(error.clone()));
        client.assert_over();
        assert_eq!(client.conn.error(), Some(&error));
        assert_eq!(client.came(RESPONSE), Err(error));
        assert_eq!(client.end(), Ok(()), "it has been reported");
        assert_eq!(client.take(), []);
    }
}

#[test]
fn b052_b163_a_refusal_at_every_split_shows_its_secrets_to_nobody() {
    for cut in 0..REFUSAL.len() {
        let mut client = Client::connecting(Config::default());
        client.came(&REFUSAL[..cut]).unwrap();
        let error = upgrade_error(client.came(&REFUSAL[cut..]));
        assert!(!format!("{error} {error:?} {:?}", client.conn).contains("secret"));
        let UpgradeError::Status { response, body } = error else { panic!("{error:?}") };
        assert_eq!((response.status.as_u16(), body.as_slice()), (403, &b"body"[..]));
        client.assert_over();
    }
    let mut client = Client::connecting(Config::default());
    client.came(&REFUSAL[..60]).unwrap();
    let bytes = format!("{:?}", &REFUSAL[20..30]);
    assert!(!format!("{:?}", client.conn).contains(bytes.trim_matches(['[', ']'])), "nor the bytes so far");
}

#[test]
fn an_end_before_the_response_is_complete_fails_the_handshake() {
    let mut client = Client::connecting(Config::default());
    client.came(&RESPONSE[..30]).unwrap();
    assert_eq!(upgrade_error(client.end()), UpgradeError::EndOfStream);
    client.assert_over();

    let mut client = Client::connecting(Config::default());
    client.came(&REFUSAL[..REFUSAL.len() - 1]).unwrap();
    assert!(matches!(upgrade_error(client.end()), UpgradeError::Status { body, .. } if body == b"bod"));
}

#[test]
fn b134_limits_that_are_no_limits_are_no_panic() {
    let mut config = Config::default();
    config.max_header_bytes = usize::MAX;
    config.max_headers = usize::MAX;
    config.max_error_body = usize::MAX;
    let mut client = Client::connecting(config.clone());
    client.came(RESPONSE).unwrap();

    let mut client = Client::connecting(config.clone());
    let chunked = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let error = upgrade_error(client.came(chunked));
    assert!(matches!(error, UpgradeError::Status { body, .. } if body == b"abc"));

    let mut client = Client::connecting(config);
    let many: String = (0..40_000).map(|index| format!("H{index}: x\r\n")).collect();
    let error = upgrade_error(client.came(format!("HTTP/1.1 101 OK\r\n{many}\r\n").as_bytes()));
    assert!(matches!(error, UpgradeError::TooManyHeaders { .. }), "{error}");
}

#[test]
fn b152_a_subprotocol_header_of_the_users_own_is_what_was_offered() {
    let answer = |selected: &str| {
        let mut request = Request::new("/");
        request.headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat, v2.chat"));
        request.headers.insert("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let mut env = env(CountingEntropy::default());
        let mut conn = Connection::new(Arc::new(Config::default()), &request, &mut env).unwrap();
        let head = &RESPONSE[..RESPONSE.len() - 2];
        let bytes = [head, b"Sec-WebSocket-Protocol: ", selected.as_bytes(), b"\r\n\r\n"].concat();
        let event = conn.receive(&mut Input::new(&bytes), &mut env);
        event.map(|event| event.map(|(event, _)| Seen::from(event)))
    };
    assert_eq!(answer("v2.chat"), Ok(Some(Seen::Open)));
    assert_eq!(answer("soap"), Err(UpgradeError::UnrequestedSubprotocol("soap".into()).into()));
}

#[test]
fn the_response_and_the_first_frames_at_every_split() {
    let bytes = [RESPONSE, b"\x81\x02hi\x89\x00\x82\x01x"].concat();
    for cut in 0..bytes.len() {
        for leave in [Leave::InBuffer, Leave::Absorb, Leave::Spare] {
            let mut client = Client::connecting(Config::default());
            client.feed(&bytes[..cut], leave).unwrap();
            client.came(&bytes[cut..]).unwrap();
            let expected =
                [Seen::Open, Seen::Text("hi".into()), Seen::Ping(vec![]), Seen::Binary(b"x".to_vec())];
            assert_eq!(client.take(), expected, "{cut}");
        }
    }
}
