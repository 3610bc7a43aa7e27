//! The end of a session.

use super::pair::{VERSIONS, World};
use crate::tls::{TlsError, TlsVersion};

#[test]
fn b209_close_notify_of_the_peer_ends_what_is_received_and_not_what_is_sent() {
    for version in VERSIONS {
        for piece in [1, 2, 1000] {
            let mut pair = World::new(version).open();
            let mut bytes = pair.say(b"the last words");
            pair.server.send_close_notify();
            bytes.extend(pair.server_output());
            bytes.extend_from_slice(b"noise that must be ignored");
            pair.feed_in_pieces(&bytes, || piece).unwrap();
            assert_eq!(pair.received(), b"the last words");
            assert!(pair.client.peer_has_closed());
            assert_eq!(pair.client.end_of_stream(), Ok(()));
            assert_eq!(pair.client.held_bytes(), 0);

            pair.send(b"an answer").unwrap();
            pair.client.close_notify(&mut pair.output);
            pair.reach_server().unwrap();
            assert_eq!(pair.heard(), b"an answer");
            pair.feed(b"more noise").unwrap();
            assert_eq!(pair.client.send(b"x", &mut pair.output), Err(TlsError::Closed));
        }
    }
}

#[test]
fn close_notify_is_sent_once_and_the_peer_sees_a_clean_end() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        pair.send(b"good bye").unwrap();
        pair.client.close_notify(&mut pair.output);
        let len = pair.output.len();
        pair.client.close_notify(&mut pair.output);
        assert_eq!(pair.output.len(), len);
        assert_eq!(pair.client.send(b"x", &mut pair.output), Err(TlsError::Closed));
        pair.reach_server().unwrap();
        assert_eq!(pair.heard(), b"good bye");
        assert!(pair.server.process_new_packets().unwrap().peer_has_closed());

        let bytes = pair.say(b"still here");
        pair.feed(&bytes).unwrap();
        assert_eq!(pair.received(), b"still here", "the other way is open");
        pair.server.send_close_notify();
        let bytes = pair.server_output();
        pair.feed(&bytes).unwrap();
        assert_eq!(pair.client.end_of_stream(), Ok(()));
    }
}

#[test]
fn close_notify_takes_a_key_update_that_is_due_along() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    pair.server.refresh_traffic_keys().unwrap();
    let bytes = pair.say(b"x");
    pair.feed(&bytes).unwrap();
    pair.client.close_notify(&mut pair.output);
    pair.reach_server().unwrap();
    assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn an_end_without_close_notify_is_a_truncation_of_its_own_type() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::Truncated));
        let bytes = pair.say(b"cut off");
        pair.feed(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::Truncated));
        assert!(pair.received.is_empty());
    }
}

#[test]
fn b206_an_end_anywhere_in_the_handshake_is_reported_as_such() {
    for version in VERSIONS {
        let world = World::new(version);
        let mut pair = world.pair();
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::EndOfHandshake));
        pair.client.close_notify(&mut pair.output);
        pair.reach_server().unwrap();
        let flight = pair.server_output();
        for byte in &flight[..flight.len() - 1] {
            pair.feed(&[*byte]).unwrap();
            assert_eq!(pair.client.end_of_stream(), Err(TlsError::EndOfHandshake));
        }
    }
}
